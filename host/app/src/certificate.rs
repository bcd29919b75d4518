//! Certificates for development: an authority, and what it signs.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// What was written.
pub(crate) struct Files {
    pub(crate) authority: PathBuf,
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

/// Writes a certificate for these names, and an authority where there is none yet.
///
/// # Errors
/// A name is none, or a file cannot be read or written.
pub(crate) fn make(names: &[String], folder: &Path) -> anyhow::Result<Files> {
    let first = names.first().context("no name was given")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let (authority, authority_key) = (folder.join("ca.pem"), folder.join("ca.key"));
    let file_stem: String =
        first.chars().map(|letter| if letter == '*' || letter == '/' { '_' } else { letter }).collect();
    let files = Files {
        chain: folder.join(format!("{file_stem}.pem")),
        key: folder.join(format!("{file_stem}.key")),
        authority,
    };
    if !files.authority.exists() || !authority_key.exists() {
        let authority = new_authority()?;
        write(&files.authority, &authority.pem(), 0o644)?;
        write(&authority_key, &authority.key().serialize_pem(), 0o600)?;
    }
    let issuer_key = KeyPair::from_pem(&read(&authority_key)?).context("ca.key is not a private key")?;
    let issuer = Issuer::new(authority_params(), issuer_key);
    let mut params = CertificateParams::new(names).context("a name is neither a host name nor an IP address")?;
    valid(&mut params, 1);
    params.distinguished_name.push(DnType::CommonName, first);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    write(&files.chain, &certificate.pem(), 0o644)?;
    write(&files.key, &key.serialize_pem(), 0o600)?;
    Ok(files)
}

fn new_authority() -> anyhow::Result<CertifiedIssuer<'static, KeyPair>> {
    Ok(CertifiedIssuer::self_signed(authority_params(), KeyPair::generate()?)?)
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    valid(&mut params, 10);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    params.distinguished_name.push(DnType::CommonName, "Palisade development authority");
    params
}

/// From the beginning of this year to the end of that many years later.
fn valid(params: &mut CertificateParams, years: i32) {
    #[expect(clippy::disallowed_methods, reason = "a certificate is valid from a date, and nothing is timed here")]
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let year = 1970 + i32::try_from(seconds / 31_556_952).unwrap_or_default();
    params.not_before = date_time_ymd(year - 1, 12, 1);
    params.not_after = date_time_ymd(year + years, 12, 31);
}

fn read(file: &Path) -> anyhow::Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

fn write(file: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let written = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(file);
    written
        .and_then(|mut open| open.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", file.display()))
}
