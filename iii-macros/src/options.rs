//! The options of an attribute: `name = value`, flags and values without a name, parsed one by one.
//!
//! One bad option does not hide the others: each is an error of its own.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Expr, ExprLit, Ident, Lit, LitStr, Path, Token, token};

use crate::diagnostics::{Ends, Errors, instead};

/// One option with a name.
struct Named {
    name: Ident,
    value: Value,
}

enum Value {
    /// `name = value`
    Expr(Expr),
    /// `name(…)`
    List(TokenStream),
    /// `name`
    Missing,
    /// A value that could not be read, which was said already.
    Broken,
}

/// The options of one attribute. What is taken out is done; [`Options::finish`] refuses the rest.
pub(crate) struct Options {
    /// The place of the attribute, for what is missing.
    pub(crate) place: Ends,
    named: Vec<Named>,
    positional: Vec<Expr>,
}

impl Options {
    /// Parses what stands between the parentheses of an attribute at `place`.
    pub(crate) fn parse(tokens: TokenStream, place: Ends, errors: &mut Errors) -> Self {
        let mut options = Self { place, named: Vec::new(), positional: Vec::new() };
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
            Value::List(content.parse()?)
        } else if let Some(equals) = input.parse::<Option<Token![=]>>()? {
            if input.is_empty() || input.peek(Token![,]) {
                let message = format!("`{name}` has no value: write `{name} = …`");
                self.named.push(Named { name, value: Value::Broken });
                return Err(syn::Error::new(equals.span, message));
            }
            match input.parse() {
                Ok(value) => Value::Expr(value),
                Err(error) => {
                    self.named.push(Named { name, value: Value::Broken });
                    return Err(error);
                }
            }
        } else {
            Value::Missing
        };
        self.named.push(Named { name, value });
        Ok(())
    }

    /// Takes the first value without a name.
    pub(crate) fn take_positional(&mut self) -> Option<Expr> {
        (!self.positional.is_empty()).then(|| ungrouped(self.positional.remove(0)))
    }

    /// Takes the first word that stands alone.
    pub(crate) fn take_word(&mut self) -> Option<Ident> {
        self.take_word_except(&[])
    }

    /// Takes the first word that stands alone and is not the name of an option.
    pub(crate) fn take_word_except(&mut self, known: &[&str]) -> Option<Ident> {
        let at = self.named.iter().position(|named| {
            matches!(named.value, Value::Missing)
                && !known.contains(&named.name.to_string().as_str())
        })?;
        Some(self.named.remove(at).name)
    }

    /// Takes a word that stands alone; the place of it, if it is there.
    pub(crate) fn take_flag(&mut self, name: &str) -> Option<Span> {
        let at = self
            .named
            .iter()
            .position(|named| matches!(named.value, Value::Missing) && named.name == name)?;
        Some(self.named.remove(at).name.span())
    }

    /// Whether there is an option of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.named.iter().any(|named| named.name == name)
    }

    /// The value of `name`, which stays where it is.
    pub(crate) fn peek(&self, name: &str) -> Option<&Expr> {
        self.named.iter().find_map(|named| match &named.value {
            Value::Expr(expr) if named.name == name => Some(expr),
            _ => None,
        })
    }

    /// The place of the name of an option, if it is there.
    pub(crate) fn place_of(&self, name: &str) -> Option<Span> {
        self.named.iter().find(|named| named.name == name).map(|named| named.name.span())
    }

    /// Refuses names that are not in `known`, and names that come twice. Call it before anything is taken.
    pub(crate) fn check(&mut self, known: &[&str], errors: &mut Errors) {
        let mut seen: Vec<String> = Vec::new();
        self.named.retain(|named| {
            let name = named.name.unraw().to_string();
            if !known.contains(&name.as_str()) {
                let instead = instead(&name, known, "the options are");
                errors.at(named.name.span(), format!("unknown option `{name}`{instead}"));
                return false;
            }
            if seen.contains(&name) {
                errors.at(named.name.span(), format!("`{name}` is given twice: keep one of them"));
                return false;
            }
            seen.push(name);
            true
        });
    }

    /// Takes the value of `name`.
    pub(crate) fn take(&mut self, name: &str, errors: &mut Errors) -> Option<Expr> {
        let at = self.named.iter().position(|named| named.name == name)?;
        let named = self.named.remove(at);
        match named.value {
            Value::Expr(expr) => Some(ungrouped(expr)),
            Value::List(_) => {
                errors.on(&named.name, format!("`{name}` takes a value: write `{name} = …`"));
                None
            }
            Value::Missing => {
                errors.on(&named.name, format!("`{name}` has no value: write `{name} = …`"));
                None
            }
            Value::Broken => None,
        }
    }

    /// Takes the content of `name(…)`.
    pub(crate) fn take_list(&mut self, name: &str, errors: &mut Errors) -> Option<TokenStream> {
        let at = self.named.iter().position(|named| named.name == name)?;
        let named = self.named.remove(at);
        if let Value::List(tokens) = named.value {
            return Some(tokens);
        }
        errors.on(&named.name, format!("`{name}` takes a list: write `{name}(…)`"));
        None
    }

    /// Takes the text of `name`, which must be a literal.
    pub(crate) fn take_str(
        &mut self,
        name: &str,
        example: &str,
        errors: &mut Errors,
    ) -> Option<LitStr> {
        let expr = self.take(name, errors)?;
        literal(&expr).or_else(|| {
            errors.on(&expr, format!("`{name}` is a text, such as `{name} = \"{example}\"`"));
            None
        })
    }

    /// Takes the text of `name`: a literal, or the path of a constant.
    pub(crate) fn take_text(
        &mut self,
        name: &str,
        example: &str,
        errors: &mut Errors,
    ) -> Option<Text> {
        let expr = self.take(name, errors)?;
        text(&expr, name, example, errors)
    }

    /// Takes the whole number of `name`, of at least `least`.
    pub(crate) fn take_number(
        &mut self,
        name: &str,
        least: u32,
        errors: &mut Errors,
    ) -> Option<u32> {
        let expr = self.take(name, errors)?;
        let number = match &expr {
            Expr::Lit(ExprLit { lit: Lit::Int(int), .. }) => int.base10_parse::<u32>().ok(),
            _ => None,
        };
        match number {
            Some(number) if number >= least => Some(number),
            _ => {
                errors.on(
                    &expr,
                    format!("`{name}` is a whole number of at least {least}, without quotes"),
                );
                None
            }
        }
    }

    /// Takes the span of time of `name`, in milliseconds.
    pub(crate) fn take_duration(&mut self, name: &str, errors: &mut Errors) -> Option<u64> {
        let expr = self.take(name, errors)?;
        let wanted =
            format!("`{name}` is a span of time, such as \"30s\", \"1m 30s\" or \"500ms\"");
        let Some(text) = literal(&expr) else {
            errors.on(&expr, wanted);
            return None;
        };
        match humantime::parse_duration(&text.value()) {
            Ok(duration) if duration.is_zero() => {
                errors
                    .on(&text, format!("`{name}` must be longer than zero: leave it out for none"));
                None
            }
            Ok(duration) if duration.as_millis() == 0 => {
                errors.on(&text, format!("`{name}` must be at least \"1ms\""));
                None
            }
            Ok(duration) => u64::try_from(duration.as_millis()).ok().or_else(|| {
                errors.on(&text, format!("`{name}` is too long"));
                None
            }),
            Err(_) => {
                errors.on(&text, wanted);
                None
            }
        }
    }

    /// Takes `true` or `false`.
    pub(crate) fn take_bool(&mut self, name: &str, errors: &mut Errors) -> Option<bool> {
        let expr = self.take(name, errors)?;
        match &expr {
            Expr::Lit(ExprLit { lit: Lit::Bool(bool), .. }) => Some(bool.value),
            _ => {
                errors.on(&expr, format!("`{name}` is `true` or `false`"));
                None
            }
        }
    }

    /// Takes the path of `name`.
    pub(crate) fn take_path(
        &mut self,
        name: &str,
        what: &str,
        errors: &mut Errors,
    ) -> Option<Path> {
        let expr = self.take(name, errors)?;
        path(&expr, name, what, errors)
    }

    /// Refuses values without a name that nobody took.
    pub(crate) fn finish(self, errors: &mut Errors) {
        for expr in self.positional {
            errors.on(expr, "a value without a name: write `name = value`");
        }
    }
}

/// A text in an option.
#[derive(Clone)]
pub(crate) enum Text {
    /// Known now, and checked.
    Literal(LitStr),
    /// A constant: not known before the crate is compiled.
    Constant(Path),
}

impl Text {
    /// The literal, if it is one.
    pub(crate) fn literal(&self) -> Option<&LitStr> {
        match self {
            Self::Literal(literal) => Some(literal),
            Self::Constant(_) => None,
        }
    }
}

impl ToTokens for Text {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Literal(literal) => literal.to_tokens(tokens),
            Self::Constant(path) => path.to_tokens(tokens),
        }
    }
}

/// Reads a text: a literal, or the path of a constant.
pub(crate) fn text(expr: &Expr, name: &str, example: &str, errors: &mut Errors) -> Option<Text> {
    if let Some(literal) = literal(expr) {
        return Some(Text::Literal(literal));
    }
    if let Expr::Path(path) = expr
        && path.qself.is_none()
    {
        return Some(Text::Constant(path.path.clone()));
    }
    errors
        .on(expr, format!("`{name}` is a text, such as \"{example}\", or the path of a constant"));
    None
}

/// Reads a path.
pub(crate) fn path(expr: &Expr, name: &str, what: &str, errors: &mut Errors) -> Option<Path> {
    match expr {
        Expr::Path(path) if path.qself.is_none() => Some(path.path.clone()),
        _ => {
            errors.on(expr, format!("`{name}` takes {what}, without quotes and parentheses"));
            None
        }
    }
}

/// The text of a literal.
pub(crate) fn literal(expr: &Expr) -> Option<LitStr> {
    match expr {
        Expr::Lit(ExprLit { lit: Lit::Str(literal), .. }) => Some(literal.clone()),
        Expr::Group(group) => literal(&group.expr),
        _ => None,
    }
}

/// Removes the invisible parentheses that a value has which comes out of another macro.
fn ungrouped(expr: Expr) -> Expr {
    match expr {
        Expr::Group(group) => ungrouped(*group.expr),
        expr => expr,
    }
}

/// Whether only one token is left.
fn is_last(input: ParseStream<'_>) -> bool {
    input.cursor().token_tree().is_some_and(|(_, rest)| rest.eof())
}

fn skip_to_comma(input: ParseStream<'_>) {
    while !input.is_empty() && !input.peek(Token![,]) {
        // It cannot fail: the input is not empty.
        let _ = input.parse::<TokenTree>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (Options, Errors) {
        let mut errors = Errors::default();
        let options =
            Options::parse(text.parse().unwrap(), Ends::at(Span::call_site()), &mut errors);
        (options, errors)
    }

    #[test]
    fn options_have_values_lists_and_flags() {
        let (mut options, mut errors) =
            parse(r#"cron, "0 * * * * *", condition = a::b, link(x, y), crate = ::other"#);
        assert_eq!(options.take_word().unwrap(), "cron");
        assert!(literal(&options.take_positional().unwrap()).is_some());
        assert!(options.take_path("condition", "a path", &mut errors).is_some());
        assert_eq!(options.take_list("link", &mut errors).unwrap().to_string(), "x , y");
        assert!(options.take_path("crate", "a path", &mut errors).is_some());
        assert!(errors.is_empty());
    }

    #[test]
    fn each_bad_option_is_an_error_of_its_own() {
        let (mut options, mut errors) =
            parse(r#"id = , idd = "a", timeout = "1s" concurrency = 3"#);
        options.check(&["id", "timeout", "concurrency"], &mut errors);
        let messages = errors.messages();
        assert_eq!(messages.len(), 3, "{messages:?}");
        assert!(messages[0].contains("has no value"));
        assert!(messages[1].contains("expected `,`"));
        assert!(messages[2].contains("did you mean `id`"));
    }

    #[test]
    fn an_option_is_given_once() {
        let (mut options, mut errors) = parse("a = 1, a = 2");
        options.check(&["a"], &mut errors);
        assert_eq!(errors.messages(), ["`a` is given twice: keep one of them"]);
        assert_eq!(options.take_number("a", 1, &mut errors), Some(1));
    }

    #[test]
    fn a_span_of_time_is_read() {
        let (mut options, mut errors) = parse(r#"a = "1m 30s", b = "0s", c = "soon""#);
        assert_eq!(options.take_duration("a", &mut errors), Some(90_000));
        assert_eq!(options.take_duration("b", &mut errors), None);
        assert_eq!(options.take_duration("c", &mut errors), None);
        assert_eq!(errors.messages().len(), 2);
    }
}
