//! An endpoint that speaks HTTP/2 as a test wants it, frame by frame where it has to be.

use harness::http2::{SETTINGS, frame};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::{Builder, SendResponse};
use http::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::endpoint::serving;

/// A request, and what it is answered with.
pub(crate) type Exchange = (Request<RecvStream>, SendResponse<Bytes>);

/// What an endpoint was asked, over all of its connections.
#[derive(Debug, Clone, Default)]
pub(crate) struct Count(Arc<AtomicUsize>);

impl Count {
    /// One more; how many there were before.
    pub(crate) fn one(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// An endpoint that hands each exchange to this.
pub(crate) async fn speaking<F>(
    builder: Builder,
    exchange: impl Fn(Exchange) -> F + Clone + Send + Sync + 'static,
) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    serving(move |stream| {
        let (builder, exchange) = (builder.clone(), exchange.clone());
        async move {
            let Ok(mut connection) = builder.handshake(stream).await else { return };
            while let Some(Ok(accepted)) = connection.accept().await {
                tokio::spawn(exchange(accepted));
            }
        }
    })
    .await
}

/// Answers 200 with two bytes.
pub(crate) fn answer(respond: &mut SendResponse<Bytes>) {
    if let Ok(mut body) = respond.send_response(Response::new(()), false) {
        let _ = body.send_data(Bytes::from_static(b"ok"), true);
    }
}

/// Reads frames up to and with one of this kind, and gives the number of its stream.
pub(crate) async fn read_until(stream: &mut TcpStream, kind: u8) -> Option<u32> {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.ok()?;
        let [a, b, c, found, _, id @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        stream.read_exact(&mut payload).await.ok()?;
        if found == kind {
            return Some(u32::from_be_bytes(id));
        }
    }
}

/// The client's preface was read, and ours is sent: no setting at all.
pub(crate) async fn greeted(stream: &mut TcpStream) -> bool {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.is_ok() && stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.is_ok()
}
