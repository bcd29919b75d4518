//! A hyper server of one's own, with one plugin in front: `embed PLUGIN.wasm [SETTINGS]`, the settings as JSON.
//!
//! The engine makes a chain of the plugin; the server asks it about each connection and passes each exchange through it.
//! Nothing of Palisade's proxy is in here. The first line that it prints ends with its address.

#![forbid(unsafe_code)]

use std::{rc::Rc, sync::Arc};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use palisade_contract::{
    Chain, Connection, ConnectionId, Exchange, ExchangeId, Name, Plugin as _, Protocol, Reply, RequestHead, Scheme,
    SystemClock, WorkerServices,
};
use palisade_engine::{Capability, Engine, Module, Options, Plugin, PluginConfig, Services};
use tokio::{net::TcpListener, task};

#[tokio::main(flavor = "local")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().context("usage: embed PLUGIN.wasm [SETTINGS]")?;
    let mut config = PluginConfig { grants: Capability::ALL.into(), ..PluginConfig::new("guard", "guard") };
    if let Some(settings) = arguments.next() {
        config.settings = settings.parse().context("the settings are not JSON")?;
    }
    let engine = Engine::new(&Options::default(), Services::default())?;
    let module = Module::new(&engine, &std::fs::read(&file).with_context(|| format!("cannot read {file}"))?)?;
    let chain = Chain::new(&[Plugin::new(&engine, &module, &config)?.open(&WorkerServices::default())]);
    serve(TcpListener::bind("127.0.0.1:0").await?, chain).await
}

async fn serve(listener: TcpListener, chain: Rc<Chain>) -> Result<()> {
    println!("listening on {}", listener.local_addr()?);
    for id in (1..).map(ConnectionId) {
        let (stream, client) = listener.accept().await?;
        let local = stream.local_addr()?;
        let scheme = Scheme::Http;
        let connection = Arc::new(Connection { id, client, local, listener: Name::NONE, scheme, tls: None });
        let chain = chain.clone();
        if chain.admits(&connection) {
            let service = service_fn(move |request| answer(chain.clone(), connection.clone(), request));
            let server = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
            task::spawn_local(server);
        }
    }
    Ok(())
}

/// An error closes the connection: a plugin said so.
async fn answer(
    chain: Rc<Chain>,
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, &'static str> {
    let (parts, _body) = request.into_parts();
    let reply = match RequestHead::from_parts(parts) {
        None => Some(Reply::text(StatusCode::BAD_REQUEST, "bad request\n")),
        Some(head) => {
            let exchange = Exchange::new(ExchangeId::next(), connection, Protocol::Http1, head);
            let hello = async |_request: &RequestHead| Reply::text(StatusCode::OK, "hello\n");
            chain.exchange(exchange, &SystemClock, hello).await
        }
    };
    reply.map(|reply| Response::from(reply).map(Full::new)).ok_or("closed by a plugin")
}
