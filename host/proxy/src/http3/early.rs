//! Requests that came before their client's handshake was done (RFC 8470): anybody who has seen their packets may have sent them
//! once more.
//!
//! What asks for something goes on at once, and says what it is. Everything else waits until the handshake is done, which only
//! the client itself can bring to its end: that is sooner than a client that is told to come again could have come.

use std::future::Future;
use std::pin::Pin;

use http::request::Parts;
use http::{HeaderName, HeaderValue};
use palisade_contract::Refusal;
use tokio::sync::watch;

use super::body::Body;

/// A handshake that is not done yet while requests are taken already: its end, in time and well, or why not.
pub(crate) type Handshake = Pin<Box<dyn Future<Output = Result<(), Refusal>>>>;

/// RFC 8470, section 5.1.
const EARLY_DATA: HeaderName = HeaderName::from_static("early-data");

/// Of a request that came early: whether the handshake is done.
#[derive(Debug)]
pub(super) struct Early(watch::Receiver<bool>);

impl Early {
    pub(super) fn new(is_done: watch::Receiver<bool>) -> Self {
        Self(is_done)
    }

    /// Waits until the handshake is done. Where it is not done in time, the connection ends, and this with it.
    pub(super) async fn wait(&mut self) {
        // Nobody would tell any more where the connection has ended.
        let _ = self.0.wait_for(|is_done| *is_done).await;
    }

    /// Marks what goes on before the handshake is done. The one field takes the place of any number of them (RFC 8470, section 5.1).
    pub(super) fn mark(&self, parts: &mut Parts) {
        if !*self.0.borrow() {
            parts.headers.insert(EARLY_DATA, HeaderValue::from_static("1"));
        }
    }
}

/// Whether it does no harm to be asked twice: a method that only asks (RFC 9110, section 9.2.1), and nothing beside it.
pub(super) fn is_harmless(parts: &Parts, body: &Body) -> bool {
    parts.method.is_safe() && body.is_end_stream()
}
