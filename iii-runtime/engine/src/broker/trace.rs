//! The W3C baggage that the engine sends to callees ([protocol 4.6](iii_wire::protocol#s4-6)).

/// The baggage entry with the id of the called function.
const FUNCTION_KEY: &str = "iii.function.id";

/// Returns the baggage for a callee: the entries of the caller, and the id of the function.
///
/// `None` if the call has no trace context. Replaces the entry of an earlier call.
pub(crate) fn baggage_for(
    function_id: &str,
    traceparent: Option<&str>,
    baggage: Option<&str>,
) -> Option<String> {
    if traceparent.is_none() && baggage.is_none() {
        return None;
    }
    let baggage = baggage.unwrap_or_default();
    let mut text =
        String::with_capacity(FUNCTION_KEY.len() + function_id.len() + baggage.len() + 2);
    text.push_str(FUNCTION_KEY);
    text.push('=');
    push_value(&mut text, function_id);
    for entry in baggage.split(',') {
        let key = entry.split(['=', ';']).next().unwrap_or_default().trim();
        if !key.is_empty() && key != FUNCTION_KEY {
            text.push(',');
            text.push_str(entry.trim());
        }
    }
    Some(text)
}

/// Appends a value, percent-encoded as baggage requires.
fn push_value(text: &mut String, value: &str) {
    for byte in value.bytes() {
        match byte {
            b'"' | b',' | b';' | b'\\' | b'%' | b' ' => push_encoded(text, byte),
            0x21..=0x7e => text.push(char::from(byte)),
            _ => push_encoded(text, byte),
        }
    }
}

fn push_encoded(text: &mut String, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    text.push('%');
    text.push(char::from(HEX[usize::from(byte >> 4)]));
    text.push(char::from(HEX[usize::from(byte & 15)]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_entry_comes_first() {
        assert_eq!(
            baggage_for("a::b", None, Some("tenant=7, x=y;p=1")).as_deref(),
            Some("iii.function.id=a::b,tenant=7,x=y;p=1")
        );
        assert_eq!(
            baggage_for("a::b", Some("00-1-2-01"), None).as_deref(),
            Some("iii.function.id=a::b")
        );
        assert_eq!(baggage_for("a::b", None, None), None);
    }

    #[test]
    fn earlier_entry_is_replaced_and_values_are_encoded() {
        assert_eq!(
            baggage_for("a b,ü", None, Some("iii.function.id=old,k=v")).as_deref(),
            Some("iii.function.id=a%20b%2C%C3%BC,k=v")
        );
    }
}
