//! Why a plugin could not do its job: one sentence for the operator.

use std::fmt;

/// Why a plugin refused its settings or could not decide.
///
/// The message goes to the host's log and to the operator, never to the client. The host cuts it at 1,000 bytes. Write it
/// in lower case, without a full stop, and quote the offending value.
///
/// ```
/// use palisade_sdk::Error;
///
/// let error = Error::setting("deny[1]", "\"10.0.0.0/33\" is not a prefix");
/// assert_eq!(error.to_string(), "settings.deny[1]: \"10.0.0.0/33\" is not a prefix");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Error {
    message: String,
}

impl Error {
    /// An error with this sentence.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }

    /// An error about one setting. `path` is written as in the config, for example `deny[1]`, or empty for the settings
    /// as a whole.
    pub fn setting(path: impl Into<String>, message: impl fmt::Display) -> Self {
        let path = path.into();
        let dot = if path.is_empty() || path.starts_with('[') { "" } else { "." };
        Self { message: format!("settings{dot}{path}: {message}") }
    }

    /// An error with the text of another one: `.map_err(Error::from_display)`.
    pub fn from_display(cause: impl fmt::Display) -> Self {
        Self { message: cause.to_string() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<String> for Error {
    fn from(message: String) -> Self {
        Self { message }
    }
}

impl From<&str> for Error {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_named_by_its_path() {
        check("deny", "settings.deny: is wrong");
        check("rules[0].path", "settings.rules[0].path: is wrong");
        check("[2]", "settings[2]: is wrong");
        check("", "settings: is wrong");
    }

    #[test]
    fn other_errors_keep_their_text() {
        let cause = "x".parse::<u16>().unwrap_err();
        assert_eq!(Error::from_display(&cause).to_string(), cause.to_string());
        assert_eq!(Error::from("refused"), Error::new("refused"));
        assert_eq!(Error::from(String::from("refused")), Error::new("refused"));
    }

    #[track_caller]
    fn check(path: &str, message: &str) {
        assert_eq!(Error::setting(path, "is wrong").to_string(), message);
    }
}
