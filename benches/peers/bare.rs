//! What the libraries cost by themselves: a proxy of hyper and rustls on one thread, with idle connections in a list and nothing
//! else that a proxy has.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::header::{CONNECTION, HOST, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};
use tokio_rustls::TlsAcceptor;

/// The word by which this program knows that it is to be this.
pub(crate) const COMMAND: &str = "bare";

/// Runs it: port, certificates, key, and two origins.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let [port, chain, key, a, b] = words else { bail!("expected a port, two files and two origins") };
    let listen: SocketAddr = format!("127.0.0.1:{port}").parse()?;
    let origins: [SocketAddr; 2] = [a.parse()?, b.parse()?];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let acceptor = TlsAcceptor::from(Arc::new(tls(chain, key)?));
    LocalSet::new().block_on(&runtime, accept(listen, acceptor, Rc::new(Pool::new(origins))))
}

fn tls(chain: &str, key: &str) -> Result<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(chain)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = versions.with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

struct Pool {
    origins: [SocketAddr; 2],
    idle: RefCell<Vec<SendRequest<Incoming>>>,
}

impl Pool {
    fn new(origins: [SocketAddr; 2]) -> Self {
        Self { origins, idle: RefCell::default() }
    }

    async fn send(self: Rc<Self>, mut request: Request<Incoming>) -> Result<Response<Incoming>> {
        let idle = self.idle.borrow_mut().pop();
        let mut sender = match idle {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let authority =
            request.uri().authority().map(|authority| HeaderValue::from_str(authority.as_str())).transpose()?;
        if let Some(authority) = authority {
            request.headers_mut().insert(HOST, authority);
        }
        // It is the client's connection that ends.
        request.headers_mut().remove(CONNECTION);
        let path = request.uri().path_and_query().cloned().context("a path")?;
        *request.uri_mut() = path.into();
        *request.version_mut() = Version::HTTP_11;
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        // It takes the next request when this answer has been read, which its own queue sees to.
        self.idle.borrow_mut().push(sender);
        Ok(response)
    }

    async fn connect(&self) -> Result<SendRequest<Incoming>> {
        let [a, b] = self.origins;
        let origin = if self.idle.borrow().len().is_multiple_of(2) { a } else { b };
        let stream = TcpStream::connect(origin).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        spawn_local(async move { drop(connection.await) });
        Ok(sender)
    }
}

async fn accept(listen: SocketAddr, acceptor: TlsAcceptor, pool: Rc<Pool>) -> Result<()> {
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        spawn_local(serve(stream, acceptor.clone(), pool.clone()));
    }
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, pool: Rc<Pool>) -> Result<()> {
    stream.set_nodelay(true)?;
    let stream = acceptor.accept(stream).await?;
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(move |request| pool.clone().send(request));
    if is_http2 {
        http2::Builder::new(Local).serve_connection(TokioIo::new(stream), service).await?;
    } else {
        http1::Builder::new().serve_connection(TokioIo::new(stream), service).await?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Local;

impl<F: Future + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, task: F) {
        spawn_local(async move { drop(task.await) });
    }
}
