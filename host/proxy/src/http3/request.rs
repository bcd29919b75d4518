//! One request on its stream, from the first byte to the end of its answer (RFC 9114, section 4.1).

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;

use http::{HeaderMap, Method, Request, StatusCode, header};
use palisade_config::ListenerLimits;
use quinn::{RecvStream, SendStream};

use super::answer::Answer;
use super::body::{self, Body, Link};
use super::early::{self, Early};
use super::fault::{Code, Fault};
use super::reader::{Piece, Reader, Take};
use super::{frame, head, tunnel};
use crate::body::ClientBody;
use crate::error::RequestError;
use crate::hints::hints;
use crate::serve::{self, Client};
use crate::site::{Listening, Site};

/// How a request's stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// All of an answer is on its way.
    Answered,
    /// The client did not want it any more.
    Cancelled,
    /// There is none, or not all of it.
    Refused,
    /// The client took too long over its head.
    Slow,
}

/// Serves one request. Dropping the future cancels everything that is under way for it.
pub(super) async fn run(
    (listening, client): (Rc<Listening>, Rc<Client>),
    connection: quinn::Connection,
    (send, receive): (SendStream, RecvStream),
    limits: ListenerLimits,
    mut early: Option<Early>,
) -> End {
    let (mut answer, mut reader) = (Answer::new(send, limits.body_timeout), Reader::new(receive));
    let link = Link::new(connection);
    let arriving = arrive(&mut reader, &limits);
    let (mut parts, length) = match tokio::time::timeout(limits.header_timeout, arriving).await {
        Ok(Ok(head)) => head,
        Ok(Err(Fault::TooLarge)) => {
            reader.stop(Code::NoError);
            let response = serve::refused(&listening.site(), &client, &RequestError::HeadTooLarge);
            return send_all(answer, response, &link).await;
        }
        Ok(Err(fault)) => return refuse(fault, (answer, reader), &link),
        Err(_) => {
            answer.reset(Code::RequestRejected);
            reader.stop(Code::RequestRejected);
            return End::Slow;
        }
    };
    if !parts.method.is_safe() && !confirmed(&mut early, &answer).await {
        return cancelled((answer, reader));
    }
    if parts.method == Method::CONNECT {
        return tunnel::run((listening.site(), client), (answer, reader), parts, &link).await;
    }
    if parts.headers.get(header::EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        link.expects();
    }
    let mut body = Body::new(reader, link.clone(), length, limits.header_bytes);
    if let Err(end) = peek(&mut body, &parts, &limits).await {
        answer.reset(link.fault().unwrap_or(Code::RequestCancelled));
        return end;
    }
    if let Some(early) = early.as_ref().filter(|early| early.is_proven() && early::is_harmless(&parts, &body)) {
        early.mark(&mut parts);
    } else if !confirmed(&mut early, &answer).await {
        answer.reset(Code::RequestCancelled);
        return End::Cancelled;
    }
    exchange((listening.site(), client), answer, (parts, body), &link).await
}

/// Waits until what came early is known to come from the client itself. False where that does not want it any more.
async fn confirmed(early: &mut Option<Early>, answer: &Answer) -> bool {
    let Some(early) = early else { return true };
    tokio::select! {
        biased;
        is_done = early.wait() => is_done,
        () = answer.over() => false,
    }
}

fn cancelled((mut answer, mut reader): (Answer, Reader)) -> End {
    answer.reset(Code::RequestCancelled);
    reader.stop(Code::RequestCancelled);
    End::Cancelled
}

/// Asks the rest of the host, and sends what comes of it.
async fn exchange(
    (site, client): (Rc<Site>, Rc<Client>),
    mut answer: Answer,
    (mut parts, body): (http::request::Parts, Body),
    link: &Link,
) -> End {
    let (hints, mut hinted) = hints();
    parts.extensions.insert(hints);
    let request = Request::from_parts(parts, ClientBody::Http3(Box::new(body)));
    let mut over = pin!(answer.over());
    let mut serving = pin!(serve::serve(site.clone(), client.clone(), request));
    let response = loop {
        tokio::select! {
            biased;
            response = &mut serving => break response,
            () = &mut over => {
                answer.reset(Code::RequestCancelled);
                return End::Cancelled;
            }
            // Where it fails, the client is gone, which shows itself. One that has no room for it keeps nothing waiting.
            _ = answer.send_interim(), if answer.has_interim() => {}
            () = link.awaited(), if !answer.has_interim() => {
                answer.take_interim(StatusCode::CONTINUE, &HeaderMap::new());
            }
            Some(hint) = hinted.recv(), if !answer.has_interim() => answer.take_interim(StatusCode::EARLY_HINTS, &hint),
        }
    };
    match (link.fault(), response) {
        (Some(code), _) => {
            answer.reset(code);
            End::Refused
        }
        (None, Err(serve::Closed)) => {
            answer.reset(Code::RequestCancelled);
            End::Refused
        }
        (None, Ok(mut response)) => {
            while let Ok(hint) = hinted.try_recv() {
                answer.take_interim(StatusCode::EARLY_HINTS, &hint);
            }
            client.advertise(&site, response.headers_mut());
            send_all(answer, response, link).await
        }
    }
}

/// Sends an answer, and waits until the client has it.
pub(super) async fn send_all(mut answer: Answer, response: http::Response<serve::Outgoing>, link: &Link) -> End {
    let mut over = pin!(answer.over());
    let sent = tokio::select! {
        biased;
        sent = answer.send(response, link) => sent,
        () = &mut over => Err(Code::RequestCancelled),
    };
    match sent {
        Ok(()) => {
            // Whatever ends the connection before the client has all of it would take the rest away.
            over.await;
            End::Answered
        }
        Err(code) => {
            answer.reset(code);
            if code == Code::RequestCancelled { End::Cancelled } else { End::Refused }
        }
    }
}

/// The request is answered by a reset, or the connection ends.
fn refuse(fault: Fault, (mut answer, mut reader): (Answer, Reader), link: &Link) -> End {
    link.blame(fault);
    let code = link.fault().unwrap_or(Code::RequestCancelled);
    answer.reset(code);
    reader.stop(code);
    if fault == Fault::Gone { End::Cancelled } else { End::Refused }
}

/// The head, which comes first.
async fn arrive(reader: &mut Reader, limits: &ListenerLimits) -> Result<(http::request::Parts, Option<u64>), Fault> {
    let bytes_max = limits.header_bytes;
    match poll_fn(|context| reader.poll_next(context, |kind, length| wanted(kind, length, bytes_max))).await? {
        Some(Piece::Frame(_, section)) => head::request(&section, bytes_max),
        Some(Piece::Data(_)) | None => {
            Err(Fault::Stream(Code::RequestIncomplete, "a stream ended before there was a request"))
        }
    }
}

fn wanted(kind: u64, length: u64, bytes_max: usize) -> Result<Take, Fault> {
    match kind {
        frame::HEADERS => body::whole(length, bytes_max),
        _ if frame::is_known(kind) => {
            Err(Fault::Connection(Code::FrameUnexpected, "a request does not begin with its head"))
        }
        _ => Ok(Take::Nothing),
    }
}

/// Looks whether there is a body. A method that is for asking only has none but for a client that says so; waiting for what
/// follows the head lets it go on as what it is.
async fn peek(body: &mut Body, parts: &http::request::Parts, limits: &ListenerLimits) -> Result<(), End> {
    let looked = if parts.method.is_safe() && !parts.headers.contains_key(header::CONTENT_LENGTH) {
        match tokio::time::timeout(limits.header_timeout, poll_fn(|context| body.poll_peek(context))).await {
            Ok(looked) => looked,
            Err(_) => return Err(End::Slow),
        }
    } else {
        let now = poll_fn(|context| std::task::Poll::Ready(body.poll_peek(context))).await;
        match now {
            std::task::Poll::Ready(looked) => looked,
            std::task::Poll::Pending => Ok(()),
        }
    };
    looked.map_err(|fault| if fault == Fault::Gone { End::Cancelled } else { End::Refused })
}
