//! An axum server with a chain of plugins around its router: `embed-axum PLUGIN.wasm[=SETTINGS]…`, the settings as JSON.
//!
//! The plugins are one layer: requests pass them in this order before any handler, responses in reverse. The first line that
//! it prints ends with its address.

#![forbid(unsafe_code)]

use std::{net::SocketAddr, path::Path, sync::Arc};

use anyhow::{Context, Result};
use axum::{Router, extract::ConnectInfo, routing};
use palisade_contract::{Plugin as _, Scheme};
use palisade_engine::{Capability, Engine, Module, Options, Plugin, PluginConfig, Services};
use palisade_tower::PalisadeLayer;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<()> {
    let engine = Engine::new(&Options::default(), Services::default())?;
    let mut plugins: Vec<Arc<dyn palisade_contract::Plugin>> = Vec::new();
    for argument in std::env::args().skip(1) {
        let plugin = load(&engine, &argument).with_context(|| argument.clone())?;
        println!("{} is loaded", plugin.name());
        plugins.push(Arc::new(plugin));
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let local = listener.local_addr()?;
    let options = palisade_tower::Options { scheme: Scheme::Http, local, ..Default::default() };
    // Connection filters and rules about addresses go by what axum knows of the client.
    let layer = PalisadeLayer::new(&plugins, &options, |extensions| {
        extensions.get::<ConnectInfo<SocketAddr>>().map(|client| client.0)
    })?;
    let router = Router::new()
        .route("/hello", routing::get(async || "hello\n"))
        .route("/echo", routing::post(async |body: String| body))
        .layer(layer);
    println!("listening on {local}");
    axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

/// A plugin of its file, granted whatever it asks for.
fn load(engine: &Engine, argument: &str) -> Result<Plugin> {
    let (file, settings) = argument.split_once('=').unwrap_or((argument, "{}"));
    let module = Module::new(engine, &std::fs::read(file).context("cannot read it")?)?;
    let name = Path::new(file).file_stem().context("it has no name")?.to_string_lossy();
    let config = PluginConfig {
        grants: Capability::ALL.into(),
        settings: settings.parse().context("the settings are not JSON")?,
        ..PluginConfig::new(&name, &name)
    };
    Ok(Plugin::new(engine, &module, &config)?)
}
