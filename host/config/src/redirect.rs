//! Where a listener that redirects sends its clients.

use crate::{
    Action,
    text::{Form, Value},
};

/// Reads `true` or a table.
pub(crate) fn read(value: &Value<'_>) -> Option<Action> {
    if value.raw().as_bool() == Some(true) {
        return Some(Action::RedirectToHttps { port: PORT, status: STATUS });
    }
    if !value.raw().is_table() {
        return value.is_not(REDIRECT);
    }
    let mut table = value.table("a redirect")?;
    let port = table.or("port", PORT, |value| value.whole(1..=u16::MAX));
    let status = table.or("status", STATUS, status);
    table.finish();
    Some(Action::RedirectToHttps { port, status })
}

fn status(value: Value<'_>) -> Option<u16> {
    let status = value.whole(0..=u16::MAX)?;
    if [301, 302, 307, 308].contains(&status) { Some(status) } else { value.is_not(REDIRECT_STATUS) }
}

const PORT: u16 = 443;
/// Permanent, and keeps the method (RFC 9110, section 15.4.9).
const STATUS: u16 = 308;
const REDIRECT: Form = Form { noun: "a redirect", expected: "true, or a table such as { port = 8443 }" };
const REDIRECT_STATUS: Form = Form { noun: "a status of a redirect", expected: "301, 302, 307 or 308" };
