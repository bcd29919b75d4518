//! The contract's imports in a native build, answered by the [`TestHost`](crate::TestHost) of this thread. The signatures
//! are those of the generated code.

pub(crate) mod setup {
    use crate::test_host::world;

    pub(crate) fn hot_header(name: &str) -> bool {
        world::with(|world| world.declare_hot_header(name))
    }
}

pub(crate) mod fault {
    use crate::test_host::world;

    pub(crate) fn report(message: &str) {
        world::with(|world| world.fault = Some(message.to_owned()));
    }
}

pub(crate) mod names {
    use crate::test_host::names;

    pub(crate) fn text(name: u32) -> String {
        names::text(name)
    }
}

pub(crate) mod log {
    use crate::{log::Level, test_host::world};

    pub(crate) fn write(level: Level, message: &str) {
        let line = format!("{}: {message}", format!("{level:?}").trim_start_matches("Level::").to_lowercase());
        world::with(|world| world.logs.push(line));
    }
}

pub(crate) mod clock {
    use crate::test_host::world;

    pub(crate) fn monotonic() -> u64 {
        world::with(|world| world.clock.monotonic_nanos())
    }

    pub(crate) fn wall() -> u64 {
        world::with(|world| world.clock.wall_nanos())
    }
}

pub(crate) mod random {
    use crate::test_host::world;

    pub(crate) fn number() -> u64 {
        world::with(|world| world.random.number())
    }

    pub(crate) fn bytes(count: u32) -> Vec<u8> {
        world::with(|world| (0..count).map(|_| world.random.byte()).collect())
    }
}

pub(crate) mod request {
    use crate::{bindings::capabilities::palisade::plugin::types::HeadError, test_host::world};

    pub(crate) fn method(exchange: u64) -> String {
        world::with(|world| world.request(exchange).method.clone())
    }

    pub(crate) fn target(exchange: u64) -> Vec<u8> {
        world::with(|world| world.request(exchange).target.clone().into_bytes())
    }

    pub(crate) fn authority(exchange: u64) -> Vec<u8> {
        world::with(|world| world.request(exchange).authority.clone().into_bytes())
    }

    pub(crate) fn header(exchange: u64, name: &str) -> Option<Vec<u8>> {
        world::with(|world| world.request(exchange).fields.first(name).map(<[u8]>::to_vec))
    }

    pub(crate) fn header_values(exchange: u64, name: &str) -> Vec<Vec<u8>> {
        world::with(|world| world.request(exchange).fields.values(name))
    }

    pub(crate) fn headers(exchange: u64) -> Vec<(String, Vec<u8>)> {
        world::with(|world| world.request(exchange).fields.all())
    }

    pub(crate) fn set_header(exchange: u64, name: &str, value: &[u8]) -> Result<(), HeadError> {
        world::with(|world| world.request_mut(exchange)?.fields.set(name, value))
    }

    pub(crate) fn append_header(exchange: u64, name: &str, value: &[u8]) -> Result<(), HeadError> {
        world::with(|world| world.request_mut(exchange)?.fields.append(name, value))
    }

    pub(crate) fn remove_header(exchange: u64, name: &str) -> Result<(), HeadError> {
        world::with(|world| world.request_mut(exchange)?.fields.remove(name))
    }

    pub(crate) fn set_target(exchange: u64, target: &[u8]) -> Result<(), HeadError> {
        world::with(|world| world.request_mut(exchange)?.set_target(target))
    }

    pub(crate) fn set_authority(exchange: u64, authority: &[u8]) -> Result<(), HeadError> {
        world::with(|world| world.request_mut(exchange)?.set_authority(authority))
    }
}

pub(crate) mod response {
    use crate::{bindings::capabilities::palisade::plugin::types::HeadError, test_host::world};

    pub(crate) fn set_status(exchange: u64, status: u16) -> Result<(), HeadError> {
        world::with(|world| world.response_mut(exchange)?.set_status(status))
    }

    pub(crate) fn header(exchange: u64, name: &str) -> Option<Vec<u8>> {
        world::with(|world| world.response(exchange).fields.first(name).map(<[u8]>::to_vec))
    }

    pub(crate) fn header_values(exchange: u64, name: &str) -> Vec<Vec<u8>> {
        world::with(|world| world.response(exchange).fields.values(name))
    }

    pub(crate) fn headers(exchange: u64) -> Vec<(String, Vec<u8>)> {
        world::with(|world| world.response(exchange).fields.all())
    }

    pub(crate) fn set_header(exchange: u64, name: &str, value: &[u8]) -> Result<(), HeadError> {
        world::with(|world| world.response_mut(exchange)?.fields.set(name, value))
    }

    pub(crate) fn append_header(exchange: u64, name: &str, value: &[u8]) -> Result<(), HeadError> {
        world::with(|world| world.response_mut(exchange)?.fields.append(name, value))
    }

    pub(crate) fn remove_header(exchange: u64, name: &str) -> Result<(), HeadError> {
        world::with(|world| world.response_mut(exchange)?.fields.remove(name))
    }
}

pub(crate) mod reply {
    use crate::{
        bindings::capabilities::palisade::plugin::types::HeadError,
        test_host::{head::ResponseSide, world},
    };

    pub(crate) fn prepare(
        _exchange: u64,
        status: u16,
        headers: &[(String, Vec<u8>)],
        body: &[u8],
    ) -> Result<(), HeadError> {
        let reply = ResponseSide::reply(status, headers, body)?;
        world::with(|world| world.reply = Some(reply));
        Ok(())
    }
}

pub(crate) mod body {
    use crate::test_host::world;

    pub(crate) use crate::bindings::capabilities::palisade::plugin::body::WriteError;

    pub(crate) fn write(exchange: u64, bytes: &[u8]) -> Result<(), WriteError> {
        world::with(|world| world.piece(exchange).write(bytes))
    }
}

pub(crate) mod streams {
    use crate::test_host::world;

    pub(crate) use crate::bindings::capabilities::palisade::plugin::streams::ChooseError;

    pub(crate) fn choose_upstream(exchange: u64, upstream: &str) -> Result<(), ChooseError> {
        world::with(|world| world.stream(exchange).choose(upstream))
    }
}

pub(crate) mod fetch {
    use crate::{
        bindings::capabilities::palisade::plugin::fetch::{FetchError, Request, Response},
        test_host::world,
    };

    pub(crate) fn start(exchange: u64, request: &Request) -> Result<u64, FetchError> {
        world::with(|world| {
            world.request(exchange);
            Ok(world.fetches.start(request))
        })
    }

    pub(crate) fn take(ticket: u64) -> Option<Result<Response, FetchError>> {
        world::with(|world| world.fetches.take(ticket))
    }

    pub(crate) fn cancel(ticket: u64) {
        world::with(|world| world.fetches.cancel(ticket));
    }
}

pub(crate) mod metrics {
    use crate::test_host::world;

    pub(crate) use crate::bindings::capabilities::palisade::plugin::metrics::{Kind, Unit};

    pub(crate) fn declare(kind: Kind, name: &str, _help: &str, _unit: Unit, labels: &[String]) -> Result<u32, String> {
        world::with(|world| world.metrics.declare(kind, name, labels))
    }

    pub(crate) fn series(metric: u32, values: &[String]) -> u32 {
        world::with(|world| world.metrics.series(metric, values))
    }

    pub(crate) fn add(series: u32, amount: u64) {
        world::with(|world| world.metrics.add(series, amount));
    }

    pub(crate) fn set(series: u32, value: f64) {
        world::with(|world| world.metrics.set(series, value));
    }

    pub(crate) fn shift(series: u32, by: f64) {
        world::with(|world| world.metrics.shift(series, by));
    }

    pub(crate) fn record(series: u32, values: &[f64]) {
        world::with(|world| world.metrics.record(series, values));
    }
}

pub(crate) mod shared {
    use crate::{bindings::capabilities::palisade::plugin::shared::SharedError, test_host::world};

    pub(crate) fn get(key: &[u8]) -> Result<Option<Vec<u8>>, SharedError> {
        world::with(|world| world.shared.value(key))
    }

    pub(crate) fn set(key: &[u8], value: &[u8], ttl_millis: u64) -> Result<(), SharedError> {
        world::with(|world| world.shared.set(key, value, ttl_millis))
    }

    pub(crate) fn compare_and_set(
        key: &[u8],
        expected: Option<&[u8]>,
        value: Option<&[u8]>,
        ttl_millis: u64,
    ) -> Result<bool, SharedError> {
        world::with(|world| world.shared.compare_and_set(key, expected, value, ttl_millis))
    }

    pub(crate) fn delete(key: &[u8]) -> Result<bool, SharedError> {
        world::with(|world| world.shared.delete(key))
    }

    pub(crate) fn add(key: &[u8], amount: i64, ttl_millis: u64) -> Result<i64, SharedError> {
        world::with(|world| world.shared.add(key, amount, ttl_millis))
    }

    pub(crate) fn counter(key: &[u8]) -> Result<i64, SharedError> {
        world::with(|world| world.shared.counter(key))
    }

    pub(crate) fn compare_and_set_counter(
        key: &[u8],
        expected: i64,
        value: i64,
        ttl_millis: u64,
    ) -> Result<i64, SharedError> {
        world::with(|world| world.shared.compare_and_set_counter(key, expected, value, ttl_millis))
    }
}

pub(crate) mod timer {
    use crate::test_host::world;

    pub(crate) fn every(millis: u32) -> bool {
        world::with(|world| world.tick_every(millis))
    }
}

pub(crate) mod tls {
    use crate::{
        bindings::capabilities::palisade::plugin::tls::{Certificate, Session},
        test_host::world,
    };

    pub(crate) fn handshake() -> Option<Session> {
        world::with(|world| world.request.tls.as_ref().map(|tls| tls.handshake.clone()))
    }

    pub(crate) fn client_certificate() -> Option<Certificate> {
        world::with(|world| world.request.tls.as_ref().and_then(|tls| tls.client.clone()))
    }
}
