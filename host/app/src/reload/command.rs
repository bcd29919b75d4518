//! `palisade reload`: has a running host look at its configuration and its plugins, and says what came of it.

use std::process::ExitCode;

use anyhow::{Context, bail};
use http::{Method, StatusCode};

use super::Outcome;
use crate::admin_client::Place;

/// Waits for the reload. Success is that everything is served as it stands on disk.
///
/// # Errors
/// There is no host to ask, or it does not say what came of it.
pub(crate) fn run(place: &Place) -> anyhow::Result<ExitCode> {
    let host = place.find()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    let (status, answer) = runtime.block_on(host.ask(Method::POST, "/reload"))?;
    if status != StatusCode::OK && status != StatusCode::UNPROCESSABLE_ENTITY {
        bail!("{} answers {status}: {}", host.address(), String::from_utf8_lossy(&answer).trim_end());
    }
    let outcome: Outcome = serde_json::from_slice(&answer).context("the answer is not that of a host")?;
    for warning in &outcome.warnings {
        eprintln!("warning: {warning}");
    }
    let generation = outcome.generation;
    if outcome.is_complete() {
        println!("generation {generation} is served");
        return Ok(ExitCode::SUCCESS);
    }
    let count = outcome.problems.len();
    let plural = if count == 1 { "problem" } else { "problems" };
    eprintln!(
        "{}\n{count} {plural}; generation {generation} is served: {}",
        outcome.problems.join("\n"),
        outcome.result
    );
    Ok(ExitCode::FAILURE)
}
