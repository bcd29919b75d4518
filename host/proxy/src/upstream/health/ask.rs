//! One check of one endpoint: connected to, asked, answered well or not.

use std::io;
use std::net::SocketAddr;

use palisade_config::{HealthAsk, HealthCheck};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::http::{self, Wanted};
use super::mysql;
use crate::io::Socket;
use crate::proxy_protocol;
use crate::upstream::pool::Purpose;
use crate::upstream::{Endpoint, Upstream};

/// Asks once. It takes as long as the endpoint lets it: the caller has the limit.
///
/// # Errors
/// What is wrong with the endpoint.
pub(super) async fn ask(upstream: &Upstream, endpoint: &Endpoint, config: &HealthCheck) -> Result<(), String> {
    let address = config.port.map_or(endpoint.address, |port| SocketAddr::new(endpoint.address.ip(), port));
    let stream = connected(upstream, address).await.map_err(|error| format!("no connection: {error}"))?;
    let Some(tls) = &upstream.tls else {
        return match &config.ask {
            HealthAsk::Tcp | HealthAsk::Tls => Ok(()),
            HealthAsk::Http { .. } => http::ask((upstream, address), stream, &wanted(&config.ask), None).await,
            HealthAsk::Mysql { user, galera, writable } => mysql::ask(stream, None, user, (*galera, *writable)).await,
        };
    };
    let secured = |error: io::Error| format!("no TLS: {error}");
    match &config.ask {
        HealthAsk::Tcp => Ok(()),
        HealthAsk::Tls => tls.connect(stream, Purpose::Stream).await.map(drop).map_err(secured),
        HealthAsk::Http { .. } => {
            let stream = tls.connect(stream, Purpose::Exchange).await.map_err(secured)?;
            let alpn = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
            http::ask((upstream, address), stream, &wanted(&config.ask), alpn.as_deref()).await
        }
        HealthAsk::Mysql { user, galera, writable } => mysql::ask(stream, Some(tls), user, (*galera, *writable)).await,
    }
}

async fn connected(upstream: &Upstream, address: SocketAddr) -> io::Result<Socket> {
    let mut stream = Socket::from(TcpStream::connect(address).await?);
    stream.set_nodelay(true)?;
    if let Some(version) = upstream.config.proxy_protocol {
        stream.write_all(&proxy_protocol::header(version, None)).await?;
    }
    Ok(stream)
}

fn wanted(ask: &HealthAsk) -> Wanted<'_> {
    match ask {
        HealthAsk::Http { path, host, status, body } => {
            Wanted { path, host: host.as_deref(), statuses: status, body: body.as_deref() }
        }
        HealthAsk::Tcp | HealthAsk::Tls | HealthAsk::Mysql { .. } => Wanted::default(),
    }
}
