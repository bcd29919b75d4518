//! What the bytes of a connection that carries anything, and a filter of such bytes, say to each other.
//!
//! The order of filters, and what a failed one means, is the matter of [`StreamPassage`].

mod passage;

use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;

pub(crate) use self::passage::Stage;
pub use self::passage::StreamPassage;
use crate::{Exchange, Failure, Name};

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the endpoint.
    FromClient,
    /// From the endpoint to the client.
    FromEndpoint,
}

/// What a filter says of a connection before any of its bytes went on.
#[derive(Debug)]
pub enum StreamWish {
    /// All of it passes, and the filter is not asked about it any more.
    Skip,
    /// The filter is shown this much of it, through this.
    Watch(Interest, Box<dyn StreamFilter>),
    /// Close it.
    Close,
}

/// What a filter wants to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Interest {
    /// What the client sends.
    pub from_client: bool,
    /// What the endpoint sends.
    pub from_endpoint: bool,
    /// The first of what the client sends before an endpoint is chosen. With protocols whose servers speak first, nothing
    /// ever comes then.
    pub before_endpoint: bool,
}

/// Some bytes, as they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamPiece {
    /// Which way they go.
    pub direction: Direction,
    /// The bytes; none together with an end that came later than the last byte.
    pub bytes: Bytes,
    /// Whether nothing more comes this way.
    pub is_last: bool,
    /// What goes on in place of these bytes and of all that were held back before them, if anything does.
    pub instead: Option<Bytes>,
}

/// What a filter says of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamVerdict {
    /// They go on, and so do those that were held back before.
    Pass,
    /// So does everything that comes this way, and the filter is not asked about it any more.
    PassRest,
    /// They are held back until more has come.
    Hold,
    /// Close the connection, both sides of it.
    Close,
}

/// One connection on its way through one filter. Dropping it is the end of that.
pub trait StreamFilter: Debug {
    /// Looks at bytes, and changes them or not.
    ///
    /// # Errors
    /// The plugin failed: the chain follows [`crate::Filter::on_error`]. It is not asked any more.
    fn look(&mut self, exchange: &mut Box<Exchange>, piece: &mut StreamPiece) -> Result<StreamVerdict, Failure>;

    /// This many more bytes are about to be held back for it, beyond so many that are already.
    ///
    /// # Errors
    /// They would take up more memory than they may, which counts as the plugin's failure.
    fn hold(&mut self, _bytes: usize, _before: usize) -> Result<(), Failure> {
        Ok(())
    }

    /// This many bytes are not held back any more.
    fn let_go(&mut self, _bytes: usize) {}
}

/// The upstreams that a filter may choose for a connection, and the one that it chose.
#[derive(Debug, Clone)]
pub struct Alternatives {
    /// Those of the route, beside the upstream that it goes to unless another one is chosen.
    pub offered: Arc<[Name]>,
    /// The place of the chosen one among them.
    pub chosen: Option<usize>,
    /// An endpoint has been chosen.
    pub is_decided: bool,
}

/// Why another upstream was not chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChooseError {
    /// The route does not offer it.
    NotOffered,
    /// An endpoint has been chosen already.
    TooLate,
}

impl Alternatives {
    /// The connection goes to that upstream which has the right name.
    ///
    /// # Errors
    /// The choice is as it was.
    pub fn choose(&mut self, is_right: impl Fn(Name) -> bool) -> Result<(), ChooseError> {
        if self.is_decided {
            return Err(ChooseError::TooLate);
        }
        let place = self.offered.iter().position(|name| is_right(*name)).ok_or(ChooseError::NotOffered)?;
        self.chosen = Some(place);
        Ok(())
    }
}
