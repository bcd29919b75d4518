//! One client's connection that speaks HTTP/1.

use std::pin::Pin;
use std::rc::Rc;

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Response, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use palisade_contract::Refusal;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::drive::{DRAIN_GRACE, End, drive};
use super::{Refused, Then};
use crate::body::ClientBody;
use crate::io::{Abort, Cut, Watched};
use crate::linger::{close_well, linger};
use crate::serve::{self, Client, Outgoing};
use crate::site::Listening;

/// Serves one connection of HTTP/1 to its end.
///
/// # Errors
/// It ended by our doing, and why.
pub(super) async fn serve<S>(
    listening: &Rc<Listening>,
    client: &Rc<Client>,
    stream: S,
    drain: watch::Receiver<bool>,
) -> Result<(), Refused>
where
    S: AsyncRead + AsyncWrite + Abort + Unpin + 'static,
{
    // What HTTP itself is limited to stays as it was when the connection began.
    let limits = listening.site().config.limits;
    let activity = &client.activity;
    let stream = Watched::new(stream, activity.clone(), limits.header_bytes.max(SMALLEST_BUFFER));
    let service = {
        let (listening, client, stream) = (listening.clone(), client.clone(), stream.clone());
        service_fn(move |request| {
            let (site, client, stream) = (listening.site(), client.clone(), stream.clone());
            let is_upgrade = request.headers().contains_key(UPGRADE);
            let served = serve::serve(site.clone(), client.clone(), request.map(ClientBody::Hyper));
            Then::new(served, move |mut response: Response<Outgoing>| {
                client.advertise(&site, response.headers_mut());
                if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    // Its `Connection` field is the upgrade's (RFC 9110, section 7.8).
                    stream.ends();
                    return response;
                }
                if client.activity.is_draining() {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                if is_upgrade {
                    stream.goes_on();
                }
                response
            })
        })
    };
    let mut served = http1::Builder::new()
        .max_headers(limits.headers)
        .max_buf_size(limits.header_bytes.max(SMALLEST_BUFFER))
        // The activity's timer keeps both limits on heads; two timers would be one too many.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream.clone()), service);
    let close = |served: Pin<&mut http1::Connection<_, _>>| {
        // What is answered then says so itself, and a 101 has a field of its own in that place.
        if !stream.is_undecided() {
            served.graceful_shutdown();
        }
    };
    let end = End { close, grace: DRAIN_GRACE };
    let driven = drive(listening, activity, Pin::new(&mut served), end, drain);
    let ended = Cut::around(stream.clone(), activity, driven).await;
    let tunnel = client.tunnel.take().filter(|_| stream.refused().is_none());
    if let (Ok(()), Some(tunnel)) = (ended, tunnel) {
        let read = served.into_parts().read_buf;
        let held = stream.take_held();
        let read = if held.is_empty() { read } else { [read.as_ref(), &held].concat().into() };
        tunnel.run(stream, activity, read).await;
        return Ok(());
    }
    let refused = stream.refused();
    if activity.must_not_end_well() {
        // RFC 9112, section 8.
        stream.abort();
    } else if refused.is_some() || ended == Err(Refusal::Protocol) || (ended.is_ok() && activity.has_unread()) {
        linger(stream).await;
    } else if ended.is_ok() && client.upgrade_offered.get() {
        close_well(stream).await;
    }
    match refused {
        Some(why) => Err(Refused { why: Refusal::Protocol, detail: Some(why.to_string()) }),
        None => ended.map_err(Refused::from),
    }
}

/// The least that hyper takes for its read buffer.
const SMALLEST_BUFFER: usize = 8 << 10;
