//! A client's bytes go to an endpoint: chosen as for a request, and connected to for this client alone.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use http::StatusCode;
use palisade_contract::{Exchange, Name, Outcome, UpstreamFault};
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use crate::error::RequestError;
use crate::io::{Abort, Socket};
use crate::proxy_protocol::Ends;
use crate::record::Record;
use crate::stream::Settle;
use crate::upstream::Pools;
use crate::upstream::choose::Unchosen;
use crate::upstream::circuit::Admitted;
use crate::upstream::connect::{Failed, counted, tcp};
use crate::upstream::pool::{Pool, Purpose};
use crate::upstream::up::Up;

/// Endpoints that are tried for one client: none of its bytes was sent to any of them.
const ATTEMPTS: u32 = 3;

/// The bytes of a connection to an endpoint, in clear text or within TLS.
pub(crate) type EndpointStream = Either<Socket, Box<TlsStream<Socket>>>;

impl Abort for EndpointStream {
    fn abort(&self) {
        match self {
            Self::Left(stream) => stream.abort(),
            Self::Right(stream) => stream.get_ref().0.abort(),
        }
    }
}

impl Settle for EndpointStream {
    fn settle(&self) {
        match self {
            Self::Left(stream) => stream.settle(),
            Self::Right(stream) => stream.get_ref().0.settle(),
        }
    }
}

/// What one client has of an endpoint: it counts there until it is dropped.
#[derive(Debug)]
pub(crate) struct StreamConnection {
    pool: Rc<Pool>,
    _up: Rc<Up>,
    /// It counts as a request of the upstream's circuit for as long.
    admitted: Option<Admitted>,
}

impl StreamConnection {
    fn new(pool: &Rc<Pool>, up: Rc<Up>) -> Self {
        pool.endpoint.request_begins();
        pool.monitor.asked();
        Self { pool: pool.clone(), _up: up, admitted: None }
    }

    /// Resolves with the reason when checks find that its endpoint is down: one that hangs would keep its clients for ever.
    pub(crate) async fn is_down(&self) -> Arc<str> {
        self.pool.endpoint.fails_checks().await
    }

    /// Its endpoint broke off.
    pub(crate) fn failed(&self) {
        self.pool.endpoint.failed(UpstreamFault::Body);
        self.pool.monitor.failed(UpstreamFault::Body);
    }
}

impl Drop for StreamConnection {
    fn drop(&mut self) {
        self.admitted = None;
        self.pool.endpoint.request_ends();
    }
}

impl Pools {
    /// A connection for this exchange's bytes to the endpoint that its chain chooses, or to another one where none can be
    /// made.
    ///
    /// # Errors
    /// There is none. Whatever is the endpoints' fault has been counted.
    pub(crate) async fn stream(
        &self,
        exchange: &mut Box<Exchange>,
        record: &mut Record,
    ) -> Result<(EndpointStream, StreamConnection), RequestError> {
        exchange.upstream = self.upstream.name;
        let mut admitted = self.admit()?;
        let mut connected = self.connected(exchange, record).await;
        if let Some(admitted) = &mut admitted {
            // Nobody knows what the bytes say: a connection that is there is all that can be good.
            self.judge(admitted, connected.as_ref().map(|_| StatusCode::OK));
        }
        if let Ok((_, connection)) = &mut connected {
            connection.admitted = admitted;
        }
        connected
    }

    /// A connection to one endpoint, or to another one.
    async fn connected(
        &self,
        exchange: &mut Box<Exchange>,
        record: &mut Record,
    ) -> Result<(EndpointStream, StreamConnection), RequestError> {
        let mut outcomes: Vec<(Name, Outcome)> = Vec::new();
        let client = Ends { source: exchange.connection.client, destination: exchange.connection.local };
        loop {
            let attempt = u32::try_from(outcomes.len()).unwrap_or(ATTEMPTS);
            let asked = record.lease().map(|lease| (lease, &mut *exchange));
            let pool = &self.choose(asked, attempt, &outcomes).map_err(|why| match why {
                Unchosen::None => RequestError::NoEndpoint,
                Unchosen::Refused(plugin) => RequestError::Plugin(plugin),
            })?;
            pool.endpoint.is_asked();
            exchange.endpoint = pool.endpoint.name;
            record.tries();
            record.endpoint(self.upstream.name, pool.endpoint.name);
            let outcome = match connect(pool, client).await {
                Ok(connected) => return Ok(connected),
                Err(error) if attempt + 1 >= ATTEMPTS || outcomes.len() + 1 >= self.len() => return Err(error),
                Err(RequestError::ConnectTimeout) => Outcome::TimedOut,
                Err(_) => Outcome::ConnectFailed,
            };
            outcomes.push((pool.endpoint.name, outcome));
        }
    }
}

async fn connect(pool: &Rc<Pool>, client: Ends) -> Result<(EndpointStream, StreamConnection), RequestError> {
    let began = Instant::now();
    let limit = pool.upstream.config.connect_timeout;
    let connected = tokio::time::timeout(limit, establish(pool, client)).await;
    let connected = connected.unwrap_or_else(|_| Err((UpstreamFault::ConnectTimeout, RequestError::ConnectTimeout)));
    connected.inspect(|_| pool.endpoint.answered(began.elapsed())).map_err(|failed| counted(pool, failed))
}

async fn establish(pool: &Rc<Pool>, client: Ends) -> Result<(EndpointStream, StreamConnection), Failed> {
    let Some(open) = pool.open() else { return Err((UpstreamFault::Limit, RequestError::TooManyConnections)) };
    let failed = |fault| move |error: io::Error| (fault, RequestError::Connection(error.to_string()));
    let stream = tcp(pool, Some(client)).await.map_err(failed(UpstreamFault::Connect))?;
    let stream = match &pool.upstream.tls {
        None => Either::Left(stream),
        Some(tls) => {
            let stream = tls.connect(stream, Purpose::Stream).await.map_err(failed(UpstreamFault::Handshake))?;
            Either::Right(Box::new(stream))
        }
    };
    Ok((stream, StreamConnection::new(pool, Up::new(open))))
}
