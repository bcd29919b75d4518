//! The seam to the host: the imports of the contract in a module, and a stand-in for them in a native build.

#[cfg(target_family = "wasm")]
pub(crate) use crate::bindings::capabilities::palisade::plugin::{
    body, clock, fault, fetch, log, metrics, names, random, reply, request, response, setup, shared, streams, timer,
    tls,
};

#[cfg(not(target_family = "wasm"))]
mod native;

#[cfg(not(target_family = "wasm"))]
pub(crate) use native::{
    body, clock, fault, fetch, log, metrics, names, random, reply, request, response, setup, shared, streams, timer,
    tls,
};
