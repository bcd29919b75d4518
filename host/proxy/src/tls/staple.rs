//! What a certificate's authority says of it (RFC 6960): a file's bytes go in, until when it may be shown comes out.

use std::time::Duration;

use x509_cert::der::Decode;
use x509_ocsp::{BasicOcspResponse, CertStatus, OcspResponse, OcspResponseStatus};

use crate::tls::error::StapleError;

/// Until when this response may be shown with the certificate of this number, since 1970; none where it does not say.
///
/// Its signature is checked by clients alone, which is what it is there for.
///
/// # Errors
/// It is not for this certificate, or not good.
pub(super) fn valid_until(response: &[u8], serial: &[u8]) -> Result<Option<Duration>, StapleError> {
    let response = OcspResponse::from_der(response)?;
    let Some(answer) = response.response_bytes.filter(|_| response.response_status == OcspResponseStatus::Successful)
    else {
        return Err(StapleError::NoAnswer(response.response_status));
    };
    let answer = BasicOcspResponse::from_der(answer.response.as_bytes())?.tbs_response_data;
    let own = answer.responses.iter().find(|one| one.cert_id.serial_number.as_bytes() == serial);
    let own = own.ok_or(StapleError::Other)?;
    match own.cert_status {
        CertStatus::Good(_) => Ok(own.next_update.map(|time| time.0.to_unix_duration())),
        CertStatus::Revoked(_) | CertStatus::Unknown(_) => Err(StapleError::NotGood),
    }
}
