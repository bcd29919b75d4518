//! The date of answers that have none (RFC 9110, section 6.6.1): what hyper does for the protocols that it speaks.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use http::header::{DATE, HeaderValue};

/// Sets it where it is missing.
pub(crate) fn set(headers: &mut HeaderMap) {
    if headers.contains_key(DATE) {
        return;
    }
    if let Some(date) = now() {
        headers.insert(DATE, date);
    }
}

/// Written once a second on each worker.
fn now() -> Option<HeaderValue> {
    thread_local! {
        static WRITTEN: RefCell<Option<(u64, HeaderValue)>> = const { RefCell::new(None) };
    }
    #[expect(clippy::disallowed_methods, reason = "a date is the time of the wall, not of a limit")]
    let now = SystemTime::now();
    let second = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
    WRITTEN.with_borrow_mut(|written| {
        if let Some((of, date)) = written
            && *of == second
        {
            return Some(date.clone());
        }
        let date = HeaderValue::try_from(httpdate::fmt_http_date(now)).ok()?;
        *written = Some((second, date.clone()));
        Some(date)
    })
}
