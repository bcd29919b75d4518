//! A host for tests: a plugin, configured and called natively, and what it did to the host.

mod address;
mod body;
mod connection;
mod fetches;
pub(crate) mod head;
pub(crate) mod names;
mod outcome;
mod pick;
mod registry;
mod request;
mod response;
pub(crate) mod shared;
mod stream;
pub(crate) mod tls;
pub(crate) mod world;

use std::{fmt, time::Duration};

use serde_json::Value;

use self::{
    body::Calls,
    head::{RequestSide, ResponseSide},
    stream::Passing,
    world::{Entered, World},
};
pub use self::{
    body::{TestBody, TestBodyOutcome},
    connection::TestConnection,
    fetches::TestFetch,
    outcome::TestOutcome,
    pick::{TestCandidate, TestPick},
    request::TestRequest,
    response::TestResponse,
    stream::{TestStream, TestStreamOutcome},
    tls::TestTls,
};
use crate::{
    Admission, AsyncRequestFilter, Balancer, Begun, ConnectionFilter, Ended, Error, FetchError, Fetched, HeaderValue,
    Observer, Pick, Plugin, RequestBodyFilter, RequestFilter, ResponseBodyFilter, ResponseFilter, StreamFilter, Ticker,
    bindings::{
        balancer::exports::palisade::plugin::balancer::Choice,
        capabilities::palisade::plugin::{shared::SharedError, types::Verdict},
        connection_filter::exports::palisade::plugin::connection_filter::Admission as HostAdmission,
        stream_filter::exports::palisade::plugin::stream_filter::Wish,
    },
    header, phase, phase_async,
    phase_body::{self, States},
    phase_stream, settings,
};

/// A host for tests: one instance of a plugin, called natively, with a clock that the test moves, random numbers that are
/// the same in every run, and metrics and log lines that the test reads.
///
/// It has the phases that the plugin has. What would trap in production panics here.
pub struct TestHost<P> {
    plugin: P,
    world: World,
    bodies: States,
    streams: phase_stream::States,
    calls: u64,
}

impl<P: Plugin> TestHost<P> {
    /// A plugin configured with these settings, which go through the same text and the same checks as in production.
    ///
    /// # Errors
    ///
    /// Those that would keep the plugin from loading, with the same sentence.
    pub fn configure(settings: Value) -> Result<Self, Error> {
        let mut world = World::default();
        let plugin = {
            let _entered = Entered::new(&mut world);
            phase::configure(&settings.to_string())?
        };
        Ok(Self { plugin, world, bodies: States::default(), streams: phase_stream::States::default(), calls: 0 })
    }

    /// The JSON Schema (2020-12) of the plugin's settings.
    pub fn settings_schema() -> Value {
        serde_json::from_str(&settings::schema::<P::Settings>()).unwrap_or_default()
    }

    /// The plugin, to look at its fields.
    pub fn plugin(&self) -> &P {
        &self.plugin
    }

    /// A counter's value.
    ///
    /// # Panics
    ///
    /// Where the plugin declared no such counter without labels.
    pub fn counter(&self, name: &str) -> u64 {
        self.world.metrics.count(name, &[])
    }

    /// The value of a counter's series; zero where the plugin never asked for it.
    ///
    /// # Panics
    ///
    /// Where the plugin declared no such counter with these labels.
    pub fn counter_with(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.world.metrics.count(name, labels)
    }

    /// A gauge's value.
    ///
    /// # Panics
    ///
    /// Where the plugin declared no such gauge without labels.
    pub fn gauge(&self, name: &str) -> f64 {
        self.world.metrics.gauge(name, &[])
    }

    /// The value of a gauge's series; zero where the plugin never asked for it.
    ///
    /// # Panics
    ///
    /// Where the plugin declared no such gauge with these labels.
    pub fn gauge_with(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.world.metrics.gauge(name, labels)
    }

    /// How many values a histogram has.
    ///
    /// # Panics
    ///
    /// Where the plugin declared no such histogram without labels.
    pub fn histogram_count(&self, name: &str) -> usize {
        self.histogram_values(name, &[]).len()
    }

    /// The values that were recorded in a histogram's series, in order.
    ///
    /// # Panics
    ///
    /// Where the plugin declared no such histogram with these labels.
    pub fn histogram_values(&self, name: &str, labels: &[(&str, &str)]) -> &[f64] {
        self.world.metrics.recorded(name, labels)
    }

    /// Every line that was logged so far, as `level: message`.
    pub fn logs(&self) -> Vec<String> {
        self.world.logs.clone()
    }

    /// How many bodies the plugin keeps something for: none, once all of them have ended.
    pub fn bodies_kept(&self) -> usize {
        self.bodies.count()
    }

    /// How many streams the plugin keeps something for: none, once all of them are over.
    pub fn streams_kept(&self) -> usize {
        self.streams.count()
    }

    /// Moves both clocks forward. What is shared expires by them.
    pub fn advance(&mut self, by: Duration) {
        self.world.clock.advance(by);
        self.world.shared.advance(by);
    }

    /// A value that the plugin shares, if there is one.
    ///
    /// # Panics
    ///
    /// Where the key stands for a counter.
    pub fn shared_value(&self, key: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        of_its_kind(self.world.shared.value(key.as_ref()))
    }

    /// A counter that the plugin shares; zero where there is none.
    ///
    /// # Panics
    ///
    /// Where the key stands for a value.
    pub fn shared_counter(&self, key: impl AsRef<[u8]>) -> i64 {
        of_its_kind(self.world.shared.counter(key.as_ref()))
    }

    /// Every key that the plugin shares something under, in order.
    pub fn shared_keys(&self) -> Vec<Vec<u8>> {
        self.world.shared.keys().map(<[u8]>::to_vec).collect()
    }

    /// Forgets what is shared, as if all of it had made room for something else.
    pub fn evict_shared(&mut self) {
        self.world.shared.clear();
    }

    /// Makes every call about something shared fail with [`SharedError::Unavailable`](crate::SharedError::Unavailable).
    pub fn lose_shared(&mut self) {
        self.world.shared.lose();
    }

    /// Ends what [`TestHost::lose_shared`] began.
    pub fn find_shared_again(&mut self) {
        self.world.shared.find_again();
    }

    /// Does something as another instance of the plugin would, on another worker: what it shares is the same.
    pub fn elsewhere<T>(&mut self, work: impl FnOnce() -> T) -> T {
        entered(&mut self.world, work)
    }

    /// Calls the plugin, so that its host calls reach this host.
    fn call<T>(&mut self, call: impl FnOnce(&mut P) -> T) -> T {
        let _entered = Entered::new(&mut self.world);
        call(&mut self.plugin)
    }

    fn next_number(&mut self) -> u64 {
        self.calls += 1;
        self.calls
    }

    /// What the plugin said before it returned `failed`.
    fn fault(&self) -> Error {
        Error::new(self.world.fault.clone().unwrap_or_default())
    }
}

impl<P: ConnectionFilter> TestHost<P> {
    /// Opens a connection: from an address, or a [`TestConnection`].
    ///
    /// # Errors
    ///
    /// The plugin's.
    ///
    /// # Panics
    ///
    /// Where text is not an address.
    pub fn connection(&mut self, connection: impl Into<TestConnection>) -> Result<Admission, Error> {
        let connection = connection.into();
        let side = RequestSide { tls: connection.tls.clone(), ..RequestSide::default() };
        self.world.begin(0, side, ResponseSide::default());
        let connection = connection.to_host(self.next_number());
        match self.call(|plugin| phase::on_connection(plugin, connection)) {
            HostAdmission::Accept => Ok(Admission::Accept),
            HostAdmission::Refuse => Ok(Admission::Refuse),
            HostAdmission::Failed => Err(self.fault()),
        }
    }
}

impl<P: RequestFilter> TestHost<P> {
    /// Passes a request through the plugin.
    pub fn request(&mut self, request: TestRequest) -> TestOutcome {
        let exchange = self.next_number();
        let head = request.head(exchange, &self.world.hot_headers);
        self.world.begin(exchange, request.side, ResponseSide::default());
        let verdict = self.call(|plugin| phase::on_request(plugin, &head));
        TestOutcome::of_request(&self.world, verdict)
    }
}

impl<P: AsyncRequestFilter> TestHost<P> {
    /// Answers every request that the plugin makes from now on, each after the plugin has waited for it.
    pub fn answers(&mut self, answer: impl FnMut(&TestFetch) -> Result<Fetched, FetchError> + 'static) {
        self.world.fetches.answers(answer);
    }

    /// Passes a request through the plugin, and answers what it asks for meanwhile.
    ///
    /// # Panics
    ///
    /// The plugin waits for nothing, which is a failure in production.
    pub fn async_request(&mut self, request: TestRequest) -> TestOutcome {
        let exchange = self.next_number();
        let head = request.head(exchange, &self.world.hot_headers);
        self.world.begin(exchange, request.side, ResponseSide::default());
        let mut deciding = Some(phase_async::deciding(&self.plugin, head));
        loop {
            let going_on = deciding.take();
            let verdict = self.call(|_| match going_on.map(|deciding| phase_async::go_on(exchange, deciding)) {
                Some((progress, still)) => {
                    deciding = still;
                    phase_async::verdict(progress)
                }
                None => Some(Verdict::Failed),
            });
            if let Some(verdict) = verdict {
                return TestOutcome::of_request(&self.world, verdict);
            }
            assert!(self.world.fetches.answer(), "a filter that waits for nothing has failed");
        }
    }
}

impl<P: RequestBodyFilter> TestHost<P> {
    /// Passes the body of a request through the plugin.
    pub fn request_body(&mut self, request: TestRequest, body: TestBody) -> TestBodyOutcome {
        let exchange = self.next_number();
        let begun = request.body(exchange, &body);
        self.world.begin(exchange, request.side, ResponseSide::default());
        let Self { plugin, world, bodies, .. } = self;
        let wish = entered(world, || phase_body::on_request_body(plugin, bodies, begun));
        let mut calls = Calls {
            exchange,
            world,
            outcome: TestOutcome::of_request,
            piece: &mut |world, piece| entered(world, || phase_body::on_request_piece(plugin, bodies, piece)),
            is_left: false,
        };
        let outcome = calls.pass(wish, &body);
        if calls.is_left {
            phase_body::on_request_left(bodies, exchange);
        }
        outcome
    }
}

impl<P: ResponseBodyFilter> TestHost<P> {
    /// Passes the body of a response through the plugin.
    pub fn response_body(&mut self, response: TestResponse, body: TestBody) -> TestBodyOutcome {
        let next = self.next_number();
        let exchange = response.exchange.map_or(next, |exchange| exchange.number());
        let begun = response.body(exchange, &body);
        self.world.begin(exchange, response.request.side, response.side);
        let Self { plugin, world, bodies, .. } = self;
        let wish = entered(world, || phase_body::on_response_body(plugin, bodies, begun));
        let mut calls = Calls {
            exchange,
            world,
            outcome: TestOutcome::of_response,
            piece: &mut |world, piece| entered(world, || phase_body::on_response_piece(plugin, bodies, piece)),
            is_left: false,
        };
        let outcome = calls.pass(wish, &body);
        if calls.is_left {
            phase_body::on_response_left(bodies, exchange);
        }
        outcome
    }
}

impl<P: ResponseFilter> TestHost<P> {
    /// Passes a response through the plugin.
    pub fn response(&mut self, response: TestResponse) -> TestOutcome {
        let next = self.next_number();
        let exchange = response.exchange.map_or(next, |exchange| exchange.number());
        let head = response.head(exchange);
        self.world.begin(exchange, response.request.side, response.side);
        let verdict = self.call(|plugin| phase::on_response(plugin, head));
        TestOutcome::of_response(&self.world, verdict)
    }
}

impl<P: StreamFilter> TestHost<P> {
    /// Passes a stream through the plugin, to the end of both sides.
    pub fn stream(&mut self, stream: TestStream) -> TestStreamOutcome {
        let exchange = self.next_number();
        self.world.begin(exchange, RequestSide::default(), ResponseSide::default());
        self.world.stream = stream.side();
        let Self { plugin, world, streams, .. } = self;
        let wish = entered(world, || phase_stream::on_open(plugin, streams, stream.opened(exchange)));
        let (outcome, verdict) = match wish {
            Wish::Watch(interest) => {
                let show =
                    &mut |world: &mut World, piece| entered(world, || phase_stream::on_bytes(plugin, streams, piece));
                Passing { interest, exchange, world, show }.all(&stream)
            }
            wish => TestStreamOutcome::unshown(&wish, &stream),
        };
        phase_stream::on_left(streams, exchange);
        outcome.ended(verdict, &world.stream, world.fault.clone())
    }
}

impl<P: Balancer> TestHost<P> {
    /// Asks the plugin for an endpoint.
    ///
    /// # Errors
    ///
    /// The plugin's.
    pub fn pick(&mut self, pick: TestPick) -> Result<Pick, Error> {
        let exchange = self.next_number();
        let (request, candidates) = pick.to_host(exchange);
        self.world.begin(exchange, pick.request.side, ResponseSide::default());
        match self.call(|plugin| phase::pick(plugin, request, &candidates)) {
            Choice::Endpoint(index) => Ok(Pick::Endpoint(usize::try_from(index).unwrap_or(usize::MAX))),
            Choice::None => Ok(Pick::None),
            Choice::Failed => Err(self.fault()),
        }
    }

    /// The headers that the last pick adds to the answer of its endpoint, names in lower case.
    pub fn picked_headers(&self) -> Vec<(String, HeaderValue)> {
        header::fields(self.world.response.fields.all())
    }
}

impl<P: Observer> TestHost<P> {
    /// Tells the plugin of exchanges that began.
    pub fn begun(&mut self, exchanges: &[Begun]) {
        self.world.begin(0, RequestSide::default(), ResponseSide::default());
        self.call(|plugin| plugin.on_begun(exchanges));
    }

    /// Tells the plugin of exchanges that ended.
    pub fn ended(&mut self, exchanges: &[Ended]) {
        self.world.begin(0, RequestSide::default(), ResponseSide::default());
        self.call(|plugin| plugin.on_ended(exchanges));
    }
}

#[expect(clippy::panic, reason = "a test that asks for what cannot be has a mistake, and fails")]
fn of_its_kind<T>(found: Result<T, SharedError>) -> T {
    found.map_err(crate::SharedError::from).unwrap_or_else(|error| panic!("{error}"))
}

impl<P: Ticker> TestHost<P> {
    /// Moves both clocks forward by the interval that the plugin asked for, and calls it.
    ///
    /// # Panics
    ///
    /// Where it asked for none: in production it does not load.
    pub fn tick(&mut self) {
        let interval = self.world.tick_interval;
        assert!(interval.is_some(), "a ticker that tells no interval does not load");
        self.advance(interval.unwrap_or_default());
        self.world.begin(0, RequestSide::default(), ResponseSide::default());
        self.call(Ticker::on_tick);
    }
}

/// Makes a call of the plugin whose host calls reach this world.
fn entered<T>(world: &mut World, call: impl FnOnce() -> T) -> T {
    let _entered = Entered::new(world);
    call()
}

/// Without the plugin, which need not be `Debug`.
impl<P> fmt::Debug for TestHost<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestHost").field("world", &self.world).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
