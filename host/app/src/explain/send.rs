//! One request over HTTP/1.1, with TLS or without, whose answer is read and dropped.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::{HOST, HeaderName, HeaderValue};
use http::{Method, Uri};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::unverified;

/// A request that can be sent.
pub(super) type Request = http::Request<Full<Bytes>>;

/// A header field.
pub(super) type Field = (HeaderName, HeaderValue);

/// A field as curl takes it.
pub(super) fn field(text: &str) -> Result<Field, String> {
    let (name, value) = text.split_once(':').ok_or("expected \"NAME: VALUE\"")?;
    let name = name.trim().parse().map_err(|_| format!("{name:?} is no name of a header"))?;
    let value = value.trim().parse().map_err(|_| format!("{value:?} is no value of a header"))?;
    Ok((name, value))
}

/// Whether the URL is for TLS.
///
/// # Errors
/// It is for neither.
pub(super) fn is_tls(url: &Uri) -> anyhow::Result<bool> {
    match url.scheme_str() {
        Some("https") => Ok(true),
        Some("http") => Ok(false),
        Some(_) | None => bail!("{url} is no URL of a request: expected one that begins with https:// or http://"),
    }
}

/// A request for this URL that carries a token.
///
/// # Errors
/// The URL has no host.
pub(super) fn request(
    (method, url): (&Method, &Uri),
    fields: &[Field],
    (header, token): (&str, &str),
    body: Vec<u8>,
) -> anyhow::Result<Request> {
    let authority = url.authority().with_context(|| format!("{url} has no host"))?;
    let target = url.path_and_query().map_or("/", |target| target.as_str());
    let mut request = http::Request::builder().method(method).uri(target).body(Full::new(Bytes::from(body)))?;
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_str(authority.as_str())?);
    for (name, value) in fields {
        if name == HOST {
            headers.insert(name, value.clone());
        } else {
            headers.append(name, value.clone());
        }
    }
    headers.insert(HeaderName::try_from(header)?, HeaderValue::from_str(token)?);
    Ok(request)
}

/// Sends the request to this address and reads the answer, for as long as that may take.
///
/// # Errors
/// There is no connection, or it breaks off.
pub(super) async fn send(request: Request, (url, address): (&Uri, SocketAddr), limit: Duration) -> anyhow::Result<()> {
    let answered = async {
        let stream = TcpStream::connect(address).await.context("there is no connection")?;
        if !is_tls(url)? {
            return exchange(stream, request).await;
        }
        let name = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let stream = unverified::connect(&name, stream).await.context("the TLS handshake failed")?;
        exchange(stream, request).await
    };
    // An answer without an end is explained as far as it came.
    tokio::time::timeout(limit, answered).await.unwrap_or(Ok(()))
}

async fn exchange<S>(stream: S, request: Request) -> anyhow::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let mut body = sender.send_request(request).await?.into_body();
    while let Some(frame) = body.frame().await {
        drop(frame?);
    }
    connection.abort();
    Ok(())
}
