//! One filter on a body's way: what came to it goes on, changed or not, or is gathered first.

use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};

use crate::body::PIECE_BYTES_MAX;
use crate::trace::{self, BodyTrace};
use crate::{BodyFilter, Edits, Exchange, Failure, Handling, Over, Piece, PluginName, Stopped, Verdict};

/// One filter on a body's way.
#[derive(Debug)]
pub(crate) struct Stage {
    name: PluginName,
    fails_open: bool,
    mode: Mode,
    inbox: Inbox,
    /// What the filter is looking at.
    at_hand: Option<Piece>,
    effect: Effect,
    /// Something that went on is not as it came.
    is_changed: bool,
    /// Where each piece is written down, for an exchange that is to be explained.
    trace: Option<Box<BodyTrace>>,
}

#[derive(Debug)]
enum Mode {
    Stream(Box<dyn BodyFilter>, Edits),
    Gather(Gather),
    /// The filter is not asked, or not any more.
    Pass,
}

/// A body that is buffered.
#[derive(Debug)]
struct Gather {
    filter: Box<dyn BodyFilter>,
    gathered: BytesMut,
    bytes_max: usize,
    over: Over,
}

/// What a filter does to the length of a body.
#[derive(Debug, Clone, Copy)]
enum Effect {
    Keeps,
    Changes,
    Sets(usize),
}

/// What a filter is to do with what came to it.
enum Task {
    Look(Piece),
    Pass(Bytes, bool),
    /// Wait for more.
    Gathered,
}

/// What is let go, and whether it is the last of the body. None as long as it is gathered.
type LetGo = Option<(Bytes, bool)>;

impl Stage {
    /// A filter that takes a body of so many announced bytes. None where the body is longer than it buffers and passes.
    ///
    /// # Errors
    /// The body is longer than it buffers and is refused.
    pub(crate) fn new(
        (name, fails_open): (&PluginName, bool),
        (handling, filter): (Handling, Box<dyn BodyFilter>),
        announced: Option<u64>,
    ) -> Result<Option<Self>, Stopped> {
        let (mode, effect) = match handling {
            Handling::Stream(Edits::Any) => (Mode::Stream(filter, Edits::Any), Effect::Changes),
            Handling::Stream(edits) => (Mode::Stream(filter, edits), Effect::Keeps),
            Handling::Buffer { bytes_max, over } => {
                let fits = |announced| usize::try_from(announced).is_ok_and(|announced| announced <= bytes_max);
                match over {
                    _ if announced.is_none_or(fits) => {}
                    Over::Skip => return Ok(None),
                    Over::Refuse => return Err(Stopped::TooLarge(name.clone())),
                }
                (Mode::Gather(Gather { filter, gathered: BytesMut::new(), bytes_max, over }), Effect::Changes)
            }
        };
        let (name, inbox) = (name.clone(), Inbox::default());
        Ok(Some(Self { name, fails_open, mode, inbox, at_hand: None, effect, is_changed: false, trace: None }))
    }

    /// Every piece is written down here.
    pub(crate) fn trace(&mut self, trace: Option<BodyTrace>) {
        self.trace = trace.map(Box::new);
    }

    /// Whether the head waits for this filter.
    pub(crate) fn holds_head(&self) -> bool {
        matches!(self.mode, Mode::Gather(_))
    }

    /// How long a body of so many bytes is behind this filter, as far as that is known by now.
    pub(crate) fn length(&self, before: Option<u64>) -> Option<u64> {
        match self.effect {
            Effect::Keeps => before,
            Effect::Changes => None,
            Effect::Sets(length) => u64::try_from(length).ok(),
        }
    }

    /// More has come. Only after everything before it was looked at.
    pub(crate) fn put(&mut self, bytes: Bytes, is_last: bool) {
        self.inbox = Inbox { bytes, is_last };
    }

    /// Whether there is anything to look at.
    pub(crate) fn has_work(&self) -> bool {
        self.at_hand.is_some() || !self.inbox.is_empty()
    }

    /// Looks at the next piece of what came.
    pub(crate) fn poll(
        &mut self,
        exchange: &mut Box<Exchange>,
        context: &mut Context<'_>,
    ) -> Poll<Result<LetGo, Stopped>> {
        let task = match self.at_hand.take() {
            Some(piece) => Task::Look(piece),
            None => self.task()?,
        };
        let mut piece = match task {
            Task::Look(piece) => piece,
            Task::Pass(bytes, is_last) => return Poll::Ready(Ok(Some((bytes, is_last)))),
            Task::Gathered => return Poll::Ready(Ok(None)),
        };
        let (Mode::Stream(filter, _) | Mode::Gather(Gather { filter, .. })) = &mut self.mode else {
            return Poll::Ready(Ok(Some((piece.bytes, piece.is_last))));
        };
        let original = piece.bytes.clone();
        let began = self.trace.as_ref().map(|_| trace::now());
        let Poll::Ready(verdict) = filter.poll_piece(exchange, &mut piece, context) else {
            self.at_hand = Some(piece);
            return Poll::Pending;
        };
        if let (Some(trace), Some(began)) = (&self.trace, began) {
            trace.piece(began, (original.len(), piece.bytes.len()), verdict.as_ref().err());
        }
        Poll::Ready(self.decided(verdict, piece, original).map(Some))
    }

    fn task(&mut self) -> Result<Task, Stopped> {
        match &mut self.mode {
            Mode::Pass => {
                let (bytes, is_last) = self.inbox.take(usize::MAX);
                Ok(Task::Pass(bytes, is_last))
            }
            Mode::Stream(_, edits) => {
                let (bytes, is_last) = self.inbox.take(PIECE_BYTES_MAX);
                Ok(Task::Look(Piece { bytes, is_last, edits: *edits, holds_head: false }))
            }
            Mode::Gather(gather) => {
                let (bytes, is_last) = self.inbox.take(usize::MAX);
                if gather.gathered.len().saturating_add(bytes.len()) > gather.bytes_max {
                    return match gather.over {
                        Over::Skip => Ok(self.gives_up(&bytes, is_last)),
                        Over::Refuse => Err(Stopped::TooLarge(self.name.clone())),
                    };
                }
                match gather.filter.reserve(bytes.len()) {
                    Ok(()) => Ok(gather.add(bytes, is_last)),
                    Err(_) if self.fails_open => Ok(self.gives_up(&bytes, is_last)),
                    Err(_) => Err(Stopped::Failed(self.name.clone())),
                }
            }
        }
    }

    /// What was gathered passes, with what came after it.
    fn gives_up(&mut self, bytes: &[u8], is_last: bool) -> Task {
        self.effect = Effect::Keeps;
        match std::mem::replace(&mut self.mode, Mode::Pass) {
            Mode::Gather(mut gather) => {
                gather.gathered.extend_from_slice(bytes);
                Task::Pass(gather.gathered.freeze(), is_last)
            }
            Mode::Stream(..) | Mode::Pass => Task::Pass(Bytes::copy_from_slice(bytes), is_last),
        }
    }

    fn decided(
        &mut self,
        verdict: Result<Verdict, Failure>,
        mut piece: Piece,
        original: Bytes,
    ) -> Result<(Bytes, bool), Stopped> {
        let is_over = match verdict {
            Ok(Verdict::Proceed) => piece.is_last,
            Ok(Verdict::PassRest) => true,
            Ok(Verdict::Reply(reply)) => return Err(Stopped::Reply(reply, self.name.clone())),
            Ok(Verdict::Close) => return Err(Stopped::Close(self.name.clone())),
            // Nothing that went on was changed: the rest passes as if the filter were not there.
            Err(_) if self.fails_open && !self.is_changed => {
                piece.bytes.clone_from(&original);
                true
            }
            Err(_) => return Err(Stopped::Failed(self.name.clone())),
        };
        // Bytes that nobody touched are the same memory.
        self.is_changed |= original.as_ptr() != piece.bytes.as_ptr() || original.len() != piece.bytes.len();
        if piece.holds_head {
            self.effect = Effect::Sets(piece.bytes.len());
        }
        if is_over {
            self.mode = Mode::Pass;
        }
        Ok((piece.bytes, piece.is_last))
    }
}

impl Gather {
    fn add(&mut self, bytes: Bytes, is_last: bool) -> Task {
        // A body that comes in one piece is not copied.
        let whole = if self.gathered.is_empty() && is_last {
            bytes
        } else {
            self.gathered.extend_from_slice(&bytes);
            if !is_last {
                return Task::Gathered;
            }
            std::mem::take(&mut self.gathered).freeze()
        };
        Task::Look(Piece { bytes: whole, is_last: true, edits: Edits::Any, holds_head: true })
    }
}

/// What came to a filter and was not looked at.
#[derive(Debug, Default)]
struct Inbox {
    bytes: Bytes,
    is_last: bool,
}

impl Inbox {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && !self.is_last
    }

    fn take(&mut self, bytes_max: usize) -> (Bytes, bool) {
        let bytes = self.bytes.split_to(self.bytes.len().min(bytes_max));
        let is_last = self.bytes.is_empty() && std::mem::take(&mut self.is_last);
        (bytes, is_last)
    }
}
