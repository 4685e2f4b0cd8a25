//! Pieces of JSON for text that is written by hand.

use uuid::Uuid;

/// Writes a JSON string. Most of them need no escapes (RFC 8259, section 7) and are copied as they are.
pub fn push_text(text: &mut String, value: &str) {
    if value.bytes().any(|byte| matches!(byte, 0..0x20 | b'"' | b'\\')) {
        text.push_str(&serde_json::to_string(value).expect("text serialises"));
    } else {
        text.push('"');
        text.push_str(value);
        text.push('"');
    }
}

/// Writes a UUID as a JSON string.
pub fn push_uuid(text: &mut String, id: Uuid) {
    text.push('"');
    text.push_str(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_written_as_the_library_writes_it() {
        for value in ["", "plain", "a\"b", "a\\b", "line\nend", "\u{0}", "\u{7f}", "é\u{2028}"] {
            let mut text = String::new();
            push_text(&mut text, value);
            assert_eq!(text, serde_json::to_string(value).unwrap());
        }
        let id = Uuid::new_v4();
        let mut text = String::new();
        push_uuid(&mut text, id);
        assert_eq!(text, serde_json::to_string(&id).unwrap());
    }
}
