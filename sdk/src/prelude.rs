//! Everything that a plugin needs: `use palisade_sdk::prelude::*;`.

pub use schemars::JsonSchema;
pub use serde::Deserialize;
pub use serde_json::json;

pub use crate::{
    Admission, Balancer, Begun, Candidate, Connection, ConnectionFilter, Counter, Ended, Ending, Error, Exchange,
    Family, Flow, Gauge, HeadError, HeaderValue, Health, Histogram, HotHeader, Method, Name, NoSettings, Observer,
    Outcome, Pick, PickRequest, Plugin, Protocol, Reply, Request, RequestFilter, Response, ResponseFilter, Scheme,
    Setup, Unit, clock, log, random, register,
};
#[cfg(not(target_family = "wasm"))]
pub use crate::{TestCandidate, TestConnection, TestHost, TestOutcome, TestPick, TestRequest, TestResponse};
