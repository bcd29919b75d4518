//! A host's admin listener, asked by the commands that ask one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use palisade_config::Config;
use tokio::net::TcpStream;

use crate::admin::GUARD;

/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Which host is asked.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Place {
    /// The configuration that the host runs with, which says where its admin listener is.
    file: Option<PathBuf>,
    /// Where its admin listener is.
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
}

/// An admin listener that can be asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdminClient(SocketAddr);

impl Place {
    /// The host that runs with this configuration.
    pub(crate) fn of(file: PathBuf) -> Self {
        Self { file: Some(file), admin: None }
    }

    /// # Errors
    /// The configuration is bad, or has no admin listener that could be found by it.
    pub(crate) fn find(&self) -> anyhow::Result<AdminClient> {
        let Some(file) = &self.file else {
            return self.admin.map(AdminClient).context("neither a configuration nor --admin ADDRESS was given");
        };
        let config = Config::read(file)?;
        let Some(admin) = config.admin else {
            bail!("{} has no [admin], so there is nobody to ask; SIGHUP is a reload, too", file.display())
        };
        if admin.bind.port() == 0 {
            bail!("the admin listener of {} is on any free port: say which with --admin ADDRESS", file.display())
        }
        Ok(AdminClient(reachable(admin.bind)))
    }
}

impl AdminClient {
    /// The admin listener at this address.
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self(address)
    }

    pub(crate) fn address(self) -> SocketAddr {
        self.0
    }

    /// Asks, and reads the whole answer, however long the host takes for it.
    ///
    /// # Errors
    /// There is no host, or it breaks off.
    pub(crate) async fn ask(self, method: Method, path: &str) -> anyhow::Result<(StatusCode, Bytes)> {
        let address = self.0;
        let stream = TcpStream::connect(address).await.with_context(|| format!("no host answers at {address}"))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let (guard, value) = GUARD;
        let host = HeaderValue::from_str(&address.to_string())?;
        let request = Request::builder().method(method).uri(path).header(HOST, host).header(guard, value);
        let broke_off = || format!("{address} broke off");
        let response = sender.send_request(request.body(Empty::<Bytes>::new())?).await.with_context(broke_off)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!(error)).with_context(broke_off)?;
        connection.abort();
        Ok((status, body.to_bytes()))
    }
}

/// An address that is every address is reached by the machine's own.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
