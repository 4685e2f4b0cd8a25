//! `#[iii::function(id = "…")]`: the user's function unchanged, a stub for typed calls, and a declaration.

mod checks;
mod expand;
mod id;
mod item;
mod options;
mod sentinel;
mod shared;
mod signature;

use proc_macro2::{Span, TokenStream};

use crate::attributes::{self, is_named};
use crate::diagnostics::{Errors, SpanRange};
use crate::trigger::Trigger;

pub(crate) use self::checks::check_duplicate_triggers;
use self::expand::FunctionDeclaration;
pub(crate) use self::id::{check_id, check_service_id};
pub(crate) use self::item::FunctionItem;
use self::options::FunctionOptions;
pub(crate) use self::options::{Stub, take_id, take_stub};
pub(crate) use self::sentinel::claim_id;
pub(crate) use self::shared::{AnonymousConst, implement_stub, stub};
pub(crate) use self::signature::FunctionSignature;

/// Expands the attribute.
pub(crate) fn expand(options: TokenStream, tokens: TokenStream) -> TokenStream {
    let mut item = match FunctionItem::parse(tokens.clone()) {
        Ok(item) => item,
        Err(error) => {
            let mut all = tokens;
            all.extend(error.to_compile_error());
            return all;
        }
    };
    let mut errors = Errors::default();
    let is_function = |attribute: &_| is_named(attribute, "function");
    for attribute in attributes::take(&mut item.attributes, is_function) {
        errors.on(
            &attribute,
            "duplicate `#[iii::function]`\n\
             help: remove one of the two; a function may have several `#[iii::trigger]` attributes",
        );
    }
    let is_trigger = |attribute: &_| is_named(attribute, "trigger");
    let trigger_attributes = attributes::take(&mut item.attributes, is_trigger);
    let options = FunctionOptions::parse(options, SpanRange::at(Span::call_site()), &mut errors);
    let triggers: Vec<Trigger> = trigger_attributes
        .iter()
        .filter_map(|attribute| Trigger::parse(attribute, &mut errors))
        .collect();
    let errors_before = errors.count();
    let signature = FunctionSignature::parse(&item.signature, &mut errors);
    let is_signature_valid = errors.count() == errors_before;
    check_duplicate_triggers(&triggers, &mut errors);
    if is_signature_valid {
        checks::check_path_parameters(&triggers, &signature, &mut errors);
    }
    let function = FunctionDeclaration {
        item: &item,
        options: &options,
        signature: &signature,
        triggers: &triggers,
        trigger_attributes: &trigger_attributes,
    };
    if errors.is_empty() {
        return function.emit();
    }
    let mut all = function.emit_fallback(is_signature_valid);
    all.extend(errors.into_tokens());
    all
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    fn expanded(options: TokenStream, item: TokenStream) -> String {
        super::expand(options, item).to_string()
    }

    #[test]
    fn function_is_unchanged() {
        let item = quote! {
            #[inline]
            pub async fn create(mut order: NewOrder, State(stock): State<Stock>,) -> Order { a b c }
        };
        let all = expanded(quote!(id = "orders::create"), item.clone());
        assert!(all.starts_with(&item.to_string()), "{all}");
        let invalid = expanded(quote!(id = "create"), item.clone());
        assert!(invalid.starts_with(&item.to_string()), "{invalid}");
        assert!(invalid.contains("struct create"), "{invalid}");
    }

    #[test]
    fn crate_option_replaces_the_path_of_the_runtime() {
        let options = quote!(
            id = "orders::create",
            crate = other,
            timeout = "1s",
            metadata = 1,
            concurrency = 1,
            intercept = [audit()]
        );
        let item = quote! {
            #[other::trigger(http, path = "/a", condition = open, middleware = [auth])]
            #[other::trigger(queue, topic = "t", mode = "fifo", backoff = "1s")]
            #[other::trigger("x", config = 1, metadata = 2)]
            fn create(a: A, b: State<B>) -> R {}
        };
        let all = expanded(options, item);
        assert!(!all.contains(":: iii ::"), "{all}");
        assert!(all.contains("use other :: __private as __iii ;"), "{all}");
    }

    #[test]
    fn cfg_applies_to_everything_generated() {
        let all = expanded(
            quote!(id = "orders::create"),
            quote! {
                #[cfg(unix)]
                #[iii::trigger(http, path = "/a")]
                fn create() {}
            },
        );
        // The function, its stub, the declaration, and the sentinels of the id and of the route.
        assert_eq!(all.matches("cfg (unix)").count(), 5, "{all}");
    }

    #[test]
    fn interceptors_keep_their_order() {
        let of = |options| {
            expanded(
                options,
                quote!(
                    fn create() {}
                ),
            )
        };
        let all = of(quote!(id = "orders::create", intercept = [first(), Second::new(1),]));
        let expected =
            "vec ! [__iii :: interceptor (first ()) , __iii :: interceptor (Second :: new (1))]";
        assert!(all.contains(expected), "{all}");
        let none = of(quote!(id = "orders::create", intercept = []));
        assert!(none.contains("vec ! []") && !none.contains("compile_error"), "{none}");
    }

    #[test]
    fn interceptors_must_be_an_array() {
        for options in [quote!(intercept = audit()), quote!(intercept), quote!(intercept(audit()))]
        {
            let all = expanded(
                quote!(id = "orders::create", #options),
                quote!(
                    fn create() {}
                ),
            );
            assert_eq!(all.matches("compile_error").count(), 1, "{all}");
            assert!(all.contains("struct create"), "{all}");
        }
    }

    #[test]
    fn all_errors_are_reported_at_once() {
        let all = expanded(
            quote!(id = "create", timeout = "soon", colour = 1),
            quote! {
                #[iii::trigger(http, path = "a")]
                #[iii::trigger(corn)]
                fn create<T>(_: &str) {}
            },
        );
        assert_eq!(all.matches("compile_error").count(), 7, "{all}");
    }

    #[test]
    fn function_without_a_stub_emits_only_the_declaration() {
        let all = expanded(
            quote!(id = "orders::create", stub = false),
            quote!(
                fn create() {}
            ),
        );
        assert!(!all.contains("struct"), "{all}");
        assert!(!all.contains("__iii :: Function for"), "{all}");
    }
}
