//! Options of a macro: `name = value`, `name(…)`, flags, and values without a name.

mod take;
mod value;

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Expr, Ident, Token, token};

use crate::diagnostics::{Errors, SpanRange, unknown};

use self::value::ungrouped;
pub(crate) use self::value::{StringOrPath, found, literal, path, string_or_path};

/// An option with a name.
struct NamedOption {
    name: Ident,
    value: OptionValue,
}

enum OptionValue {
    /// `name = value`
    Expr(Expr),
    /// `name(…)`
    List(TokenStream),
    /// `name`
    Missing,
    /// The value did not parse, which was reported.
    Invalid,
}

/// The options of one macro invocation, each parsed on its own: an invalid one does not hide the others.
///
/// The `take` methods remove an option; [`MacroOptions::finish`] reports the values that are left.
pub(crate) struct MacroOptions {
    /// Where a missing option is reported.
    pub(crate) span: SpanRange,
    named: Vec<NamedOption>,
    positional: Vec<Expr>,
}

impl MacroOptions {
    /// Parses the options of a macro that is invoked at `span`.
    pub(crate) fn parse(tokens: TokenStream, span: SpanRange, errors: &mut Errors) -> Self {
        let mut options = Self { span, named: Vec::new(), positional: Vec::new() };
        let parser = |input: ParseStream<'_>| {
            while !input.is_empty() {
                match options.parse_one(input) {
                    Ok(()) => {}
                    Err(error) => {
                        errors.push(error);
                        skip_to_comma(input);
                    }
                }
                if input.parse::<Option<Token![,]>>()?.is_none() && !input.is_empty() {
                    errors.push(input.error("expected `,` between options"));
                    skip_to_comma(input);
                    let _ = input.parse::<Option<Token![,]>>()?;
                }
            }
            Ok(())
        };
        if let Err(error) = parser.parse2(tokens) {
            errors.push(error);
        }
        options
    }

    fn parse_one(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        let named = input.peek(Ident::peek_any)
            && (input.peek2(Token![=]) && !input.peek2(Token![==]) || input.peek2(token::Paren))
            || input.peek(Ident::peek_any) && (input.peek2(Token![,]) || is_last(input));
        if !named || input.peek(syn::LitBool) {
            self.positional.push(input.parse()?);
            return Ok(());
        }
        let name = input.call(Ident::parse_any)?;
        let value = if input.peek(token::Paren) {
            let content;
            syn::parenthesized!(content in input);
            OptionValue::List(content.parse()?)
        } else if let Some(equals) = input.parse::<Option<Token![=]>>()? {
            if input.is_empty() || input.peek(Token![,]) {
                let message = missing_value(&name.to_string());
                self.named.push(NamedOption { name, value: OptionValue::Invalid });
                return Err(syn::Error::new(equals.span, message));
            }
            match input.parse() {
                Ok(value) => OptionValue::Expr(value),
                Err(error) => {
                    self.named.push(NamedOption { name, value: OptionValue::Invalid });
                    return Err(error);
                }
            }
        } else {
            OptionValue::Missing
        };
        self.named.push(NamedOption { name, value });
        Ok(())
    }

    /// Reports names that are not in `known`, and duplicates. Call it before any option is taken.
    pub(crate) fn check(&mut self, known: &[&str], errors: &mut Errors) {
        let mut seen: Vec<String> = Vec::new();
        self.named.retain(|named| {
            let name = named.name.unraw().to_string();
            if !known.contains(&name.as_str()) {
                errors.at(named.name.span(), unknown("option", &name, known));
                return false;
            }
            if seen.contains(&name) {
                let message = format!("duplicate option `{name}`\nhelp: remove one of the two");
                errors.at(named.name.span(), message);
                return false;
            }
            seen.push(name);
            true
        });
    }

    /// Returns whether the option `name` is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.named.iter().any(|named| named.name == name)
    }

    /// Returns the value of `name` without taking it.
    pub(crate) fn peek(&self, name: &str) -> Option<&Expr> {
        self.named.iter().find_map(|named| match &named.value {
            OptionValue::Expr(expr) if named.name == name => Some(expr),
            _ => None,
        })
    }

    /// Returns the span of the name of an option.
    pub(crate) fn span_of(&self, name: &str) -> Option<Span> {
        self.named.iter().find(|named| named.name == name).map(|named| named.name.span())
    }

    /// Takes the first value without a name.
    pub(crate) fn take_positional(&mut self) -> Option<Expr> {
        (!self.positional.is_empty()).then(|| ungrouped(self.positional.remove(0)))
    }

    /// Takes the first flag.
    pub(crate) fn take_word(&mut self) -> Option<Ident> {
        self.take_word_except(&[])
    }

    /// Takes the first flag whose name is not in `known`.
    pub(crate) fn take_word_except(&mut self, known: &[&str]) -> Option<Ident> {
        let at = self.named.iter().position(|named| {
            matches!(named.value, OptionValue::Missing)
                && !known.contains(&named.name.to_string().as_str())
        })?;
        Some(self.named.remove(at).name)
    }

    /// Takes the flag `name`, and returns its span.
    pub(crate) fn take_flag(&mut self, name: &str) -> Option<Span> {
        let at = self
            .named
            .iter()
            .position(|named| matches!(named.value, OptionValue::Missing) && named.name == name)?;
        Some(self.named.remove(at).name.span())
    }

    /// Takes the value of `name = value`.
    pub(crate) fn take(&mut self, name: &str, errors: &mut Errors) -> Option<Expr> {
        let at = self.named.iter().position(|named| named.name == name)?;
        let named = self.named.remove(at);
        match named.value {
            OptionValue::Expr(expr) => Some(ungrouped(expr)),
            OptionValue::List(_) => {
                errors.on(&named.name, format!("expected `{name} = …`, found `{name}(…)`"));
                None
            }
            OptionValue::Missing => {
                errors.on(&named.name, missing_value(name));
                None
            }
            OptionValue::Invalid => None,
        }
    }

    /// Takes the content of `name(…)`.
    pub(crate) fn take_list(&mut self, name: &str, errors: &mut Errors) -> Option<TokenStream> {
        let at = self.named.iter().position(|named| named.name == name)?;
        let named = self.named.remove(at);
        let found = match named.value {
            OptionValue::List(tokens) => return Some(tokens),
            OptionValue::Missing => format!("`{name}`"),
            OptionValue::Expr(_) | OptionValue::Invalid => format!("`{name} = …`"),
        };
        errors.on(&named.name, format!("expected `{name}(…)`, found {found}"));
        None
    }

    /// Reports values without a name that were not taken.
    pub(crate) fn finish(self, errors: &mut Errors) {
        for expr in self.positional {
            errors.on(expr, "unexpected value without a name\nhelp: write `name = value`");
        }
    }
}

fn missing_value(name: &str) -> String {
    format!("missing value of `{name}`\nhelp: write `{name} = …`")
}

/// Returns whether only one token is left.
fn is_last(input: ParseStream<'_>) -> bool {
    input.cursor().token_tree().is_some_and(|(_, rest)| rest.eof())
}

fn skip_to_comma(input: ParseStream<'_>) {
    while !input.is_empty() && !input.peek(Token![,]) {
        // Cannot fail: the input is not empty.
        let _ = input.parse::<TokenTree>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (MacroOptions, Errors) {
        let mut errors = Errors::default();
        let span = SpanRange::at(Span::call_site());
        let options = MacroOptions::parse(text.parse().unwrap(), span, &mut errors);
        (options, errors)
    }

    #[test]
    fn options_have_values_lists_and_flags() {
        let (mut options, mut errors) =
            parse(r#"cron, "0 * * * * *", condition = a::b, link(x, y), crate = ::other"#);
        assert_eq!(options.take_word().unwrap(), "cron");
        assert!(literal(&options.take_positional().unwrap()).is_some());
        assert!(options.take_path("condition", "a path", "a", &mut errors).is_some());
        assert_eq!(options.take_list("link", &mut errors).unwrap().to_string(), "x , y");
        assert!(options.take_crate(&mut errors).is_some());
        assert!(errors.is_empty());
    }

    #[test]
    fn each_invalid_option_is_reported() {
        let (mut options, mut errors) =
            parse(r#"id = , idd = "a", timeout = "1s" concurrency = 3"#);
        options.check(&["id", "timeout", "concurrency"], &mut errors);
        let messages = errors.messages();
        assert_eq!(messages.len(), 3, "{messages:?}");
        assert!(messages[0].contains("missing value of `id`"));
        assert!(messages[1].contains("expected `,`"));
        assert!(messages[2].contains("did you mean `id`"));
    }

    #[test]
    fn first_of_two_equal_options_is_kept() {
        let (mut options, mut errors) = parse("a = 1, a = 2");
        options.check(&["a"], &mut errors);
        assert_eq!(errors.messages(), ["duplicate option `a`\nhelp: remove one of the two"]);
        assert_eq!(options.take_integer("a", 1, &mut errors), Some(1));
    }

    #[test]
    fn durations_are_parsed() {
        let (mut options, mut errors) = parse(r#"a = "1m 30s", b = "0s", c = "soon""#);
        assert_eq!(options.take_duration("a", &mut errors), Some(90_000));
        assert_eq!(options.take_duration("b", &mut errors), None);
        assert_eq!(options.take_duration("c", &mut errors), None);
        assert_eq!(errors.messages().len(), 2);
    }

    #[test]
    fn wrong_type_is_reported_with_what_was_found() {
        let (mut options, mut errors) = parse(r#"a = 7, b = "x", c = x::y, d = [1]"#);
        options.take_str("a", "x", &mut errors);
        options.take_integer("b", 1, &mut errors);
        options.take_bool("c", &mut errors);
        options.take_path("d", "a path", "a::b", &mut errors);
        assert_eq!(
            errors.messages(),
            [
                "expected a string for `a`, found integer `7`\nhelp: write `a = \"x\"`",
                "expected an integer of at least 1 for `b`, found string `\"x\"`\n\
                 help: write a number without quotes, such as `b = 4`",
                "expected `true` or `false` for `c`, found path `x::y`",
                "expected a path for `d`, found array\n\
                 help: write `d = a::b`, without quotes or parentheses",
            ]
        );
    }
}
