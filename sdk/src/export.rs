//! The host's entry into a registered plugin: finds the instance, and hands the call to `phase`.

use std::{cell::RefCell, marker::PhantomData, panic, thread::LocalKey};

use crate::{
    AsyncRequestFilter, Balancer, ConnectionFilter, Error, Observer, Piece, Plugin, RequestBodyFilter, RequestFilter,
    ResponseBodyFilter, ResponseFilter, StreamFilter, StreamPiece, Ticker,
    bindings::{
        async_request_filter::exports::palisade::plugin::async_request_filter,
        balancer::exports::palisade::plugin::balancer,
        capabilities::palisade::plugin::{
            bodies::{PieceVerdict, Wish},
            types::Verdict,
        },
        connection_filter::exports::palisade::plugin::connection_filter,
        lifecycle::exports::palisade::plugin::lifecycle,
        observer::exports::palisade::plugin::observer,
        request_body_filter::exports::palisade::plugin::request_body_filter,
        request_filter::exports::palisade::plugin::request_filter,
        response_body_filter::exports::palisade::plugin::response_body_filter,
        response_filter::exports::palisade::plugin::response_filter,
        stream_filter::exports::palisade::plugin::stream_filter,
        ticker::exports::palisade::plugin::ticker,
    },
    host, log, phase, phase_async, phase_body, phase_stream, settings,
};

pub use crate::allocator::Allocator;

/// A plugin that [`register!`](crate::register) gave a place for its one instance.
pub trait Registered: Plugin {
    /// Where the instance is, once it is configured.
    fn slot() -> &'static LocalKey<Slot<Self>>;
}

/// Where the one instance of a plugin is.
pub type Slot<P> = RefCell<Option<P>>;

/// What the export macros are given: every phase that `P` has.
#[derive(Debug)]
pub struct Export<P>(PhantomData<P>);

thread_local! {
    /// What the module's one plugin keeps for bodies.
    static BODIES: RefCell<phase_body::States> = RefCell::default();
    /// What it keeps for streams.
    static STREAMS: RefCell<phase_stream::States> = RefCell::default();
    /// What the exchanges that wait are at.
    static TASKS: RefCell<phase_async::Tasks> = RefCell::default();
}

impl<P: Registered> Export<P> {
    fn with<T>(failed: T, call: impl FnOnce(&mut P) -> T) -> T {
        P::slot().with_borrow_mut(|slot| match slot {
            Some(plugin) => call(plugin),
            None => {
                phase::report(&Error::new("called before it was configured"));
                failed
            }
        })
    }
}

impl<P: Registered> lifecycle::Guest for Export<P> {
    fn configure(settings: String) -> Result<(), String> {
        if cfg!(target_family = "wasm") {
            panic::set_hook(Box::new(report_panic));
        }
        let plugin = phase::configure(&settings).map_err(|error| error.to_string())?;
        P::slot().set(Some(plugin));
        Ok(())
    }

    fn settings_schema() -> String {
        settings::schema::<P::Settings>()
    }
}

impl<P: Registered + ConnectionFilter> connection_filter::Guest for Export<P> {
    fn on_connection(connection: connection_filter::Connection) -> connection_filter::Admission {
        Self::with(connection_filter::Admission::Failed, |plugin| phase::on_connection(plugin, connection))
    }
}

impl<P: Registered + RequestFilter> request_filter::Guest for Export<P> {
    fn on_request(head: request_filter::RequestHead) -> Verdict {
        Self::with(Verdict::Failed, |plugin| phase::on_request(plugin, &head))
    }
}

impl<P: Registered + AsyncRequestFilter> async_request_filter::Guest for Export<P> {
    fn on_request(head: async_request_filter::RequestHead) -> async_request_filter::Progress {
        let exchange = head.exchange;
        let deciding = Self::with(None, |plugin| Some(phase_async::deciding(plugin, phase_async::head_of(head))));
        match deciding {
            Some(deciding) => go_on(exchange, deciding),
            None => async_request_filter::Progress::Failed,
        }
    }

    fn resume(exchange: u64) -> async_request_filter::Progress {
        match TASKS.with_borrow_mut(|tasks| tasks.take(exchange)) {
            Some(deciding) => go_on(exchange, deciding),
            None => {
                phase::report(&Error::new("asked to go on with a request that does not wait"));
                async_request_filter::Progress::Failed
            }
        }
    }

    fn on_left(exchange: u64) {
        // Dropped outside of the borrow: what it holds may give something up.
        drop(TASKS.with_borrow_mut(|tasks| tasks.take(exchange)));
    }
}

fn go_on(exchange: u64, deciding: phase_async::Deciding) -> async_request_filter::Progress {
    let (progress, deciding) = phase_async::go_on(exchange, deciding);
    TASKS.with_borrow_mut(|tasks| tasks.keep(exchange, deciding));
    progress
}

impl<P: Registered + ResponseFilter> response_filter::Guest for Export<P> {
    fn on_response(head: response_filter::ResponseHead) -> Verdict {
        Self::with(Verdict::Failed, |plugin| phase::on_response(plugin, head))
    }
}

impl<P: Registered + RequestBodyFilter> request_body_filter::Guest for Export<P> {
    fn on_body(body: request_body_filter::RequestBody) -> Wish {
        Self::with(Wish::Failed, |plugin| {
            BODIES.with_borrow_mut(|states| phase_body::on_request_body(plugin, states, body))
        })
    }

    fn on_piece(exchange: u64, piece: Vec<u8>, last: bool) -> PieceVerdict {
        Self::with(PieceVerdict::Failed, |plugin| {
            let piece = Piece::new(exchange, piece, last);
            BODIES.with_borrow_mut(|states| phase_body::on_request_piece(plugin, states, piece))
        })
    }

    fn on_left(exchange: u64) {
        BODIES.with_borrow_mut(|states| phase_body::on_request_left(states, exchange));
    }
}

impl<P: Registered + ResponseBodyFilter> response_body_filter::Guest for Export<P> {
    fn on_body(body: response_body_filter::ResponseBody) -> Wish {
        Self::with(Wish::Failed, |plugin| {
            BODIES.with_borrow_mut(|states| phase_body::on_response_body(plugin, states, body))
        })
    }

    fn on_piece(exchange: u64, piece: Vec<u8>, last: bool) -> PieceVerdict {
        Self::with(PieceVerdict::Failed, |plugin| {
            let piece = Piece::new(exchange, piece, last);
            BODIES.with_borrow_mut(|states| phase_body::on_response_piece(plugin, states, piece))
        })
    }

    fn on_left(exchange: u64) {
        BODIES.with_borrow_mut(|states| phase_body::on_response_left(states, exchange));
    }
}

impl<P: Registered + StreamFilter> stream_filter::Guest for Export<P> {
    fn on_open(opened: stream_filter::Opened) -> stream_filter::Wish {
        Self::with(stream_filter::Wish::Failed, |plugin| {
            STREAMS.with_borrow_mut(|states| phase_stream::on_open(plugin, states, opened))
        })
    }

    fn on_bytes(
        exchange: u64,
        direction: stream_filter::Direction,
        bytes: Vec<u8>,
        last: bool,
    ) -> stream_filter::Verdict {
        Self::with(stream_filter::Verdict::Failed, |plugin| {
            let piece = StreamPiece::new(exchange, direction, bytes, last);
            STREAMS.with_borrow_mut(|states| phase_stream::on_bytes(plugin, states, piece))
        })
    }

    fn on_left(exchange: u64) {
        STREAMS.with_borrow_mut(|states| phase_stream::on_left(states, exchange));
    }
}

impl<P: Registered + Balancer> balancer::Guest for Export<P> {
    fn pick(request: balancer::PickRequest, candidates: Vec<u64>) -> balancer::Choice {
        Self::with(balancer::Choice::Failed, |plugin| phase::pick(plugin, request, &candidates))
    }
}

impl<P: Registered + Observer> observer::Guest for Export<P> {
    fn on_begun(exchanges: Vec<observer::Begun>) {
        let exchanges: Vec<_> = exchanges.into_iter().map(Into::into).collect();
        Self::with((), |plugin| plugin.on_begun(&exchanges));
    }

    fn on_ended(exchanges: Vec<observer::Ended>) {
        let exchanges: Vec<_> = exchanges.into_iter().map(Into::into).collect();
        Self::with((), |plugin| plugin.on_ended(&exchanges));
    }
}

impl<P: Registered + Ticker> ticker::Guest for Export<P> {
    fn on_tick() {
        Self::with((), Ticker::on_tick);
    }
}

/// A panic becomes a trap without a word: this says the word.
fn report_panic(panic: &panic::PanicHookInfo<'_>) {
    let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
    let message = format!("panicked{place}: {}", panic.payload_as_str().unwrap_or("no message"));
    log::error!("{message}");
    host::fault::report(&message);
}

#[cfg(test)]
mod tests {
    use super::{lifecycle::Guest as _, request_filter::Guest as _, *};
    use crate::{Flow, NoSettings, Request, Setup, test_host::world};

    struct Closes;

    impl Plugin for Closes {
        type Settings = NoSettings;

        fn configure(_settings: NoSettings, _host: &mut Setup) -> Result<Self, Error> {
            Ok(Self)
        }
    }

    impl RequestFilter for Closes {
        fn on_request(&mut self, _request: &mut Request) -> Result<Flow, Error> {
            Ok(Flow::Close)
        }
    }

    crate::register!(Closes: RequestFilter);

    #[test]
    fn an_instance_answers_once_it_is_configured() {
        assert_eq!(Export::<Closes>::on_request(head()), Verdict::Failed);
        assert_eq!(fault().as_deref(), Some("called before it was configured"));
        let refused = Export::<Closes>::configure(r#"{"limit":1}"#.to_owned());
        assert_eq!(refused, Err("settings.limit: unknown field `limit`, there are no fields".to_owned()));
        assert_eq!(Export::<Closes>::on_request(head()), Verdict::Failed);
        assert_eq!(Export::<Closes>::configure(String::new()), Ok(()));
        assert_eq!(Export::<Closes>::on_request(head()), Verdict::Close);
    }

    #[test]
    fn a_panic_is_logged_and_reported_with_its_place() {
        let before = panic::take_hook();
        panic::set_hook(Box::new(report_panic));
        let caught = panic::catch_unwind(|| panic!("out of {}", "luck"));
        panic::set_hook(before);
        assert!(caught.is_err());
        let message = fault().unwrap_or_default();
        assert!(message.starts_with("panicked at ") && message.ends_with(": out of luck"), "{message}");
        assert!(message.contains("export.rs:"), "{message}");
        assert_eq!(world::with(|world| world.logs.clone()), [format!("error: {message}")]);
    }

    fn fault() -> Option<String> {
        world::with(|world| world.fault.take())
    }

    fn head() -> request_filter::RequestHead {
        crate::TestRequest::get("/").head(1, &[])
    }
}
