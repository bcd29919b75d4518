//! Bytes both ways between two streams. What one side has not taken keeps the other one from sending more.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use palisade_contract::{Direction, Stopped};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::record::Record;
use crate::stream::Shown;

/// Bytes taken at a time, and the most that waits for one side. A silent tunnel holds none.
const PIECE_BYTES: usize = 16 << 10;

/// How long the other side may be silent once one has ended its half.
const HALF_CLOSED_LIMIT: Duration = Duration::from_secs(60);

/// How a tunnel ended.
pub(crate) enum End {
    /// Each side ended its half.
    Both,
    /// The client left.
    Client,
    /// The endpoint broke off.
    Endpoint(io::Error),
    /// Nothing passed either way for too long.
    Silence,
    /// A plugin closed it, or failed.
    Stopped(Stopped),
}

/// Two streams, and what is on its way between them.
pub(crate) struct Relay<C, E> {
    client: C,
    endpoint: E,
    up: Half,
    down: Half,
    /// What is shown to plugins on its way.
    shown: Option<Shown>,
}

/// Which side broke off.
enum Broken {
    Source(io::Error),
    Sink(io::Error),
    Stopped(Stopped),
}

impl<C, E> Relay<C, E>
where
    C: AsyncRead + AsyncWrite + Unpin,
    E: AsyncRead + AsyncWrite + Unpin,
{
    /// `read` has come from the client already.
    pub(crate) fn new(client: C, endpoint: E, read: Bytes) -> Self {
        let up = Half { waiting: read, ..Half::default() };
        Self { client, endpoint, up, down: Half::default(), shown: None }
    }

    /// The client has ended its half already.
    pub(crate) fn client_ended(&mut self) {
        self.up.stage = Stage::Ending;
    }

    /// Shows plugins what passes; `read` was shown already.
    pub(crate) fn showing(mut self, shown: Option<Shown>) -> Self {
        self.shown = shown;
        self
    }

    /// Both sides, whatever became of what passed between them.
    pub(crate) fn into_sides(self) -> (C, E) {
        (self.client, self.endpoint)
    }

    /// Until the end. `timeout` is how long nothing may pass either way. Dropping the future leaves both sides as they are.
    pub(crate) async fn run(&mut self, timeout: Duration, record: &mut Record) -> End {
        let mut moved = Instant::now();
        let mut timer = Box::pin(tokio::time::sleep(timeout));
        poll_fn(|context| {
            let passed = (self.up.passed, self.down.passed);
            let is_half_closed = self.is_half_closed();
            let polled = self.poll(context);
            if (self.up.passed, self.down.passed) != passed {
                moved = Instant::now();
                record.request_bytes(self.up.passed);
                record.response_bytes(self.down.passed - passed.1);
            }
            if polled.is_ready() {
                return polled;
            }
            let limit = if self.is_half_closed() { timeout.min(HALF_CLOSED_LIMIT) } else { timeout };
            if is_half_closed != self.is_half_closed() {
                timer.as_mut().reset(moved + limit);
            }
            ready!(silence(timer.as_mut(), moved + limit, context));
            Poll::Ready(End::Silence)
        })
        .await
    }

    fn is_half_closed(&self) -> bool {
        self.up.is_ended() || self.down.is_ended()
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        let Self { client, endpoint, up, down, shown } = self;
        let to_endpoint = shown.as_mut().map(|shown| (shown, Direction::FromClient));
        let up = match up.poll((Pin::new(client), Pin::new(endpoint)), to_endpoint, context) {
            Poll::Ready(Err(Broken::Source(_))) => return Poll::Ready(End::Client),
            Poll::Ready(Err(Broken::Sink(error))) => return Poll::Ready(End::Endpoint(error)),
            Poll::Ready(Err(Broken::Stopped(why))) => return Poll::Ready(End::Stopped(why)),
            up => up.is_ready(),
        };
        let to_client = shown.as_mut().map(|shown| (shown, Direction::FromEndpoint));
        let down = match down.poll((Pin::new(endpoint), Pin::new(client)), to_client, context) {
            Poll::Ready(Err(Broken::Source(error))) => return Poll::Ready(End::Endpoint(error)),
            Poll::Ready(Err(Broken::Sink(_))) => return Poll::Ready(End::Client),
            Poll::Ready(Err(Broken::Stopped(why))) => return Poll::Ready(End::Stopped(why)),
            down => down.is_ready(),
        };
        if up && down { Poll::Ready(End::Both) } else { Poll::Pending }
    }
}

/// Ready at `end`. The timer is set anew only when it fires: bytes that pass leave it alone.
fn silence(mut timer: Pin<&mut Sleep>, end: Instant, context: &mut Context<'_>) -> Poll<()> {
    loop {
        ready!(timer.as_mut().poll(context));
        if Instant::now() >= end {
            return Poll::Ready(());
        }
        timer.as_mut().reset(end);
    }
}

/// One direction.
#[derive(Debug, Default)]
struct Half {
    /// What the sink has not taken yet.
    waiting: Bytes,
    /// Bytes that the sink took.
    passed: u64,
    stage: Stage,
    /// The sink may keep some of what it took.
    is_unflushed: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Open,
    /// The source has ended, and the sink is to hear of it.
    Ending,
    Ended,
}

impl Half {
    fn is_ended(&self) -> bool {
        self.stage == Stage::Ended
    }

    /// Passes on what there is. Ready when the source has ended and the sink knows.
    fn poll<R, W>(
        &mut self,
        (mut from, mut to): (Pin<&mut R>, Pin<&mut W>),
        mut shown: Option<(&mut Shown, Direction)>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>>
    where
        R: AsyncRead,
        W: AsyncWrite,
    {
        loop {
            while !self.waiting.is_empty() {
                let taken = ready!(to.as_mut().poll_write(context, &self.waiting)).and_then(some);
                self.took(taken.map_err(Broken::Sink)?);
            }
            match self.stage {
                Stage::Open => {}
                Stage::Ending => {
                    ready!(to.as_mut().poll_shutdown(context)).map_err(Broken::Sink)?;
                    self.stage = Stage::Ended;
                    return Poll::Ready(Ok(()));
                }
                Stage::Ended => return Poll::Ready(Ok(())),
            }
            let mut space = [MaybeUninit::uninit(); PIECE_BYTES];
            let mut piece = ReadBuf::uninit(&mut space);
            match from.as_mut().poll_read(context, &mut piece) {
                Poll::Ready(read) => read.map_err(Broken::Source)?,
                Poll::Pending => {
                    if self.is_unflushed {
                        ready!(to.as_mut().poll_flush(context)).map_err(Broken::Sink)?;
                        self.is_unflushed = false;
                    }
                    return Poll::Pending;
                }
            }
            let is_last = piece.filled().is_empty();
            if is_last {
                self.stage = Stage::Ending;
            }
            if let Some((shown, direction)) = shown.as_mut().filter(|(shown, direction)| shown.watches(*direction)) {
                let bytes = Bytes::copy_from_slice(piece.filled());
                self.waiting = shown.pass(*direction, bytes, is_last).map_err(Broken::Stopped)?;
                continue;
            }
            if is_last {
                continue;
            }
            // Most often the sink takes all of it, and nothing is copied.
            let taken = match to.as_mut().poll_write(context, piece.filled()) {
                Poll::Ready(taken) => taken.and_then(some).map_err(Broken::Sink)?,
                Poll::Pending => 0,
            };
            self.waiting = Bytes::copy_from_slice(piece.filled().get(taken..).unwrap_or_default());
            self.passed(taken);
        }
    }

    fn took(&mut self, bytes: usize) {
        self.waiting.advance(bytes.min(self.waiting.len()));
        self.passed(bytes);
    }

    fn passed(&mut self, bytes: usize) {
        self.passed = self.passed.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.is_unflushed = true;
    }
}

/// A sink that takes nothing will never take anything.
fn some(taken: usize) -> io::Result<usize> {
    if taken == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(taken) }
}
