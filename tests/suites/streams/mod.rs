//! Connections that carry anything: bytes both ways, TLS that passes through or ends here, and what becomes of either side's end.

mod filters;
mod passing;
mod through_tls;

use std::net::SocketAddr;

use harness::Site;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A host with a listener `tcp` for these routes and nothing else.
fn site(routes: Value) -> Site {
    let listener = json!({ "bind": "127.0.0.1:0", "protocol": "tcp", "route": routes });
    Site::new().set("listener", json!({ "tcp": listener }))
}

/// A host whose listener `tcp` passes everything on to these addresses.
fn to(endpoints: &[SocketAddr]) -> Site {
    let endpoints: Vec<String> = endpoints.iter().map(ToString::to_string).collect();
    site(json!([{ "upstream": "web" }])).set("upstream.web.endpoints", json!(endpoints))
}

/// An endpoint that says its name, and then everything that it hears.
async fn echo(name: &'static str) -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = socket.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.into_split();
                write.write_all(name.as_bytes()).await?;
                tokio::io::copy(&mut read, &mut write).await?;
                write.shutdown().await
            });
        }
    });
    address
}

/// What comes first on a new connection: so many bytes.
async fn greeting(address: SocketAddr, bytes: usize) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let mut read = vec![0; bytes];
    let text = match stream.read_exact(&mut read).await {
        Ok(_) => String::from_utf8_lossy(&read).into_owned(),
        Err(_) => String::new(),
    };
    (stream, text)
}
