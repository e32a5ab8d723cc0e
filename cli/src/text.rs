//! Escapes untrusted text for terminals: names of files, keys and contexts may contain control characters.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;

use unicode_width::UnicodeWidthStr;

use self::sanitize::is_unsafe;

/// The library's filter of text, which names the characters to escape.
#[path = "../../src/sanitize.rs"]
#[allow(dead_code)]
mod sanitize;

/// The text with `\u{…}` for each control character.
pub fn safe(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return text.into();
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_unsafe(character) {
            let _ = write!(safe, "\\u{{{:x}}}", u32::from(character));
        } else {
            safe.push(character);
        }
    }
    safe.into()
}

/// Escapes JSON text without changing its meaning.
pub fn safe_json(json: &str) -> Cow<'_, str> {
    if !json.contains(|character: char| is_unsafe(character) && character != '\n') {
        return json.into();
    }
    let mut safe = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if is_unsafe(character) && character != '\n' {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(character);
        }
    }
    safe.into()
}

/// A name as text, with `\xNN` for each byte that is not UTF-8, and quotes for an empty one.
pub fn shown(name: &OsStr) -> String {
    if name.is_empty() {
        return "\"\"".to_owned();
    }
    let mut text = String::new();
    for chunk in name.as_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Whether the bytes are text without control characters.
pub fn is_showable(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes)
        .is_ok_and(|text| !text.contains(|character| is_unsafe(character) && !matches!(character, '\n' | '\t' | '\r')))
}

/// The width of the text in columns of a terminal.
pub fn width(text: &str) -> usize {
    text.width()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        let hostile = "a\x1b[2J\u{7f}\u{9b}31m\u{202e}\u{2028}\u{feff}\u{200b}\n";
        assert!(!safe(hostile).contains(is_unsafe));
        let value = serde_json::json!({ "name": hostile });
        let json = safe_json(&value.to_string()).into_owned();
        assert!(!json.contains(is_unsafe));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), value);
    }

    #[test]
    fn bytes_that_are_not_text_are_escaped() {
        assert_eq!(shown(OsStr::from_bytes(b"a\xffb\xc3")), "a\\xffb\\xc3");
        assert_eq!(shown(OsStr::new("")), "\"\"");
    }
}
