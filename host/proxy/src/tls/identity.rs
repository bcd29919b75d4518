//! What a certificate's files hold: paths go in, the chain and the key come out.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use palisade_config::CertificateFiles;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::tls::CertificateError;

/// A certificate with its intermediates, and its key.
pub(crate) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Everything that an identity is made of.
pub(crate) fn pieces((chain, key): &Identity) -> impl Iterator<Item = &[u8]> {
    chain.iter().map(AsRef::as_ref).chain(std::iter::once(key.secret_der()))
}

/// What a certificate's files hold.
///
/// # Errors
/// One of the files cannot be read.
pub(crate) fn identity(files: &CertificateFiles) -> Result<Identity, CertificateError> {
    let (chain, key) = (read("the certificate", &files.chain)?, read("the private key", &files.key)?);
    parse(files, &chain, &key)
}

/// What is in the contents of a certificate's files.
///
/// # Errors
/// There is no certificate, or no key.
pub(super) fn parse(files: &CertificateFiles, chain: &[u8], key: &[u8]) -> Result<Identity, CertificateError> {
    let malformed = |what, file: &Path, error| CertificateError::Read { what, file: file.to_owned(), error };
    let chain = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| malformed("the certificate", &files.chain, error))?;
    if chain.is_empty() {
        return Err(CertificateError::Empty(files.chain.clone()));
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| malformed("the private key", &files.key, error))?;
    Ok((chain, key))
}

/// The contents of a file.
///
/// # Errors
/// It cannot be read, or is longer than such a file ever is.
pub(super) fn read(what: &'static str, file: &Path) -> Result<Vec<u8>, CertificateError> {
    bytes(file).map_err(|error| CertificateError::Read { what, file: file.to_owned(), error: pem::Error::Io(error) })
}

fn bytes(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= FILE_BYTES_MAX) {
        Ok(bytes)
    } else {
        Err(io::Error::other(format!("the file has more than {FILE_BYTES_MAX} bytes")))
    }
}

/// A chain has some KiB, a list of revoked certificates some MiB.
const FILE_BYTES_MAX: u64 = 16 << 20;
