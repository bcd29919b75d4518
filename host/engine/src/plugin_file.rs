//! A plugin's file in, its bytes out, if whoever signed them is believed.
//!
//! The signature is checked over the bytes that are compiled afterwards: nothing is read twice, and nothing of them is
//! looked at before. What is compiled, and what comes from the cache, is found by these bytes, so there is no way around.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::SystemTime;

use bytes::Bytes;
use palisade_config::TrustedKeys;
use palisade_signature::Signature;

use crate::Reason;
use crate::manifest::FILE_BYTES_MAX;

/// The bytes of a plugin's file that may be used.
#[derive(Debug)]
pub struct PluginFile {
    /// All of them.
    pub bytes: Bytes,
    /// The name of the trusted key that signed them; none where no key is asked for.
    pub signed_by: Option<String>,
    /// The text of the signature that says so.
    pub signature: Option<String>,
}

impl PluginFile {
    /// Reads a plugin's file and, where keys are asked for, the signature beside it ([`Signature::path_of`]).
    ///
    /// # Errors
    /// One of the two cannot be read, is too large, or no trusted key has signed the file.
    pub fn read(file: &Path, trusted: &TrustedKeys, now: SystemTime) -> Result<Self, Reason> {
        let bytes = at_most(file, FILE_BYTES_MAX)?;
        if bytes.len() > FILE_BYTES_MAX {
            return Err(Reason::TooLarge { max: FILE_BYTES_MAX });
        }
        let signature = if trusted.is_empty() { None } else { Self::signature_beside(file)? };
        let signed_by = trusted.check(&bytes, signature.as_deref(), now)?.map(|key| key.name.clone());
        Ok(Self { bytes: bytes.into(), signed_by, signature })
    }

    /// The text that lies beside a file as its signature, whatever it is; none where there is no such file. What is longer
    /// than any signature is cut, and is none.
    ///
    /// # Errors
    /// There is something, and it cannot be read.
    pub fn signature_beside(file: &Path) -> Result<Option<String>, Reason> {
        match at_most(&Signature::path_of(file), Signature::TEXT_BYTES_MAX) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Reason::ReadSignature(error)),
        }
    }
}

/// The file's bytes up to one more than the limit, by which its caller sees that there are too many.
fn at_most(file: &Path, max: usize) -> io::Result<Vec<u8>> {
    let open = File::open(file)?;
    // It is kept for as long as the plugin is: so no more than it takes.
    let expected = usize::try_from(open.metadata()?.len()).unwrap_or(max).min(max);
    let mut bytes = Vec::with_capacity(expected);
    open.take(u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use palisade_config::TrustedKey;
    use palisade_signature::SecretKey;

    use super::*;

    #[test]
    fn a_signed_file_is_read_and_no_other() {
        let key = SecretKey::generate().expect("random numbers");
        let signature = key.sign(b"plugin").to_string();
        check("signed", &key, b"plugin", Some(&signature), Ok("release"));
        check("altered", &key, b"plugim", Some(&signature), Err("the file or its signature was altered"));
        check("unsigned", &key, b"plugin", None, Err("there is no signature beside it"));
        let long = signature.repeat(10);
        check("long", &key, b"plugin", Some(&long), Err("has a signature that is not one"));
    }

    #[track_caller]
    fn check(name: &str, key: &SecretKey, bytes: &[u8], signature: Option<&str>, expected: Result<&str, &str>) {
        let folder = std::env::temp_dir().join(format!("palisade-file-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let file: PathBuf = folder.join("a.wasm");
        fs::write(&file, bytes).expect("written");
        if let Some(signature) = signature {
            fs::write(folder.join("a.wasm.sig"), signature).expect("written");
        }
        let trusted = TrustedKey { name: "release".into(), key: key.public(), expires: None };
        let read = PluginFile::read(&file, &TrustedKeys::new(vec![trusted]), SystemTime::UNIX_EPOCH);
        let free = PluginFile::read(&file, &TrustedKeys::default(), SystemTime::UNIX_EPOCH).expect("a file");
        fs::remove_dir_all(&folder).expect("removed");
        assert_eq!((&free.bytes[..], free.signed_by), (bytes, None));
        match (read, expected) {
            (Ok(file), Ok(name)) => {
                assert_eq!((&file.bytes[..], file.signed_by.as_deref()), (bytes, Some(name)));
            }
            (Err(reason), Err(part)) => assert!(reason.to_string().contains(part), "{reason}"),
            (found, _) => panic!("{name}: {found:?}"),
        }
    }

    #[test]
    fn a_file_without_an_end_is_too_large() {
        let read = PluginFile::read(Path::new("/dev/zero"), &TrustedKeys::default(), SystemTime::UNIX_EPOCH);
        assert_eq!(
            read.map(drop).expect_err("no end").to_string(),
            "the file has more than the 67108864 bytes that a plugin may have"
        );
    }
}
