//! A plugin's settings: TOML in, JSON out.

use serde_json::{Map, Number, Value as Json};
use toml::de::DeValue;

use crate::text::{Value, number};

/// What a plugin without settings is given.
pub(crate) fn none() -> Json {
    Json::Object(Map::new())
}

/// Reads a table; every value in it that JSON does not have is reported.
pub(crate) fn read(value: Value<'_>) -> Option<Json> {
    match value.raw() {
        DeValue::Table(_) => json(&value, 0),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_) => {
            value.refuse(format!("{} is not a table: expected settings, such as {{ status = 403 }}", value.found()))
        }
    }
}

fn json(value: &Value<'_>, depth: usize) -> Option<Json> {
    if depth > DEPTH_MAX {
        return value.refuse(format!("is nested too deep: expected at most {DEPTH_MAX} levels"));
    }
    match value.raw() {
        DeValue::String(text) => Some(Json::String(text.to_string())),
        DeValue::Boolean(truth) => Some(Json::Bool(*truth)),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(signed) => Some(signed.into()),
            Err(_) => number(integer).map(Json::from).or_else(|| value.is_out_of_range(i64::MIN, u64::MAX)),
        },
        DeValue::Float(float) => {
            let finite = float.as_str().parse().ok().and_then(Number::from_f64);
            finite.map(Json::Number).or_else(|| value.refuse(format!("{} has no form in JSON", value.found())))
        }
        DeValue::Datetime(_) => value.refuse(format!("{} has no form in JSON: expected it in quotes", value.found())),
        DeValue::Array(_) => {
            let elements = value.elements();
            Some(Json::Array(elements.filter_map(|element| json(&element, depth.saturating_add(1))).collect()))
        }
        DeValue::Table(_) => {
            let entries = value.entries();
            let entry =
                |(name, value): (&str, Value<'_>)| Some((name.to_owned(), json(&value, depth.saturating_add(1))?));
            Some(Json::Object(entries.filter_map(entry).collect()))
        }
    }
}

/// Well below the 128 that `serde_json` reads.
const DEPTH_MAX: usize = 64;
