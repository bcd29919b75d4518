//! Counts requests by path: as many series as clients think of paths.

#![forbid(unsafe_code)]

use palisade_sdk::prelude::*;

struct Counts {
    requests: Family<Counter>,
}

impl Plugin for Counts {
    type Settings = NoSettings;

    fn configure(_settings: NoSettings, host: &mut Setup) -> Result<Self, Error> {
        Ok(Self { requests: host.counter_with("requests_total", "requests by path", &["path"]) })
    }
}

impl RequestFilter for Counts {
    fn on_request(&mut self, request: &mut Request) -> Result<Flow, Error> {
        self.requests.with(&[request.path()]).add(1);
        Ok(Flow::Continue)
    }
}

register!(Counts: RequestFilter);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_limit_of_series_all_paths_are_one() {
        let mut host = TestHost::<Counts>::configure(json!({})).unwrap();
        for number in 0..1_500 {
            host.request(TestRequest::get(&format!("/{number}")));
        }
        assert_eq!(host.counter_with("requests_total", &[("path", "/0")]), 1);
        assert_eq!(host.counter_with("requests_total", &[("path", "other")]), 500);
    }
}
