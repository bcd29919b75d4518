//! Machine code that a plugin's file carries: a custom section at its end (WebAssembly core specification, section 5.5.3), which whoever
//! does not know it passes over. So the file is the plugin still, with its name, phases and capabilities, and any host takes it.

use wasmparser::{Parser, Payload};

use crate::Reason;

/// What the section is called.
pub(crate) const SECTION: &str = "palisade:code";

/// The code in a file, if it carries any: the outermost section of this name that ends with the file.
///
/// # Errors
/// The file is malformed.
pub(crate) fn code(file: &[u8]) -> Result<Option<&[u8]>, Reason> {
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(file) {
        let payload = payload
            .map_err(|error| Reason::Malformed { offset: error.offset(), message: error.message().to_owned() })?;
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(custom)
                if depth == 0 && custom.name() == SECTION && custom.range().end == file.len() =>
            {
                return Ok(Some(custom.data()));
            }
            _ => {}
        }
    }
    Ok(None)
}
