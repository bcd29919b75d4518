//! One body's way through those filters of a chain that want it.
//!
//! Whoever moves the body feeds pieces in and takes pieces out; nothing in here waits for a socket. A piece is fed only when
//! all that came before it was taken, so that of a streamed body each filter has one piece, and its answer to it, in memory.

use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::stage::Stage;
use crate::{Exchange, PluginName, Reply};

/// One body's way through the filters that want it. Dropping it ends that for each of them.
#[derive(Debug)]
pub struct Passage {
    stages: Vec<Stage>,
    /// What the last filter let go before the head did.
    out: Option<(Bytes, bool)>,
    is_ended: bool,
}

/// What a passage has next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// These bytes go on. Never none.
    Out(Bytes),
    /// It needs the next piece.
    Feed,
    /// All of the body has gone on.
    End,
}

/// Whether the head of a body may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// It may: no filter waits for the whole body any more.
    Released,
    /// Not before the next piece.
    Feed,
}

/// Why a body does not go on, and which plugin is why.
#[derive(Debug)]
pub enum Stopped {
    /// It answers.
    Reply(Box<Reply>, PluginName),
    /// It closes the connection, or resets the stream.
    Close(PluginName),
    /// It failed and its policy is to refuse, or it failed when its changes could no longer be undone.
    Failed(PluginName),
    /// The body is longer than what it buffers.
    TooLarge(PluginName),
}

impl Stopped {
    /// Which plugin is why.
    #[must_use]
    pub fn plugin(&self) -> &PluginName {
        match self {
            Self::Reply(_, plugin) | Self::Close(plugin) | Self::Failed(plugin) | Self::TooLarge(plugin) => plugin,
        }
    }
}

impl Passage {
    /// Through these, in this order; none where there are none.
    pub(crate) fn new(stages: Vec<Stage>) -> Option<Self> {
        if stages.is_empty() { None } else { Some(Self { stages, out: None, is_ended: false }) }
    }

    /// The next piece of the body, after [`Step::Feed`] or [`Hold::Feed`] asked for it.
    pub fn feed(&mut self, bytes: Bytes, is_last: bool) {
        if let Some(first) = self.stages.first_mut() {
            first.put(bytes, is_last);
        }
    }

    /// Goes on until the head may be let go. To be asked before anything is taken out.
    ///
    /// # Errors
    /// The body does not go on.
    pub fn poll_hold(
        &mut self,
        exchange: &mut Box<Exchange>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Hold, Stopped>> {
        loop {
            let holding = self.stages.iter().rposition(Stage::holds_head);
            let Some(holding) = holding else { return Poll::Ready(Ok(Hold::Released)) };
            match ready!(self.poll_advance(holding, exchange, context))? {
                Advanced::Inside => {}
                // It was the last filter that held, and it holds no longer.
                Advanced::Out(bytes, is_last) => self.out = Some((bytes, is_last)),
                Advanced::Dry => return Poll::Ready(Ok(Hold::Feed)),
            }
        }
    }

    /// What comes out next.
    ///
    /// # Errors
    /// The body does not go on.
    pub fn poll_next(
        &mut self,
        exchange: &mut Box<Exchange>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Step, Stopped>> {
        while !self.is_ended {
            let advanced = match self.out.take() {
                Some((bytes, is_last)) => Advanced::Out(bytes, is_last),
                None => ready!(self.poll_advance(self.stages.len().saturating_sub(1), exchange, context))?,
            };
            match advanced {
                Advanced::Out(bytes, is_last) => {
                    self.is_ended = is_last;
                    if !bytes.is_empty() {
                        return Poll::Ready(Ok(Step::Out(bytes)));
                    }
                }
                Advanced::Inside => {}
                Advanced::Dry => return Poll::Ready(Ok(Step::Feed)),
            }
        }
        Poll::Ready(Ok(Step::End))
    }

    /// Whether all of the body has gone on.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// How long the body will be where so many bytes were announced, once its head may be let go.
    #[must_use]
    pub fn length(&self, announced: Option<u64>) -> Option<u64> {
        self.stages.iter().fold(announced, |length, stage| stage.length(length))
    }

    /// Moves a piece one filter further: the one that is furthest of all up to `last`, so that none piles up.
    fn poll_advance(
        &mut self,
        last: usize,
        exchange: &mut Box<Exchange>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Advanced, Stopped>> {
        let Some(at) = self.stages.iter().take(last + 1).rposition(Stage::has_work) else {
            return Poll::Ready(Ok(Advanced::Dry));
        };
        let mut stages = self.stages.iter_mut().skip(at);
        let Some(stage) = stages.next() else { return Poll::Ready(Ok(Advanced::Dry)) };
        let Some((bytes, is_last)) = ready!(stage.poll(exchange, context))? else {
            return Poll::Ready(Ok(Advanced::Inside));
        };
        Poll::Ready(Ok(match stages.next() {
            Some(next) => {
                next.put(bytes, is_last);
                Advanced::Inside
            }
            None => Advanced::Out(bytes, is_last),
        }))
    }
}

/// What one move came to.
enum Advanced {
    /// A piece is with another filter now, or was kept.
    Inside,
    /// The last filter let this go, and whether it was the last.
    Out(Bytes, bool),
    /// No filter has anything to look at.
    Dry,
}
