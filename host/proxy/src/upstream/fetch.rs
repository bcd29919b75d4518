//! Requests that plugins make: sent as a client's are, with no chain on their way.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderValue};
use http::{Request, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use palisade_contract::{Callout, Fetch, FetchError, Fetching, Name, Outcome, Reply, ResponseHead};
use tokio::time::Instant;

use crate::body::{RequestBody, Upload};
use crate::error::RequestError;
use crate::hygiene;
use crate::upstream::ask::Sending;
use crate::upstream::connect::{Wanted, connect};
use crate::upstream::letter::{Keep, Letter};
use crate::upstream::pool::Purpose;
use crate::upstream::tries::Tries;
use crate::upstream::{Connection, Pools};

/// The upstreams of one worker, as they are now.
#[derive(Debug, Default)]
pub(crate) struct Upstreams(RefCell<Vec<Rc<Pools>>>);

impl Upstreams {
    pub(crate) fn set(&self, pools: &[Rc<Pools>]) {
        self.0.replace(pools.to_vec());
    }

    fn find(&self, name: &str) -> Option<Rc<Pools>> {
        self.0.borrow().iter().find(|pools| pools.upstream.config.name == name).cloned()
    }
}

impl Fetch for Upstreams {
    fn fetch(&self, callout: Callout) -> Fetching {
        let Some(pools) = self.find(&callout.upstream) else {
            return Box::pin(std::future::ready(Err(FetchError::NoUpstream(callout.upstream))));
        };
        Box::pin(async move {
            let bytes_max = callout.body_bytes_max;
            admitted(&pools, callout, async |begun| answered(begun, bytes_max).await).await
        })
    }
}

impl Pools {
    /// Sends the request, and throws its answer away; whether there was one.
    pub(super) async fn discard(&self, callout: Callout) -> bool {
        let bytes_max = callout.body_bytes_max;
        let discarded = admitted(self, callout, async |begun| {
            thrown_away(begun.incoming, bytes_max).await?;
            begun.connection.release(&begun.upload);
            Ok(())
        });
        discarded.await.is_ok()
    }
}

/// What comes of a request that is let through, within its time. How its answer begins is what its upstream's circuit hears.
async fn admitted<T>(
    pools: &Pools,
    callout: Callout,
    rest: impl AsyncFnOnce(Begun) -> Result<T, FetchError>,
) -> Result<T, FetchError> {
    let failed = |error: RequestError| error_of(pools, &error);
    let mut admitted = pools.admit().map_err(failed)?;
    let timeout = callout.timeout;
    let fetched = async {
        let begun = begun(pools, callout).await;
        if let Some(admitted) = &mut admitted {
            pools.judge(admitted, begun.as_ref().map(|begun| begun.head.status));
        }
        rest(begun.map_err(failed)?).await
    };
    let fetched = tokio::time::timeout(timeout, fetched).await;
    // One whose plugin had no patience says nothing of its upstream.
    let is_late = timeout >= pools.upstream.config.response_timeout;
    if let (Some(admitted), Err(_), true) = (&mut admitted, &fetched, is_late) {
        // Where its answer had begun, that has been heard.
        pools.judge(admitted, Err(&RequestError::ResponseTimeout));
    }
    fetched.unwrap_or(Err(FetchError::Timeout(timeout)))
}

async fn thrown_away(mut incoming: Incoming, bytes_max: usize) -> Result<(), FetchError> {
    let mut bytes = 0_usize;
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| FetchError::Broken(error.to_string()))?;
        bytes = bytes.saturating_add(frame.data_ref().map_or(0, Bytes::len));
        if bytes > bytes_max {
            return Err(FetchError::TooLarge(bytes_max));
        }
    }
    Ok(())
}

async fn answered(begun: Begun, bytes_max: usize) -> Result<Reply, FetchError> {
    let Begun { head, incoming, connection, upload } = begun;
    let body = whole(incoming, &connection, bytes_max).await?;
    // What was not read to its end is closed with the connection.
    connection.release(&upload);
    Ok(Reply { status: head.status, headers: head.headers, body })
}

/// An answer whose head is there.
struct Begun {
    head: ResponseHead,
    incoming: Incoming,
    connection: Connection,
    upload: Rc<Upload>,
}

async fn begun(pools: &Pools, callout: Callout) -> Result<Begun, RequestError> {
    let connection = connection(pools).await?;
    let (body, upload) = RequestBody::whole(callout.body.clone());
    let request = request(callout, &connection, body);
    let (wanted, response_timeout) = (Wanted::by_host(), pools.upstream.config.response_timeout);
    let (mut letter, tries, keep) = (Letter::of(request), Tries::default(), Keep::ForConnection);
    let (letter, tries) = (&mut letter, &tries);
    let mut sending = Sending { letter, upload: &upload, wanted, keep, response_timeout, tries };
    let asked_at = Instant::now();
    let mut place = Some(connection);
    let response = pools.ask(&mut place, &mut sending).await?;
    let connection = place.ok_or(RequestError::NoEndpoint)?;
    connection.pool().endpoint.responded(asked_at.elapsed(), response.status());
    let (parts, incoming) = response.into_parts();
    let head = hygiene::response(parts, None)?;
    Ok(Begun { head, incoming, connection, upload })
}

/// A connection to the endpoint that the host finds best, or to another one where none can be made.
async fn connection(pools: &Pools) -> Result<Connection, RequestError> {
    let mut tried: Vec<(Name, Outcome)> = Vec::new();
    loop {
        let attempt = u32::try_from(tried.len()).unwrap_or(u32::MAX);
        let chosen = pools.choose(None, attempt, &tried).map_err(|_| RequestError::NoEndpoint)?;
        let choose = |tried: &[(Name, Outcome)]| pools.choose(None, attempt, tried).ok();
        let pool = &pools.with_room(chosen, Purpose::Exchange, &tried, choose);
        pool.endpoint.is_asked();
        if let Some(connection) = pool.offer(Purpose::Exchange) {
            return Ok(connection);
        }
        match connect(pool, Wanted::by_host(), pools.counted.as_ref()).await {
            Ok(connection) => return Ok(connection),
            Err(error) if tried.len() + 1 >= ATTEMPTS.min(pools.len()) => return Err(error),
            Err(_) => tried.push((pool.endpoint.name, Outcome::ConnectFailed)),
        }
    }
}

/// Endpoints that are tried when no connection can be made.
const ATTEMPTS: usize = 3;

fn request(callout: Callout, connection: &Connection, body: RequestBody) -> Request<RequestBody> {
    let Callout { method, target, authority, headers, .. } = callout;
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from(target);
    *request.headers_mut() = headers;
    let address = || HeaderValue::from_str(&connection.pool().endpoint.address.to_string()).ok();
    if let Some(host) = authority.or_else(address) {
        request.headers_mut().insert(header::HOST, host);
    }
    request
}

async fn whole(mut incoming: Incoming, connection: &Connection, bytes_max: usize) -> Result<Bytes, FetchError> {
    let mut body = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| FetchError::Broken(error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        if body.len().saturating_add(data.len()) > bytes_max {
            return Err(FetchError::TooLarge(bytes_max));
        }
        body.extend_from_slice(&data);
    }
    if connection.is_cut_short(&incoming) {
        return Err(FetchError::Broken("the stream was reset within the body".into()));
    }
    Ok(body.freeze())
}

fn error_of(pools: &Pools, error: &RequestError) -> FetchError {
    match error {
        RequestError::NoEndpoint
        | RequestError::TooManyConnections
        | RequestError::Circuit(_)
        | RequestError::Connection(_)
        | RequestError::ConnectTimeout => FetchError::Unreachable(pools.upstream.config.name.clone()),
        RequestError::ResponseTimeout => FetchError::Timeout(pools.upstream.config.response_timeout),
        other => FetchError::Broken(other.to_string()),
    }
}
