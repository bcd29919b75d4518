//! Whose plugins load.

use palisade_signature::{Date, KeyError, Month, PublicKey, TrustedKey, TrustedKeys};
use toml::{de::DeValue, value::Datetime};

use crate::{
    name,
    text::{Form, Seen, Value},
};

/// Reads the `trusted_keys` list. Each name and each key stands in it once.
pub(crate) fn read(value: Value<'_>) -> Option<TrustedKeys> {
    let elements = value.list(KEYS)?;
    if elements.is_empty() || elements.len() > KEYS_MAX {
        let why = "leave it out where every plugin may load";
        return value.refuse(format!("holds {} keys: expected 1 to {KEYS_MAX}; {why}", elements.len()));
    }
    let (mut names, mut keys) = (Seen::default(), Seen::default());
    let trusted = elements.iter().filter_map(|element| read_one(element, &mut names, &mut keys));
    Some(TrustedKeys::new(trusted.collect()))
}

fn read_one(value: &Value<'_>, names: &mut Seen<String>, keys: &mut Seen<String>) -> Option<TrustedKey> {
    let mut table = value.table("a trusted key")?;
    let name = table.required("name", |value| name::read_unique(&value, names));
    let key = table.required("key", |value| key(&value, keys));
    let expires = table.optional("expires", |value| date(&value));
    table.finish();
    Some(TrustedKey { name: name?, key: key?, expires })
}

fn key(value: &Value<'_>, keys: &mut Seen<String>) -> Option<PublicKey> {
    let parsed = match value.text(KEY)?.parse::<PublicKey>() {
        Ok(key) => key,
        // The text of a private key does not belong into logs.
        Err(error @ KeyError::Secret) => return value.refuse(error.to_string()),
        Err(error) => return value.refuse(format!("{} {error}", value.found())),
    };
    match keys.insert(parsed.to_string(), value) {
        Ok(()) => Some(parsed),
        Err(first) => value.refuse(format!("{} is {first} already", value.found())),
    }
}

/// A day as RFC 3339 writes it (`full-date`), in quotes or without.
fn date(value: &Value<'_>) -> Option<Date> {
    let written = match value.raw() {
        DeValue::Datetime(date) => Some(*date),
        DeValue::String(text) => text.parse().ok(),
        _ => None,
    };
    written.and_then(day).or_else(|| value.is_not(DATE))
}

fn day(written: Datetime) -> Option<Date> {
    let Datetime { date: Some(date), time: None, offset: None } = written else { return None };
    Date::from_calendar_date(i32::from(date.year), Month::try_from(date.month).ok()?, date.day).ok()
}

const KEYS_MAX: usize = 100;
const KEYS: Form = Form {
    noun: "a list",
    expected: "keys, such as [{ name = \"release\", key = \"ed25519:…\", expires = 2030-12-31 }]",
};
const KEY: Form = Form { noun: "a public key", expected: "a line that `palisade plugin keygen` prints" };
const DATE: Form = Form { noun: "a date", expected: "the last day on which the key is believed, such as 2030-12-31" };
