//! Machine code that a plugin's file carries: a custom section at its end (WebAssembly core specification, section 5.5.3), which whoever
//! does not know it passes over. So the file is the plugin still, with its name, phases and capabilities, and any host takes it.

use std::borrow::Cow;

use wasmparser::{Parser, Payload};

use crate::Reason;

/// What the section is called.
const SECTION: &str = "palisade:code";

/// The number of a custom section.
const CUSTOM: u8 = 0;

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

/// The file without the code that it carries.
///
/// # Errors
/// The file is malformed.
pub(crate) fn without_code(file: &[u8]) -> Result<Cow<'_, [u8]>, Reason> {
    let Some(code) = code(file)? else { return Ok(Cow::Borrowed(file)) };
    let section = section(code).len();
    Ok(Cow::Borrowed(file.get(..file.len().saturating_sub(section)).unwrap_or_default()))
}

/// The file with this code at its end.
pub(crate) fn with_code(file: &[u8], code: &[u8]) -> Vec<u8> {
    [file, &section(code)].concat()
}

fn section(code: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(code.len() + SECTION.len() + 5);
    length(&mut content, SECTION.len());
    content.extend(SECTION.as_bytes());
    content.extend(code);
    let mut section = vec![CUSTOM];
    length(&mut section, content.len());
    section.extend(content);
    section
}

/// LEB128 (section 5.2.2).
fn length(out: &mut Vec<u8>, mut number: usize) {
    while number >= 128 {
        out.push(u8::try_from(number % 128).unwrap_or_default() | 128);
        number /= 128;
    }
    out.push(u8::try_from(number).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: [&[u8]; 2] = [b"\0asm\x01\0\0\0", b"\0asm\x0d\0\x01\0"];

    #[test]
    fn code_is_carried_by_modules_and_components_alike() {
        for plain in EMPTY {
            for size in [0, 1, 113, 114, 127, 128, 20_000] {
                let code = vec![7; size];
                let file = with_code(plain, &code);
                assert_eq!(super::code(&file).expect("well-formed"), Some(&code[..]), "{size}");
                assert_eq!(without_code(&file).expect("well-formed"), plain, "{size}");
            }
            assert_eq!(super::code(plain).expect("well-formed"), None);
            assert_eq!(without_code(plain).expect("well-formed"), plain);
        }
    }

    #[test]
    fn only_the_end_of_a_file_is_its_code() {
        let inner = with_code(EMPTY[0], b"inner");
        // A component with a core module (section 1) that carries code of its own.
        let mut file = EMPTY[1].to_vec();
        file.push(1);
        length(&mut file, inner.len());
        file.extend(&inner);
        assert_eq!(super::code(&file).expect("well-formed"), None);
        assert_eq!(super::code(&with_code(&file, b"outer")).expect("well-formed"), Some(&b"outer"[..]));
        let error = super::code(&with_code(EMPTY[0], b"cut")[..20]).expect_err("cut off");
        assert!(error.to_string().contains("is the file complete?"), "{error}");
    }
}
