//! The traits that a plugin implements: [`Plugin`] and one for each phase that it takes part in.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{Begun, Candidate, Connection, Ended, Error, Pick, PickRequest, Reply, Request, Response, Setup};

/// What every plugin is: something that is made from settings.
///
/// The host makes one instance for each of its workers, and a fresh one after an instance failed. What an instance keeps
/// in its fields stays on that worker.
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

/// Is asked when a response's head is there and nothing of it has been sent, in the reverse order of the chain.
pub trait ResponseFilter: Plugin {
    /// Changes the head, answers with something else, or lets the response go on.
    ///
    /// # Errors
    ///
    /// An error means that the plugin could not decide: its `on_error` policy applies.
    fn on_response(&mut self, response: &mut Response) -> Result<Flow, Error>;
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
