//! Compile errors of one expansion: collected, so that the compiler reports all of them at once.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};

/// The errors found so far.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    all: Vec<syn::Error>,
}

impl Errors {
    /// Adds an error at a span.
    pub(crate) fn at(&mut self, span: Span, message: impl Into<String>) {
        self.all.push(syn::Error::new(span, message.into()));
    }

    /// Adds an error that underlines all of `tokens`.
    pub(crate) fn on(&mut self, tokens: impl ToTokens, message: impl Into<String>) {
        self.all.push(syn::Error::new_spanned(tokens, message.into()));
    }

    /// Adds an error that underlines a range of tokens.
    pub(crate) fn at_range(&mut self, range: SpanRange, message: impl Into<String>) {
        let SpanRange { first, last } = range;
        let mut tokens = quote_spanned!(first=> _);
        tokens.extend(quote_spanned!(last=> _));
        self.on(tokens, message);
    }

    /// Adds an error of the parser.
    pub(crate) fn push(&mut self, error: syn::Error) {
        self.all.push(error);
    }

    /// Returns the value of `result`, or adds its error.
    pub(crate) fn handle<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// Converts all errors to `compile_error!` invocations.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.all.iter().map(syn::Error::to_compile_error).collect()
    }

    /// Returns the messages in the order in which they were added.
    #[cfg(test)]
    pub(crate) fn messages(&self) -> Vec<String> {
        self.all.iter().map(ToString::to_string).collect()
    }
}

/// The spans of the first and the last token of a sequence.
///
/// A stable compiler cannot join two spans. It underlines from the first to the last token instead, so generated code
/// that must underline a whole type begins with a token at one span and ends with a token at the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SpanRange {
    pub(crate) first: Span,
    pub(crate) last: Span,
}

impl SpanRange {
    /// The range of `tokens`, or the call site if there are none.
    pub(crate) fn of(tokens: &impl ToTokens) -> Self {
        let mut trees = tokens.to_token_stream().into_iter();
        let first = trees.next().as_ref().map_or_else(Span::call_site, TokenTree::span);
        let last = trees.last().as_ref().map_or(first, TokenTree::span);
        Self { first, last }
    }

    /// The range of one token.
    pub(crate) fn at(span: Span) -> Self {
        Self { first: span, last: span }
    }
}

/// Appends `text` to a message, with carets below `start..end`.
///
/// Columns are counted in characters. Text that a terminal may show in another width is left out.
pub(crate) fn with_carets(message: &str, text: &str, start: usize, end: usize) -> String {
    let is_printable_ascii = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if !is_printable_ascii || text.is_empty() || text.len() > 80 {
        return message.to_owned();
    }
    let carets = "^".repeat(end.saturating_sub(start).max(1));
    format!("{message}\n\n  {text}\n  {:start$}{carets}", "")
}

/// Formats words as a list: `` `a`, `b`, `c` ``.
pub(crate) fn quoted_list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

/// Returns the word that is nearest to `written`, if at most a third of the letters differ.
fn nearest<'a>(written: &str, words: &[&'a str]) -> Option<&'a str> {
    let written = written.to_lowercase();
    let limit = (written.chars().count() / 3).max(1);
    words
        .iter()
        .map(|word| (strsim::damerau_levenshtein(&written, &word.to_lowercase()), *word))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Returns `` ; did you mean `…`? `` with the nearest known word, or an empty string.
pub(crate) fn did_you_mean(written: &str, known: &[&str]) -> String {
    match nearest(written, known) {
        Some(word) => format!("; did you mean `{word}`?"),
        None => String::new(),
    }
}

/// Formats the message about a word that is not among the known ones. `noun` names what the word is.
pub(crate) fn unknown(noun: &str, written: &str, known: &[&str]) -> String {
    let suggestion = did_you_mean(written, known);
    let one_of = if known.len() == 1 { "" } else { "one of " };
    let known = quoted_list(known);
    format!("unknown {noun} `{written}`{suggestion}\nhelp: expected {one_of}{known}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_word_differs_in_at_most_a_third_of_the_letters() {
        let words = ["id", "description", "metadata", "timeout", "POST"];
        assert_eq!(nearest("tiemout", &words), Some("timeout"));
        assert_eq!(nearest("Description", &words), Some("description"));
        assert_eq!(nearest("psot", &words), Some("POST"));
        assert_eq!(nearest("di", &words), Some("id"));
        assert_eq!(nearest("retries", &words), None);
    }

    #[test]
    fn unknown_word_is_reported_with_a_suggestion_and_all_known_words() {
        assert_eq!(
            unknown("option", "idd", &["id", "name"]),
            "unknown option `idd`; did you mean `id`?\nhelp: expected one of `id`, `name`"
        );
        assert_eq!(
            unknown("mode", "x1y2z3", &["fifo"]),
            "unknown mode `x1y2z3`\nhelp: expected `fifo`"
        );
    }

    #[test]
    fn carets_are_below_the_range() {
        assert_eq!(with_carets("bad", "/a/{b}", 3, 6), "bad\n\n  /a/{b}\n     ^^^");
        assert_eq!(with_carets("bad", "/ä/{b}", 3, 6), "bad");
    }
}
