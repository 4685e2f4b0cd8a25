//! `#[iii::trigger(kind, …)]`: the triggers of a function. Each kind parses its options and emits a binding.

mod cron;
mod custom;
mod engine;
mod events;
mod http;
mod messages;
mod moved;
pub(crate) mod path;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::{Attribute, Expr, ExprLit, Ident, Lit, LitStr, Meta, Path, parse_quote};

use crate::diagnostics::{Errors, SpanRange, unknown};
use crate::options::{MacroOptions, StringOrPath, found};
use crate::tokens::{location, option};

pub(crate) use moved::{expand, is_moved};

/// The names of the kinds.
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

/// Returns the kind of a trigger type of the engine. The id of most types is the name of their kind.
fn kind_of_type(id: &str) -> &str {
    match id {
        "durable:subscriber" => "queue",
        "stream:join" => "stream_join",
        "stream:leave" => "stream_leave",
        "engine::functions-available" => "functions_available",
        "engine::workers-available" => "workers_available",
        id => id,
    }
}

/// Returns whether an id is that of a trigger type of the engine, or the name of its kind.
pub(crate) fn is_engine_type(id: &str) -> bool {
    KINDS.contains(&kind_of_type(id))
}

/// A parsed `#[iii::trigger]` attribute.
pub(crate) struct Trigger {
    /// The span of the attribute.
    pub(crate) span: SpanRange,
    /// The route of an `http` trigger whose path is a literal.
    pub(crate) route: Option<HttpRoute>,
    /// Equal for two triggers that fire for the same events.
    pub(crate) key: String,
    /// Whether its kind is `http`.
    pub(crate) is_http: bool,
    binding: TokenStream,
    metadata: Option<Expr>,
}

/// The method and the path of an `http` trigger.
pub(crate) struct HttpRoute {
    /// In upper case.
    pub(crate) method: String,
    /// A valid path.
    pub(crate) path: LitStr,
}

/// The part of a trigger that its kind parses.
struct ParsedTrigger {
    /// An expression that converts into a `Binding`.
    binding: TokenStream,
    route: Option<HttpRoute>,
}

impl ParsedTrigger {
    fn new(binding: TokenStream) -> Self {
        Self { binding, route: None }
    }
}

impl Trigger {
    /// Parses an attribute. `None` if it is invalid, which is reported.
    pub(crate) fn parse(attribute: &Attribute, errors: &mut Errors) -> Option<Self> {
        let span = SpanRange::of(attribute);
        let tokens = match &attribute.meta {
            Meta::List(list) => list.tokens.clone(),
            Meta::Path(_) => TokenStream::new(),
            Meta::NameValue(meta) => {
                errors.on(meta, "expected `#[iii::trigger(kind, …)]`, found `#[iii::trigger = …]`");
                return None;
            }
        };
        let mut options = MacroOptions::parse(tokens, span, errors);
        let kind = TriggerKind::take(&mut options, errors)?;
        let is_http = matches!(kind, TriggerKind::Known("http"));
        let parsed = kind.parse(&mut options, errors);
        let metadata = options.take("metadata", errors);
        options.finish(errors);
        let ParsedTrigger { binding, route } = parsed?;
        let key = match &route {
            Some(route) => crate::names::route_sentinel(&route.method, &route.path.value()),
            None => binding.to_string(),
        };
        Some(Self { span, route, key, is_http, binding, metadata })
    }
}

impl ToTokens for Trigger {
    /// Emits a `TriggerDescriptor`.
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { binding, .. } = self;
        let metadata = self.metadata.as_ref().map(|expr| quote!(.with_metadata(&(#expr))));
        let location = location(self.span.first);
        tokens.extend(quote! {
            __iii::TriggerDescriptor {
                location: #location,
                binding: || __iii::trigger::Binding::from(#binding) #metadata,
            }
        });
    }
}

/// The first value of the attribute.
enum TriggerKind {
    Known(&'static str),
    /// The id of a trigger type.
    Custom(LitStr),
    /// The config of a trigger type, which implies the type.
    Typed(Expr),
}

impl TriggerKind {
    fn take(options: &mut MacroOptions, errors: &mut Errors) -> Option<Self> {
        if let Some(word) = options.take_word() {
            let name = word.to_string();
            if let Some(kind) = KINDS.iter().find(|kind| **kind == name) {
                return Some(Self::Known(kind));
            }
            if name.starts_with(char::is_uppercase) {
                // A config without fields.
                return Some(Self::Typed(parse_quote!(#word)));
            }
            let message = unknown("trigger kind", &name, KINDS);
            let help = format!("write another trigger type by its id: `\"{name}\", config = …`");
            errors.on(&word, format!("{message}\nhelp: {help}"));
            return None;
        }
        match options.take_positional() {
            Some(Expr::Lit(ExprLit { lit: Lit::Str(id), .. })) => {
                let text = id.value();
                if text.trim().is_empty() {
                    errors.on(&id, "the trigger type is empty\nhelp: write its id");
                    return None;
                }
                let known = kind_of_type(&text);
                match KINDS.iter().find(|kind| **kind == known) {
                    // With `config`, it is registered as written.
                    Some(kind) if !options.has("config") => Some(Self::Known(kind)),
                    _ => Some(Self::Custom(id)),
                }
            }
            Some(other @ Expr::Lit(_)) => {
                let message = format!(
                    "expected a trigger kind, found {}\n\
                     help: write a kind, such as `http`, the id of a trigger type in quotes, or \
                     the config of one: `Webhook {{ url: \"/hook\" }}`",
                    found(&other)
                );
                errors.on(other, message);
                None
            }
            Some(config) => Some(Self::Typed(config)),
            None => {
                errors.at_range(
                    options.span,
                    "missing trigger kind\nhelp: write it first, such as `http, path = \"/orders\"`",
                );
                None
            }
        }
    }

    /// Parses the options of the kind.
    fn parse(self, options: &mut MacroOptions, errors: &mut Errors) -> Option<ParsedTrigger> {
        match self {
            Self::Known(kind) => match kind {
                "http" => http::parse(options, errors),
                "cron" => cron::parse(options, errors),
                "queue" => messages::parse_queue(options, errors),
                "subscribe" => messages::parse_subscribe(options, errors),
                "state" => events::parse_state(options, errors),
                "stream" => events::parse_stream(options, errors),
                "stream_join" => engine::parse_plain("StreamJoin", options, errors),
                "stream_leave" => engine::parse_plain("StreamLeave", options, errors),
                "trace" => engine::parse_trace(options, errors),
                "configuration" => engine::parse_configuration(options, errors),
                "functions_available" => engine::parse_plain("FunctionsAvailable", options, errors),
                "workers_available" => engine::parse_plain("WorkersAvailable", options, errors),
                _ => events::parse_log(options, errors),
            },
            Self::Custom(id) => custom::parse(&id, options, errors),
            Self::Typed(config) => custom::parse_typed(&config, options, errors),
        }
    }
}

/// Takes the option `condition`, and emits an `Option<Use>`.
fn take_condition(options: &mut MacroOptions, errors: &mut Errors) -> TokenStream {
    let path = options.take_path("condition", "the path of a declared function", "is_open", errors);
    option(path.map(|path| use_function("condition", &path)))
}

/// Emits the `Use` of a declared function. A mismatch of its types is reported at the path.
fn use_function(role: &str, path: &Path) -> TokenStream {
    let SpanRange { first, last } = SpanRange::of(path);
    let role = Ident::new(role, first);
    let mut tokens = quote_spanned!(first=> __iii::trigger::FunctionRef::#role::<);
    path.to_tokens(&mut tokens);
    tokens.extend(quote_spanned!(last=> >()));
    tokens
}

/// Takes a string that must not be empty.
fn take_non_empty(
    name: &str,
    example: &str,
    options: &mut MacroOptions,
    errors: &mut Errors,
) -> Option<StringOrPath> {
    let text = options.take_string_or_path(name, example, errors)?;
    if let Some(literal) = text.literal()
        && literal.value().trim().is_empty()
    {
        errors.on(literal, format!("`{name}` is empty\nhelp: write `{name} = \"{example}\"`"));
        return None;
    }
    Some(text)
}

/// Takes a string that must be present and not empty.
fn take_required(
    name: &str,
    example: &str,
    options: &mut MacroOptions,
    errors: &mut Errors,
) -> Option<StringOrPath> {
    if !options.has(name) {
        let message = format!("missing option `{name}`\nhelp: add `{name} = \"{example}\"`");
        errors.at_range(options.span, message);
        return None;
    }
    take_non_empty(name, example, options, errors)
}
