//! A client of the host: one connection, over which it asks.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::HOST;
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::{Body, Reply, certificate};

/// How a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Http {
    /// HTTP/1.1 to the listener `plain`, without TLS.
    Plain,
    /// HTTP/1.1 to the listener `public`.
    H1,
    /// HTTP/2 to the listener `public`.
    H2,
}

impl Http {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Plain, Self::H1, Self::H2];
}

/// Where and how a client is about to connect.
#[derive(Debug, Clone)]
pub struct Dial {
    pub(crate) address: SocketAddr,
    pub(crate) http: Http,
    pub(crate) source: Option<IpAddr>,
    pub(crate) host: String,
}

/// A client with one connection, which ends when the client is dropped.
#[derive(Debug)]
pub struct Client {
    sender: Sender,
    host: String,
    /// Of all clients that share the connection.
    connection: Arc<Connection>,
}

#[derive(Debug)]
struct Connection(JoinHandle<()>);

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

/// Why there is no whole answer.
#[derive(Debug)]
pub enum ClientError {
    /// Not even its head.
    NoAnswer(String),
    /// The head came and the body broke off.
    Truncated {
        /// What the head said.
        status: u16,
        /// What had come of the body.
        received: Bytes,
        /// As the client sees it.
        error: String,
    },
}

impl fmt::Display for ClientError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer(error) => write!(out, "no answer: {error}"),
            Self::Truncated { status, received, error } => {
                write!(out, "an answer of status {status} broke off after {} bytes: {error}", received.len())
            }
        }
    }
}

impl Dial {
    /// From this address of ours, such as 127.0.0.2.
    #[must_use]
    pub fn from(mut self, source: impl Into<IpAddr>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// For this host: in the request and in TLS.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// The host closes before HTTP is spoken.
    pub async fn connect(self) -> Result<Client, ClientError> {
        match self.http {
            Http::Plain => client(self.tcp().await?, &self).await,
            Http::H1 | Http::H2 => client(self.tls().await?, &self).await,
        }
    }

    pub(crate) async fn tcp(&self) -> Result<TcpStream, ClientError> {
        let socket = if self.address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let socket = socket.map_err(no_answer)?;
        if let Some(source) = self.source {
            socket.bind(SocketAddr::new(source, 0)).map_err(no_answer)?;
        }
        let stream = socket.connect(self.address).await.map_err(no_answer)?;
        stream.set_nodelay(true).map_err(no_answer)?;
        Ok(stream)
    }

    pub(crate) async fn tls(&self) -> Result<tokio_rustls::client::TlsStream<TcpStream>, ClientError> {
        let alpn = if self.http == Http::H2 { "h2" } else { "http/1.1" };
        let name = ServerName::try_from(self.host.clone()).map_err(no_answer)?;
        let connector = TlsConnector::from(certificate::client(&[alpn]));
        connector.connect(name, self.tcp().await?).await.map_err(no_answer)
    }
}

impl Dial {
    /// A connection within TLS, on which nothing has been said yet.
    ///
    /// # Errors
    /// The host closes before that.
    pub async fn stream(self) -> Result<tokio_rustls::client::TlsStream<TcpStream>, ClientError> {
        self.tls().await
    }

    /// Connects, for bodies of any kind. The connection ends with the last sender and its streams.
    ///
    /// # Errors
    /// The host closes before HTTP/2 is spoken.
    pub async fn http2<B>(self) -> Result<http2::SendRequest<B>, ClientError>
    where
        B: http_body::Body + Send + Unpin + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let stream = TokioIo::new(self.tls().await?);
        let handshake = http2::Builder::new(TokioExecutor::new()).handshake(stream);
        let (sender, connection) = handshake.await.map_err(no_answer)?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }
}

async fn client<S>(stream: S, dial: &Dial) -> Result<Client, ClientError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = TokioIo::new(stream);
    let (sender, task) = if dial.http == Http::H2 {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        let (sender, connection) = builder.timer(TokioTimer::new()).handshake(stream).await.map_err(no_answer)?;
        (Sender::Http2(sender), tokio::spawn(async move { drop(connection.await) }))
    } else {
        let (sender, connection) = http1::handshake(stream).await.map_err(no_answer)?;
        (Sender::Http1(sender), tokio::spawn(async move { drop(connection.await) }))
    };
    Ok(Client { sender, host: dial.host.clone(), connection: Arc::new(Connection(task)) })
}

impl Client {
    /// Asks and reads the whole answer.
    ///
    /// # Panics
    /// There is none, or it broke off.
    pub async fn get(&mut self, path: &str) -> Reply {
        let reply = self.send(Request::get(path).body(Body::empty()).expect("a path")).await;
        reply.unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// Asks with a body and reads the whole answer.
    ///
    /// # Panics
    /// There is none, or it broke off.
    pub async fn post(&mut self, path: &str, body: impl Into<Bytes>) -> Reply {
        let reply = self.send(Request::post(path).body(Body::from(body)).expect("a path")).await;
        reply.unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// Asks and reads the whole answer. The target is a path; `host` is added where the request has none.
    ///
    /// # Errors
    /// There is no answer, or it broke off.
    pub async fn send(&mut self, request: Request<Body>) -> Result<Reply, ClientError> {
        whole(self.open(request).await?).await
    }

    /// Asks, and leaves the answer's body to the caller.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn open(&mut self, request: Request<Body>) -> Result<Response<Incoming>, ClientError> {
        let request = self.addressed(request);
        let sent = match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await.map_err(no_answer)?;
                sender.send_request(request).await
            }
            Sender::Http2(sender) => {
                sender.ready().await.map_err(no_answer)?;
                sender.send_request(request).await
            }
        };
        sent.map_err(no_answer)
    }

    /// Another client on the same connection, where the protocol has streams.
    ///
    /// # Panics
    /// It is HTTP/1.
    #[must_use]
    pub fn another(&self) -> Self {
        let Sender::Http2(sender) = &self.sender else { panic!("HTTP/1.1 has no streams") };
        let sender = Sender::Http2(sender.clone());
        Self { sender, host: self.host.clone(), connection: self.connection.clone() }
    }

    /// Whether the connection is closed, from either side.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_closed(),
            Sender::Http2(sender) => sender.is_closed(),
        }
    }

    /// HTTP/1.1 says the host in a header, HTTP/2 in the target.
    fn addressed(&self, mut request: Request<Body>) -> Request<Body> {
        match &self.sender {
            Sender::Http1(_) => {
                let host = self.host.parse().expect("a host");
                request.headers_mut().entry(HOST).or_insert(host);
            }
            Sender::Http2(_) => {
                let host = request.headers_mut().remove(HOST);
                let host = host.map_or(self.host.clone(), |host| host.to_str().expect("a host").to_owned());
                let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
                let uri = Uri::builder().scheme("https").authority(host).path_and_query(path).build();
                *request.uri_mut() = uri.expect("a target");
            }
        }
        request
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn whole(response: Response<Incoming>) -> Result<Reply, ClientError> {
    let (head, mut incoming) = response.into_parts();
    let (mut body, mut trailers) = (BytesMut::new(), HeaderMap::new());
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| ClientError::Truncated {
            status: head.status.as_u16(),
            received: body.clone().freeze(),
            error: described(&error),
        })?;
        match frame.into_data() {
            Ok(data) => body.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    let (status, version) = (head.status.as_u16(), head.version);
    Ok(Reply { status, version, headers: head.headers, body: body.freeze(), trailers })
}

fn no_answer(error: impl std::error::Error) -> ClientError {
    ClientError::NoAnswer(described(&error))
}

/// An error with everything that caused it.
fn described(error: &dyn std::error::Error) -> String {
    match error.source() {
        None => error.to_string(),
        Some(source) => format!("{error}: {}", described(source)),
    }
}
