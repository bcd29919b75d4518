//! Does with what is shared as the path says, and replies with what that gave; every reply tells in `x-instance` which
//! instance made it. `/add/KEY`, `/add/KEY/TIMES`, `/counter/KEY`, `/get/KEY`, `/get/KEY/TIMES`, `/set/KEY/VALUE`,
//! `/take/KEY/VALUE`; any other goes on, with the instance in the response.

#![forbid(unsafe_code)]

use std::time::Duration;

use palisade_sdk::prelude::*;

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// The first segment of the paths that it is for, if they have one more than they need.
    name: String,
    /// How long everything lives, in milliseconds; zero for ever.
    ttl_millis: u64,
    /// Whether `configure` counts itself in the counter `configured`.
    counts_configure: bool,
    /// Fills the settings up to the size of those that an image is made for.
    padding: String,
}

struct Shares {
    name: String,
    ttl: Option<Duration>,
    /// A number of its own, once it was asked for.
    instance: Option<u64>,
    _padding: String,
}

impl Plugin for Shares {
    type Settings = Settings;

    fn configure(settings: Settings, _host: &mut Setup) -> Result<Self, Error> {
        if settings.counts_configure {
            SharedCounter::at("configured").add(1)?;
        }
        let ttl = (settings.ttl_millis > 0).then(|| Duration::from_millis(settings.ttl_millis));
        Ok(Self { name: settings.name, ttl, instance: None, _padding: settings.padding })
    }
}

impl RequestFilter for Shares {
    fn on_request(&mut self, request: &mut Request) -> Result<Flow, Error> {
        let path: Vec<&str> = request.path().split('/').skip(1).collect();
        // Behind the plugin's name, where the route has one.
        let path = if path.first() == Some(&self.name.as_str()) { path.get(1..).unwrap_or_default() } else { &path };
        let text = match path {
            ["add", key] => self.counter(key).add(1)?.to_string(),
            ["add", key, times] => repeated(times, || self.counter(key).add(1))?.to_string(),
            ["counter", key] => self.counter(key).get()?.to_string(),
            ["get", key] => text(self.value(key).get()?),
            ["get", key, times] => text(repeated(times, || self.value(key).get())?),
            ["set", key, value] => self.value(key).set(value).map(|()| "set".to_owned())?,
            ["take", key, value] => self.value(key).compare_and_set(Some(value.as_bytes()), None)?.to_string(),
            _ => return Ok(Flow::Continue),
        };
        Ok(Reply::status(200).header("x-instance", self.instance()).text(text).into())
    }
}

impl ResponseFilter for Shares {
    fn on_response(&mut self, response: &mut Response) -> Result<Flow, Error> {
        response.set_header("x-instance", self.instance())?;
        Ok(Flow::Continue)
    }
}

impl Shares {
    fn counter<'a>(&self, key: &'a str) -> SharedCounter<'a> {
        let counter = SharedCounter::at(key);
        self.ttl.map_or(counter, |ttl| counter.expiring(ttl))
    }

    fn value<'a>(&self, key: &'a str) -> Shared<'a> {
        let value = Shared::at(key);
        self.ttl.map_or(value, |ttl| value.expiring(ttl))
    }

    fn instance(&mut self) -> String {
        self.instance.get_or_insert_with(random::number).to_string()
    }
}

/// The last of so many results.
fn repeated<T: Default>(times: &str, mut call: impl FnMut() -> Result<T, SharedError>) -> Result<T, Error> {
    let times: u32 = times.parse().map_err(Error::from_display)?;
    Ok((0..times).try_fold(T::default(), |_, _| call())?)
}

fn text(value: Option<Vec<u8>>) -> String {
    value.map_or("none".to_owned(), |value| String::from_utf8_lossy(&value).into_owned())
}

register!(Shares: RequestFilter, ResponseFilter);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_path_says_is_done_and_expires() {
        let mut host = TestHost::<Shares>::configure(json!({ "ttl_millis": 100 })).unwrap();
        for (path, expected) in [
            ("/add/a", "1"),
            ("/add/a/5", "6"),
            ("/counter/a", "6"),
            ("/get/b", "none"),
            ("/set/b/x", "set"),
            ("/take/b/y", "false"),
            ("/get/b", "x"),
        ] {
            assert_eq!(host.request(TestRequest::get(path)).reply_text(), Some(expected), "{path}");
        }
        host.advance(Duration::from_millis(100));
        assert_eq!(host.request(TestRequest::get("/counter/a")).reply_text(), Some("0"));
        assert_eq!(host.request(TestRequest::get("/take/b/x")).reply_text(), Some("false"));
        assert!(host.request(TestRequest::get("/")).is_continue());
        assert_eq!(host.request(TestRequest::get("/add/b")).reply_text(), Some("1"));
    }
}
