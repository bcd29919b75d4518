//! A stream's bytes, as the chain's plugins are shown them.

use bytes::{Bytes, BytesMut};
use palisade_contract::{Direction, Exchange, Stopped, StreamPassage};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes read at a time of a client before an endpoint is chosen.
const READ_BYTES: usize = 16 << 10;

/// A stream's bytes on their way through the filters that are shown them.
#[derive(Debug)]
pub(crate) struct Shown {
    passage: StreamPassage,
    exchange: Box<Exchange>,
}

/// Whether more may come of one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    Open,
    Ended,
}

/// How the beginning of a stream ended before its time.
pub(super) enum Unbegun {
    /// The client left.
    Client,
    /// A plugin closes it, or failed.
    Stopped(Stopped),
}

impl Shown {
    pub(super) fn new(passage: StreamPassage, exchange: Box<Exchange>) -> Self {
        Self { passage, exchange }
    }

    pub(super) fn exchange(&mut self) -> &mut Box<Exchange> {
        &mut self.exchange
    }

    /// Whether any filter is still to be shown what goes this way.
    pub(crate) fn watches(&self, direction: Direction) -> bool {
        self.passage.watches(direction)
    }

    /// Shows bytes to the filters, and gives what goes on now.
    ///
    /// # Errors
    /// A plugin closes the stream, or failed.
    pub(crate) fn pass(&mut self, direction: Direction, bytes: Bytes, is_last: bool) -> Result<Bytes, Stopped> {
        self.passage.pass(&mut self.exchange, direction, bytes, is_last)
    }

    /// Shows what was read already, and reads on for as long as a filter awaits the client's first bytes. Gives what is for the
    /// endpoint, and whether the client has ended its half by then.
    ///
    /// # Errors
    /// There is no stream to go on with.
    pub(super) async fn begin(
        &mut self,
        client: &mut (impl AsyncRead + Unpin),
        read: Bytes,
    ) -> Result<(Bytes, Half), Unbegun> {
        let mut passed = BytesMut::new();
        if !read.is_empty() {
            passed.extend_from_slice(&self.first(read)?);
        }
        let mut piece = Vec::with_capacity(READ_BYTES);
        while self.passage.awaits_client() {
            piece.clear();
            match client.take(u64::try_from(READ_BYTES).unwrap_or(u64::MAX)).read_buf(&mut piece).await {
                Err(_) => return Err(Unbegun::Client),
                Ok(0) => {
                    let last = self.pass(Direction::FromClient, Bytes::new(), true).map_err(Unbegun::Stopped)?;
                    passed.extend_from_slice(&last);
                    return Ok((passed.freeze(), Half::Ended));
                }
                Ok(_) => passed.extend_from_slice(&self.first(Bytes::copy_from_slice(&piece))?),
            }
        }
        Ok((passed.freeze(), Half::Open))
    }

    fn first(&mut self, bytes: Bytes) -> Result<Bytes, Unbegun> {
        self.pass(Direction::FromClient, bytes, false).map_err(Unbegun::Stopped)
    }
}
