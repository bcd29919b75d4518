//! Bodies meet the filters of their chain: what is decided before their heads go on, and after.

use std::rc::Rc;
use std::time::Duration;

use http::{StatusCode, header};
use palisade_contract::{Ending, Exchange, Reply, Side, Stopped};
use tokio::time::{Instant, timeout_at};

use crate::body::{BrokenOff, Filtered, Origin, RequestBody, Upload, Way};
use crate::error::RequestError;
use crate::record::Record;
use crate::upstream::{Late, within};

/// What a plugin, or the end of a body, put in the place of what was to go on.
pub(crate) enum Instead {
    Reply(Box<Reply>),
    /// Close the connection, or reset the stream.
    Close,
    Failed(RequestError),
}

impl Instead {
    /// What becomes of an exchange whose body was stopped, which is written down.
    pub(crate) fn of(stopped: Stopped, side: Side, record: &mut Record) -> Self {
        let plugin = stopped.plugin().clone();
        record.decided_by(plugin.clone());
        match stopped {
            Stopped::Reply(reply, _) => Self::Reply(reply),
            Stopped::Close(_) => {
                record.ended(Ending::Closed);
                Self::Close
            }
            Stopped::Failed(_) => Self::Failed(RequestError::Plugin(plugin)),
            Stopped::TooLarge(_) => Self::Failed(match side {
                Side::Request => RequestError::BodyTooLarge,
                Side::Response => RequestError::AnswerTooLarge(plugin),
            }),
        }
    }
}

impl From<RequestError> for Instead {
    fn from(error: RequestError) -> Self {
        Self::Failed(error)
    }
}

/// Whether any filter that the exchange came to may want this body.
pub(crate) fn is_wanted(record: &Record, body: &RequestBody) -> bool {
    !body.is_empty() && record.lease().is_some_and(|lease| lease.filters_bodies(Side::Request))
}

/// Whether any filter that the exchange came to may want the body of its answer.
pub(crate) fn is_wanted_back(record: &Record) -> bool {
    record.lease().is_some_and(|lease| lease.filters_bodies(Side::Response))
}

/// Leads a request's body through the filters that want it, and waits for as long as they hold back its head. What they see
/// may make no pause that is longer than `limit`, as from an endpoint, and is there by the deadline.
///
/// # Errors
/// Something else takes the place of the request.
pub(crate) async fn request(
    exchange: &mut Box<Exchange>,
    record: &mut Record,
    (body, upload): (&mut RequestBody, &Rc<Upload>),
    (limit, deadline): (Duration, Option<Instant>),
) -> Result<(), Instead> {
    let Some(lease) = record.lease() else { return Ok(()) };
    let announced = body.announced();
    let passage = match lease.body(Side::Request, exchange, announced) {
        Ok(None) => return Ok(()),
        Ok(Some(passage)) => passage,
        Err(stopped) => return Err(Instead::of(stopped, Side::Request, record)),
    };
    let mut way = Way::new(passage, announced);
    let held = within(limit, upload, body.hold(&mut way, exchange));
    let held = match deadline {
        None => held.await,
        // It is the client that is waited for.
        Some(deadline) => timeout_at(deadline, held).await.unwrap_or(Err(Late::Client)),
    };
    match held {
        Ok(Ok(())) => {}
        Ok(Err(BrokenOff::Plugin(stopped))) => return Err(Instead::of(stopped, Side::Request, record)),
        Ok(Err(BrokenOff::Source(_))) => {
            return Err(Instead::Failed(upload.fault().unwrap_or(RequestError::ClientGone)));
        }
        Err(Late::Client | Late::Endpoint) => return Err(Instead::Failed(RequestError::BodyTimeout)),
    }
    way.announce(&mut exchange.request.headers);
    body.filtered(Filtered::new(way, exchange.clone()));
    Ok(())
}

/// Leads a response's body through the filters that want it, as [`request`] does. None where it passes as it is.
///
/// # Errors
/// Something else takes the place of the response.
pub(crate) async fn response(
    exchange: &mut Box<Exchange>,
    record: &mut Record,
    origin: &mut Origin,
    is_head: bool,
) -> Result<Option<Box<Filtered>>, Instead> {
    let Some(lease) = record.lease() else { return Ok(None) };
    let Some(head) = &mut exchange.response else { return Ok(None) };
    if is_head || is_bodiless(head.status) {
        // What the filters would make of the body is not known without it (RFC 9110, section 8.6).
        if is_head || head.status == StatusCode::NOT_MODIFIED {
            head.headers.remove(header::CONTENT_LENGTH);
        }
        return Ok(None);
    }
    if origin.is_empty() {
        return Ok(None);
    }
    let announced = origin.announced();
    let passage = match lease.body(Side::Response, exchange, announced) {
        Ok(None) => return Ok(None),
        Ok(Some(passage)) => passage,
        Err(stopped) => return Err(Instead::of(stopped, Side::Response, record)),
    };
    let mut way = Way::new(passage, announced);
    match way.hold(exchange, origin).await {
        Ok(()) => {}
        Err(BrokenOff::Plugin(stopped)) => return Err(Instead::of(stopped, Side::Response, record)),
        Err(BrokenOff::Source(error)) => {
            origin.failed();
            return Err(Instead::Failed(RequestError::Reset(error.to_string())));
        }
    }
    if let Some(head) = &mut exchange.response {
        way.announce(&mut head.headers);
    }
    Ok(Some(Filtered::new(way, exchange.clone())))
}

/// Statuses whose responses have no body (RFC 9110, section 6.4.1), and 205, whose body is empty (section 15.3.6).
pub(crate) fn is_bodiless(status: StatusCode) -> bool {
    status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}
