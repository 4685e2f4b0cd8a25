//! `#[iii::function(id = "…")]`: the user's function as it is, a type of its name for typed calls, and a declaration.

mod checks;
mod expand;
mod id;
mod item;
mod options;
mod sentinel;
mod signature;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Attribute, Ident};

use crate::diagnostics::{Ends, Errors};
use crate::trigger::Trigger;

pub(crate) use self::checks::triggers_differ;
use self::expand::Function;
pub(crate) use self::id::{check as check_id, check_service as check_service_id};
pub(crate) use self::item::Item;
use self::options::FunctionOptions;
pub(crate) use self::options::{Stub, take_id, take_stub};
pub(crate) use self::sentinel::claim_id;
pub(crate) use self::signature::{Argument, Parts};

/// Expands the attribute.
pub(crate) fn expand(options: TokenStream, tokens: TokenStream) -> TokenStream {
    let mut item = match Item::parse(tokens.clone()) {
        Ok(item) => item,
        Err(error) => {
            // Without a function there is nothing to declare; the item stays as it is.
            let mut all = tokens;
            all.extend(error.to_compile_error());
            return all;
        }
    };
    let mut errors = Errors::default();
    let place = Ends::at(Span::call_site());
    for attribute in item.take(|attribute| is_named(attribute, "function")) {
        errors.on(
            &attribute,
            "the function is declared twice: one `#[iii::function]` is enough, \
             and one function may have many triggers",
        );
    }
    let attributes = item.take(|attribute| is_named(attribute, "trigger"));
    let options = FunctionOptions::parse(options, place, &mut errors);
    let triggers: Vec<Trigger> =
        attributes.iter().filter_map(|attribute| Trigger::parse(attribute, &mut errors)).collect();
    let before = errors.count();
    let parts = Parts::read(&item.signature, &mut errors);
    let sound = errors.count() == before;
    checks::triggers_differ(&triggers, &mut errors);
    if sound {
        checks::paths_fit(&triggers, &parts, &mut errors);
    }
    let function = Function {
        item: &item,
        options: &options,
        parts: &parts,
        triggers: &triggers,
        attributes: &attributes,
    };
    if errors.is_empty() {
        return function.declare();
    }
    let mut all = function.fall_back(sound);
    all.extend(errors.into_tokens());
    all
}

/// Whether the last word of the path of an attribute is `name`, under whatever name the crate is known.
pub(crate) fn is_named(attribute: &Attribute, name: &str) -> bool {
    attribute.path().segments.last().is_some_and(|segment| segment.ident == name)
}

/// The type that stands for a function in typed calls.
pub(crate) fn stub(
    name: &Ident,
    visibility: &impl ToTokens,
    doc: &str,
    cfgs: &[&Attribute],
) -> TokenStream {
    // Another type of this name is reported at the name.
    let declaration = quote_spanned!(name.span()=> struct #name {});
    quote! {
        #(#cfgs)*
        #[doc = #doc]
        #[allow(
            non_camel_case_types,
            dead_code,
            missing_debug_implementations,
            missing_copy_implementations
        )]
        #visibility #declaration
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(options: TokenStream, item: TokenStream) -> String {
        super::expand(options, item).to_string()
    }

    #[test]
    fn the_function_stays_as_it_is() {
        let item = quote! {
            #[inline]
            pub async fn create(mut order: NewOrder, State(stock): State<Stock>,) -> Order { a b c }
        };
        let all = expanded(quote!(id = "orders::create"), item.clone());
        assert!(all.starts_with(&item.to_string()), "{all}");
        let broken = expanded(quote!(id = "create"), item.clone());
        assert!(broken.starts_with(&item.to_string()), "{broken}");
        assert!(broken.contains("struct create"), "{broken}");
    }

    #[test]
    fn another_path_of_the_runtime_replaces_all_others() {
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
    fn conditions_of_compilation_hold_for_all_that_is_made() {
        let all = expanded(
            quote!(id = "orders::create"),
            quote! {
                #[cfg(unix)]
                #[iii::trigger(http, path = "/a")]
                fn create() {}
            },
        );
        // The function, its type, the declaration, the claims of the id and of the route.
        assert_eq!(all.matches("cfg (unix)").count(), 5, "{all}");
    }

    #[test]
    fn interceptors_are_made_in_the_order_of_the_list() {
        let of = |options| {
            expanded(
                options,
                quote!(
                    fn create() {}
                ),
            )
        };
        let all = of(quote!(id = "orders::create", intercept = [first(), Second::new(1),]));
        let made =
            "vec ! [__iii :: interceptor (first ()) , __iii :: interceptor (Second :: new (1))]";
        assert!(all.contains(made), "{all}");
        let none = of(quote!(id = "orders::create", intercept = []));
        assert!(none.contains("vec ! []") && !none.contains("compile_error"), "{none}");
    }

    #[test]
    fn interceptors_are_a_list() {
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
    fn all_mistakes_are_reported_at_once() {
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
    fn without_a_type_nothing_is_made_beside_the_declaration() {
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
