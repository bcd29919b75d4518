//! A small origin server: it answers every request with its own name and what it saw of the request.
//!
//! `origin --name A --port 3001` listens on 127.0.0.1 and speaks HTTP/1.1. The first line that it prints ends with its
//! address. `GET /requests` answers with how many requests it has seen before, and is not one of them.

#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use crate::answer::Answers;

mod answer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (name, port) = arguments(&words)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    println!("origin {name} listens on {}", listener.local_addr()?);
    let answers = Arc::new(Answers::new(name));
    loop {
        // A client that is gone before it was accepted is no reason to stop.
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, answers.clone()));
        }
    }
}

async fn serve(stream: TcpStream, answers: Arc<Answers>) {
    let service = service_fn(move |request| {
        let answers = answers.clone();
        async move { Ok::<_, Infallible>(answers.answer(request).await) }
    });
    let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        eprintln!("a connection broke off: {error}");
    }
}

fn arguments(words: &[String]) -> Result<(String, u16)> {
    let (mut name, mut port) = ("origin".to_owned(), 0);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value = words.next().with_context(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--name" => name.clone_from(value),
            "--port" => {
                port = value.parse().with_context(|| format!("{value:?} is not a port: expected 0 to 65535"))?
            }
            unknown => bail!("there is no option {unknown:?}: expected --name NAME or --port N"),
        }
    }
    Ok((name, port))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use palisade_config::Config;

    #[test]
    fn the_quickstarts_configuration_is_one() {
        check("palisade.toml", include_str!("../palisade.toml"), &["edge-firewall", "balance", "qps"]);
    }

    #[test]
    fn the_front_pages_configuration_is_one() {
        let page = include_str!("../../../README.md");
        let (_, rest) = page.split_once("```toml\n").expect("the page has a configuration");
        let (text, _) = rest.split_once("```").expect("which ends");
        check("README.md", text, &["gate"]);
    }

    fn check(file: &str, text: &str, plugins: &[&str]) {
        let config = Config::parse(text, Path::new(file)).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(config.warnings, []);
        let names: Vec<&str> = config.plugins.iter().map(|plugin| plugin.name.as_str()).collect();
        assert_eq!(names, plugins);
    }
}
