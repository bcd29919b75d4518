//! What an endpoint's answer says of when to come again, in; how long that is from now, out (RFC 9110, section 10.2.3).

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::RETRY_AFTER;

/// The longest that a retry waits because its endpoint has asked for it. One that would have to wait for longer is none.
pub(super) const REST_MAX: Duration = Duration::from_secs(5);

/// A number of seconds, or a date; none where there is neither, or one that has passed.
pub(super) fn rest(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = || text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().unwrap_or(u64::MAX));
    let rest = match seconds().filter(|_| !text.is_empty()) {
        Some(seconds) => Duration::from_secs(seconds.min(A_DAY)),
        None => httpdate::parse_http_date(text).ok()?.duration_since(now).ok()?,
    };
    Some(rest).filter(|rest| !rest.is_zero())
}

/// In seconds: longer than anybody waits.
const A_DAY: u64 = 86_400;

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn it_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").expect("a date");
        for (text, expected) in [
            ("1", Some(1)),
            ("120", Some(120)),
            ("99999999999999999999999", Some(A_DAY)),
            ("0", None),
            ("", None),
            ("-1", None),
            ("soon", None),
            ("Sun, 06 Nov 1994 08:49:40 GMT", Some(3)),
            ("Sun, 06 Nov 1994 08:49:30 GMT", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            assert_eq!(rest(&headers, now), expected.map(Duration::from_secs), "{text:?}");
        }
        assert_eq!(rest(&HeaderMap::new(), now), None);
    }
}
