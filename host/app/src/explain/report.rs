//! What one request met, as the admin listener says it and `palisade explain` reads it.

use std::time::Duration;

use palisade_contract::{Candidate, Health, Name, Names, Outcome, TraceStep};
use palisade_proxy::Explanation;
use serde::{Deserialize, Serialize};

/// What one request met, from its head to its end.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) method: String,
    /// Host and port, as the client wrote them.
    pub(crate) authority: String,
    pub(crate) target: String,
    pub(crate) protocol: String,
    pub(crate) client: String,
    pub(crate) listener: String,
    /// None where no route is for the request, and so on for each of these.
    pub(crate) route: Option<String>,
    pub(crate) upstream: Option<String>,
    pub(crate) endpoint: Option<String>,
    /// Plugins that had accepted the connection before the request came.
    pub(crate) accepted_by: Vec<String>,
    pub(crate) steps: Vec<Step>,
    /// Plugins that were told of the exchange.
    pub(crate) observed_by: Vec<String>,
    /// What was sent; zero for nothing.
    pub(crate) status: u16,
    pub(crate) ending: String,
    /// The plugin that answered, closed or failed in the upstream's place.
    pub(crate) decided_by: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    pub(crate) micros: u64,
}

/// One call into a plugin, or one thing that the host did.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Step {
    /// The phase's interface, or a word for what the host did.
    pub(crate) stage: String,
    /// None for the host.
    pub(crate) plugin: Option<String>,
    pub(crate) decision: String,
    pub(crate) micros: Option<f64>,
    /// Asked and not followed.
    pub(crate) in_shadow: bool,
    /// Lines of the head that are gone (`-`) and new (`+`).
    pub(crate) changes: Vec<String>,
    pub(crate) candidates: Vec<Endpoint>,
    pub(crate) body: Option<Body>,
}

/// An endpoint that could be picked, as the balancer saw it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) endpoint: String,
    pub(crate) weight: u32,
    pub(crate) zone: Option<String>,
    pub(crate) health: String,
    /// What became of it earlier in this exchange.
    pub(crate) outcome: String,
    pub(crate) in_flight: u32,
    pub(crate) latency_micros: u32,
    pub(crate) failures: u32,
}

/// What of a body went through one filter.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Body {
    pub(crate) pieces: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

impl Report {
    /// The same in words.
    pub(crate) fn of(explanation: Explanation, names: &Names) -> Self {
        let Explanation { steps, ended, asked: (authority, target), .. } = explanation;
        let name = |name: Name| (name != Name::NONE).then(|| names.text(name).to_string());
        Self {
            method: ended.method.to_string(),
            authority,
            target,
            protocol: ended.protocol.as_str().to_owned(),
            client: ended.client.to_string(),
            listener: name(ended.listener).unwrap_or_default(),
            route: name(ended.route),
            upstream: name(ended.upstream),
            endpoint: name(ended.endpoint),
            accepted_by: explanation.accepted_by,
            steps: steps.into_iter().map(|step| Step::of(step, names)).collect(),
            observed_by: explanation.observed_by,
            status: ended.status,
            ending: ended.ending.as_str().to_owned(),
            decided_by: explanation.decided_by,
            error: explanation.error,
            request_bytes: ended.request_bytes,
            response_bytes: ended.response_bytes,
            micros: ended.duration_micros,
        }
    }
}

impl Step {
    fn of(step: TraceStep, names: &Names) -> Self {
        let candidates: Vec<Endpoint> =
            step.candidates.iter().map(|candidate| Endpoint::of(candidate, names)).collect();
        // A pick is by index.
        let picked = step.decision.rsplit_once("candidate ");
        let picked = picked.and_then(|(why, index)| Some((why, candidates.get(index.parse::<usize>().ok()?)?)));
        let decision = match picked {
            Some((why, endpoint)) => format!("{why}{}", endpoint.endpoint),
            None => step.decision,
        };
        Self {
            stage: step.stage.to_owned(),
            plugin: step.plugin,
            decision,
            micros: step.time.map(micros),
            in_shadow: step.in_shadow,
            changes: step.changes,
            candidates,
            body: step.body.map(|body| Body {
                pieces: body.pieces,
                bytes_in: body.bytes_in,
                bytes_out: body.bytes_out,
            }),
        }
    }
}

impl Endpoint {
    fn of(candidate: &Candidate, names: &Names) -> Self {
        let health = match candidate.health {
            Health::Healthy => "healthy",
            Health::Unhealthy => "unhealthy",
            Health::Draining => "draining",
            Health::Reserve => "reserve",
        };
        let outcome = match candidate.outcome {
            Outcome::Untried => "untried",
            Outcome::ConnectFailed => "no connection",
            Outcome::TimedOut => "timed out",
            Outcome::Reset => "reset",
            Outcome::BadStatus => "bad status",
        };
        Self {
            endpoint: names.text(candidate.endpoint).to_string(),
            weight: candidate.weight,
            zone: (candidate.zone != Name::NONE).then(|| names.text(candidate.zone).to_string()),
            health: health.to_owned(),
            outcome: outcome.to_owned(),
            in_flight: candidate.in_flight,
            latency_micros: candidate.latency_micros,
            failures: candidate.failures,
        }
    }
}

/// To a tenth: what is finer is noise.
fn micros(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e7).round() / 10.0
}
