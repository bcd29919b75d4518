//! What authorities ask for before they issue a certificate (RFC 8555, section 8; RFC 8737): answers go in while an order is
//! under way, and out to whoever asks.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::tls::provider;

/// The protocol that an authority offers, alone, to look at a challenge (RFC 8737, section 4).
pub(crate) const ACME_TLS: &[u8] = b"acme-tls/1";

/// What a path has before the token (RFC 8555, section 8.3).
const HTTP_PATH: &str = "/.well-known/acme-challenge/";

/// The answers to challenges, for all listeners.
#[derive(Debug, Default)]
pub struct Challenges {
    http: RwLock<HashMap<String, String>>,
    tls: RwLock<HashMap<String, Arc<CertifiedKey>>>,
}

/// An answer that is given for as long as this is kept.
#[derive(Debug)]
pub struct Answering {
    challenges: Arc<Challenges>,
    key: Key,
}

#[derive(Debug)]
enum Key {
    Token(String),
    Name(String),
}

impl Challenges {
    /// Listeners without TLS answer for this token.
    #[must_use]
    pub fn answer_http(self: &Arc<Self>, token: &str, authorization: &str) -> Answering {
        write(&self.http).insert(token.to_owned(), authorization.to_owned());
        Answering { challenges: self.clone(), key: Key::Token(token.to_owned()) }
    }

    /// Listeners whose certificates are issued show this one for this name.
    ///
    /// # Errors
    /// The key is of a kind that is not spoken.
    pub fn answer_tls(
        self: &Arc<Self>,
        name: &str,
        certificate: CertificateDer<'static>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Answering, rustls::Error> {
        // Not as other pairs are: whoever checks a certificate knows nothing of the extension that this one is made for.
        let certified = CertifiedKey::new(vec![certificate], provider().key_provider.load_private_key(key)?);
        write(&self.tls).insert(name.to_owned(), Arc::new(certified));
        Ok(Answering { challenges: self.clone(), key: Key::Name(name.to_owned()) })
    }

    /// What is answered to a request for this path.
    pub(crate) fn http(&self, path: &str) -> Option<String> {
        let token = path.strip_prefix(HTTP_PATH)?;
        self.http.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    /// What an authority is shown that looks at this name.
    pub(super) fn tls(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.tls.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Answering {
    fn drop(&mut self) {
        match &self.key {
            Key::Token(token) => drop(write(&self.challenges.http).remove(token)),
            Key::Name(name) => drop(write(&self.challenges.tls).remove(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_given_for_as_long_as_it_is_kept() {
        let challenges = Arc::<Challenges>::default();
        let answering = challenges.answer_http("token", "token.thumb");
        assert_eq!(challenges.http("/.well-known/acme-challenge/token").as_deref(), Some("token.thumb"));
        for path in ["/.well-known/acme-challenge/", "/.well-known/acme-challenge/other", "/token"] {
            assert_eq!(challenges.http(path), None, "{path}");
        }
        drop(answering);
        assert_eq!(challenges.http("/.well-known/acme-challenge/token"), None);
    }
}
