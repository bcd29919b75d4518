//! One exchange on its chain's thread, from its request's head to its response's last byte.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use http::StatusCode;
use palisade_contract::{Chain, Decision, Ending, Exchange, Reply, RequestHead, ResponseHead, Side, Stopped};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::body::{Pipe, State};
use crate::pump::{Boxed, Halt, Pump};
use crate::told::Told;

/// An exchange that is given to a thread.
pub(crate) struct Job {
    pub(crate) exchange: Box<Exchange>,
    /// The request's body, where a filter of the chain may want it.
    pub(crate) body: Option<(Boxed, Option<u64>)>,
    pub(crate) request_bytes: Arc<AtomicU64>,
    pub(crate) decided: oneshot::Sender<Decided>,
}

/// What becomes of a request.
pub(crate) enum Decided {
    /// The service is to be called.
    Forward(Forward),
    /// It is not.
    Final(Final),
}

/// A request for the service, and where to say what came of it.
pub(crate) struct Forward {
    pub(crate) head: RequestHead,
    pub(crate) body: Moved,
    pub(crate) answered: oneshot::Sender<Option<Answered>>,
}

/// A body that was lent to the chain's thread.
pub(crate) enum Moved {
    /// It never was.
    Not,
    /// No filter wants it: here it is again.
    Back(Boxed),
    /// It comes through filters.
    Piped(Pipe),
}

/// What the service answered.
pub(crate) struct Answered {
    pub(crate) head: ResponseHead,
    pub(crate) body: Option<(Boxed, Option<u64>)>,
    pub(crate) decided: oneshot::Sender<Final>,
}

/// What goes out. The body's end is to be told.
pub(crate) enum Final {
    /// The service's response.
    Pass(ResponseHead, Moved, oneshot::Sender<(u64, State)>),
    /// A plugin's answer, or that it failed.
    Reply(Reply, oneshot::Sender<(u64, State)>),
    /// A plugin says to close.
    Close,
}

/// Why a request or a response does not go on.
enum Refused {
    Reply(Box<Reply>),
    Close,
}

/// A pump that ends with its exchange.
struct Upload(AbortHandle);

impl Drop for Upload {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What an upload was stopped by.
type Stop = Rc<RefCell<Option<Stopped>>>;

/// Serves it. Wherever nobody waits for the next decision any more, the client has left.
pub(crate) async fn run(chain: Rc<Chain>, job: Job) {
    let Job { mut exchange, body, request_bytes, mut decided } = job;
    if !chain.admits(&exchange.connection) {
        let _ = decided.send(Decided::Final(Final::Close));
        return;
    }
    let mut told = Told::begin(&chain, &exchange, request_bytes);
    let stop = Stop::default();
    let requested = tokio::select! {
        requested = request(&told, &mut exchange, body, &stop) => requested,
        () = decided.closed() => return,
    };
    let (moved, _upload) = match requested {
        Ok(requested) => requested,
        Err(refused) => {
            let last = refuse(&told, &mut exchange, refused).await;
            send(&mut told, last, oneshot::channel(), |last| decided.send(Decided::Final(last)).is_ok()).await;
            return;
        }
    };
    let (answered, answer) = oneshot::channel();
    let head = if chain.keeps_request() { exchange.request.clone() } else { std::mem::take(&mut exchange.request) };
    if !chain.keeps_request() {
        // What response filters are told by value.
        exchange.request.method = head.method.clone();
        exchange.request.target = head.target.clone();
        exchange.request.authority.clone_from(&head.authority);
    }
    if decided.send(Decided::Forward(Forward { head, body: moved, answered })).is_err() {
        return;
    }
    match answer.await {
        Ok(Some(answered)) => respond(&mut told, &mut exchange, answered, &stop).await,
        // The service failed: what that means is its server's matter.
        Ok(None) => told.ends(Ending::UpstreamFailed),
        Err(_) => {}
    }
}

/// The request's half: filters, then body filters until the head may go on.
async fn request(
    told: &Told,
    exchange: &mut Box<Exchange>,
    body: Option<(Boxed, Option<u64>)>,
    stop: &Stop,
) -> Result<(Moved, Option<Upload>), Refused> {
    refused(told.lease.request(exchange).await)?;
    let Some((body, announced)) = body else { return Ok((Moved::Not, None)) };
    let passage = told.lease.body(Side::Request, exchange, announced);
    let Some(passage) = passage.map_err(|stopped| stopped_by(stopped, Side::Request))? else {
        return Ok((Moved::Back(body), None));
    };
    let mut pump = Pump::new(passage, body);
    let length = pump.hold(exchange, announced).await.map_err(|halt| halted(halt, Side::Request))?;
    let (pipe, out) = Pump::pipe(length);
    // The service answers meanwhile: the body's filters see the exchange as it was when its head went on.
    let (mut exchange, stop) = (exchange.clone(), stop.clone());
    let upload = tokio::task::spawn_local(async move {
        if let (_, Some(Halt::Stopped(stopped))) = pump.run(&mut exchange, out).await {
            *stop.borrow_mut() = Some(stopped);
        }
    });
    Ok((Moved::Piped(pipe), Some(Upload(upload.abort_handle()))))
}

/// The response's half: filters in reverse, body filters, then the body.
async fn respond(told: &mut Told, exchange: &mut Box<Exchange>, answered: Answered, stop: &Stop) {
    let Answered { head, body, mut decided } = answered;
    let end = oneshot::channel();
    let stopped = stop.borrow_mut().take();
    if let Some(stopped) = stopped {
        let refused = stopped_by(stopped, Side::Request);
        let last = refuse(told, exchange, refused).await;
        return send(told, last, end, |last| decided.send(last).is_ok()).await;
    }
    exchange.response = Some(head);
    let responded = tokio::select! {
        responded = response(told, exchange, body) => responded,
        () = decided.closed() => return,
    };
    let (head, moved) = match responded {
        Ok(responded) => responded,
        Err(refused) => return send(told, refused.into(), end, |last| decided.send(last).is_ok()).await,
    };
    let (moved, pump) = match moved {
        Response::Moved(moved) => (moved, None),
        Response::Filtered(pump, length) => {
            let (pipe, out) = Pump::pipe(length);
            (Moved::Piped(pipe), Some((pump, out)))
        }
    };
    told.responds(head.status.as_u16());
    let (tell, told_of) = end;
    if decided.send(Final::Pass(head, moved, tell)).is_err() {
        return;
    }
    if let Some((pump, out)) = pump {
        pump.run(exchange, out).await;
    }
    ended(told, told_of).await;
}

/// A response's body, before any of it has gone on.
enum Response {
    Moved(Moved),
    Filtered(Pump, Option<u64>),
}

async fn response(
    told: &Told,
    exchange: &mut Box<Exchange>,
    body: Option<(Boxed, Option<u64>)>,
) -> Result<(ResponseHead, Response), Refused> {
    refused(told.lease.response(exchange).await)?;
    let moved = match body {
        None => Response::Moved(Moved::Not),
        Some((body, announced)) => {
            let passage = told.lease.body(Side::Response, exchange, announced);
            match passage.map_err(|stopped| stopped_by(stopped, Side::Response))? {
                None => Response::Moved(Moved::Back(body)),
                Some(passage) => {
                    let mut pump = Pump::new(passage, body);
                    let length = pump.hold(exchange, announced).await.map_err(|halt| halted(halt, Side::Response))?;
                    Response::Filtered(pump, length)
                }
            }
        }
    };
    Ok((exchange.response.take().unwrap_or_default(), moved))
}

/// What is answered in the service's place passes the response filters that the request had reached.
async fn refuse(told: &Told, exchange: &mut Box<Exchange>, refused: Refused) -> Instead {
    let reply = match refused {
        Refused::Reply(reply) => *reply,
        Refused::Close => return Instead::Close,
    };
    exchange.response = Some(ResponseHead { status: reply.status, headers: reply.headers });
    match self::refused(told.lease.response(exchange).await) {
        Ok(()) => {
            let ResponseHead { status, headers } = exchange.response.take().unwrap_or_default();
            Instead::Reply(Reply { status, headers, body: reply.body })
        }
        Err(refused) => refused.into(),
    }
}

/// What goes out in the service's place.
enum Instead {
    Reply(Reply),
    Close,
}

impl From<Refused> for Instead {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Reply(reply) => Self::Reply(*reply),
            Refused::Close => Self::Close,
        }
    }
}

type End = (oneshot::Sender<(u64, State)>, oneshot::Receiver<(u64, State)>);

/// Sends what goes out in the service's place, and waits until it was taken.
async fn send(told: &mut Told, last: Instead, (tell, told_of): End, send: impl FnOnce(Final) -> bool) {
    match last {
        Instead::Close => {
            told.ends(Ending::Closed);
            send(Final::Close);
        }
        Instead::Reply(reply) => {
            told.responds(reply.status.as_u16());
            if send(Final::Reply(reply, tell)) {
                ended(told, told_of).await;
            }
        }
    }
}

async fn ended(told: &mut Told, told_of: oneshot::Receiver<(u64, State)>) {
    let Ok((bytes, state)) = told_of.await else { return };
    told.response_bytes(bytes);
    told.ends(match state {
        State::Open => Ending::ClientGone,
        State::Whole => Ending::Complete,
        State::Broken => Ending::Truncated,
    });
}

fn refused(decision: Decision) -> Result<(), Refused> {
    match decision {
        Decision::Proceed => Ok(()),
        Decision::Reply(reply, _) => Err(Refused::Reply(reply)),
        Decision::Close(_) => Err(Refused::Close),
        Decision::Failed(_) => Err(Refused::Reply(Box::new(unavailable()))),
    }
}

fn stopped_by(stopped: Stopped, side: Side) -> Refused {
    match (stopped, side) {
        (Stopped::Reply(reply, _), _) => Refused::Reply(reply),
        (Stopped::Close(_), _) => Refused::Close,
        (Stopped::Failed(_), _) => Refused::Reply(Box::new(unavailable())),
        (Stopped::TooLarge(_), Side::Request) => {
            Refused::Reply(Box::new(Reply::text(StatusCode::PAYLOAD_TOO_LARGE, "payload too large\n")))
        }
        (Stopped::TooLarge(_), Side::Response) => Refused::Reply(Box::new(bad_gateway())),
    }
}

fn halted(halt: Halt, side: Side) -> Refused {
    match (halt, side) {
        (Halt::Stopped(stopped), side) => stopped_by(stopped, side),
        (Halt::Broken, Side::Request) => {
            Refused::Reply(Box::new(Reply::text(StatusCode::BAD_REQUEST, "bad request\n")))
        }
        (Halt::Broken, Side::Response) => Refused::Reply(Box::new(bad_gateway())),
    }
}

fn unavailable() -> Reply {
    Reply::text(StatusCode::SERVICE_UNAVAILABLE, "service unavailable\n")
}

fn bad_gateway() -> Reply {
    Reply::text(StatusCode::BAD_GATEWAY, "bad gateway\n")
}
