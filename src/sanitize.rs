//! Text for a terminal or a log, without control characters.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a terminal or a log viewer may interpret this character instead of showing it: C0 and C1 control characters,
/// DEL, line and paragraph separators, and characters that change the direction of text or are invisible.
pub(crate) fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            // Soft hyphen, combining grapheme joiner, Arabic letter mark, Mongolian vowel separator.
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}'
            // Zero-width characters and direction marks; separators, embeddings and overrides.
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            // Word joiner, invisible operators, isolates, deprecated format characters.
            | '\u{2060}'..='\u{206f}'
            // Zero-width no-break space, interlinear annotations, tags.
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether the text has no character that a terminal or a log viewer may interpret.
pub(crate) fn is_printable(text: &str) -> bool {
    !text.contains(is_unsafe)
}

/// The text with a blank for each newline or tab, and `\u{…}` for each other unsafe character.
pub(crate) fn sanitized(text: &str) -> Cow<'_, str> {
    replaced(text, |character, safe| match character {
        '\t'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => safe.push(' '),
        other => safe.extend(other.escape_unicode()),
    })
}

/// The beginning of a text in quotation marks, for an error that quotes its input: at most 32 characters, none of which
/// a terminal interprets.
pub(crate) fn excerpt(text: &str) -> String {
    quoted_up_to(text, 32)
}

/// As [`excerpt`], for a name that a reader needs in full, such as that of a file.
pub(crate) fn quoted(text: &str) -> String {
    quoted_up_to(text, 4096)
}

pub(crate) fn quoted_up_to(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        None => format!("\"{}\"", sanitized(text)),
        Some((end, _)) => format!("\"{}…\"", sanitized(&text[..end])),
    }
}

/// JSON text with the same meaning and each unsafe character escaped. JSON has them in strings only, and the serialiser has
/// escaped those below U+0020 already.
pub(crate) fn sanitized_json(json: &str) -> Cow<'_, str> {
    replaced(json, |character, safe| {
        for unit in character.encode_utf16(&mut [0; 2]) {
            let _ = write!(safe, "\\u{unit:04x}");
        }
    })
}

fn replaced(text: &str, replace: impl Fn(char, &mut String)) -> Cow<'_, str> {
    // Nearly all text is like this, and telling so takes one comparison a byte.
    let is_plain = text.bytes().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~'));
    if is_plain || !text.contains(is_unsafe) {
        return text.into();
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_unsafe(character) { replace(character, &mut safe) } else { safe.push(character) }
    }
    safe.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_text_stays_as_it_is() {
        for text in ["", "plain", "用户 \"é\" ñ אב 👍", "back\\slash ~"] {
            assert!(matches!(sanitized(text), Cow::Borrowed(same) if same == text));
            assert!(matches!(sanitized_json(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn control_characters_are_escaped() {
        let ranges =
            [(0, 0x1f), (0x7f, 0x9f), (0x200b, 0x200f), (0x2028, 0x202e), (0x2060, 0x206f), (0xe0000, 0xe007f)];
        let singles = [0xad, 0x61c, 0xfeff];
        for number in ranges.into_iter().flat_map(|(first, last)| first..=last).chain(singles) {
            let character = char::from_u32(number).unwrap();
            let text = format!("a{character}b");
            assert!(!sanitized(&text).contains(is_unsafe), "U+{number:04X}");
            assert!(!sanitized_json(&text).contains(is_unsafe), "U+{number:04X}");
        }
        assert_eq!(
            sanitized("a\r\nb\x1b[2Jc\u{9b}d\u{202e}e\u{2028}f\x7f"),
            "a  b\\u{1b}[2Jc\\u{9b}d\\u{202e}e f\\u{7f}"
        );
    }

    #[test]
    fn an_excerpt_is_short_and_has_no_control_characters() {
        assert_eq!(excerpt("ap-guangzhou"), "\"ap-guangzhou\"");
        assert_eq!(excerpt(&"密".repeat(33)), format!("\"{}…\"", "密".repeat(32)));
        assert_eq!(excerpt("a\x1b[2J"), "\"a\\u{1b}[2J\"");
    }

    #[test]
    fn json_keeps_its_meaning() {
        let value = serde_json::json!({"a\u{9b}": "\u{202e}\u{e0041}\u{2028}\n\x7f"});
        let safe = sanitized_json(&value.to_string()).into_owned();
        assert_eq!(safe, r#"{"a\u009b":"\u202e\udb40\udc41\u2028\n\u007f"}"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
    }
}
