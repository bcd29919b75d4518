//! A request's body as it comes from the client, by what brings it.

use std::error::Error as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use super::Error;
use crate::http3::{self, Fault};

/// A request's body as it comes from the client.
#[derive(Debug)]
pub(crate) enum ClientBody {
    /// Over HTTP/1 or HTTP/2.
    Hyper(Incoming),
    /// None: a request that asks for a tunnel.
    Empty,
    /// Over HTTP/3; apart, so that it costs the others nothing.
    Http3(Box<http3::Body>),
}

/// What is wrong with a client's side of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It is not framed as HTTP says.
    Malformed,
    /// It ended before its end.
    Cut,
}

impl Broken {
    /// The decoder of chunks says what it does not understand in these two kinds.
    fn of(error: &hyper::Error) -> Self {
        let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        match source.map(io::Error::kind) {
            Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => Self::Malformed,
            _ => Self::Cut,
        }
    }
}

impl From<Fault> for Broken {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Connection(..) | Fault::Stream(..) | Fault::TooLarge => Self::Malformed,
            Fault::Gone => Self::Cut,
        }
    }
}

/// What comes of a body, or why nothing more does.
type Piece = Result<Frame<Bytes>, (Broken, Error)>;

impl ClientBody {
    /// The next piece, or the trailers.
    pub(super) fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Piece>> {
        Poll::Ready(match self {
            Self::Empty => None,
            Self::Hyper(incoming) => {
                let frame = ready!(Pin::new(incoming).poll_frame(context));
                frame.map(|frame| frame.map_err(|error| (Broken::of(&error), error.into())))
            }
            Self::Http3(body) => {
                ready!(body.poll_frame(context)).map(|frame| frame.map_err(|fault| (fault.into(), fault.into())))
            }
        })
    }

    /// Whether nothing comes any more.
    pub(super) fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Hyper(incoming) => incoming.is_end_stream(),
            Self::Http3(body) => body.is_end_stream(),
        }
    }

    /// How long it is said to be.
    pub(super) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Hyper(incoming) => incoming.size_hint(),
            Self::Http3(body) => body.size_hint(),
        }
    }
}
