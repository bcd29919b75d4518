//! The traits that a plugin implements: [`Plugin`] and one for each phase that it takes part in.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{
    Begun, BodyWish, Candidate, Connection, Ended, Error, Pick, PickRequest, Piece, PieceFlow, Reply, Request,
    RequestBody, RequestHead, Response, ResponseBody, ResponseHead, Setup, Stream, StreamFlow, StreamPiece, StreamWish,
};

/// What every plugin is: something that is made from settings.
///
/// The host makes one instance for each of its workers, and a fresh one after an instance failed. What an instance keeps
/// in its fields stays on that worker, and is there in the next exchange, whoever's it is. Where the operator wrote
/// `isolation = "request"`, every exchange has an instance of its own instead, and what it keeps goes with the exchange.
pub trait Plugin: Sized + 'static {
    /// The plugin's table `settings` in the config. Add `#[serde(deny_unknown_fields)]` so that a typing error is
    /// reported, or use [`NoSettings`](crate::NoSettings).
    type Settings: DeserializeOwned + JsonSchema;

    /// Called once per instance before anything else, with a longer deadline than the phases have: checks the settings,
    /// builds tables, declares metrics and hot headers.
    ///
    /// # Errors
    ///
    /// An error keeps the plugin from loading. Use [`Error::setting`] to name the setting.
    fn configure(settings: Self::Settings, host: &mut Setup) -> Result<Self, Error>;
}

/// Is asked when a TCP connection was accepted, before TLS and before any HTTP.
pub trait ConnectionFilter: Plugin {
    /// Accepts the connection or closes it without a byte.
    ///
    /// # Errors
    ///
    /// An error means that the plugin could not decide: its `on_error` policy applies.
    fn on_connection(&mut self, connection: &Connection) -> Result<Admission, Error>;
}

/// Is asked when a request's head is complete and nothing of it has been forwarded.
pub trait RequestFilter: Plugin {
    /// Changes the head, answers at once, or lets the request go on.
    ///
    /// # Errors
    ///
    /// An error means that the plugin could not decide: its `on_error` policy applies.
    fn on_request(&mut self, request: &mut Request) -> Result<Flow, Error>;
}

/// As [`RequestFilter`], for a plugin that awaits something before it decides: an answer to a [`Fetch`](crate::Fetch). A plugin
/// registers one of the two.
///
/// While a request waits, the same instance is asked about others. So each request has a clone of the plugin, as it was when
/// the request came: what requests share, such as a cache, goes into an `Rc<RefCell<…>>`; the rest is best kept in an `Rc`, so
/// that cloning costs nothing. Counters and other metrics are numbers and cheap to clone. Nothing but what the contract has can
/// be awaited: a future that is woken by something else never goes on.
///
/// ```
/// use palisade_sdk::prelude::*;
///
/// /// Asks an upstream whether a request is allowed.
/// #[derive(Clone)]
/// struct Auth;
///
/// # impl Plugin for Auth {
/// #     type Settings = NoSettings;
/// #     fn configure(_: NoSettings, _: &mut Setup) -> Result<Self, Error> {
/// #         Ok(Self)
/// #     }
/// # }
/// impl AsyncRequestFilter for Auth {
///     async fn on_request(&self, request: &mut Request<'_>) -> Result<Flow, Error> {
///         let Some(token) = request.header("authorization") else { return Ok(Reply::status(401).into()) };
///         let answer = Fetch::get("auth", "/check").header("authorization", token.as_bytes()).send().await?;
///         if answer.status() != 200 {
///             return Ok(Reply::status(403).into());
///         }
///         request.set_header("x-user", answer.body())?;
///         Ok(Flow::Continue)
///     }
/// }
///
/// register!(Auth: AsyncRequestFilter);
///
/// let mut host = TestHost::<Auth>::configure(json!({}))?;
/// host.answers(|fetch: &TestFetch| Ok(Fetched::status_only(if fetch.header("authorization") == Some("a") { 200 } else { 404 })));
/// let request = |token| TestRequest::get("/").header("authorization", token);
/// assert!(host.async_request(request("a")).is_continue());
/// assert_eq!(host.async_request(request("b")).reply_status(), Some(403));
/// # Ok::<(), Error>(())
/// ```
pub trait AsyncRequestFilter: Plugin + Clone {
    /// Changes the head, answers, or lets the request go on; written as an `async fn`. Where the client leaves, it is dropped.
    ///
    /// # Errors
    ///
    /// An error means that the plugin could not decide: its `on_error` policy applies.
    fn on_request(&self, request: &mut Request<'_>) -> impl Future<Output = Result<Flow, Error>>;
}

/// Is asked when a response's head is there and nothing of it has been sent, in the reverse order of the chain.
pub trait ResponseFilter: Plugin {
    /// Changes the head, answers with something else, or lets the response go on.
    ///
    /// # Errors
    ///
    /// An error means that the plugin could not decide: its `on_error` policy applies.
    fn on_response(&mut self, response: &mut Response) -> Result<Flow, Error>;
}

/// Is asked about the bodies of requests, in the order of the chain.
///
/// The end of a body is the end of its state, whether all of the body came or the client left: there is nothing to clean up.
///
/// ```
/// use palisade_sdk::prelude::*;
///
/// /// Refuses uploads that begin like a Windows program.
/// struct NoPrograms;
///
/// # impl Plugin for NoPrograms {
/// #     type Settings = NoSettings;
/// #     fn configure(_: NoSettings, _: &mut Setup) -> Result<Self, Error> {
/// #         Ok(Self)
/// #     }
/// # }
/// impl RequestBodyFilter for NoPrograms {
///     type State = Vec<u8>; // the first two bytes, which may come in two pieces
///
///     fn on_request_body(&mut self, _body: &mut RequestBody) -> Result<BodyWish<Vec<u8>>, Error> {
///         Ok(BodyWish::Stream { edits: Edits::None, state: Vec::new() })
///     }
///
///     fn on_request_piece(
///         &mut self,
///         first: &mut Vec<u8>,
///         piece: &mut Piece,
///         _head: &mut RequestHead,
///     ) -> Result<PieceFlow, Error> {
///         first.extend(piece.bytes().iter().take(2 - first.len()));
///         Ok(match first.as_slice() {
///             b"MZ" => Reply::status(415).text("no programs\n").into(),
///             [_, _] => PieceFlow::PassRest,
///             _ => PieceFlow::Continue,
///         })
///     }
/// }
///
/// register!(NoPrograms: RequestBodyFilter);
///
/// let mut host = TestHost::<NoPrograms>::configure(json!({}))?;
/// let upload = |pieces: &[&[u8]]| TestBody::pieces(pieces);
/// assert_eq!(host.request_body(TestRequest::post("/"), upload(&[b"M", b"Zetc"])).decision().reply_status(), Some(415));
/// assert_eq!(host.request_body(TestRequest::post("/"), upload(&[b"GI", b"F89a"])).bytes(), b"GIF89a");
/// # Ok::<(), Error>(())
/// ```
pub trait RequestBodyFilter: Plugin {
    /// What is kept for one body from its beginning to its end; `()` for nothing.
    type State: 'static;

    /// A body is about to come, and its head was not forwarded: both can be decided about. Not called for a request without a
    /// body.
    ///
    /// # Errors
    ///
    /// An error means that the plugin could not decide: its `on_error` policy applies.
    fn on_request_body(&mut self, body: &mut RequestBody) -> Result<BodyWish<Self::State>, Error>;

    /// A piece of it, or all of it where it is buffered. The head can be changed only together with a body that is buffered.
    ///
    /// # Errors
    ///
    /// An error means that the plugin could not decide: its `on_error` policy applies, and it is not asked about this body any
    /// more.
    fn on_request_piece(
        &mut self,
        state: &mut Self::State,
        piece: &mut Piece,
        head: &mut RequestHead,
    ) -> Result<PieceFlow, Error>;
}

/// Is asked about the bodies of responses, in the reverse order of the chain. As [`RequestBodyFilter`] in everything else.
pub trait ResponseBodyFilter: Plugin {
    /// What is kept for one body from its beginning to its end; `()` for nothing.
    type State: 'static;

    /// A body is about to come, and nothing of its head was sent: both can be decided about. Not called for a response without
    /// a body, as every answer to `HEAD` is.
    ///
    /// # Errors
    ///
    /// An error means that the plugin could not decide: its `on_error` policy applies.
    fn on_response_body(&mut self, body: &mut ResponseBody) -> Result<BodyWish<Self::State>, Error>;

    /// A piece of it, or all of it where it is buffered. The head can be changed only together with a body that is buffered.
    ///
    /// # Errors
    ///
    /// An error means that the plugin could not decide: its `on_error` policy applies, and it is not asked about this body any
    /// more.
    fn on_response_piece(
        &mut self,
        state: &mut Self::State,
        piece: &mut Piece,
        head: &mut ResponseHead,
    ) -> Result<PieceFlow, Error>;
}

/// Is shown the bytes of connections to listeners with `protocol = "tcp"`: what clients send in the order of the chain, what
/// endpoints send in the reverse order.
///
/// ```
/// use palisade_sdk::prelude::*;
///
/// /// Lets clients say who they are, once, in their first line.
/// struct Door {
///     refused: Counter,
/// }
///
/// # impl Plugin for Door {
/// #     type Settings = NoSettings;
/// #     fn configure(_: NoSettings, host: &mut Setup) -> Result<Self, Error> {
/// #         Ok(Self { refused: host.counter("refused_total", "connections closed") })
/// #     }
/// # }
/// impl StreamFilter for Door {
///     /// The line so far.
///     type State = Vec<u8>;
///
///     fn on_stream(&mut self, _stream: &mut Stream) -> Result<StreamWish<Vec<u8>>, Error> {
///         Ok(StreamWish::before_endpoint(Vec::new()))
///     }
///
///     fn on_bytes(&mut self, line: &mut Vec<u8>, piece: &mut StreamPiece) -> Result<StreamFlow, Error> {
///         line.extend_from_slice(piece.bytes());
///         if !line.contains(&b'\n') && line.len() < 100 && !piece.is_last() {
///             return Ok(StreamFlow::Hold);
///         }
///         if !line.starts_with(b"I AM ") {
///             self.refused.add(1);
///             return Ok(StreamFlow::Close);
///         }
///         Ok(StreamFlow::PassRest)
///     }
/// }
///
/// register!(Door: StreamFilter);
///
/// let mut host = TestHost::<Door>::configure(json!({}))?;
/// let outcome = host.stream(TestStream::new().client("I AM").client(" BOB\nhello"));
/// assert_eq!(outcome.to_endpoint(), b"I AM BOB\nhello");
/// assert!(host.stream(TestStream::new().client("GET / HTTP/1.1\r\n")).is_closed());
/// assert_eq!(host.counter("refused_total"), 1);
/// # Ok::<(), Error>(())
/// ```
pub trait StreamFilter: Plugin {
    /// What is kept for one stream from its beginning to its end; `()` for nothing.
    type State: 'static;

    /// A connection has a route, and nothing of it has gone on.
    ///
    /// # Errors
    ///
    /// An error means that the plugin could not decide: its `on_error` policy applies.
    fn on_stream(&mut self, stream: &mut Stream) -> Result<StreamWish<Self::State>, Error>;

    /// Some bytes of it, of those that the filter wanted to be shown.
    ///
    /// # Errors
    ///
    /// An error means that the plugin could not decide: its `on_error` policy applies, and it is not asked about this stream any
    /// more.
    fn on_bytes(&mut self, state: &mut Self::State, piece: &mut StreamPiece) -> Result<StreamFlow, Error>;
}

/// Is asked when an endpoint is needed, and again for every retry.
pub trait Balancer: Plugin {
    /// Chooses one of the candidates. They come in the order of the config, healthy or not.
    ///
    /// # Errors
    ///
    /// An error means that the plugin could not decide: its `on_error` policy applies.
    fn pick(&mut self, request: &PickRequest, candidates: &[Candidate]) -> Result<Pick, Error>;
}

/// Is told of exchanges that began and ended, in lists of at most 64 and at most 10 ms late. It cannot hold up or change
/// an exchange.
pub trait Observer: Plugin {
    /// Exchanges that began. Every one of them comes to [`Observer::on_ended`] once.
    fn on_begun(&mut self, exchanges: &[Begun]) {
        let _ = exchanges;
    }

    /// Exchanges that ended.
    fn on_ended(&mut self, exchanges: &[Ended]);
}

/// Is called once in each interval that it asked for with [`Setup::tick_every`], on one instance in the whole host: for what is
/// to be done from time to time, such as tidying up what instances share.
///
/// ```
/// use std::time::Duration;
///
/// use palisade_sdk::prelude::*;
///
/// /// Counts requests by all instances, and logs how many there were in each minute.
/// struct Minutes;
///
/// impl Plugin for Minutes {
///     type Settings = NoSettings;
///
///     fn configure(_: NoSettings, host: &mut Setup) -> Result<Self, Error> {
///         host.tick_every(Duration::from_secs(60));
///         Ok(Self)
///     }
/// }
///
/// impl RequestFilter for Minutes {
///     fn on_request(&mut self, _request: &mut Request) -> Result<Flow, Error> {
///         SharedCounter::at("requests").add(1)?;
///         Ok(Flow::Continue)
///     }
/// }
///
/// impl Ticker for Minutes {
///     fn on_tick(&mut self) {
///         let requests = SharedCounter::at("requests");
///         log::info!("{} requests", requests.get().unwrap_or_default());
///         let _ = requests.delete();
///     }
/// }
///
/// register!(Minutes: RequestFilter, Ticker);
///
/// let mut host = TestHost::<Minutes>::configure(json!({}))?;
/// host.request(TestRequest::get("/"));
/// host.tick();
/// host.tick();
/// assert_eq!(host.logs(), ["info: 1 requests", "info: 0 requests"]);
/// # Ok::<(), Error>(())
/// ```
pub trait Ticker: Plugin {
    /// The interval has passed. Intervals that were missed are not caught up with. It has the deadline of any other call; to
    /// panic costs the instance, and is counted.
    fn on_tick(&mut self);
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Admission {
    /// Go on with the next plugin.
    Accept,
    /// Close it without a byte.
    Refuse,
}

/// What a filter decided.
#[derive(Clone, Debug, PartialEq)]
pub enum Flow {
    /// Go on with the next plugin.
    Continue,
    /// Answer with this, in place of the upstream.
    Reply(Reply),
    /// Close the connection (HTTP/1) or reset the stream (HTTP/2 and later) without an answer.
    Close,
}

impl From<Reply> for Flow {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}
