//! A request that got no answer: whether it may go out once more, and what the client is told if not.

use std::error::Error;

use palisade_contract::UpstreamFault;

use crate::body::Upload;
use crate::error::RequestError;
use crate::upstream::tries::Miss;

/// A request that got no answer.
pub(crate) struct Unanswered {
    error: hyper::Error,
    /// Nothing of it was sent.
    is_unsent: bool,
}

impl Unanswered {
    pub(crate) fn new(error: hyper::Error, is_unsent: bool) -> Self {
        Self { error, is_unsent }
    }

    /// Nothing of it was sent.
    pub(crate) fn unsent(error: hyper::Error) -> Self {
        Self::new(error, true)
    }

    /// Whether nothing of it was sent.
    pub(crate) fn is_unsent(&self) -> bool {
        self.is_unsent
    }

    /// Whether a request that was sent can be sent on another connection to the same endpoint: an endpoint may close a
    /// connection that it has no use for at any time, and the request can be on its way then.
    pub(crate) fn is_of_connection(&self, is_used: bool, is_idempotent: bool) -> bool {
        self.is_unprocessed() || (is_used && is_idempotent && self.is_broken())
    }

    /// What became of one that was sent.
    pub(crate) fn miss(&self) -> Miss {
        if self.is_unprocessed() {
            return Miss::Refused;
        }
        let is_malformed = self.error.is_parse() || self.h2().is_some_and(h2::Error::is_library);
        if is_malformed { Miss::Final } else { Miss::Reset }
    }

    /// What the client is told, and what the endpoint did wrong, if it was the endpoint.
    pub(crate) fn decided(&self, upload: &Upload) -> (Option<UpstreamFault>, RequestError) {
        if let Some(fault) = upload.fault() {
            return (None, fault);
        }
        if upload.is_stopped() {
            // Not the endpoint's doing either, and not what the client is told.
            return (None, RequestError::Body);
        }
        if self.error.is_parse() || self.h2().is_some_and(h2::Error::is_library) {
            return (Some(UpstreamFault::Protocol), RequestError::Answer(chain_of(&self.error)));
        }
        (Some(UpstreamFault::Reset), RequestError::Reset(chain_of(&self.error)))
    }

    /// The endpoint says that it did nothing with it: it refused the stream, or goes away and took none as late as this one
    /// (RFC 9113, section 8.7).
    fn is_unprocessed(&self) -> bool {
        let refuses = |error: &h2::Error| error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM);
        self.h2().is_some_and(|error| error.is_remote() && refuses(error))
    }

    /// The connection ended, which need not be about this request. What is about it is a reset of its stream, or an answer
    /// that is none.
    fn is_broken(&self) -> bool {
        !self.error.is_parse() && !self.h2().is_some_and(|error| error.is_reset() || error.is_library())
    }

    fn h2(&self) -> Option<&h2::Error> {
        self.error.source().and_then(|source| source.downcast_ref())
    }
}

/// An error with its causes, in one line.
fn chain_of(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
