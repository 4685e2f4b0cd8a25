//! What a declared function becomes.
//!
//! The user's item comes first, token for token. Then the type of its name, and one anonymous constant with all the
//! rest, so that nothing else gets a name in the user's module. All names in it begin with `__iii`.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use syn::{Attribute, Ident};

use super::item::Item;
use super::options::{FunctionOptions, Stub};
use super::sentinel;
use super::signature::Parts;
use super::stub;
use crate::diagnostics::Ends;
use crate::options::Text;
use crate::trigger::{self, Trigger};
use crate::{docs, names};

/// All that is known about a declared function.
pub(super) struct Function<'a> {
    pub(super) item: &'a Item,
    pub(super) options: &'a FunctionOptions,
    pub(super) parts: &'a Parts,
    pub(super) triggers: &'a [Trigger],
    /// The attributes of the triggers, which were taken off.
    pub(super) attributes: &'a [Attribute],
}

impl Function<'_> {
    /// The declaration.
    pub(super) fn declare(&self) -> TokenStream {
        let types = self.types();
        let checks = self.checks();
        let handler = self.handler();
        let signature = self.signature();
        let descriptor = self.descriptor();
        let stub = self.implement(&self.id(), Types::Known, true);
        let claims = sentinel::claims(self.options, self.triggers, &self.item.cfgs());
        let content = quote! {
            #types
            #checks
            #handler
            #signature
            #descriptor
            #stub
            __iii::inventory::submit! { __iii::FunctionDeclaration(&__III_DESCRIPTOR) }
        };
        self.surround(&content, &claims)
    }

    /// What remains after a mistake: enough that other code can name and call the function.
    pub(super) fn fall_back(&self, signature_is_sound: bool) -> TokenStream {
        if self.item.signature.receiver().is_some() {
            // Inside of an `impl`, nothing but the method may stand.
            return self.item.to_token_stream();
        }
        let content = if signature_is_sound {
            let types = self.types();
            let stub = self.implement(&quote!(""), Types::Known, false);
            quote!(#types #stub)
        } else {
            self.implement(&quote!(""), Types::Unit, false).unwrap_or_default()
        };
        self.surround(&content, &TokenStream::new())
    }

    /// The item, its type, and the anonymous constant around `content`.
    fn surround(&self, content: &TokenStream, claims: &TokenStream) -> TokenStream {
        let item = self.item;
        let cfgs: Vec<&Attribute> = item.cfgs().collect();
        let stub = self.stub().map(|name| {
            let visibility = &item.visibility;
            let doc = match &self.options.id {
                Some(Text::Literal(id)) => {
                    format!("Calls the function `{}`: `client.call::<{name}>(…)`.", id.value())
                }
                _ => format!("Calls the function `{name}`: `client.call::<{name}>(…)`."),
            };
            stub(name, visibility, &doc, &cfgs)
        });
        let import = names::import(self.options.krate.as_ref());
        let uses = self.attributes.iter().map(Attribute::path);
        // An attribute that was taken off is not resolved by the compiler, which would call its import unused.
        let uses = uses.filter(|path| !trigger::is_moved(path)).map(|path| {
            let Ends { first, last } = Ends::of(path);
            let mut tokens = quote_spanned!(first=> #[allow(unused_imports)] use);
            path.to_tokens(&mut tokens);
            tokens.extend(quote_spanned!(last=> as _;));
            tokens
        });
        quote! {
            #item
            #stub
            #(#cfgs)*
            // Some tokens have spans of the user: clippy would speak of code that nobody wrote.
            #[allow(unused_qualifications, clippy::all, clippy::pedantic)]
            const _: () = {
                #import
                #[allow(unused_imports)]
                use __iii::{
                    NotDeserialize as _, NotError as _, NotExtractor as _, NotInput as _,
                    NotOutput as _, NotResult as _, NotUnit as _, PayloadOr as _,
                };
                #(#uses)*
                #content
            };
            #claims
        }
    }

    /// The name of the type for typed calls.
    fn stub(&self) -> Option<&Ident> {
        match &self.options.stub {
            Stub::SameName => Some(&self.item.signature.ident),
            Stub::Named(name) => Some(name),
            Stub::None => None,
        }
    }

    fn id(&self) -> TokenStream {
        self.options.id.to_token_stream()
    }

    /// The types of the arguments and of the result, and what they are.
    fn types(&self) -> TokenStream {
        let arguments = self.parts.arguments.iter().enumerate().map(|(at, argument)| {
            let ty = &argument.ty;
            let Names { argument, kind, slot, .. } = Names::of(at);
            quote! {
                type #argument = #ty;
                const #kind: ::core::primitive::u8 = __iii::argument_kind(
                    <__iii::Probe<#argument>>::IS_EXTRACTOR,
                    <__iii::Probe<#argument>>::IS_INPUT,
                    <__iii::Probe<#argument>>::IS_DESERIALIZE,
                );
                type #slot = __iii::Slot<#argument, #kind>;
            }
        });
        let has_stub = self.stub().is_some();
        let sent = self
            .parts
            .arguments
            .iter()
            .enumerate()
            // A private type inside of an extractor may not become part of a public one.
            .filter(|(_, argument)| !has_stub || argument.extractor.is_none())
            .map(|(at, _)| Names::of(at).slot)
            .rfold(quote!(()), |rest, slot| quote!(<#slot as __iii::PayloadOr<#rest>>::Type));
        let requests = (0..self.parts.arguments.len()).map(|at| {
            let argument = Names::of(at).argument;
            quote!(<__iii::Probe<#argument>>::TAKES_REQUEST)
        });
        let given = &self.parts.output.ty;
        quote! {
            #(#arguments)*
            type __IiiSent = #sent;
            #[allow(dead_code)]
            const __III_REQUEST: ::core::primitive::bool =
                (false #(|| #requests)*) && !<__iii::Probe<__IiiSent>>::IS_HTTP_REQUEST;
            #[allow(dead_code)]
            type __IiiTaken =
                __iii::Taken<__IiiSent, { <__iii::Probe<__IiiSent>>::IS_UNIT }>;
            type __IiiGiven = #given;
            const __III_IS_RESULT: ::core::primitive::bool =
                <__iii::Probe<__IiiGiven>>::IS_RESULT;
            type __IiiOk = <__iii::Parts<__IiiGiven, __III_IS_RESULT> as __iii::Split>::Ok;
            type __IiiErr = <__iii::Parts<__IiiGiven, __III_IS_RESULT> as __iii::Split>::Err;
            const __III_GOOD_OK: ::core::primitive::bool = <__iii::Probe<__IiiOk>>::IS_OUTPUT;
            const __III_GOOD_ERR: ::core::primitive::bool = <__iii::Probe<__IiiErr>>::IS_ERROR;
            type __IiiGives = __iii::Gives<
                __IiiGiven,
                { __iii::result_kind(__III_IS_RESULT, __III_GOOD_OK, __III_GOOD_ERR) },
            >;
        }
    }

    /// What the compiler must prove about the types, each shown at its type.
    fn checks(&self) -> TokenStream {
        let mut calls = TokenStream::new();
        let mut asserts = TokenStream::new();
        for (at, argument) in self.parts.arguments.iter().enumerate() {
            let Names { argument: ty, kind, .. } = Names::of(at);
            let Ends { first, last } = argument.ends;
            calls.extend(quote_spanned!(first=> __iii::argument::<#ty, __iii::Checked<#kind));
            calls.extend(quote_spanned!(last=> >>();));
            let earlier: Vec<Ident> = (0..at).map(|at| Names::of(at).kind).collect();
            if !earlier.is_empty() {
                let condition = quote! {
                    #kind != __iii::INPUT || !(false #(|| #earlier == __iii::INPUT)*)
                };
                let message = "a function takes one payload, and this is the second: \
                               put both into one struct";
                asserts.extend(assertion(argument.ends, &condition, message));
            }
            if let (Some(_), Some(name)) = (self.stub(), argument.extractor) {
                let message = format!(
                    "a payload type cannot be named `{name}` here: rename it, or write \
                     `stub = false` in `#[iii::function]`"
                );
                asserts.extend(assertion(argument.ends, &quote!(#kind != __iii::INPUT), &message));
            }
        }
        let Ends { first, last } = self.parts.output.ok;
        calls.extend(
            quote_spanned!(first=> __iii::result::<__IiiOk, __iii::CheckedResult<__III_GOOD_OK),
        );
        calls.extend(quote_spanned!(last=> >>();));
        let Ends { first, last } = self.parts.output.err;
        calls.extend(
            quote_spanned!(first=> __iii::error::<__IiiErr, __iii::CheckedResult<__III_GOOD_ERR),
        );
        calls.extend(quote_spanned!(last=> >>();));
        quote! {
            #[allow(dead_code)]
            fn __iii_check() {
                #calls
            }
            #asserts
        }
    }

    /// Takes the arguments out of an invocation, and runs the user's function.
    fn handler(&self) -> TokenStream {
        let name = &self.item.signature.ident;
        let count = self.parts.arguments.len();
        let values: Vec<Ident> = (0..count).map(|at| Names::of(at).value).collect();
        let slots = (0..count).map(|at| Names::of(at).slot);
        let call = if count == 0 { quote!(_) } else { quote!(mut __iii_call) };
        let run = if self.item.signature.asyncness.is_some() {
            quote!(#name(#(#values),*).await)
        } else {
            // That the result cannot leave its thread is shown at the name, too.
            quote_spanned!(name.span()=> __iii::blocking(move || #name(#(#values),*)).await)
        };
        let body = quote! {
            #(
                let #values = <#slots as __iii::Argument>::take(&mut __iii_call).await?;
            )*
            <__IiiGives as __iii::Give<__IiiGiven>>::reply(#run)
        };
        // That the future is not `Send` is shown here, at the name.
        let future = quote_spanned!(name.span()=> ::std::boxed::Box::pin(async move { #body }));
        quote! {
            #[allow(deprecated)]
            fn __iii_handler(#call: __iii::Invocation) -> __iii::HandlerFuture {
                #future
            }
        }
    }

    /// Tells the schemas and needs.
    fn signature(&self) -> TokenStream {
        let slots = (0..self.parts.arguments.len()).map(|at| Names::of(at).slot);
        quote! {
            fn __iii_signature() -> __iii::Signature {
                let mut __iii_signature = __iii::Signature::new();
                #(<#slots as __iii::Argument>::describe(&mut __iii_signature);)*
                <__IiiGives as __iii::Give<__IiiGiven>>::describe(&mut __iii_signature);
                __iii_signature
            }
        }
    }

    /// The declaration as data.
    fn descriptor(&self) -> TokenStream {
        let FunctionOptions { description, metadata, timeout, concurrency, intercept, .. } =
            self.options;
        let description = match description {
            Some(text) => Some(text.value().trim().to_owned()),
            None => docs::text(&self.item.attributes),
        };
        let description = option(description.filter(|text| !text.is_empty()));
        let metadata = option(metadata.as_ref().map(|expr| quote!(|| __iii::payload(&(#expr)))));
        let timeout = option(timeout.map(|ms| quote!(::core::time::Duration::from_millis(#ms))));
        let concurrency = option(concurrency.map(|count| {
            let count = proc_macro2::Literal::u32_unsuffixed(count);
            quote!(#count)
        }));
        let intercept = intercept.iter().map(|expr| {
            // A type that is none is shown at the expression.
            let Ends { first, .. } = Ends::of(expr);
            quote_spanned!(first=> __iii::interceptor(#expr))
        });
        let id = self.id();
        let location = trigger::location(self.item.signature.ident.span());
        let triggers = self.triggers;
        quote! {
            #[allow(clippy::needless_update)]
            static __III_TRIGGERS: &[__iii::TriggerDescriptor] = &[#(#triggers),*];
            static __III_DESCRIPTOR: __iii::FunctionDescriptor = __iii::FunctionDescriptor {
                id: #id,
                description: #description,
                metadata: #metadata,
                module: ::core::module_path!(),
                location: #location,
                handler: __iii_handler,
                signature: __iii_signature,
                timeout: #timeout,
                concurrency: #concurrency,
                intercept: || ::std::vec![#(#intercept),*],
                triggers: __III_TRIGGERS,
                endpoint: ::core::option::Option::None,
            };
        }
    }

    /// Makes the type for typed calls one.
    fn implement(&self, id: &TokenStream, types: Types, declared: bool) -> Option<TokenStream> {
        let name = self.stub()?;
        let (info, descriptor) = match declared {
            true => (
                quote!(::core::option::Option::Some(__III_DESCRIPTOR.info())),
                quote!(&__III_DESCRIPTOR),
            ),
            // It does not compile, so nobody asks.
            false => (quote!(::core::option::Option::None), quote!(::core::unreachable!())),
        };
        // A type that is less known than the function is reported where it is written.
        let taken = self.parts.payload().unwrap_or_else(|| Ends::at(name.span()));
        let given = self.parts.output.all;
        let [(input, end), (output, end_of_output)] = match types {
            Types::Known => [
                (
                    quote_spanned!(taken.first=>
                        <__iii::CallInput<__IiiSent, __III_REQUEST> as __iii::CallInputType>
                    ),
                    quote_spanned!(taken.last=> ::Type),
                ),
                (
                    quote_spanned!(given.first=> <__IiiGives as __iii::Give<__IiiGiven>>),
                    quote_spanned!(given.last=> ::Value),
                ),
            ],
            Types::Unit => [(quote!(()), quote!()), (quote!(()), quote!())],
        };
        let mut types = quote_spanned!(taken.first=> type Input = #input);
        types.extend(quote_spanned!(taken.last=> #end;));
        types.extend(quote_spanned!(given.first=> type Output = #output));
        types.extend(quote_spanned!(given.last=> #end_of_output;));
        Some(quote! {
            #[automatically_derived]
            impl __iii::Function for #name {
                const ID: &'static ::core::primitive::str = #id;
                #types
                fn info() -> ::core::option::Option<__iii::FunctionInfo> {
                    #info
                }
            }
            #[automatically_derived]
            impl __iii::Declared for #name {
                fn descriptor() -> &'static __iii::FunctionDescriptor {
                    #descriptor
                }
            }
        })
    }
}

/// Which types a typed call has.
#[derive(Clone, Copy)]
enum Types {
    Known,
    /// They cannot be told from the signature.
    Unit,
}

/// The generated names of one argument.
struct Names {
    argument: Ident,
    kind: Ident,
    slot: Ident,
    value: Ident,
}

impl Names {
    fn of(at: usize) -> Self {
        Self {
            argument: format_ident!("__IiiArgument{at}"),
            kind: format_ident!("__III_KIND{at}"),
            slot: format_ident!("__IiiSlot{at}"),
            value: format_ident!("__iii_value{at}"),
        }
    }
}

/// A condition that the compiler must prove, shown at a type.
fn assertion(ends: Ends, condition: &TokenStream, message: &str) -> TokenStream {
    let Ends { first, last } = ends;
    let mut tokens = quote_spanned!(first=> const _: () = ::core::assert!);
    tokens.extend(quote_spanned!(last=> (#condition, #message);));
    tokens
}

fn option(value: Option<impl quote::ToTokens>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}
