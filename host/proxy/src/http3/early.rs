//! Requests that came before their client's handshake was done (RFC 8470): anybody who has seen their packets may have sent them
//! once more.
//!
//! What asks for something goes on at once, and says what it is, if its client has shown that it is where it says (a token of an earlier
//! connection; RFC 9000, section 8.1.3). Everything else waits until the handshake is done, which only
//! the client itself can bring to its end: that is sooner than a client that is told to come again could have come.

use std::future::Future;
use std::pin::Pin;

use http::request::Parts;
use http::{HeaderName, HeaderValue};
use palisade_contract::Refusal;
use tokio::sync::watch;

use super::body::Body;

/// A handshake that is not done yet while requests are taken already: its end, in time and well, or why not.
pub(crate) struct Handshake {
    pub(crate) ending: Pin<Box<dyn Future<Output = Result<(), Refusal>>>>,
    /// The client has shown already that it is where it says.
    pub(crate) is_proven: bool,
}

/// RFC 8470, section 5.1.
const EARLY_DATA: HeaderName = HeaderName::from_static("early-data");

/// Of a request that came early: whether the handshake is done.
#[derive(Debug)]
pub(super) struct Early {
    is_done: watch::Receiver<bool>,
    is_proven: bool,
}

impl Early {
    pub(super) fn new(is_done: watch::Receiver<bool>, is_proven: bool) -> Self {
        Self { is_done, is_proven }
    }

    /// Waits until the handshake is done, and says whether it is. Where it is not done in time, the connection ends, and this with it.
    pub(super) async fn wait(&mut self) -> bool {
        self.is_done.wait_for(|is_done| *is_done).await.is_ok()
    }

    /// Whether the client has shown that it is where it says: nobody else's address is to be believed, or to be blamed.
    pub(super) fn is_proven(&self) -> bool {
        self.is_proven
    }

    /// Marks what goes on before the handshake is done. The one field takes the place of any number of them (RFC 8470, section 5.1).
    pub(super) fn mark(&self, parts: &mut Parts) {
        if !*self.is_done.borrow() {
            parts.headers.insert(EARLY_DATA, HeaderValue::from_static("1"));
        }
    }
}

/// Whether it does no harm to be asked twice: a method that only asks (RFC 9110, section 9.2.1), and nothing beside it.
pub(super) fn is_harmless(parts: &Parts, body: &Body) -> bool {
    parts.method.is_safe() && body.is_end_stream()
}
