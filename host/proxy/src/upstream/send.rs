//! A request goes to an endpoint: chosen, connected to, asked, within the upstream's limits.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use http::header::{self, HeaderValue};
use http::{Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use palisade_contract::{Exchange, Name, Outcome, ResponseHead, UpstreamFault};
use tokio::time::Instant;

use crate::body::{RequestBody, Upload};
use crate::error::RequestError;
use crate::hints::Hints;
use crate::hygiene;
use crate::record::Record;
use crate::upstream::choose::Unchosen;
use crate::upstream::connect::{Wanted, connect};
use crate::upstream::pool::Purpose;
use crate::upstream::{Connection, Pool, Pools};

/// Endpoints that one request may be sent to when no connection can be made: nothing of it was sent then.
const ATTEMPTS: u32 = 3;

/// A request that is to be sent.
pub(crate) struct Asked<'a> {
    pub(crate) exchange: &'a mut Box<Exchange>,
    pub(crate) record: &'a mut Record,
    pub(crate) takes_trailers: bool,
    /// The protocol that it asks to switch to.
    pub(crate) upgrade: Option<HeaderValue>,
    /// Where early hints go, if anywhere.
    pub(crate) hints: Option<Hints>,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) head: ResponseHead,
    pub(crate) incoming: Incoming,
    pub(crate) connection: Connection,
    /// It is a 101, as was asked for.
    pub(crate) switched: Option<Switched>,
}

/// The protocol that an endpoint switched to, and where it is spoken.
pub(crate) struct Switched {
    pub(crate) protocol: HeaderValue,
    pub(crate) stream: OnUpgrade,
}

impl Pools {
    /// Sends the request to an endpoint and awaits the answer's head. Dropping the future cancels what is under way.
    ///
    /// # Errors
    /// What the client is answered with. Whatever is the endpoint's fault has been counted.
    pub(crate) async fn send(
        &self,
        mut asked: Asked<'_>,
        body: RequestBody,
        upload: &Rc<Upload>,
    ) -> Result<Answer, RequestError> {
        asked.upgrade = asked.upgrade.filter(|_| self.upstream.takes_upgrades());
        let upgrade = asked.upgrade.clone();
        let purpose = if upgrade.is_some() { Purpose::Upgrade } else { Purpose::Exchange };
        let connection = self.connection(&mut asked, purpose).await?;
        let wanted = Wanted::by(purpose, &asked.exchange.connection);
        let (request, record) = asked.into_request(connection.pool().endpoint.address, body);
        let asked_at = Instant::now();
        let (response, connection) = self.ask((connection, wanted), request, upload).await?;
        let status = response.status();
        record.host_did("answer", Some(asked_at.elapsed()), || format!("{status} from the endpoint"));
        let (mut parts, incoming) = response.into_parts();
        let stream = parts.extensions.remove::<OnUpgrade>();
        let head =
            hygiene::response(parts, upgrade.as_ref()).inspect_err(|_| connection.failed(UpstreamFault::Protocol))?;
        connection.pool().endpoint.responded(asked_at.elapsed(), status);
        let switches = head.status == StatusCode::SWITCHING_PROTOCOLS;
        let switched = upgrade.zip(stream).filter(|_| switches);
        let switched = switched.map(|(protocol, stream)| Switched { protocol, stream });
        Ok(Answer { head, incoming, connection, switched })
    }

    /// A connection to the chosen endpoint, or to another one where none can be made.
    async fn connection(&self, asked: &mut Asked<'_>, purpose: Purpose) -> Result<Connection, RequestError> {
        let mut outcomes: Vec<(Name, Outcome)> = Vec::new();
        loop {
            let attempt = u32::try_from(outcomes.len()).unwrap_or(ATTEMPTS);
            let pool = &self.endpoint(asked, attempt, &outcomes)?;
            asked.exchange.upstream = self.upstream.name;
            asked.exchange.endpoint = pool.endpoint.name;
            asked.record.endpoint(self.upstream.name, pool.endpoint.name);
            if let Some(connection) = pool.take(purpose) {
                let address = pool.endpoint.address;
                asked.record.host_did("connection", None, || format!("one that is open to {address}"));
                return Ok(connection);
            }
            let began = Instant::now();
            let connected = connect(pool, Wanted::by(purpose, &asked.exchange.connection)).await;
            asked.record.host_did("connection", Some(began.elapsed()), || match &connected {
                Ok(_) => format!("a new one to {}", pool.endpoint.address),
                Err(error) => format!("{} {error}", pool.endpoint.address),
            });
            match connected {
                Ok(connection) => return Ok(connection),
                Err(error) if attempt + 1 >= ATTEMPTS || outcomes.len() + 1 >= self.len() => return Err(error),
                Err(RequestError::ConnectTimeout) => outcomes.push((pool.endpoint.name, Outcome::TimedOut)),
                Err(_) => outcomes.push((pool.endpoint.name, Outcome::ConnectFailed)),
            }
        }
    }

    /// The endpoint that is to be asked.
    fn endpoint(
        &self,
        asked: &mut Asked<'_>,
        attempt: u32,
        outcomes: &[(Name, Outcome)],
    ) -> Result<Rc<Pool>, RequestError> {
        let by = asked.record.lease().map(|lease| (lease, &mut *asked.exchange));
        self.choose(by, attempt, outcomes).map_err(|unchosen| match unchosen {
            Unchosen::None => RequestError::NoEndpoint,
            Unchosen::Refused(plugin) => {
                asked.record.decided_by(plugin.clone());
                RequestError::Plugin(plugin)
            }
        })
    }

    /// Sends on this connection. Where it had been used before and is found closed, the request goes out once more on another
    /// one to the same endpoint: if nothing of it was sent, or if sending it twice does no harm. So does one that the endpoint
    /// says it has not looked at.
    pub(super) async fn ask(
        &self,
        (mut connection, wanted): (Connection, Wanted),
        mut request: Request<RequestBody>,
        upload: &Upload,
    ) -> Result<(Response<Incoming>, Connection), RequestError> {
        let mut is_first = true;
        loop {
            connection.pool().monitor.asked();
            let spare = if is_first { spare(&request, &connection) } else { None };
            let is_used = is_first && connection.is_used();
            let answer = within(self.upstream.config.response_timeout, upload, connection.send(request)).await;
            let (fault, error) = match answer {
                Ok(Ok(response)) => return Ok((response, connection)),
                Ok(Err(unanswered)) => match unanswered.once_more(is_used, spare) {
                    Ok(again) => {
                        request = again;
                        is_first = false;
                        let pool = connection.pool().clone();
                        drop(connection);
                        connection = connect(&pool, wanted).await?;
                        continue;
                    }
                    Err(unanswered) => unanswered.decided(upload),
                },
                Err(Late::Endpoint) => {
                    connection.distrust();
                    (Some(UpstreamFault::ResponseTimeout), RequestError::ResponseTimeout)
                }
                Err(Late::Client) => (None, RequestError::BodyTimeout),
            };
            if let Some(fault) = fault {
                connection.failed(fault);
            }
            return Err(error);
        }
    }
}

/// The same request, where it has no body and there may be a reason to repeat it: a method that allows it (RFC 9110, section
/// 9.2.2) on a connection that may be closed by now, or an endpoint that can say that it did nothing with it.
fn spare(request: &Request<RequestBody>, connection: &Connection) -> Option<Request<RequestBody>> {
    let may_be_closed = connection.is_used() && request.method().is_idempotent();
    if !may_be_closed && !connection.is_shared() {
        return None;
    }
    let mut again = Request::new(request.body().again()?);
    again.method_mut().clone_from(request.method());
    again.uri_mut().clone_from(request.uri());
    *again.version_mut() = request.version();
    again.headers_mut().clone_from(request.headers());
    Some(again)
}

impl<'a> Asked<'a> {
    /// The request as the endpoint gets it, but for what is different from protocol to protocol. The head's fields move into
    /// it, unless the chain reads them again.
    fn into_request(self, endpoint: std::net::SocketAddr, body: RequestBody) -> (Request<RequestBody>, &'a mut Record) {
        let keeps = self.record.lease().is_some_and(|lease| lease.chain().keeps_request());
        let head = &mut self.exchange.request;
        let mut headers = if keeps { head.headers.clone() } else { std::mem::take(&mut head.headers) };
        headers.insert(header::HOST, host(head.authority.as_ref(), endpoint));
        if self.takes_trailers {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
        if let Some(protocol) = &self.upgrade {
            headers.insert(header::UPGRADE, protocol.clone());
        }
        let mut request = Request::new(body);
        *request.method_mut() = head.method.clone();
        *request.uri_mut() = Uri::from(head.target.clone());
        *request.headers_mut() = headers;
        if let Some(hints) = self.hints {
            hints.of(&mut request);
        }
        (request, self.record)
    }
}

/// The client's authority, or the endpoint's own for a client that gave none.
fn host(authority: Option<&HeaderValue>, endpoint: std::net::SocketAddr) -> HeaderValue {
    let of_endpoint = || HeaderValue::from_str(&endpoint.to_string()).unwrap_or(HeaderValue::from_static(""));
    authority.cloned().unwrap_or_else(of_endpoint)
}

/// Who kept an exchange waiting for too long.
pub(crate) enum Late {
    /// The client stopped in the middle of its body.
    Client,
    /// The endpoint did not answer.
    Endpoint,
}

/// Awaits the answer for this long after the end of the request. While the body waits for the client, it is the client's
/// time that runs, not the endpoint's.
pub(crate) async fn within<R>(limit: Duration, upload: &Upload, answer: impl Future<Output = R>) -> Result<R, Late> {
    let mut answer = pin!(answer);
    let mut timer = pin!(tokio::time::sleep(limit.min(upload.patience())));
    loop {
        tokio::select! {
            biased;
            answer = &mut answer => return Ok(answer),
            () = &mut timer => {
                let (limit, late) =
                    if upload.awaits_client() { (upload.patience(), Late::Client) } else { (limit, Late::Endpoint) };
                let (now, end) = (Instant::now(), upload.moved() + limit);
                if now >= end {
                    return Err(late);
                }
                // What happens meanwhile may start the other limit.
                timer.as_mut().reset(end.min(now + limit.min(upload.patience())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_always_told_a_host() {
        let endpoint = std::net::SocketAddr::from(([10, 0, 0, 1], 80));
        assert_eq!(host(None, endpoint), "10.0.0.1:80");
        assert_eq!(host(Some(&HeaderValue::from_static("a")), endpoint), "a");
    }
}
