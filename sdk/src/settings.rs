//! JSON text → a plugin's settings, or a sentence that names the setting; and their JSON Schema.

use schemars::{JsonSchema, SchemaGenerator};
use serde::{Deserialize, de::DeserializeOwned};

use crate::Error;

/// Reads settings. Empty text counts as no settings at all.
pub(crate) fn parse<S: DeserializeOwned>(text: &str) -> Result<S, Error> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    let mut json = serde_json::Deserializer::from_str(text);
    let settings = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        // The path of the whole is ".", and text that is not JSON has none.
        let path = Some(error.path().to_string()).filter(|path| path != "." && error.inner().is_data());
        Error::setting(path.unwrap_or_default(), sentence(error.inner()))
    })?;
    json.end().map_err(|error| Error::setting("", sentence(&error)))?;
    Ok(settings)
}

/// The JSON Schema (2020-12) of settings, as JSON text.
pub(crate) fn schema<S: JsonSchema>() -> String {
    SchemaGenerator::default().into_root_schema_for::<S>().to_value().to_string()
}

/// The settings of a plugin that has none: an operator who writes one is told.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

/// The error without its position: the operator wrote TOML, and never sees the JSON that the host made of it.
fn sentence(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    message.strip_suffix(&position).unwrap_or(&message).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, Default, Deserialize, JsonSchema, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Settings {
        deny: Vec<String>,
        status: u16,
        nested: Nested,
    }

    #[derive(Debug, Default, Deserialize, JsonSchema, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Nested {
        mode: Mode,
    }

    #[derive(Debug, Default, Deserialize, JsonSchema, PartialEq)]
    #[serde(rename_all = "kebab-case")]
    enum Mode {
        #[default]
        Off,
        WholeBody,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    struct Needy {
        #[expect(dead_code, reason = "only its absence matters")]
        deny: Vec<String>,
    }

    #[test]
    fn settings_where_all_have_defaults_may_be_absent() {
        for text in ["", "  ", "{}", "{ }\n"] {
            assert_eq!(parse::<Settings>(text).unwrap(), Settings::default(), "{text:?}");
        }
    }

    #[test]
    fn an_error_names_the_setting() {
        check(json!({"deny": ["a", 5]}), "settings.deny[1]: invalid type: integer `5`, expected a string");
        check(json!({"status": -1}), "settings.status: invalid value: integer `-1`, expected u16");
        check(json!({"deni": []}), "settings.deni: unknown field `deni`, expected one of `deny`, `status`, `nested`");
        check(
            json!({"nested": {"mode": "on"}}),
            "settings.nested.mode: unknown variant `on`, expected `off` or `whole-body`",
        );
        check(json!(5), "settings: invalid type: integer `5`, expected struct Settings");
        assert_eq!(parse::<Needy>("").unwrap_err().to_string(), "settings: missing field `deny`");
    }

    #[test]
    fn text_that_is_not_one_json_value_is_refused() {
        assert_eq!(parse::<Settings>("{").unwrap_err().to_string(), "settings: EOF while parsing an object");
        assert_eq!(parse::<Settings>("{} {}").unwrap_err().to_string(), "settings: trailing characters");
    }

    #[test]
    fn the_schema_describes_the_settings() {
        let schema: Value = serde_json::from_str(&schema::<Settings>()).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["properties"]["deny"]["items"]["type"], "string");
        assert_eq!(schema["additionalProperties"], false);
    }

    #[track_caller]
    fn check(settings: Value, message: &str) {
        assert_eq!(parse::<Settings>(&settings.to_string()).unwrap_err().to_string(), message);
    }
}
