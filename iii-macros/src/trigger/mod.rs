//! `#[iii::trigger(kind, …)]`: one file for each group of kinds. Each reads its options, and writes a binding.

mod cron;
mod custom;
mod engine;
mod events;
mod http;
mod messages;
mod moved;
pub(crate) mod path;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Attribute, Expr, ExprLit, Ident, Lit, LitStr, Meta, Path, parse_quote};

use crate::diagnostics::{Ends, Errors, instead};
use crate::options::{Options, Text};

pub(crate) use moved::{expand, is_moved};

/// The words for kinds.
const KINDS: &[&str] = &[
    "http",
    "cron",
    "queue",
    "subscribe",
    "state",
    "stream",
    "stream_join",
    "stream_leave",
    "log",
    "trace",
    "configuration",
    "functions_available",
    "workers_available",
];

/// The kind of a trigger type of the engine whose id is no word.
fn kind_of(id: &str) -> &str {
    match id {
        "durable:subscriber" => "queue",
        "stream:join" => "stream_join",
        "stream:leave" => "stream_leave",
        "engine::functions-available" => "functions_available",
        "engine::workers-available" => "workers_available",
        id => id,
    }
}

/// Whether an id is that of a trigger type of the engine, or the word for one.
pub(crate) fn is_of_engine(id: &str) -> bool {
    KINDS.contains(&kind_of(id))
}

/// A trigger as it was declared.
pub(crate) struct Trigger {
    /// The place of the attribute.
    pub(crate) place: Ends,
    /// The method and the path of an `http` trigger, if both are literals.
    pub(crate) route: Option<Route>,
    /// Equal for two triggers that fire for the same things.
    pub(crate) key: String,
    /// Whether an HTTP request fires it.
    pub(crate) is_http: bool,
    binding: TokenStream,
    metadata: Option<Expr>,
}

/// The method and the path of an `http` trigger.
pub(crate) struct Route {
    /// In capitals.
    pub(crate) method: String,
    /// Checked.
    pub(crate) path: LitStr,
}

/// What a kind made of its options.
struct Parsed {
    /// What becomes a `Binding`.
    binding: TokenStream,
    route: Option<Route>,
}

impl Parsed {
    fn new(binding: TokenStream) -> Self {
        Self { binding, route: None }
    }
}

impl Trigger {
    /// Reads an attribute. `None` after a mistake that leaves nothing.
    pub(crate) fn parse(attribute: &Attribute, errors: &mut Errors) -> Option<Self> {
        let place = Ends::of(attribute);
        let tokens = match &attribute.meta {
            Meta::List(list) => list.tokens.clone(),
            Meta::Path(_) => TokenStream::new(),
            Meta::NameValue(meta) => {
                errors.on(meta, "a trigger is written `#[iii::trigger(kind, …)]`");
                return None;
            }
        };
        let mut options = Options::parse(tokens, place, errors);
        let kind = Kind::take(&mut options, errors)?;
        let is_http = matches!(kind, Kind::Known("http"));
        let parsed = match kind {
            Kind::Known(kind) => match kind {
                "http" => http::parse(&mut options, errors),
                "cron" => cron::parse(&mut options, errors),
                "queue" => messages::queue(&mut options, errors),
                "subscribe" => messages::subscribe(&mut options, errors),
                "state" => events::state(&mut options, errors),
                "stream" => events::stream(&mut options, errors),
                "stream_join" => engine::plain("StreamJoin", &mut options, errors),
                "stream_leave" => engine::plain("StreamLeave", &mut options, errors),
                "trace" => engine::trace(&mut options, errors),
                "configuration" => engine::configuration(&mut options, errors),
                "functions_available" => engine::plain("FunctionsAvailable", &mut options, errors),
                "workers_available" => engine::plain("WorkersAvailable", &mut options, errors),
                _ => events::log(&mut options, errors),
            },
            Kind::Other(id) => custom::parse(&id, &mut options, errors),
            Kind::Typed(config) => custom::typed(&config, &mut options, errors),
        };
        let metadata = options.take("metadata", errors);
        options.finish(errors);
        let Parsed { binding, route } = parsed?;
        let key = match &route {
            Some(route) => crate::names::route_sentinel(&route.method, &route.path.value()),
            None => binding.to_string(),
        };
        Some(Self { place, route, key, is_http, binding, metadata })
    }
}

impl ToTokens for Trigger {
    /// Writes a `TriggerDescriptor`.
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { binding, .. } = self;
        let metadata = self.metadata.as_ref().map(|expr| quote!(.with_metadata(&(#expr))));
        let location = location(self.place.first);
        tokens.extend(quote! {
            __iii::TriggerDescriptor {
                location: #location,
                binding: || __iii::trigger::Binding::from(#binding) #metadata,
            }
        });
    }
}

/// The place of a declaration, as the running program tells it.
pub(crate) fn location(span: Span) -> TokenStream {
    // The macros tell the place of their own tokens, so they get the span.
    let [file, line, column] = ["file", "line", "column"].map(|name| Ident::new(name, span));
    let file = quote_spanned!(span=> ::core::#file!());
    let line = quote_spanned!(span=> ::core::#line!());
    let column = quote_spanned!(span=> ::core::#column!());
    quote!(__iii::Location { file: #file, line: #line, column: #column })
}

/// The kind of a trigger.
enum Kind {
    Known(&'static str),
    /// The id of a trigger type.
    Other(LitStr),
    /// The config of a trigger type, which says the type.
    Typed(Expr),
}

impl Kind {
    /// Takes the kind, the first value of the attribute.
    fn take(options: &mut Options, errors: &mut Errors) -> Option<Self> {
        if let Some(word) = options.take_word() {
            let name = word.to_string();
            if let Some(kind) = KINDS.iter().find(|kind| **kind == name) {
                return Some(Self::Known(kind));
            }
            if name.starts_with(char::is_uppercase) {
                // A config without fields.
                return Some(Self::Typed(parse_quote!(#word)));
            }
            let instead = instead(&name, KINDS, "the kinds are");
            errors.on(
                &word,
                format!(
                    "unknown trigger kind `{name}`{instead}\n\
                     any other trigger type is named by its id: `\"{name}\", config = …`"
                ),
            );
            return None;
        }
        match options.take_positional() {
            Some(Expr::Lit(ExprLit { lit: Lit::Str(id), .. })) => {
                let text = id.value();
                if text.trim().is_empty() {
                    errors.on(&id, "the id of the trigger type is empty");
                    return None;
                }
                let known = kind_of(&text);
                match KINDS.iter().find(|kind| **kind == known) {
                    // With a config of its own, it is sent as it is.
                    Some(kind) if !options.has("config") => Some(Self::Known(kind)),
                    _ => Some(Self::Other(id)),
                }
            }
            Some(Expr::Lit(other)) => {
                errors.on(
                    other,
                    "the kind of a trigger is a word, such as `http`, the id of a trigger type in quotes, or the \
                     config of one: `Webhook { url: \"/hook\" }`",
                );
                None
            }
            Some(config) => Some(Self::Typed(config)),
            None => {
                errors.between(
                    options.place,
                    "the trigger has no kind: write it first, such as `http, path = \"/orders\"`",
                );
                None
            }
        }
    }
}

/// Takes the option `condition`: an `Option<FunctionRef>`.
fn condition(options: &mut Options, errors: &mut Errors) -> TokenStream {
    let what = "the path of a declared function";
    match options.take_path("condition", what, errors) {
        Some(path) => some(usage("condition", &path)),
        None => none(),
    }
}

/// A function that a trigger names; a type that does not fit is shown at the path.
fn usage(role: &str, path: &Path) -> TokenStream {
    let Ends { first, last } = Ends::of(path);
    let role = Ident::new(role, first);
    let mut tokens = quote_spanned!(first=> __iii::trigger::FunctionRef::#role::<);
    path.to_tokens(&mut tokens);
    tokens.extend(quote_spanned!(last=> >()));
    tokens
}

/// Takes a text that must not be empty.
fn filled(name: &str, example: &str, options: &mut Options, errors: &mut Errors) -> Option<Text> {
    let text = options.take_text(name, example, errors)?;
    if let Some(literal) = text.literal()
        && literal.value().trim().is_empty()
    {
        errors.on(literal, format!("`{name}` is empty: write one, such as \"{example}\""));
        return None;
    }
    Some(text)
}

/// Takes a text that must not be empty, and must be there.
fn required(name: &str, example: &str, options: &mut Options, errors: &mut Errors) -> Option<Text> {
    if !options.has(name) {
        errors.between(
            options.place,
            format!("the trigger has no {name}: add `{name} = \"{example}\"`"),
        );
        return None;
    }
    filled(name, example, options, errors)
}

fn optional(value: Option<impl ToTokens>) -> TokenStream {
    value.map_or_else(none, some)
}

fn some(value: impl ToTokens) -> TokenStream {
    quote!(::core::option::Option::Some(#value))
}

fn none() -> TokenStream {
    quote!(::core::option::Option::None)
}
