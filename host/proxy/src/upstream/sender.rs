//! What an exchange has of a connection to an endpoint, by the protocol that is spoken there: all of it, or one stream.

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use tokio::task::AbortHandle;

use crate::body::RequestBody;
use crate::hygiene;
use crate::upstream::shared::Stream;
use crate::upstream::unanswered::Unanswered;

/// What an exchange has of a connection.
#[derive(Debug)]
pub(crate) enum Sender {
    /// HTTP/1.1: the connection, and the task that moves its bytes.
    Http1(http1::SendRequest<RequestBody>, AbortHandle),
    /// HTTP/2: a stream beside others.
    Http2(Stream),
}

impl Sender {
    /// Sends a request in the form of its protocol and awaits the head of the answer. Dropping the future cancels it. The
    /// request is taken from where it is, and is back there if nothing of it was sent.
    ///
    /// # Errors
    /// There is no answer.
    pub(crate) async fn send(
        &mut self,
        request: &mut Option<Request<RequestBody>>,
    ) -> Result<Response<Incoming>, Unanswered> {
        let sender = match self {
            Self::Http1(sender, _) => sender,
            Self::Http2(stream) => return stream.send(request).await,
        };
        if let Err(error) = sender.ready().await {
            return Err(Unanswered::unsent(error));
        }
        let Some(mut sent) = request.take() else { return std::future::pending().await };
        hygiene::over_http1(&mut sent);
        sender.try_send_request(sent).await.map_err(|mut failed| {
            *request = failed.take_message();
            Unanswered::new(failed.into_error(), request.is_some())
        })
    }

    /// Whether other exchanges have the same connection at the same time.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self, Self::Http2(_))
    }

    /// Whether a body that gives no more was not ended by the endpoint. Over HTTP/1.1 that is an error already; a stream can be
    /// reset without one (RFC 9113, section 8.1), which says nothing of what came before.
    pub(crate) fn is_cut_short(&self, incoming: &Incoming) -> bool {
        self.is_shared() && !incoming.is_end_stream()
    }

    /// Nobody else is to use its connection: the endpoint may not be there any more.
    pub(crate) fn distrust(&self) {
        match self {
            // It ends with its exchange.
            Self::Http1(..) => {}
            Self::Http2(stream) => stream.distrust(),
        }
    }

    /// The exchange is over. What was still under way of it stops, and over HTTP/1.1 the connection with it.
    pub(crate) fn cancel(self) {
        match self {
            // Without this, a request's body would go on being sent to nobody's use.
            Self::Http1(_, task) => task.abort(),
            Self::Http2(stream) => drop(stream),
        }
    }
}
