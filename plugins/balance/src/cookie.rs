//! The settings of the sticky cookie, in; its name, and what `Set-Cookie` says with a value, out (RFC 6265).

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{hash::CookieName, siphash::SecretKey};

/// The cookie that names a client's endpoint.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(try_from = "Written")]
#[schemars(with = "Written")]
pub(crate) struct Cookie {
    pub(crate) name: String,
    pub(crate) secret: SecretKey,
    attributes: String,
}

/// The cookie that names a client's endpoint, as operators write it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    /// Its name.
    name: CookieName,
    /// What its values are made with: at least 16 bytes that nobody knows and all hosts share. Values tell nothing of the
    /// endpoint to who does not know it, and with another one all clients are spread anew.
    secret: String,
    /// The paths that it is for: `/` by default.
    path: Option<String>,
    /// How long clients keep it, from its first answer on: 1 s to 400 days, such as `"8h"`. Without it, as long as they stay.
    ttl: Option<String>,
    /// It is sent over TLS alone: the default.
    secure: Option<bool>,
    /// Scripts cannot read it: the default.
    http_only: Option<bool>,
    /// Whether it is sent with requests that other sites make: `lax` (the default), `strict`, or `none`, which needs `secure`.
    #[serde(default)]
    same_site: SameSite,
}

/// Whether a cookie is sent with requests that other sites make.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum SameSite {
    #[default]
    Lax,
    Strict,
    None,
}

impl Cookie {
    /// The value of `Set-Cookie` that gives it this value.
    pub(crate) fn set(&self, token: u64) -> String {
        format!("{}={token:016x}{}", self.name, self.attributes)
    }

    /// The number of a value; none where it is none of ours.
    pub(crate) fn token(value: &str) -> Option<u64> {
        let is_ours = value.len() == 16 && value.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        u64::from_str_radix(value, 16).ok().filter(|_| is_ours)
    }
}

impl TryFrom<Written> for Cookie {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { name, secret, path, ttl, secure, http_only, same_site } = written;
        if secret.len() < SECRET_BYTES_MIN {
            return Err(format!("secret has {} bytes: expected at least {SECRET_BYTES_MIN}", secret.len()));
        }
        let path = path.unwrap_or_else(|| "/".to_owned());
        let fits = path.starts_with('/') && path.len() <= PATH_BYTES_MAX;
        if !fits || !path.bytes().all(|byte| matches!(byte, 0x21..=0x7e) && byte != b';') {
            return Err(format!("path {path:?} is not a path: expected one that begins with \"/\", such as \"/shop\""));
        }
        let age = ttl.as_deref().map(seconds).transpose()?;
        let secure = secure.unwrap_or(true);
        if same_site == SameSite::None && !secure {
            return Err("same_site = \"none\" needs secure = true: browsers take no other".to_owned());
        }
        let prefix = |prefix| name.0.starts_with(prefix);
        if (prefix("__Secure-") || prefix("__Host-")) && !secure || prefix("__Host-") && path != "/" {
            let message = "needs secure = true, and for \"__Host-\" path = \"/\": browsers take no other";
            return Err(format!("name {:?} {message}", name.0));
        }
        let mut attributes = format!("; Path={path}");
        attributes += &age.map(|age| format!("; Max-Age={age}")).unwrap_or_default();
        attributes += if secure { "; Secure" } else { "" };
        attributes += if http_only.unwrap_or(true) { "; HttpOnly" } else { "" };
        attributes += match same_site {
            SameSite::Lax => "; SameSite=Lax",
            SameSite::Strict => "; SameSite=Strict",
            SameSite::None => "; SameSite=None",
        };
        Ok(Self { name: name.0, secret: SecretKey::of(&secret), attributes })
    }
}

fn seconds(text: &str) -> Result<u64, String> {
    let seconds = UNITS.iter().find_map(|(unit, seconds)| {
        let count = text.strip_suffix(unit)?.trim_end();
        let is_number = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| count.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(*seconds))
    });
    let Some(seconds) = seconds else {
        let expected = "expected a whole number with s, m, h or d, such as \"8h\"";
        return Err(format!("ttl {text:?} is not a time: {expected}"));
    };
    if (1..=TTL_SECONDS_MAX).contains(&seconds) {
        Ok(seconds)
    } else {
        Err(format!("ttl {text:?} is out of range: expected 1s to 400d"))
    }
}

const SECRET_BYTES_MIN: usize = 16;
const PATH_BYTES_MAX: usize = 1_024;
/// What browsers keep a cookie for at most: 400 days.
const TTL_SECONDS_MAX: u64 = 400 * 86_400;
const UNITS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(keys: &Value) -> Result<Cookie, String> {
        let mut cookie = json!({ "name": "node", "secret": "0123456789abcdef" });
        for (key, value) in keys.as_object().unwrap() {
            cookie[key] = value.clone();
        }
        serde_json::from_value(cookie).map_err(|error| error.to_string())
    }

    #[test]
    fn a_cookie_is_set_with_its_attributes() {
        let check = |keys: Value, expected: &str| assert_eq!(read(&keys).unwrap().set(0x2a), expected);
        check(json!({}), "node=000000000000002a; Path=/; Secure; HttpOnly; SameSite=Lax");
        check(
            json!({ "path": "/shop", "ttl": "8h", "secure": false, "http_only": false, "same_site": "strict" }),
            "node=000000000000002a; Path=/shop; Max-Age=28800; SameSite=Strict",
        );
        check(
            json!({ "name": "__Host-node", "ttl": "400d", "same_site": "none" }),
            "__Host-node=000000000000002a; Path=/; Max-Age=34560000; Secure; HttpOnly; SameSite=None",
        );
    }

    #[test]
    fn a_value_is_sixteen_digits_and_nothing_else() {
        assert_eq!(Cookie::token("000000000000002a"), Some(0x2a));
        for value in ["", "2a", "000000000000002A", "+00000000000002a", "000000000000002a0", "00000000000000é"] {
            assert_eq!(Cookie::token(value), None, "{value}");
        }
    }

    #[test]
    fn what_browsers_would_not_take_is_refused() {
        let check = |keys: Value, expected: &str| assert_eq!(read(&keys).err().as_deref(), Some(expected));
        check(json!({ "secret": "short" }), "secret has 5 bytes: expected at least 16");
        check(json!({ "name": "a b" }), "\"a b\" is not a cookie name");
        let path = "is not a path: expected one that begins with \"/\", such as \"/shop\"";
        check(json!({ "path": "shop" }), &format!("path \"shop\" {path}"));
        check(json!({ "path": "/a; Domain=b" }), &format!("path \"/a; Domain=b\" {path}"));
        check(
            json!({ "ttl": "soon" }),
            "ttl \"soon\" is not a time: expected a whole number with s, m, h or d, such as \"8h\"",
        );
        check(json!({ "ttl": "401d" }), "ttl \"401d\" is out of range: expected 1s to 400d");
        check(
            json!({ "same_site": "none", "secure": false }),
            "same_site = \"none\" needs secure = true: browsers take no other",
        );
        check(
            json!({ "name": "__Host-node", "path": "/shop" }),
            "name \"__Host-node\" needs secure = true, and for \"__Host-\" path = \"/\": browsers take no other",
        );
    }
}
