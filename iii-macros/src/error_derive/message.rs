//! Messages with fields in braces: `"no {sku} left"`.

use syn::LitStr;

use crate::diagnostics::{listed, nearest};

/// A message whose fields have the names that generated code gives them.
pub(super) struct Message {
    /// The format string.
    pub(super) format: LitStr,
    /// The fields in it, by their place in the variant, each once.
    pub(super) fields: Vec<usize>,
}

/// The name of a field in generated code.
pub(super) fn binding(at: usize) -> String {
    format!("__iii_field{at}")
}

impl Message {
    /// Reads a message about `fields`.
    ///
    /// # Errors
    ///
    /// The first mistake.
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
                return Err("a `}` without `{`: write `}}` for the sign itself".to_owned());
            }
            let Some(end) = after.find('}') else {
                return Err("a `{` without `}`: write `{{` for the sign itself".to_owned());
            };
            let inner = &after[1..end];
            let (name, spec) = match inner.split_once(':') {
                Some((name, spec)) => (name, Some(spec)),
                None => (inner, None),
            };
            let field = find(name.trim(), fields)?;
            used.push(field);
            format.push('{');
            format.push_str(&binding(field));
            if let Some(spec) = spec {
                format.push(':');
                format.push_str(&rename(spec, fields, &mut used)?);
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

/// The place of a field.
fn find(name: &str, fields: &[String]) -> Result<usize, String> {
    if name.is_empty() {
        return Err(match fields.first() {
            Some(first) => format!("`{{}}` names no field: write its name, such as `{{{first}}}`"),
            None => "`{}` names no field, and there are none".to_owned(),
        });
    }
    if let Some(at) = fields.iter().position(|field| field == name) {
        return Ok(at);
    }
    let names: Vec<&str> = fields.iter().map(String::as_str).collect();
    Err(match (nearest(name, &names), names.is_empty()) {
        (Some(guess), _) => format!("there is no field `{name}`; did you mean `{guess}`?"),
        (None, true) => format!("there is no field `{name}`: write `{{{{` for the sign itself"),
        (None, false) => format!("there is no field `{name}`: the fields are {}", listed(&names)),
    })
}

/// A format specification such as `>width$`, where names are fields too.
fn rename(spec: &str, fields: &[String], used: &mut Vec<usize>) -> Result<String, String> {
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
        let field = find(&before[start..], fields)?;
        used.push(field);
        renamed.push_str(&before[..start]);
        renamed.push_str(&binding(field));
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
        Message::parse(&LitStr::new(text, Span::call_site()), &fields)
            .map(|message| (message.format.value(), message.fields))
    }

    #[test]
    fn fields_get_their_generated_names() {
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
    fn mistakes_say_what_to_write() {
        assert!(parse("{skuu}", &["sku"]).unwrap_err().contains("did you mean `sku`"));
        assert!(parse("{}", &["sku"]).unwrap_err().contains("`{sku}`"));
        assert!(parse("{sku", &["sku"]).unwrap_err().contains("without `}`"));
        assert!(parse("sku}", &["sku"]).unwrap_err().contains("without `{`"));
        assert!(parse("{x}", &[]).unwrap_err().contains("no field"));
    }
}
