//! Filters without a sandbox: each does one thing, and writes down what it hears.

use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread::ThreadId;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use palisade_contract::{
    Admission, BodyFilter, Connection, Edits, Ended, Exchange, Failure, Filter, Flow, Handling, OnError, Over, Phase,
    Phases, Piece, Plugin, Reply, Side, Verdict, Wish, WorkerServices,
};

/// What a filter does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Adds the header `x-NAME` to requests and responses.
    Mark(&'static str),
    Reply,
    Fail,
    Close,
    /// Refuses connections.
    Refuse,
    /// Makes request bodies upper case, piece by piece.
    Upper,
    /// Doubles each byte of request bodies.
    Double,
    DoubleAnswer,
    /// Takes the request's body whole, and puts its length before it.
    Whole,
    /// Buffers less than any body has.
    Small,
    /// Answers to the first piece of a body.
    StopBody,
}

/// What filters have heard.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Log>>);

#[derive(Debug, Default)]
struct Log {
    endings: Vec<String>,
    names: String,
    asked: Vec<ThreadId>,
    answered: Vec<ThreadId>,
}

impl Heard {
    /// Waits for the end of the next exchange: ending, status, bytes in and out.
    pub(crate) async fn ending(&self) -> String {
        for _ in 0..6_000 {
            if let Some(ending) = self.take() {
                return ending;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("no exchange has ended")
    }

    fn take(&self) -> Option<String> {
        let endings = &mut self.0.lock().expect("a log").endings;
        if endings.is_empty() { None } else { Some(endings.remove(0)) }
    }

    pub(crate) fn names(&self) -> String {
        self.0.lock().expect("a log").names.clone()
    }

    pub(crate) fn threads(&self) -> Vec<(ThreadId, ThreadId)> {
        let log = self.0.lock().expect("a log");
        log.asked.iter().copied().zip(log.answered.iter().copied()).collect()
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Native {
    act: Act,
    heard: Heard,
    pub on_error: Option<OnError>,
}

impl Native {
    pub(crate) fn new(act: Act, heard: &Heard) -> Self {
        Self { act, heard: heard.clone(), on_error: None }
    }
}

impl Plugin for Native {
    fn name(&self) -> &str {
        "native"
    }

    fn open(&self, _worker: &WorkerServices) -> Rc<dyn Filter> {
        Rc::new(self.clone())
    }
}

impl Filter for Native {
    fn name(&self) -> &str {
        "native"
    }

    fn phases(&self) -> Phases {
        let heads = [Phase::Connection, Phase::Request, Phase::Response, Phase::Observe];
        let more = match self.act {
            Act::Upper | Act::Double | Act::Whole | Act::Small | Act::StopBody => Some(Phase::RequestBody),
            Act::DoubleAnswer => Some(Phase::ResponseBody),
            Act::Mark(_) | Act::Reply | Act::Fail | Act::Close | Act::Refuse => None,
        };
        heads.into_iter().chain(more).collect()
    }

    fn on_error(&self) -> Option<OnError> {
        self.on_error
    }

    fn connection(&self, connection: &Connection) -> Result<Admission, Failure> {
        assert_eq!(connection.client.to_string(), "192.0.2.7:50000");
        Ok(if self.act == Act::Refuse { Admission::Refuse } else { Admission::Accept })
    }

    fn request(&self, exchange: &mut Box<Exchange>) -> Result<Flow, Failure> {
        let mut log = self.heard.0.lock().expect("a log");
        log.asked.push(std::thread::current().id());
        log.names = exchange.request.headers.keys().map(|name| format!("{name} ")).collect();
        match self.act {
            Act::Mark(name) => mark(&mut exchange.request.headers, name),
            Act::Reply => return Ok(Flow::Reply(teapot().into())),
            Act::Fail => return Err(Failure::Reported("told to".into())),
            Act::Close => return Ok(Flow::Close),
            _ => {}
        }
        Ok(Flow::Proceed)
    }

    fn response(&self, exchange: &mut Box<Exchange>) -> Result<Flow, Failure> {
        self.heard.0.lock().expect("a log").answered.push(std::thread::current().id());
        if let (Act::Mark(name), Some(head)) = (self.act, exchange.response.as_mut()) {
            mark(&mut head.headers, name);
        }
        Ok(Flow::Proceed)
    }

    fn body(
        self: Rc<Self>,
        _side: Side,
        _exchange: &mut Box<Exchange>,
        _announced: Option<u64>,
    ) -> Result<Wish, Failure> {
        let handling = match self.act {
            Act::Upper => Handling::Stream(Edits::SameLength),
            Act::Whole => Handling::Buffer { bytes_max: 100, over: Over::Refuse },
            Act::Small => Handling::Buffer { bytes_max: 2, over: Over::Refuse },
            _ => Handling::Stream(Edits::Any),
        };
        Ok(Wish::Take(handling, Box::new(Editing(self.act))))
    }

    fn ended(&self, ended: &Ended) {
        let Ended { ending, status, request_bytes, response_bytes, .. } = ended;
        let text = format!("{} {status} {request_bytes} {response_bytes}", ending.as_str());
        self.heard.0.lock().expect("a log").endings.push(text);
    }
}

#[derive(Debug)]
struct Editing(Act);

impl BodyFilter for Editing {
    fn poll_piece(
        &mut self,
        _exchange: &mut Box<Exchange>,
        piece: &mut Piece,
        _context: &mut Context<'_>,
    ) -> Poll<Result<Verdict, Failure>> {
        let bytes = &piece.bytes;
        piece.bytes = match self.0 {
            Act::Upper => bytes.to_ascii_uppercase().into(),
            Act::Double | Act::DoubleAnswer => bytes.iter().flat_map(|byte| [*byte; 2]).collect(),
            Act::Whole => Bytes::from(format!("{}: {}", bytes.len(), String::from_utf8_lossy(bytes))),
            Act::StopBody => return Poll::Ready(Ok(Verdict::Reply(teapot().into()))),
            _ => bytes.clone(),
        };
        Poll::Ready(Ok(Verdict::Proceed))
    }
}

fn mark(headers: &mut HeaderMap, name: &'static str) {
    let name = format!("x-{name}").parse::<http::HeaderName>().expect("a name");
    headers.insert(name, HeaderValue::from_static("1"));
}

fn teapot() -> Reply {
    let mut headers = HeaderMap::new();
    headers.insert("x-own", HeaderValue::from_static("1"));
    Reply { status: StatusCode::IM_A_TEAPOT, headers, body: Bytes::from_static(b"teapot\n") }
}
