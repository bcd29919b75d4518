//! What a certificate says of itself: DER goes in; its names and its time come out.

use std::time::Duration;

use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::{Decode, Error};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct About {
    /// The DNS names that it is for, in lower case (RFC 6125, section 6.4).
    pub(crate) names: Vec<String>,
    /// The time that it is valid for, since 1970.
    pub(crate) from: Duration,
    pub(crate) until: Duration,
    pub(crate) serial: Vec<u8>,
}

impl About {
    /// # Errors
    /// This is no certificate.
    pub(crate) fn read(certificate: &[u8]) -> Result<Self, Error> {
        // What its serial number may be is its authority's business.
        let read = CertificateInner::<Raw>::from_der(certificate)?.tbs_certificate;
        let names = read.get::<SubjectAltName>().ok().flatten().map(|(_, names)| names.0).unwrap_or_default();
        let names = names.into_iter().filter_map(|name| match name {
            GeneralName::DnsName(name) => Some(name.as_str().to_ascii_lowercase()),
            _ => None,
        });
        Ok(Self {
            names: names.collect(),
            from: read.validity.not_before.to_unix_duration(),
            until: read.validity.not_after.to_unix_duration(),
            serial: read.serial_number.as_bytes().to_vec(),
        })
    }
}

/// Whom a certificate is for, as RFC 4514 writes it.
///
/// # Errors
/// This is no certificate.
pub(super) fn subject(certificate: &[u8]) -> Result<String, Error> {
    Ok(CertificateInner::<Raw>::from_der(certificate)?.tbs_certificate.subject.to_string())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SerialNumber, date_time_ymd};

    use super::*;

    #[test]
    fn names_times_and_number_are_read() {
        let names = ["WWW.example.test", "*.example.test", "192.0.2.1"].map(String::from);
        let mut params = CertificateParams::new(names).expect("names");
        params.not_before = date_time_ymd(2_001, 2, 3);
        params.not_after = date_time_ymd(2_061, 2, 3);
        params.serial_number = Some(SerialNumber::from_slice(&[1, 2, 3]));
        let certificate = params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate");
        let expected = About {
            names: ["www.example.test", "*.example.test"].map(String::from).into(),
            from: Duration::from_secs(981_158_400),
            until: Duration::from_secs(2_874_614_400),
            serial: vec![1, 2, 3],
        };
        assert_eq!(About::read(certificate.der()), Ok(expected));
    }

    #[test]
    fn a_subject_is_written_as_rfc_4514_says() {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Example, Inc.");
        params.distinguished_name.push(DnType::CommonName, "machine 7");
        let certificate = params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate");
        assert_eq!(subject(certificate.der()), Ok("CN=machine 7,O=Example\\, Inc.".to_owned()));
    }

    #[test]
    fn what_is_no_certificate_is_an_error() {
        let certificate = CertificateParams::default().self_signed(&KeyPair::generate().expect("a key"));
        let certificate = certificate.expect("a certificate").der().to_vec();
        for cut in 0..certificate.len() {
            assert!(About::read(certificate.get(..cut).unwrap_or_default()).is_err(), "{cut} bytes");
        }
        assert!(About::read(&certificate).is_ok());
    }
}
