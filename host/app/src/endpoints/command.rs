//! `palisade endpoints`: asks a running host how its endpoints are, and orders one to be left alone or used again.

use std::process::ExitCode;

use anyhow::{Context, bail};
use http::{Method, StatusCode};

use super::{Listed, table};
use crate::admin_client::Place;

/// What is asked of which host.
#[derive(Debug, clap::Args)]
pub struct Endpoints {
    #[command(flatten)]
    place: Place,
    /// The endpoint takes no new requests from now on; what is under way ends as it began. Written as UPSTREAM/ADDRESS,
    /// such as `web/10.0.1.11:8443`.
    #[arg(long, value_name = "UPSTREAM/ADDRESS", conflicts_with = "enable")]
    drain: Option<String>,
    /// The endpoint takes requests again, also where it was left alone for what came of them.
    #[arg(long, value_name = "UPSTREAM/ADDRESS")]
    enable: Option<String>,
}

impl Endpoints {
    /// Does what is ordered, and shows every endpoint.
    ///
    /// # Errors
    /// There is no host to ask, or no such endpoint.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let host = self.place.find()?;
        let (method, path) = match (&self.drain, &self.enable) {
            (Some(endpoint), _) => (Method::POST, ordered("drain", endpoint)?),
            (None, Some(endpoint)) => (Method::POST, ordered("enable", endpoint)?),
            (None, None) => (Method::GET, "/endpoints".to_owned()),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
        let (status, answer) = runtime.block_on(host.ask(method, &path))?;
        if status != StatusCode::OK {
            bail!("{} answers {status}: {}", host.address(), String::from_utf8_lossy(&answer).trim_end());
        }
        let listed: Listed = serde_json::from_slice(&answer).context("the answer is not that of a host")?;
        print!("{}", table::render(&listed));
        Ok(ExitCode::SUCCESS)
    }
}

fn ordered(order: &str, endpoint: &str) -> anyhow::Result<String> {
    let Some((upstream, address)) = endpoint.split_once('/') else {
        bail!("{endpoint:?} is no endpoint: expected UPSTREAM/ADDRESS, such as web/10.0.1.11:8443")
    };
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte));
    if !plain(upstream) || !plain(address) {
        bail!("{endpoint:?} is no endpoint: expected UPSTREAM/ADDRESS, such as web/10.0.1.11:8443")
    }
    Ok(format!("/endpoints/{order}?upstream={upstream}&endpoint={address}"))
}
