//! One client's connection, from the end of its handshake to its own end.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use palisade_config::ListenerLimits;
use palisade_contract::{Connection, Refusal};
use quinn::{ConnectionError, RecvStream, SendStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, Sleep};

use super::control::{self, Opened};
use super::early::{Early, Handshake};
use super::fault::{Code, Fault};
use super::frame;
use super::request::{self, End};
use crate::activity::{Activity, Verdict};
use crate::moment::InTurns;
use crate::serve::Client;
use crate::site::{Listening, Site};

/// Requests that a client may give up without one that it lets finish, and one-way streams that mean nothing
/// (CVE-2023-44487).
const CANCELLED_MAX: u32 = 100;
const STREAMS_MAX: u32 = 100;

/// The largest number of a client's request, in the first of two GOAWAY frames (RFC 9114, section 5.2).
const GOAWAY_ALL: u64 = (1 << 62) - 4;

/// The least time between both: requests that are on their way meanwhile are still served.
const GOAWAY_PAUSE: Duration = Duration::from_millis(50);

/// Settings (RFC 9114, section 7.2.4.1; RFC 9204, section 5; RFC 9220, section 3).
const QPACK_MAX_TABLE_CAPACITY: u64 = 0x1;
const MAX_FIELD_SECTION_SIZE: u64 = 0x6;
const QPACK_BLOCKED_STREAMS: u64 = 0x7;
const ENABLE_CONNECT_PROTOCOL: u64 = 0x8;

/// Serves one connection to its end.
///
/// # Errors
/// It ended by our doing, and why.
pub(crate) async fn run(
    listening: Rc<Listening>,
    connection: Connection,
    (quic, handshake): (quinn::Connection, Option<Handshake>),
    drain: watch::Receiver<bool>,
) -> Result<(), Refusal> {
    let _end = Ends(quic.clone());
    // What HTTP itself is limited to stays as it was when the connection began.
    let limits = listening.site().config.limits;
    let control = match tokio::time::timeout(limits.handshake_timeout, open_control(&quic, &listening.site())).await {
        Ok(Ok(control)) => control,
        // The client is gone, or has refused a stream that it may not refuse.
        Ok(Err(())) => return Ok(()),
        Err(_) => return Err(Refusal::HandshakeTimeout),
    };
    let activity = Activity::new();
    let client = Rc::new(Client::new(connection, activity.clone()));
    let served = Served {
        listening,
        quic,
        limits,
        activity,
        client,
        opened: Rc::default(),
        requests: JoinSet::new(),
        streams: JoinSet::new(),
        next: 0,
        stage: Stage::Open,
        is_late: false,
        is_closed: false,
        cancelled: 0,
        opened_count: 0,
        shaken: handshake.as_ref().map(|handshake| (watch::channel(false).0, handshake.is_proven)),
    };
    served.run(control, handshake, drain).await
}

/// Closes the connection in good order where nothing else has closed it.
struct Ends(quinn::Connection);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.close(Code::NoError.into(), b"");
    }
}

/// RFC 9114, section 6.2.1. Streams of QPACK are not opened: nothing would be said on them (RFC 9204, section 4.2).
async fn open_control(quic: &quinn::Connection, site: &Site) -> Result<SendStream, ()> {
    let mut stream = quic.open_uni().await.map_err(drop)?;
    let mut settings = BytesMut::new();
    let header_bytes = u64::try_from(site.config.limits.header_bytes).unwrap_or(u64::MAX);
    for (setting, value) in [
        (QPACK_MAX_TABLE_CAPACITY, 0),
        (MAX_FIELD_SECTION_SIZE, header_bytes),
        (QPACK_BLOCKED_STREAMS, 0),
        // RFC 9220, section 3.
        (ENABLE_CONNECT_PROTOCOL, u64::from(site.takes_upgrades())),
    ] {
        frame::put_integer(setting, &mut settings);
        frame::put_integer(value, &mut settings);
    }
    let mut bytes = BytesMut::from(&[0][..]);
    frame::put_integer(frame::SETTINGS, &mut bytes);
    frame::put_integer(u64::try_from(settings.len()).unwrap_or_default(), &mut bytes);
    bytes.extend_from_slice(&settings);
    stream.write_all(&bytes).await.map_err(drop)?;
    Ok(stream)
}

/// How far the end of a connection is (RFC 9114, section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// The client knows that it ends; what is on its way is still served.
    Announced,
    /// What comes from this number on is not served.
    Last(u64),
}

/// A connection at work. Dropping it cancels everything that is under way on it.
struct Served {
    listening: Rc<Listening>,
    quic: quinn::Connection,
    limits: ListenerLimits,
    activity: Rc<Activity>,
    /// As requests see it now: a client may move.
    client: Rc<Client>,
    opened: Rc<Opened>,
    requests: JoinSet<End>,
    streams: JoinSet<Result<(), Fault>>,
    /// The number of the request that follows all that came.
    next: u64,
    stage: Stage,
    /// It is not waited for any longer.
    is_late: bool,
    /// The control stream has been stopped, or lost with everything else.
    is_closed: bool,
    cancelled: u32,
    opened_count: u32,
    /// Whether the handshake is done, where requests may have come before that.
    shaken: Option<(watch::Sender<bool>, bool)>,
}

impl Served {
    async fn run(
        mut self,
        mut control: SendStream,
        mut handshake: Option<Handshake>,
        mut drain: watch::Receiver<bool>,
    ) -> Result<(), Refusal> {
        let quic = self.quic.clone();
        let mut unwanted = pin!(control.stopped());
        // Looks at once, and then whenever a limit could have passed.
        let mut timer = pin!(tokio::time::sleep(Duration::ZERO));
        let mut pause = pin!(tokio::time::sleep(Duration::ZERO));
        loop {
            if matches!(self.stage, Stage::Last(_)) && (self.requests.is_empty() || self.is_late) {
                return Ok(());
            }
            tokio::select! {
                shaken = poll_fn(|context| shaken(&mut handshake, context)) => self.shaken(shaken)?,
                accepted = quic.accept_bi() => match accepted {
                    Ok(stream) => self.accept(stream)?,
                    Err(error) => return gone(&error, handshake).await,
                },
                opened = quic.accept_uni() => match opened {
                    Ok(stream) => self.open(stream)?,
                    Err(error) => return gone(&error, handshake).await,
                },
                Some(ended) = self.requests.join_next() => self.ended(ended)?,
                Some(ended) = self.streams.join_next() => self.closed(ended),
                // RFC 9114, section 6.2.1.
                stopped = &mut unwanted, if !self.is_closed => {
                    self.is_closed = true;
                    if matches!(stopped, Ok(Some(_))) {
                        self.close(Code::ClosedCriticalStream, "the control stream was stopped");
                    }
                }
                () = &mut timer => if self.look(timer.as_mut())? {
                    self.announce(&mut control, pause.as_mut()).await;
                },
                () = &mut pause, if self.stage == Stage::Announced => {
                    self.stage = Stage::Last(self.next);
                    goaway(&mut control, self.next).await;
                }
                _ = drain.wait_for(|drain| *drain), if self.stage == Stage::Open => {
                    self.announce(&mut control, pause.as_mut()).await;
                }
            }
        }
    }

    /// The handshake is done, or is given up.
    fn shaken(&self, shaken: Result<(), Refusal>) -> Result<(), Refusal> {
        if shaken.is_err() {
            self.close(Code::ExcessiveLoad, "the handshake was not done in time");
        }
        shaken?;
        if let Some((tell, _)) = &self.shaken {
            tell.send_replace(true);
        }
        Ok(())
    }

    /// Whether it is time to begin with the end.
    fn look(&mut self, timer: Pin<&mut Sleep>) -> Result<bool, Refusal> {
        let site = self.listening.site();
        match self.activity.verdict(&site.config.limits, site.patience_min, Instant::now()) {
            Verdict::Wait(until) => timer.reset(until),
            Verdict::Cut(why) => {
                self.close(Code::ExcessiveLoad, "the client kept us waiting for too long");
                return Err(why);
            }
            Verdict::Idle => {
                // A client that has not taken the end of its last answer by then is not waited for.
                timer.reset(Instant::now() + site.config.limits.idle_timeout);
                self.is_late = self.stage != Stage::Open;
                return Ok(self.stage == Stage::Open);
            }
        }
        Ok(false)
    }

    async fn announce(&mut self, control: &mut SendStream, pause: Pin<&mut Sleep>) {
        self.stage = Stage::Announced;
        goaway(control, GOAWAY_ALL).await;
        pause.reset(Instant::now() + GOAWAY_PAUSE.max(2 * self.quic.rtt()));
    }

    fn accept(&mut self, (mut send, mut receive): (SendStream, RecvStream)) -> Result<(), Refusal> {
        let number = receive.id().index().saturating_mul(4);
        if let Stage::Last(last) = self.stage
            && number >= last
        {
            let _ = send.reset(Code::RequestRejected.into());
            let _ = receive.stop(Code::RequestRejected.into());
            return Ok(());
        }
        self.next = number.saturating_add(4);
        self.follow()?;
        let early = self.shaken.as_ref().filter(|_| receive.is_0rtt());
        let early = early.map(|(is_done, is_proven)| Early::new(is_done.subscribe(), *is_proven));
        let client = (self.listening.clone(), self.client.clone());
        let served = request::run(client, self.quic.clone(), (send, receive), self.limits, early);
        self.requests.spawn_local(InTurns::new(served));
        Ok(())
    }

    /// A client may move to another address (RFC 9000, section 9). Its next request comes from there, if those who may
    /// refuse connections let it.
    fn follow(&mut self) -> Result<(), Refusal> {
        let address = self.quic.remote_address();
        if address == self.client.connection.client {
            return Ok(());
        }
        let connection = Connection { client: address, ..self.client.connection.as_ref().clone() };
        if !self.listening.site().chain.admits(&connection) {
            self.close(Code::NoError, "refused");
            return Err(Refusal::Plugin);
        }
        self.client = Rc::new(Client::new(connection, self.activity.clone()));
        Ok(())
    }

    fn open(&mut self, stream: RecvStream) -> Result<(), Refusal> {
        self.opened_count = self.opened_count.saturating_add(1);
        if self.opened_count > STREAMS_MAX {
            self.close(Code::ExcessiveLoad, "too many streams that mean nothing");
            return Err(Refusal::Flood);
        }
        let opened = self.opened.clone();
        self.streams.spawn_local(async move { control::run(stream, &opened).await });
        Ok(())
    }

    fn ended(&mut self, ended: Result<End, JoinError>) -> Result<(), Refusal> {
        match ended {
            Ok(End::Answered) => self.cancelled = 0,
            Ok(End::Cancelled) => {
                self.cancelled = self.cancelled.saturating_add(1);
                if self.cancelled > CANCELLED_MAX {
                    self.close(Code::ExcessiveLoad, "too many requests were given up");
                    return Err(Refusal::Flood);
                }
            }
            Ok(End::Slow) if self.requests.is_empty() => {
                self.close(Code::ExcessiveLoad, "a head took too long");
                return Err(Refusal::HeaderTimeout);
            }
            Ok(End::Refused | End::Slow) => {}
            Err(error) => {
                if error.is_panic() {
                    tracing::error!(client = %self.client.connection.client, "a request's task panicked");
                }
            }
        }
        Ok(())
    }

    fn closed(&self, ended: Result<Result<(), Fault>, JoinError>) {
        if let Ok(Err(Fault::Connection(code, why))) = ended {
            self.close(code, why);
        }
    }

    fn close(&self, code: Code, why: &'static str) {
        tracing::debug!(client = %self.client.connection.client, ?code, why, "a connection is closed");
        self.quic.close(code.into(), why.as_bytes());
    }
}

/// Says it where that can be said at once: a client that gives its control stream no room does not hear of it.
async fn goaway(control: &mut SendStream, number: u64) {
    let mut payload = BytesMut::new();
    frame::put_integer(number, &mut payload);
    let mut bytes = BytesMut::new();
    frame::put_integer(frame::GOAWAY, &mut bytes);
    frame::put_integer(u64::try_from(payload.len()).unwrap_or_default(), &mut bytes);
    bytes.extend_from_slice(&payload);
    poll_fn(|context| {
        let _ = pin!(control.write_all(&bytes)).poll(context);
        Poll::Ready(())
    })
    .await;
}

/// The end of a handshake that is under way, once.
fn shaken(handshake: &mut Option<Handshake>, context: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
    let Some(under_way) = handshake else { return Poll::Pending };
    let shaken = ready!(under_way.ending.as_mut().poll(context));
    *handshake = None;
    Poll::Ready(shaken)
}

/// A connection that has ended by itself: where its handshake was still under way, by that.
async fn gone(error: &ConnectionError, handshake: Option<Handshake>) -> Result<(), Refusal> {
    if let Some(handshake) = handshake {
        handshake.ending.await?;
    }
    judge(error)
}

/// Whether the end of a connection is worth counting: clients that leave are not.
fn judge(error: &ConnectionError) -> Result<(), Refusal> {
    tracing::debug!(%error, "a client's connection ended");
    match error {
        // Closed by us, for what is wrong with one of its streams; or it breaks the rules of QUIC.
        ConnectionError::LocallyClosed | ConnectionError::TransportError(_) => Err(Refusal::Protocol),
        ConnectionError::VersionMismatch
        | ConnectionError::ConnectionClosed(_)
        | ConnectionError::ApplicationClosed(_)
        | ConnectionError::Reset
        | ConnectionError::TimedOut
        | ConnectionError::CidsExhausted => Ok(()),
    }
}
