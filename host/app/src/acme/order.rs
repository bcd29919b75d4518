//! One order, from the first question to the certificate (RFC 8555, section 7.4).

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use instant_acme::{
    Account, AuthorizationStatus, ChallengeHandle, ChallengeType, Identifier, NewOrder, Order, OrderStatus, RetryPolicy,
};
use palisade_config::{AcmeCertificate, AcmeChallenge};
use palisade_proxy::{Answering, Challenges};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// How often the authority is asked how far it is.
const POLLS: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(90)).backoff(1.5);

/// The key and the chain that was issued for it, in PEM.
///
/// # Errors
/// The authority does not issue it, and why.
pub(super) async fn order(
    account: &Account,
    challenges: &Arc<Challenges>,
    wanted: &AcmeCertificate,
) -> anyhow::Result<String> {
    let identifiers: Vec<Identifier> = wanted.names.iter().cloned().map(Identifier::Dns).collect();
    let mut order = account.new_order(&NewOrder::new(&identifiers)).await.context("the order")?;
    // Until the order is over, whatever comes of it.
    let _answering = prove(&mut order, challenges, wanted.challenge).await?;
    let status = order.poll_ready(&POLLS).await.context("the challenges")?;
    if status != OrderStatus::Ready && status != OrderStatus::Valid {
        bail!("the challenges: {}", reasons(&mut order).await);
    }
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(wanted.names.clone())?;
    params.distinguished_name = DistinguishedName::new();
    order.finalize_csr(params.serialize_request(&key)?.der()).await.context("the request for the certificate")?;
    let chain = order.poll_certificate(&POLLS).await.context("the certificate")?;
    Ok(format!("{}{chain}", key.serialize_pem()))
}

/// Answers what the authority wants to see, and tells it to look.
async fn prove(order: &mut Order, challenges: &Arc<Challenges>, kind: AcmeChallenge) -> anyhow::Result<Vec<Answering>> {
    let mut answering = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.context("an authorization")?;
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            AuthorizationStatus::Invalid
            | AuthorizationStatus::Revoked
            | AuthorizationStatus::Expired
            | AuthorizationStatus::Deactivated => bail!("an authorization is {:?}", authorization.status),
        }
        let (wanted, name) = match kind {
            AcmeChallenge::TlsAlpn01 => (ChallengeType::TlsAlpn01, "tls-alpn-01"),
            AcmeChallenge::Http01 => (ChallengeType::Http01, "http-01"),
        };
        let challenge = authorization.challenge(wanted);
        let mut challenge = challenge.with_context(|| format!("the authority offers no {name} challenge"))?;
        answering.push(answer(&challenge, challenges, kind)?);
        challenge.set_ready().await.context("a challenge")?;
    }
    Ok(answering)
}

fn answer(
    challenge: &ChallengeHandle<'_>,
    challenges: &Arc<Challenges>,
    kind: AcmeChallenge,
) -> anyhow::Result<Answering> {
    let authorization = challenge.key_authorization();
    match kind {
        AcmeChallenge::Http01 => Ok(challenges.answer_http(&challenge.token, authorization.as_str())),
        AcmeChallenge::TlsAlpn01 => {
            let name = challenge.identifier().to_string();
            // Self-signed, for this name alone, with the digest in a critical extension (RFC 8737, section 3).
            let mut params = CertificateParams::new([name.clone()])?;
            params.custom_extensions = vec![CustomExtension::new_acme_identifier(authorization.digest().as_ref())];
            let key = KeyPair::generate()?;
            let certificate = params.self_signed(&key)?.der().clone();
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
            Ok(challenges.answer_tls(&name, certificate, key)?)
        }
    }
}

/// What the authority has found wrong.
async fn reasons(order: &mut Order) -> String {
    let mut reasons = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else { continue };
        let name = state.identifier().to_string();
        let errors = state.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
        reasons.extend(errors.map(|error| format!("{name}: {error}")));
    }
    if reasons.is_empty() { "the authority does not say what is wrong".to_owned() } else { reasons.join("; ") }
}
