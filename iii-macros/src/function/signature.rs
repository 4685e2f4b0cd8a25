//! The signature of a function: what can be seen in it before types are known.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{
    FnArg, GenericArgument, Generics, PathArguments, PathSegment, ReturnType, Safety, Signature,
    Type,
};

use crate::diagnostics::{Ends, Errors};

/// Extractors of the runtime whose parameter is often private. A name in this list keeps an argument out of the input
/// type of typed calls, since a public type may not name a private one.
const EXTRACTORS: [&str; 4] = ["State", "Path", "Query", "Metadata"];

/// The types of a signature.
pub(crate) struct Parts {
    /// The arguments in order.
    pub(crate) arguments: Vec<Argument>,
    /// The result.
    pub(crate) output: Output,
}

/// One argument.
pub(crate) struct Argument {
    /// Its type.
    pub(crate) ty: Type,
    /// Where its type begins and ends.
    pub(crate) ends: Ends,
    /// The name of an extractor of the runtime that it seems to be.
    pub(crate) extractor: Option<&'static str>,
}

/// The result of a function.
pub(crate) struct Output {
    /// The type, `()` if none is written.
    pub(crate) ty: TokenStream,
    /// Where it is written.
    pub(crate) all: Ends,
    /// Where a good result is written.
    pub(crate) ok: Ends,
    /// Where an error is written.
    pub(crate) err: Ends,
}

impl Parts {
    /// Reads a signature, and notes what a declared function cannot have.
    pub(crate) fn read(signature: &Signature, errors: &mut Errors) -> Self {
        qualifiers(signature, errors);
        generics(&signature.generics, errors);
        let mut arguments = Vec::new();
        for argument in &signature.inputs {
            match argument {
                FnArg::Receiver(receiver) => errors.on(
                    receiver,
                    "a method cannot be declared: write a function outside of `impl`, \
                     and take what it needs as `State<T>`",
                ),
                FnArg::Typed(argument) => {
                    for attribute in &argument.attrs {
                        if attribute.path().is_ident("cfg") {
                            errors.on(attribute, "an argument cannot be compiled at times only");
                        }
                    }
                    borrowed(&argument.ty, "an argument", errors);
                    arguments.push(Argument::of(&argument.ty));
                }
            }
        }
        Self { arguments, output: Output::read(signature, errors) }
    }
}

impl Parts {
    /// The place of the argument that is probably the payload.
    pub(crate) fn payload(&self) -> Option<Ends> {
        self.arguments
            .iter()
            .find(|argument| argument.extractor.is_none())
            .map(|argument| argument.ends)
    }
}

impl Argument {
    fn of(ty: &Type) -> Self {
        let extractor = last_segment(ty)
            .filter(|segment| matches!(segment.arguments, PathArguments::AngleBracketed(_)))
            .and_then(|segment| EXTRACTORS.into_iter().find(|name| segment.ident == name));
        Self { ty: ty.clone(), ends: Ends::of(ty), extractor }
    }

    /// The types between the angle brackets.
    pub(crate) fn parameters(&self) -> Vec<&Type> {
        last_segment(&self.ty).map(type_arguments).unwrap_or_default()
    }
}

impl Output {
    fn read(signature: &Signature, errors: &mut Errors) -> Self {
        let ReturnType::Type(_, ty) = &signature.output else {
            let ends = Ends::at(signature.ident.span());
            return Self { ty: quote!(()), all: ends, ok: ends, err: ends };
        };
        if let Type::Never(never) = &**ty {
            errors.on(never, "a function must end: return `()` or a value");
        }
        borrowed(ty, "a result", errors);
        let all = Ends::of(ty);
        // Only places are taken from the name; what the type is, the compiler tells.
        let (ok, err) = match last_segment(ty).filter(|segment| segment.ident == "Result") {
            Some(segment) => match type_arguments(segment).as_slice() {
                [ok] => (Ends::of(ok), all),
                [ok, err] => (Ends::of(ok), Ends::of(err)),
                _ => (all, all),
            },
            None => (all, all),
        };
        Self { ty: ty.to_token_stream(), all, ok, err }
    }
}

/// The word that a path type ends with.
fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        Type::Group(group) => last_segment(&group.elem),
        Type::Paren(paren) => last_segment(&paren.elem),
        _ => None,
    }
}

fn type_arguments(segment: &PathSegment) -> Vec<&Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return Vec::new() };
    arguments
        .args
        .iter()
        .filter_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(ty),
            _ => None,
        })
        .collect()
}

/// Refuses what stands in front of `fn`, and `...`.
fn qualifiers(signature: &Signature, errors: &mut Errors) {
    if let Some(constness) = &signature.constness {
        errors.on(constness, "a declared function cannot be `const`: remove the word");
    }
    if let Safety::Unsafe(word) = &signature.safety {
        errors.on(word, "a declared function is called by others, so it cannot be `unsafe`");
    }
    if let Some(abi) = &signature.abi {
        errors.on(abi, "a declared function is a plain Rust function: remove `extern`");
    }
    if let Some(variadic) = &signature.variadic {
        errors.on(variadic, "a declared function has a fixed number of arguments: remove `...`");
    }
}

/// Refuses parameters: an id names one function.
fn generics(generics: &Generics, errors: &mut Errors) {
    if !generics.params.is_empty() {
        errors.on(
            generics,
            "a declared function cannot be generic: its id names one function with known types",
        );
    }
}

/// Refuses types that borrow or are not named.
fn borrowed(ty: &Type, what: &str, errors: &mut Errors) {
    if let Some((span, mistake)) = first_mistake(ty.to_token_stream()) {
        let message = match mistake {
            Mistake::Borrow => format!(
                "{what} cannot borrow: take an owned value, such as `String` instead of `&str`"
            ),
            Mistake::Lifetime => format!("{what} cannot have a lifetime: take an owned value"),
            Mistake::Impl => format!("{what} cannot be `impl Trait`: write the type itself"),
        };
        match mistake {
            Mistake::Impl => errors.at(span, message),
            _ => errors.on(ty, message),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Mistake {
    Borrow,
    Lifetime,
    Impl,
}

/// The first part of a type that a declared function cannot have. What lives forever is fine.
fn first_mistake(tokens: TokenStream) -> Option<(Span, Mistake)> {
    let mut trees = tokens.into_iter().peekable();
    while let Some(tree) = trees.next() {
        match tree {
            TokenTree::Group(group) => {
                if let Some(found) = first_mistake(group.stream()) {
                    return Some(found);
                }
            }
            TokenTree::Ident(word) if word == "impl" => return Some((word.span(), Mistake::Impl)),
            TokenTree::Punct(mark) if mark.as_char() == '&' => {
                let is_lifetime =
                    |tree: &TokenTree| matches!(tree, TokenTree::Punct(p) if p.as_char() == '\'');
                if !trees.peek().is_some_and(is_lifetime) {
                    return Some((mark.span(), Mistake::Borrow));
                }
                trees.next();
                match trees.next() {
                    Some(TokenTree::Ident(name)) if name == "static" => {}
                    _ => return Some((mark.span(), Mistake::Borrow)),
                }
            }
            TokenTree::Punct(mark) if mark.as_char() == '\'' => match trees.next() {
                Some(TokenTree::Ident(name)) if name == "static" => {}
                _ => return Some((mark.span(), Mistake::Lifetime)),
            },
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(text: &str) -> Option<Mistake> {
        first_mistake(text.parse().unwrap()).map(|(_, mistake)| mistake)
    }

    #[test]
    fn borrowed_types_are_found() {
        assert_eq!(mistake("Option<&str>"), Some(Mistake::Borrow));
        assert_eq!(mistake("(&'a str, u8)"), Some(Mistake::Borrow));
        assert_eq!(mistake("Cow<'_, str>"), Some(Mistake::Lifetime));
        assert_eq!(mistake("Vec<impl Into<u8>>"), Some(Mistake::Impl));
        assert_eq!(mistake("Cow<'static, str>"), None);
        assert_eq!(mistake("&'static Config"), None);
        assert_eq!(mistake("Vec<(u8, String)>"), None);
    }

    fn read(text: &str) -> (Parts, Vec<String>) {
        let mut errors = Errors::default();
        let signature = syn::parse_str(text).unwrap();
        (Parts::read(&signature, &mut errors), errors.messages())
    }

    #[test]
    fn extractors_are_seen_by_name() {
        let (parts, messages) =
            read("async fn f(a: iii::State<A>, b: Path<(u8, u8)>, c: State, d: Order)");
        assert!(messages.is_empty());
        let seen: Vec<_> = parts.arguments.iter().map(|argument| argument.extractor).collect();
        assert_eq!(seen, [Some("State"), Some("Path"), None, None]);
    }

    #[test]
    fn all_mistakes_of_a_signature_are_found() {
        let (_, messages) =
            read("const unsafe extern \"C\" fn f<T>(&self, a: &str, b: impl Sized) -> impl Sized");
        assert_eq!(messages.len(), 8, "{messages:#?}");
    }
}
