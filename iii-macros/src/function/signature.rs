//! The signature of a function: what a macro can tell about it before types are known.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{
    FnArg, GenericArgument, PathArguments, PathSegment, ReturnType, Safety, Signature, Type,
};

use crate::diagnostics::{Errors, SpanRange};

/// Extractors of the runtime whose type parameter is often private. An argument of such a name is not part of the input
/// type of the stub, since a public type cannot name a private one.
const EXTRACTORS: [&str; 4] = ["State", "Path", "Query", "Metadata"];

/// The types of the arguments and of the result.
pub(crate) struct FunctionSignature {
    /// In the order of the declaration.
    pub(crate) arguments: Vec<Argument>,
    pub(crate) output: FunctionOutput,
}

/// An argument of a declared function.
pub(crate) struct Argument {
    pub(crate) ty: Type,
    /// The span of its type.
    pub(crate) span: SpanRange,
    /// The name of the extractor of the runtime that it seems to be.
    pub(crate) extractor: Option<&'static str>,
}

/// The return type of a declared function.
pub(crate) struct FunctionOutput {
    /// The type; `()` if none is written.
    pub(crate) ty: TokenStream,
    /// The span of the type, or of the function's name if no type is written.
    pub(crate) span: SpanRange,
    /// The span of the `Ok` type of a `Result`.
    pub(crate) ok: SpanRange,
    /// The span of the `Err` type of a `Result`.
    pub(crate) err: SpanRange,
}

impl FunctionSignature {
    /// Parses a signature, and reports what a declared function cannot have.
    pub(crate) fn parse(signature: &Signature, errors: &mut Errors) -> Self {
        check_qualifiers(signature, errors);
        if !signature.generics.params.is_empty() {
            errors.on(
                &signature.generics,
                "a declared function cannot be generic\n\
                 help: write concrete types; an id names one function",
            );
        }
        let mut arguments = Vec::new();
        for argument in &signature.inputs {
            match argument {
                FnArg::Receiver(receiver) => errors.on(
                    receiver,
                    "expected a free function, found a method\n\
                     help: move it out of the `impl`, and take shared state as `State<T>`",
                ),
                FnArg::Typed(argument) => {
                    for attribute in &argument.attrs {
                        if attribute.path().is_ident("cfg") {
                            errors.on(
                                attribute,
                                "`#[cfg]` is not supported on an argument\n\
                                 help: apply it to the function",
                            );
                        }
                    }
                    check_owned(&argument.ty, "argument", errors);
                    arguments.push(Argument::new(&argument.ty));
                }
            }
        }
        Self { arguments, output: FunctionOutput::parse(signature, errors) }
    }

    /// Returns the span of the argument that is probably the payload.
    pub(crate) fn payload_span(&self) -> Option<SpanRange> {
        self.arguments
            .iter()
            .find(|argument| argument.extractor.is_none())
            .map(|argument| argument.span)
    }
}

impl Argument {
    fn new(ty: &Type) -> Self {
        let extractor = last_segment(ty)
            .filter(|segment| matches!(segment.arguments, PathArguments::AngleBracketed(_)))
            .and_then(|segment| EXTRACTORS.into_iter().find(|name| segment.ident == name));
        Self { ty: ty.clone(), span: SpanRange::of(ty), extractor }
    }

    /// Returns the types between the angle brackets of its type.
    pub(crate) fn type_parameters(&self) -> Vec<&Type> {
        last_segment(&self.ty).map(type_arguments).unwrap_or_default()
    }
}

impl FunctionOutput {
    fn parse(signature: &Signature, errors: &mut Errors) -> Self {
        let ReturnType::Type(_, ty) = &signature.output else {
            let span = SpanRange::at(signature.ident.span());
            return Self { ty: quote!(()), span, ok: span, err: span };
        };
        if let Type::Never(never) = &**ty {
            errors.on(never, "a declared function cannot return `!`\nhelp: return `()` or a value");
        }
        check_owned(ty, "return", errors);
        let span = SpanRange::of(ty);
        // The name decides only where errors are reported; the compiler decides whether the type is a `Result`.
        let (ok, err) = match last_segment(ty).filter(|segment| segment.ident == "Result") {
            Some(segment) => match type_arguments(segment).as_slice() {
                [ok] => (SpanRange::of(ok), span),
                [ok, err] => (SpanRange::of(ok), SpanRange::of(err)),
                _ => (span, span),
            },
            None => (span, span),
        };
        Self { ty: ty.to_token_stream(), span, ok, err }
    }
}

/// Returns the last segment of a path type.
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

/// Reports qualifiers in front of `fn`, and variadic arguments.
fn check_qualifiers(signature: &Signature, errors: &mut Errors) {
    if let Some(constness) = &signature.constness {
        errors.on(constness, "a declared function cannot be `const`\nhelp: remove `const`");
    }
    if let Safety::Unsafe(unsafety) = &signature.safety {
        errors.on(
            unsafety,
            "a declared function cannot be `unsafe`\nhelp: use an `unsafe` block in its body",
        );
    }
    if let Some(abi) = &signature.abi {
        errors.on(abi, "a declared function cannot be `extern`\nhelp: remove `extern`");
    }
    if let Some(variadic) = &signature.variadic {
        errors.on(variadic, "a declared function cannot be variadic\nhelp: remove `...`");
    }
}

/// Reports types that borrow or are not named. `what` says where the type is.
fn check_owned(ty: &Type, what: &str, errors: &mut Errors) {
    let Some((span, unsupported)) = first_unsupported(ty.to_token_stream()) else { return };
    match unsupported {
        Unsupported::Reference => errors.on(
            ty,
            format!(
                "expected an owned {what} type, found a reference\n\
                 help: use an owned type, such as `String` instead of `&str`"
            ),
        ),
        Unsupported::Lifetime => errors.on(
            ty,
            format!(
                "expected an owned {what} type, found a lifetime\n\
                 help: use an owned type, or the lifetime `'static`"
            ),
        ),
        Unsupported::ImplTrait => errors.at(
            span,
            format!("expected a concrete {what} type, found `impl Trait`\nhelp: name the type"),
        ),
    }
}

/// A part of a type that a declared function cannot have.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Unsupported {
    Reference,
    Lifetime,
    ImplTrait,
}

/// Returns the first unsupported part of a type. Parts with the lifetime `'static` are supported.
fn first_unsupported(tokens: TokenStream) -> Option<(Span, Unsupported)> {
    let mut trees = tokens.into_iter().peekable();
    while let Some(tree) = trees.next() {
        match tree {
            TokenTree::Group(group) => {
                if let Some(found) = first_unsupported(group.stream()) {
                    return Some(found);
                }
            }
            TokenTree::Ident(word) if word == "impl" => {
                return Some((word.span(), Unsupported::ImplTrait));
            }
            TokenTree::Punct(mark) if mark.as_char() == '&' => {
                let is_lifetime =
                    |tree: &TokenTree| matches!(tree, TokenTree::Punct(p) if p.as_char() == '\'');
                if !trees.peek().is_some_and(is_lifetime) {
                    return Some((mark.span(), Unsupported::Reference));
                }
                trees.next();
                match trees.next() {
                    Some(TokenTree::Ident(name)) if name == "static" => {}
                    _ => return Some((mark.span(), Unsupported::Reference)),
                }
            }
            TokenTree::Punct(mark) if mark.as_char() == '\'' => match trees.next() {
                Some(TokenTree::Ident(name)) if name == "static" => {}
                _ => return Some((mark.span(), Unsupported::Lifetime)),
            },
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unsupported(text: &str) -> Option<Unsupported> {
        first_unsupported(text.parse().unwrap()).map(|(_, unsupported)| unsupported)
    }

    #[test]
    fn borrowed_and_unnamed_types_are_found() {
        assert_eq!(unsupported("Option<&str>"), Some(Unsupported::Reference));
        assert_eq!(unsupported("(&'a str, u8)"), Some(Unsupported::Reference));
        assert_eq!(unsupported("Cow<'_, str>"), Some(Unsupported::Lifetime));
        assert_eq!(unsupported("Vec<impl Into<u8>>"), Some(Unsupported::ImplTrait));
        assert_eq!(unsupported("Cow<'static, str>"), None);
        assert_eq!(unsupported("&'static Config"), None);
        assert_eq!(unsupported("Vec<(u8, String)>"), None);
    }

    fn parse(text: &str) -> (FunctionSignature, Vec<String>) {
        let mut errors = Errors::default();
        let signature = syn::parse_str(text).unwrap();
        (FunctionSignature::parse(&signature, &mut errors), errors.messages())
    }

    #[test]
    fn extractors_are_recognised_by_name() {
        let (signature, messages) =
            parse("async fn f(a: iii::State<A>, b: Path<(u8, u8)>, c: State, d: Order)");
        assert!(messages.is_empty());
        let extractors: Vec<_> =
            signature.arguments.iter().map(|argument| argument.extractor).collect();
        assert_eq!(extractors, [Some("State"), Some("Path"), None, None]);
    }

    #[test]
    fn all_errors_of_a_signature_are_reported() {
        let (_, messages) =
            parse("const unsafe extern \"C\" fn f<T>(&self, a: &str, b: impl Sized) -> impl Sized");
        assert_eq!(messages.len(), 8, "{messages:#?}");
    }
}
