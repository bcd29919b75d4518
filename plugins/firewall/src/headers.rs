//! The headers that rules look at: the first value of each comes with the request, others are fetched when a rule
//! needs them.

use std::cell::OnceCell;

use palisade_sdk::{HeaderValue, HotHeader, Request, Setup};

use crate::value_test::ValueTest;

/// The headers that rules look at, each once. Their values are fetched at most once per request.
#[derive(Debug, Default)]
pub(crate) struct Headers {
    columns: Vec<Column>,
}

/// A place in [`Headers`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeaderIndex(usize);

#[derive(Debug)]
struct Column {
    name: String,
    hot: Option<HotHeader>,
    values: OnceCell<Vec<HeaderValue>>,
}

impl Headers {
    /// The place of a header, which is watched from now on. The first [`HOT_MAX`] are declared as hot.
    pub(crate) fn watch(&mut self, name: &str, host: &mut Setup) -> HeaderIndex {
        let known = self.columns.iter().position(|column| column.name == name);
        HeaderIndex(known.unwrap_or_else(|| {
            let hot = (self.columns.len() < HOT_MAX).then(|| host.hot_header(name));
            self.columns.push(Column { name: name.to_owned(), hot, values: OnceCell::new() });
            self.columns.len() - 1
        }))
    }

    /// Forgets the values of the request before.
    pub(crate) fn forget(&mut self) {
        for column in &mut self.columns {
            column.values.take();
        }
    }

    /// Whether the request's header meets the test: any of its values, not only the first, which is all that a hot
    /// header gives. Where there are more, and the first one does not meet it, they are fetched.
    pub(crate) fn meet(&self, header: HeaderIndex, test: &ValueTest, request: &Request<'_>) -> bool {
        let Some(column) = self.columns.get(header.0) else { return false };
        let Some(hot) = column.hot else { return column.meets(test, request, 0) };
        match (request.hot_value(hot), test) {
            (None, test) => test.is_met_by_absence(),
            (Some(_), ValueTest::Absent) => false,
            (Some(first), test) => test.is_met_by(first.bytes) || first.has_more && column.meets(test, request, 1),
        }
    }
}

impl Column {
    /// Whether a value after those that were looked at already meets the test.
    fn meets(&self, test: &ValueTest, request: &Request<'_>, seen: usize) -> bool {
        let values = self.values.get_or_init(|| request.header_values(&self.name));
        match values.get(seen..).unwrap_or_default() {
            [] => seen == 0 && test.is_met_by_absence(),
            values => values.iter().any(|value| test.is_met_by(value)),
        }
    }
}

/// How many headers the host hands over with each request.
const HOT_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use palisade_sdk::{TestHost, TestRequest};
    use serde_json::json;

    use crate::Firewall;

    #[test]
    fn values_are_fetched_only_where_there_are_more_than_the_one_that_came() {
        let test = json!({ "name": "x-a", "equals": "bad" });
        let rules = json!([{ "name": "r", "action": "deny", "when": { "header": [test] } }]);
        let mut host = TestHost::<Firewall>::configure(json!({ "rules": rules })).unwrap();
        for (request, are_fetched) in [
            (TestRequest::get("/"), false),
            (TestRequest::get("/").header("x-a", "good"), false),
            (TestRequest::get("/").header("x-a", "good").header("x-a", "bad"), true),
            (TestRequest::get("/").header("x-a", "bad").header("x-a", "good"), false),
        ] {
            host.request(request);
            let fetched = host.plugin().headers.columns.iter().filter_map(|column| column.values.get()).count();
            assert_eq!(fetched > 0, are_fetched);
        }
    }
}
