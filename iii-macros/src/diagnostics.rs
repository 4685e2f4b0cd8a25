//! The errors of one expansion: gathered, so that all mistakes are reported at once.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};

/// The mistakes found so far.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    all: Vec<syn::Error>,
}

impl Errors {
    /// Notes a mistake at a place.
    pub(crate) fn at(&mut self, span: Span, message: impl Into<String>) {
        self.all.push(syn::Error::new(span, message.into()));
    }

    /// Notes a mistake that all of `tokens` are.
    pub(crate) fn on(&mut self, tokens: impl ToTokens, message: impl Into<String>) {
        self.all.push(syn::Error::new_spanned(tokens, message.into()));
    }

    /// Notes a mistake from one place to another.
    pub(crate) fn between(&mut self, ends: Ends, message: impl Into<String>) {
        let Ends { first, last } = ends;
        let mut tokens = quote_spanned!(first=> _);
        tokens.extend(quote_spanned!(last=> _));
        self.on(tokens, message);
    }

    /// Notes a mistake that the parser found.
    pub(crate) fn push(&mut self, error: syn::Error) {
        self.all.push(error);
    }

    /// Keeps the value, or notes why there is none.
    pub(crate) fn keep<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How many mistakes there are.
    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// All mistakes as tokens that do not compile.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.all.iter().map(syn::Error::to_compile_error).collect()
    }

    /// The messages, for tests.
    #[cfg(test)]
    pub(crate) fn messages(&self) -> Vec<String> {
        self.all.iter().map(ToString::to_string).collect()
    }
}

/// The first and the last place of some tokens.
///
/// A stable compiler cannot join two spans. What is underlined is found from the first and the last token instead, so
/// generated code that must underline a whole type begins with one and ends with the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) first: Span,
    pub(crate) last: Span,
}

impl Ends {
    /// The ends of `tokens`.
    pub(crate) fn of(tokens: &impl ToTokens) -> Self {
        let mut trees = tokens.to_token_stream().into_iter();
        let first = trees.next().as_ref().map_or_else(Span::call_site, TokenTree::span);
        let last = trees.last().as_ref().map_or(first, TokenTree::span);
        Self { first, last }
    }

    /// Both ends at the same place.
    pub(crate) fn at(span: Span) -> Self {
        Self { first: span, last: span }
    }
}

/// A message with the text it is about below it, and carets under `start..end`.
///
/// Columns are counted in characters. Text that a terminal may show in another width gets no carets.
pub(crate) fn pointed(message: &str, text: &str, start: usize, end: usize) -> String {
    let simple = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if !simple || text.is_empty() || text.len() > 80 {
        return message.to_owned();
    }
    let carets = "^".repeat(end.saturating_sub(start).max(1));
    format!("{message}\n\n  {text}\n  {:start$}{carets}", "")
}

/// The words with quotes around, one after the other: `` `a`, `b` and `c` ``.
pub(crate) fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// The word that was probably meant.
pub(crate) fn nearest<'a>(written: &str, words: &[&'a str]) -> Option<&'a str> {
    let written = written.to_lowercase();
    // A third of the letters may be wrong; with more, the guess would only mislead.
    let limit = (written.chars().count() / 3).max(1);
    words
        .iter()
        .map(|word| (strsim::damerau_levenshtein(&written, word), *word))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// What to add to a message about an unknown word: the one that was probably meant, and all that there are.
pub(crate) fn instead(written: &str, words: &[&str], plural: &str) -> String {
    let guess = match nearest(written, words) {
        Some(word) => format!("; did you mean `{word}`?"),
        None => String::new(),
    };
    format!("{guess}\n{plural}: {}", listed(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_near() {
        let words = ["id", "description", "metadata", "timeout"];
        assert_eq!(nearest("tiemout", &words), Some("timeout"));
        assert_eq!(nearest("Description", &words), Some("description"));
        assert_eq!(nearest("di", &words), Some("id"));
        assert_eq!(nearest("retries", &words), None);
    }

    #[test]
    fn a_list_reads_like_a_sentence() {
        assert_eq!(listed(&["a"]), "`a`");
        assert_eq!(listed(&["a", "b", "c"]), "`a`, `b` and `c`");
    }

    #[test]
    fn carets_are_below_the_mistake() {
        assert_eq!(pointed("bad", "/a/{b}", 3, 6), "bad\n\n  /a/{b}\n     ^^^");
        assert_eq!(pointed("bad", "/ä/{b}", 3, 6), "bad");
    }
}
