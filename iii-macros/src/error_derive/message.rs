//! Messages with fields in braces: `"no {sku} left"`.

use syn::LitStr;

use crate::diagnostics::unknown;

/// A format string whose placeholders have the names that generated code binds the fields to.
pub(super) struct FormatMessage {
    pub(super) format: LitStr,
    /// The indices of the fields that it uses, each once.
    pub(super) fields: Vec<usize>,
}

/// Returns the name that generated code binds a field to.
pub(super) fn binding_name(at: usize) -> String {
    format!("__iii_field{at}")
}

impl FormatMessage {
    /// Parses a message. `fields` are the names of the fields.
    ///
    /// # Errors
    ///
    /// The first error in the message.
    pub(super) fn parse(literal: &LitStr, fields: &[String]) -> Result<Self, String> {
        let text = literal.value();
        let mut format = String::new();
        let mut used = Vec::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find(['{', '}']) {
            let (before, after) = rest.split_at(at);
            format.push_str(before);
            if after.starts_with("{{") || after.starts_with("}}") {
                format.push_str(&after[..2]);
                rest = &after[2..];
                continue;
            }
            if after.starts_with('}') {
                let help = "write `}}` for a literal brace";
                return Err(format!("unmatched `}}` in the message\nhelp: {help}"));
            }
            let Some(end) = after.find('}') else {
                let help = "write `{{` for a literal brace";
                return Err(format!("unmatched `{{` in the message\nhelp: {help}"));
            };
            let inner = &after[1..end];
            let (name, spec) = match inner.split_once(':') {
                Some((name, spec)) => (name, Some(spec)),
                None => (inner, None),
            };
            let field = find_field(name.trim(), fields)?;
            used.push(field);
            format.push('{');
            format.push_str(&binding_name(field));
            if let Some(spec) = spec {
                format.push(':');
                format.push_str(&rename_parameters(spec, fields, &mut used)?);
            }
            format.push('}');
            rest = &after[end + 1..];
        }
        format.push_str(rest);
        used.sort_unstable();
        used.dedup();
        Ok(Self { format: LitStr::new(&format, literal.span()), fields: used })
    }
}

/// Returns the index of a field.
fn find_field(name: &str, fields: &[String]) -> Result<usize, String> {
    if let Some(at) = fields.iter().position(|field| field == name) {
        return Ok(at);
    }
    let names: Vec<&str> = fields.iter().map(String::as_str).collect();
    Err(match (names.first(), name.is_empty()) {
        (Some(first), true) => {
            format!("missing field name in `{{}}`\nhelp: write a name, such as `{{{first}}}`")
        }
        (None, true) => "missing field name in `{}`: there are no fields".to_owned(),
        (Some(_), false) => unknown("field", name, &names),
        (None, false) => format!(
            "unknown field `{name}`: there are no fields\nhelp: write `{{{{` for a literal brace"
        ),
    })
}

/// Renames the fields in a format specification such as `>width$`.
fn rename_parameters(
    spec: &str,
    fields: &[String],
    used: &mut Vec<usize>,
) -> Result<String, String> {
    let mut renamed = String::new();
    let mut rest = spec;
    while let Some(end) = rest.find('$') {
        let before = &rest[..end];
        let start = before
            .char_indices()
            .rev()
            .take_while(|(_, letter)| letter.is_alphanumeric() || *letter == '_')
            .last()
            .map_or(end, |(at, _)| at);
        let field = find_field(&before[start..], fields)?;
        used.push(field);
        renamed.push_str(&before[..start]);
        renamed.push_str(&binding_name(field));
        renamed.push('$');
        rest = &rest[end + 1..];
    }
    renamed.push_str(rest);
    Ok(renamed)
}

#[cfg(test)]
mod tests {
    use proc_macro2::Span;

    use super::*;

    fn parse(text: &str, fields: &[&str]) -> Result<(String, Vec<usize>), String> {
        let fields: Vec<String> = fields.iter().map(ToString::to_string).collect();
        FormatMessage::parse(&LitStr::new(text, Span::call_site()), &fields)
            .map(|message| (message.format.value(), message.fields))
    }

    #[test]
    fn fields_are_renamed_to_their_bindings() {
        assert_eq!(
            parse("no {sku} of {sku:?} {{x}}", &["count", "sku"]),
            Ok(("no {__iii_field1} of {__iii_field1:?} {{x}}".to_owned(), vec![1]))
        );
        assert_eq!(
            parse("{0:>1$}", &["0", "1"]),
            Ok(("{__iii_field0:>__iii_field1$}".to_owned(), vec![0, 1]))
        );
        assert_eq!(parse("plain", &[]), Ok(("plain".to_owned(), vec![])));
    }

    #[test]
    fn errors_are_reported_with_help() {
        assert!(parse("{skuu}", &["sku"]).unwrap_err().contains("did you mean `sku`"));
        assert!(parse("{}", &["sku"]).unwrap_err().contains("`{sku}`"));
        assert!(parse("{sku", &["sku"]).unwrap_err().contains("unmatched `{`"));
        assert!(parse("sku}", &["sku"]).unwrap_err().contains("unmatched `}`"));
        assert!(parse("{x}", &[]).unwrap_err().contains("no fields"));
    }
}
