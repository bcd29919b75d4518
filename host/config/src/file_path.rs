//! Paths in the config: relative ones start from its folder.

use std::path::PathBuf;

use crate::text::{Form, Value};

/// Reads a path and completes it.
pub(crate) fn read(value: Value<'_>) -> Option<PathBuf> {
    let text = value.text(PATH)?;
    if text.is_empty() || text.contains('\0') {
        return value.is_not(PATH);
    }
    Some(value.report().folder().join(text))
}

const PATH: Form =
    Form { noun: "a path", expected: "one from the config's folder or from the root, such as \"web.pem\"" };
