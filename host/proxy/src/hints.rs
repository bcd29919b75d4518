//! Early hints (103; RFC 8297) on their way from an endpoint to a client that can be sent them: over HTTP/3, because for HTTP/1 and
//! HTTP/2 it is hyper that writes answers, and it writes no other interim one than 100.

use http::header::{HeaderMap, LINK};
use http::{Request, StatusCode};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// More than that are not waited for: a client can do without them.
const WAITING_MAX: usize = 8;

/// Where a request's hints go.
#[derive(Debug, Clone)]
pub(crate) struct Hints(Sender<HeaderMap>);

/// Hints, and where they come out.
pub(crate) fn hints() -> (Hints, Receiver<HeaderMap>) {
    let (sender, receiver) = channel(WAITING_MAX);
    (Hints(sender), receiver)
}

impl Hints {
    /// Asks for the hints of the endpoint that this request goes to. `Link` is what they are for; no filter looks at them, so
    /// nothing else of them goes on.
    pub(crate) fn of<B>(self, request: &mut Request<B>) {
        hyper::ext::on_informational(request, move |answer| {
            if answer.status() != StatusCode::EARLY_HINTS {
                return;
            }
            let mut hint = HeaderMap::new();
            for link in answer.headers().get_all(LINK) {
                hint.append(LINK, link.clone());
            }
            if !hint.is_empty() {
                // Where there is no room, or nobody to be told, it is lost.
                let _ = self.0.try_send(hint);
            }
        });
    }
}
