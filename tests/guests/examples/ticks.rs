//! Ticks, and tells of it: `/` replies with how often all instances together have ticked, and `x-tickers` with the instances
//! that did; every reply tells in `x-instance` which one made it.

#![forbid(unsafe_code)]

use std::time::Duration;

use palisade_sdk::prelude::*;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// Zero for never telling an interval.
    every_millis: u64,
    /// Whether it panics in each tick, after it was counted.
    panics: bool,
    /// Fills the settings up to the size of those that an image is made for.
    padding: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { every_millis: 100, panics: false, padding: String::new() }
    }
}

struct Ticks {
    panics: bool,
    /// A number of its own, once it was asked for.
    instance: Option<u64>,
    _padding: String,
}

impl Plugin for Ticks {
    type Settings = Settings;

    fn configure(settings: Settings, host: &mut Setup) -> Result<Self, Error> {
        if settings.every_millis > 0 {
            host.tick_every(Duration::from_millis(settings.every_millis));
        }
        Ok(Self { panics: settings.panics, instance: None, _padding: settings.padding })
    }
}

impl Ticker for Ticks {
    fn on_tick(&mut self) {
        let own = self.instance();
        let tickers = Shared::at("tickers");
        // Nobody else is to write this, and if somebody does, it is seen.
        let known = tickers.get().ok().flatten().map(|known| String::from_utf8_lossy(&known).into_owned());
        let known = known.unwrap_or_default();
        if !known.split(' ').any(|ticker| ticker == own) {
            let _ = tickers.set(format!("{known} {own}").trim_start());
        }
        let _ = SharedCounter::at("ticks").add(1);
        assert!(!self.panics, "told to");
    }
}

impl RequestFilter for Ticks {
    fn on_request(&mut self, _request: &mut Request) -> Result<Flow, Error> {
        let ticks = SharedCounter::at("ticks").get()?;
        let tickers = Shared::at("tickers").get()?.unwrap_or_default();
        let reply = Reply::status(200).header("x-tickers", tickers).header("x-instance", self.instance());
        Ok(reply.text(ticks.to_string()).into())
    }
}

impl Ticks {
    fn instance(&mut self) -> String {
        self.instance.get_or_insert_with(random::number).to_string()
    }
}

register!(Ticks: RequestFilter, Ticker);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_counted_and_says_whose_it_was() {
        let mut host = TestHost::<Ticks>::configure(json!({ "every_millis": 200 })).unwrap();
        (0..3).for_each(|_| host.tick());
        let reply = host.request(TestRequest::get("/"));
        assert_eq!(reply.reply_text(), Some("3"));
        assert_eq!(reply.reply_header("x-tickers"), reply.reply_header("x-instance"));
        let error = TestHost::<Ticks>::configure(json!({ "every_millis": 99 })).unwrap_err();
        assert_eq!(error.to_string(), "tick interval 99ms: is not 100 ms to 1 h");
    }
}
