//! Endpoints that fail and come back: found by checks or by what comes of requests, left alone, let in again.

mod checks;
mod ejections;
mod found;
mod mariadb;
mod orders;
mod reloads;

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use harness::{Answer, Origin, Running, eventually};
use serde_json::Value;

/// An origin that answers with the status that it is set to, and says in the body which one it is.
#[derive(Clone)]
pub(crate) struct Moody {
    status: Arc<AtomicU16>,
    asked: Arc<AtomicUsize>,
}

impl Moody {
    /// One that answers checks at `/healthz` as it does requests.
    pub(crate) fn new(name: &'static str) -> (Self, Origin) {
        let moody = Self { status: Arc::new(AtomicU16::new(200)), asked: Arc::default() };
        let own = moody.clone();
        let origin = Origin::answering(move |seen| {
            let status = own.status.load(Ordering::Relaxed);
            if seen.target != "/healthz" {
                own.asked.fetch_add(1, Ordering::Relaxed);
            }
            if status == 200 { Answer::body(name) } else { Answer::status(status) }
        });
        (moody, origin)
    }

    pub(crate) fn answers(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// How often clients' requests came to it.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

/// What `/endpoints` says of the endpoint of this index.
pub(crate) async fn endpoint(site: &Running, index: usize) -> Value {
    let listed = site.admin().get("/endpoints").await.json();
    listed.pointer(&format!("/endpoints/{index}")).cloned().unwrap_or_default()
}

/// Waits until the endpoint of this index is in this state, and gives what is said of it.
pub(crate) async fn becomes(site: &Running, index: usize, state: &str) -> Value {
    let mut seen = Value::Null;
    eventually(&format!("endpoint {index} is {state}"), async || {
        seen = endpoint(site, index).await;
        state_of(&seen) == state
    })
    .await;
    seen
}

/// `healthy`, `unhealthy` or `draining`.
pub(crate) fn state_of(seen: &Value) -> &str {
    seen.get("state").and_then(Value::as_str).unwrap_or_default()
}

/// Why it is not healthy.
pub(crate) fn reason_of(seen: &Value) -> &str {
    seen.get("reason").and_then(Value::as_str).unwrap_or_default()
}
