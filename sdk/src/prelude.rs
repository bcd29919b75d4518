//! Everything that a plugin needs: `use palisade_sdk::prelude::*;`.

pub use schemars::JsonSchema;
pub use serde::Deserialize;
pub use serde_json::json;

pub use crate::{
    Admission, AsyncRequestFilter, Balancer, Begun, BodyWish, Candidate, ChooseError, ClientCertificate, Connection,
    ConnectionFilter, Counter, Direction, Edits, Ended, Ending, Error, Exchange, Exchanged, Family, Fetch, FetchError,
    Fetched, Flow, Gauge, HeadError, HeaderValue, Health, Histogram, HotHeader, Interest, Method, Name, NoSettings,
    Observer, Outcome, OverLimit, Pick, PickRequest, Piece, PieceFlow, Plugin, Protocol, Reply, Request, RequestBody,
    RequestBodyFilter, RequestFilter, RequestHead, Response, ResponseBody, ResponseBodyFilter, ResponseFilter,
    ResponseHead, Scheme, Setup, Shared, SharedCounter, SharedError, Stream, StreamFilter, StreamFlow, StreamPiece,
    StreamWish, Ticker, Tls, Unit, clock, log, random, register,
};
#[cfg(not(target_family = "wasm"))]
pub use crate::{
    TestBody, TestBodyOutcome, TestCandidate, TestConnection, TestFetch, TestHost, TestOutcome, TestPick, TestRequest,
    TestResponse, TestStream, TestStreamOutcome, TestTls,
};
