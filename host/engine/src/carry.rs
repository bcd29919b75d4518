//! A plugin's file and its machine code in; the file that carries it (see `carried`), out. And the way back.

use std::borrow::Cow;

use crate::Reason;
use crate::carried::{self, SECTION};

/// The number of a custom section.
const CUSTOM: u8 = 0;

/// The file without the code that it carries.
///
/// # Errors
/// The file is malformed.
pub(crate) fn without_code(file: &[u8]) -> Result<Cow<'_, [u8]>, Reason> {
    let Some(code) = carried::code(file)? else { return Ok(Cow::Borrowed(file)) };
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
                assert_eq!(carried::code(&file).expect("well-formed"), Some(&code[..]), "{size}");
                assert_eq!(without_code(&file).expect("well-formed"), plain, "{size}");
            }
            assert_eq!(carried::code(plain).expect("well-formed"), None);
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
        assert_eq!(carried::code(&file).expect("well-formed"), None);
        assert_eq!(carried::code(&with_code(&file, b"outer")).expect("well-formed"), Some(&b"outer"[..]));
        let error = carried::code(&with_code(EMPTY[0], b"cut")[..20]).expect_err("cut off");
        assert!(error.to_string().contains("is the file complete?"), "{error}");
    }
}
