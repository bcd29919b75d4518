//! `palisade explain`: sends one request to a running host and tells what it met there: which plugins, in which order, what
//! each decided, changed and took, and which endpoint was picked from what.

mod report;
mod send;
mod text;
mod unverified;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use http::{Method, StatusCode, Uri};
use serde::{Deserialize, Serialize};

use crate::admin_client::{AdminClient, Place};
pub(crate) use report::Report;

/// A request, and which host is asked.
#[derive(Debug, clap::Args)]
pub struct Explain {
    /// What is asked for, as a client would: <https://www.example.test/a?b>.
    url: Uri,
    /// The request's method.
    #[arg(short = 'X', long, value_name = "METHOD", default_value = "GET")]
    method: Method,
    /// One more header field, as often as needed.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = send::field)]
    headers: Vec<send::Field>,
    /// The request's body; with a @ in front, the file that it is in.
    #[arg(short = 'd', long, value_name = "TEXT")]
    data: Option<String>,
    /// Where the request is sent. By default the listener of the host that has the URL's port, or else the only one that
    /// speaks its scheme.
    #[arg(long, value_name = "ADDRESS")]
    connect: Option<SocketAddr>,
    /// The configuration that the host runs with, which says where its admin listener is.
    #[arg(long, value_name = "FILE", conflicts_with = "admin")]
    config: Option<PathBuf>,
    /// Where its admin listener is.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9901")]
    admin: SocketAddr,
    /// How many seconds the answer may take; what it met until then is told.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=50))]
    timeout: u64,
    /// Prints the explanation as the admin listener says it.
    #[arg(long)]
    json: bool,
}

/// A token for one request, and where it can be sent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Armed {
    pub(crate) token: String,
    /// The header that the token is sent in.
    pub(crate) header: String,
    pub(crate) listeners: Vec<Door>,
}

/// An address of a listener.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Door {
    pub(crate) listener: String,
    pub(crate) address: SocketAddr,
    pub(crate) tls: bool,
}

impl Explain {
    /// Sends the request, waits for its end, and prints what it met.
    ///
    /// # Errors
    /// There is no host to ask, or none of its listeners takes the request.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let host = match &self.config {
            Some(file) => Place::of(file.clone()).find()?,
            None => AdminClient::at(self.admin),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
        let answer = runtime.block_on(self.explained(host))?;
        let shown = if self.json {
            String::from_utf8_lossy(&answer).into_owned()
        } else {
            text::render(&serde_json::from_slice(&answer).context("the answer is not that of a host")?)
        };
        // Whoever does not read to the end has read enough.
        let _ = io::stdout().lock().write_all(shown.as_bytes());
        Ok(ExitCode::SUCCESS)
    }

    async fn explained(&self, host: AdminClient) -> anyhow::Result<Vec<u8>> {
        let armed: Armed = serde_json::from_slice(&ask(host, Method::POST, "/explain").await?)
            .context("the answer is not that of a host")?;
        let address = match self.connect {
            Some(address) => address,
            None => door(&self.url, &armed.listeners)?,
        };
        let request = self.request(&armed)?;
        let limit = Duration::from_secs(self.timeout);
        let sent = send::send(request, (&self.url, address), limit).await;
        match ask(host, Method::GET, &format!("/explain/{}", armed.token)).await {
            Ok(answer) => Ok(answer),
            Err(unexplained) => match sent {
                Ok(()) => Err(unexplained),
                Err(error) => Err(error.context(format!("{address} has not let the request come to its chain"))),
            },
        }
    }

    fn request(&self, armed: &Armed) -> anyhow::Result<send::Request> {
        let body = match self.data.as_deref().map(|data| (data, data.strip_prefix('@'))) {
            None => Vec::new(),
            Some((_, Some(file))) => std::fs::read(file).with_context(|| format!("cannot read {file}"))?,
            Some((text, None)) => text.as_bytes().to_vec(),
        };
        send::request((&self.method, &self.url), &self.headers, (&armed.header, &armed.token), body)
    }
}

async fn ask(host: AdminClient, method: Method, path: &str) -> anyhow::Result<Vec<u8>> {
    let (status, answer) = host.ask(method, path).await?;
    if status != StatusCode::OK {
        bail!("{} answers {status}: {}", host.address(), String::from_utf8_lossy(&answer).trim_end());
    }
    Ok(answer.to_vec())
}

/// Where a request for this URL goes in.
fn door(url: &Uri, doors: &[Door]) -> anyhow::Result<SocketAddr> {
    let is_tls = send::is_tls(url)?;
    let speaking: Vec<&Door> = doors.iter().filter(|door| door.tls == is_tls).collect();
    let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let found = match speaking.iter().find(|door| door.address.port() == port) {
        Some(door) => Some(*door),
        None => match speaking.as_slice() {
            [only] => Some(*only),
            [] | [_, _, ..] => None,
        },
    };
    let Some(door) = found else {
        let known: Vec<String> =
            doors.iter().map(|door| format!("{:?} is on {}", door.listener, door.address)).collect();
        bail!("no listener of this host is meant by {url}: {}; say which with --connect ADDRESS", known.join(", "))
    };
    Ok(crate::admin_client::reachable(door.address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_goes_to_the_listener_of_its_port_or_to_the_only_one_of_its_scheme() {
        let door = |listener: &str, address: &str, tls| Door {
            listener: listener.into(),
            address: address.parse().expect("an address"),
            tls,
        };
        let two = [door("public", "0.0.0.0:443", true), door("plain", "127.0.0.1:80", false)];
        check("https://a/", &two, Some("127.0.0.1:443"));
        check("https://a:8443/", &two, Some("127.0.0.1:443"));
        check("http://a:443/", &two, Some("127.0.0.1:80"));
        let more = [door("a", "[::]:1443", true), door("b", "127.0.0.1:2443", true)];
        check("https://a:1443/", &more, Some("[::1]:1443"));
        check("https://a/", &more, None);
        check("http://a/", &more, None);
        check("ftp://a/", &two, None);
    }

    #[track_caller]
    fn check(url: &str, doors: &[Door], expected: Option<&str>) {
        let found = door(&url.parse().expect("a URL"), doors);
        assert_eq!(found.ok().map(|address| address.to_string()).as_deref(), expected, "{url}");
    }
}
