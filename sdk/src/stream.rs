//! Connections that carry anything, as a [`StreamFilter`](crate::StreamFilter) sees them.

use std::{fmt, net::IpAddr};

use crate::{
    ClientCertificate, Error, Exchange, Name, Tls,
    bindings::{
        capabilities::palisade::plugin::streams as capability,
        stream_filter::exports::palisade::plugin::stream_filter as wire,
    },
    body, exchange, host,
};

pub use wire::{Direction, Interest};

/// A connection to a listener with `protocol = "tcp"`, which has a route, and nothing of which has gone on.
#[derive(Debug)]
pub struct Stream {
    opened: wire::Opened,
}

impl Stream {
    pub(crate) fn new(opened: wire::Opened) -> Self {
        Self { opened }
    }

    /// Its number: to observers, the exchange that it is.
    pub fn exchange(&self) -> Exchange {
        Exchange::from_number(self.opened.exchange)
    }

    /// The client's address.
    pub fn client(&self) -> IpAddr {
        exchange::address(self.opened.client)
    }

    /// The client's port.
    pub fn client_port(&self) -> u16 {
        self.opened.client_port
    }

    /// The listener that accepted it.
    pub fn listener(&self) -> Name {
        Name::from_number(self.opened.listener)
    }

    /// The route that was chosen.
    pub fn route(&self) -> Option<Name> {
        Name::some(self.opened.route)
    }

    /// How the client came through TLS, or what it asks for within TLS that passes through: then the server's name is there, and
    /// what is agreed on later is not. Needs the grant `"tls"`.
    pub fn tls(&self) -> Option<Tls> {
        Tls::at_hand()
    }

    /// The client's certificate; none where it has shown none, or none to this host. Needs the grant `"tls"`.
    pub fn client_certificate(&self) -> Option<ClientCertificate> {
        ClientCertificate::at_hand()
    }

    /// Sends the stream to an endpoint of this upstream, one of the route's `alternatives`, instead of the route's own.
    ///
    /// # Errors
    ///
    /// As [`ChooseError`] says; the choice is as it was before.
    pub fn choose_upstream(&mut self, upstream: &str) -> Result<(), ChooseError> {
        Ok(host::streams::choose_upstream(self.opened.exchange, upstream)?)
    }
}

/// What a filter wants of a stream, and what it keeps for it: `state` is there again with every piece, and is dropped when the
/// stream is over, however it ends.
#[derive(Clone, Debug)]
pub enum StreamWish<S> {
    /// Nothing: it passes untouched, and the filter is not asked about it any more.
    Skip,
    /// To be shown this much of it.
    Watch {
        /// What it is shown.
        interest: Interest,
        /// What is kept for this stream.
        state: S,
    },
    /// Close the connection.
    Close,
}

impl<S> StreamWish<S> {
    /// To be shown what the client sends.
    pub fn client(state: S) -> Self {
        Self::watch(state, |interest| interest.from_client = true)
    }

    /// To be shown what the endpoint sends.
    pub fn endpoint(state: S) -> Self {
        Self::watch(state, |interest| interest.from_endpoint = true)
    }

    /// To be shown what both send.
    pub fn both(state: S) -> Self {
        Self::watch(state, |interest| (interest.from_client, interest.from_endpoint) = (true, true))
    }

    /// To be shown what the client sends, and the first of it before an endpoint is chosen, until the flow is not
    /// [`StreamFlow::Hold`]. Not for protocols whose servers speak first: there nothing ever comes.
    pub fn before_endpoint(state: S) -> Self {
        Self::watch(state, |interest| (interest.from_client, interest.before_endpoint) = (true, true))
    }

    fn watch(state: S, wants: impl FnOnce(&mut Interest)) -> Self {
        let mut interest = Interest { from_client: false, from_endpoint: false, before_endpoint: false };
        wants(&mut interest);
        Self::Watch { interest, state }
    }
}

/// What becomes of some bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StreamFlow {
    /// They go on, behind those that were held back before; or what [`StreamPiece::replace`] was given, in place of all of
    /// these.
    Pass,
    /// So does everything that comes this way, and the filter is not asked about it any more.
    PassRest,
    /// They are held back until more has come this way; the next piece has the new bytes alone. At most as many as the operator
    /// allows (`limits.body`, 1 MiB by default). Not together with the last piece.
    Hold,
    /// Close both connections.
    Close,
}

/// Some bytes, as they came: where they begin and end means nothing.
#[derive(Debug)]
pub struct StreamPiece {
    exchange: u64,
    direction: Direction,
    bytes: Vec<u8>,
    is_last: bool,
    instead: Option<Vec<u8>>,
}

impl StreamPiece {
    pub(crate) fn new(exchange: u64, direction: Direction, bytes: Vec<u8>, is_last: bool) -> Self {
        Self { exchange, direction, bytes, is_last, instead: None }
    }

    /// The number of the stream.
    pub fn exchange(&self) -> Exchange {
        Exchange::from_number(self.exchange)
    }

    /// Which way they go.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// The bytes; the last ones are often none.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether nothing more comes this way.
    pub fn is_last(&self) -> bool {
        self.is_last
    }

    /// Puts other bytes, or none, in the place of these and of all that were held back before. Not together with
    /// [`StreamFlow::Hold`], which is a failure.
    pub fn replace(&mut self, bytes: impl Into<Vec<u8>>) {
        self.instead = Some(bytes.into());
    }

    /// As [`Stream::choose_upstream`], as long as no endpoint is chosen ([`StreamWish::before_endpoint`]).
    ///
    /// # Errors
    ///
    /// As [`ChooseError`] says; the choice is as it was before.
    pub fn choose_upstream(&mut self, upstream: &str) -> Result<(), ChooseError> {
        Ok(host::streams::choose_upstream(self.exchange, upstream)?)
    }

    /// Hands what takes its place to the host.
    pub(crate) fn write(self) -> Result<(), Error> {
        self.instead.map_or(Ok(()), |bytes| body::write(self.exchange, &bytes))
    }
}

/// Why another upstream was not chosen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChooseError {
    /// The route does not name it among its `alternatives`.
    NotOffered,
    /// An endpoint has been chosen already.
    TooLate,
}

impl From<capability::ChooseError> for ChooseError {
    fn from(error: capability::ChooseError) -> Self {
        match error {
            capability::ChooseError::NotOffered => Self::NotOffered,
            capability::ChooseError::TooLate => Self::TooLate,
        }
    }
}

impl fmt::Display for ChooseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOffered => "the route does not name the upstream among its alternatives",
            Self::TooLate => "an endpoint has been chosen already",
        })
    }
}

impl std::error::Error for ChooseError {}

impl From<ChooseError> for Error {
    fn from(error: ChooseError) -> Self {
        Self::new(error.to_string())
    }
}
