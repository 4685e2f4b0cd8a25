//! Helpers that append JSON values to a string.

use uuid::Uuid;

/// Appends a JSON string. Most need no escapes (RFC 8259, section 7) and are copied verbatim.
pub fn push_json_string(text: &mut String, value: &str) {
    if value.bytes().any(|byte| matches!(byte, 0..0x20 | b'"' | b'\\')) {
        text.push_str(&serde_json::to_string(value).expect("strings serialize"));
    } else {
        text.push('"');
        text.push_str(value);
        text.push('"');
    }
}

/// Appends a UUID as a JSON string.
pub fn push_json_uuid(text: &mut String, id: Uuid) {
    text.push('"');
    text.push_str(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_by_serde_json() {
        for value in ["", "plain", "a\"b", "a\\b", "line\nend", "\u{0}", "\u{7f}", "é\u{2028}"] {
            let mut text = String::new();
            push_json_string(&mut text, value);
            assert_eq!(text, serde_json::to_string(value).unwrap());
        }
        let id = Uuid::new_v4();
        let mut text = String::new();
        push_json_uuid(&mut text, id);
        assert_eq!(text, serde_json::to_string(&id).unwrap());
    }
}
