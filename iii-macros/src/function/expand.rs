//! The expansion of a declared function.

use proc_macro2::{Literal, TokenStream};
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use syn::Ident;

use super::item::FunctionItem;
use super::options::FunctionOptions;
use super::sentinel;
use super::shared::{AnonymousConst, implement_stub, stub};
use super::signature::FunctionSignature;
use crate::attributes::cfgs;
use crate::diagnostics::SpanRange;
use crate::options::StringOrPath;
use crate::tokens::const_assert;
use crate::trigger::Trigger;
use crate::{docs, tokens};

/// A parsed function and its attributes.
///
/// The expansion is the user's item, token for token, its stub, and one anonymous constant with everything else, so that
/// the user's module gets no other names. All names in the constant start with `__iii`, in any case.
pub(super) struct FunctionDeclaration<'a> {
    pub(super) item: &'a FunctionItem,
    pub(super) options: &'a FunctionOptions,
    pub(super) signature: &'a FunctionSignature,
    pub(super) triggers: &'a [Trigger],
    /// The attributes of the triggers, which were taken from the item.
    pub(super) trigger_attributes: &'a [syn::Attribute],
}

impl FunctionDeclaration<'_> {
    /// Emits the function and its declaration.
    pub(super) fn emit(&self) -> TokenStream {
        let types = self.types();
        let checks = self.checks();
        let handler = self.handler();
        let signature = self.signature_function();
        let descriptor = self.descriptor();
        let stub = self.implement_stub(&self.options.id.to_token_stream(), StubTypes::Known, true);
        let cfgs = cfgs(&self.item.attributes);
        let sentinels = sentinel::claim_id_and_routes(self.options, self.triggers, &cfgs);
        let content = quote! {
            #types
            #checks
            #handler
            #signature
            #descriptor
            #stub
            __iii::inventory::submit! { __iii::FunctionDeclaration(&__III_DESCRIPTOR) }
        };
        self.surround(&content, &sentinels)
    }

    /// Emits what other code needs to name and call the function, after an error.
    pub(super) fn emit_fallback(&self, is_signature_valid: bool) -> TokenStream {
        if self.item.signature.receiver().is_some() {
            // An `impl` block cannot contain the other items.
            return self.item.to_token_stream();
        }
        let content = if is_signature_valid {
            let types = self.types();
            let stub = self.implement_stub(&quote!(""), StubTypes::Known, false);
            quote!(#types #stub)
        } else {
            self.implement_stub(&quote!(""), StubTypes::Unit, false).unwrap_or_default()
        };
        self.surround(&content, &TokenStream::new())
    }

    /// Emits the item, its stub, the anonymous constant around `content`, and the sentinels.
    fn surround(&self, content: &TokenStream, sentinels: &TokenStream) -> TokenStream {
        let item = self.item;
        let cfgs = cfgs(&item.attributes);
        let stub = self.stub_name().map(|name| {
            let doc = match &self.options.id {
                Some(StringOrPath::Literal(id)) => {
                    format!("Calls the function `{}`: `client.call::<{name}>(…)`.", id.value())
                }
                _ => format!("Calls the function `{name}`: `client.call::<{name}>(…)`."),
            };
            stub(name, &item.visibility, &doc, &cfgs)
        });
        let anonymous = AnonymousConst {
            cfgs: &cfgs,
            krate: self.options.krate.as_ref(),
            // Some generated tokens have spans of the user's code, where Clippy would report them.
            lints: quote!(unused_qualifications, clippy::all, clippy::pedantic),
            traits: quote! {
                NotDeserialize as _, NotError as _, NotExtractor as _, NotInput as _,
                NotOutput as _, NotResult as _, NotUnit as _, PayloadOr as _,
            },
            trigger_attributes: self.trigger_attributes,
        };
        let anonymous = anonymous.wrap(content);
        quote! {
            #item
            #stub
            #anonymous
            #sentinels
        }
    }

    fn stub_name(&self) -> Option<&Ident> {
        self.options.stub.name(&self.item.signature.ident)
    }

    /// Emits aliases of the argument types and of the return type, and constants that classify them.
    fn types(&self) -> TokenStream {
        let arguments = self.signature.arguments.iter().enumerate().map(|(at, argument)| {
            let ty = &argument.ty;
            let ArgumentNames { argument, kind, slot, .. } = ArgumentNames::of(at);
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
        let has_stub = self.stub_name().is_some();
        let payload = self
            .signature
            .arguments
            .iter()
            .enumerate()
            // A private type inside an extractor cannot be part of a public type.
            .filter(|(_, argument)| !has_stub || argument.extractor.is_none())
            .map(|(at, _)| ArgumentNames::of(at).slot)
            .rfold(quote!(()), |rest, slot| quote!(<#slot as __iii::PayloadOr<#rest>>::Type));
        let takes_request = (0..self.signature.arguments.len()).map(|at| {
            let argument = ArgumentNames::of(at).argument;
            quote!(<__iii::Probe<#argument>>::TAKES_REQUEST)
        });
        let return_type = &self.signature.output.ty;
        quote! {
            #(#arguments)*
            type __IiiPayload = #payload;
            #[allow(dead_code)]
            const __III_TAKES_REQUEST: ::core::primitive::bool =
                (false #(|| #takes_request)*) && !<__iii::Probe<__IiiPayload>>::IS_HTTP_REQUEST;
            #[allow(dead_code)]
            type __IiiEvent =
                __iii::Taken<__IiiPayload, { <__iii::Probe<__IiiPayload>>::IS_UNIT }>;
            type __IiiReturn = #return_type;
            const __III_IS_RESULT: ::core::primitive::bool =
                <__iii::Probe<__IiiReturn>>::IS_RESULT;
            type __IiiOk = <__iii::Parts<__IiiReturn, __III_IS_RESULT> as __iii::Split>::Ok;
            type __IiiErr = <__iii::Parts<__IiiReturn, __III_IS_RESULT> as __iii::Split>::Err;
            const __III_IS_OUTPUT: ::core::primitive::bool = <__iii::Probe<__IiiOk>>::IS_OUTPUT;
            const __III_IS_ERROR: ::core::primitive::bool = <__iii::Probe<__IiiErr>>::IS_ERROR;
            type __IiiResult = __iii::Gives<
                __IiiReturn,
                { __iii::result_kind(__III_IS_RESULT, __III_IS_OUTPUT, __III_IS_ERROR) },
            >;
        }
    }

    /// Emits the checks of the types, each with its error at the type.
    fn checks(&self) -> TokenStream {
        let mut calls = TokenStream::new();
        let mut asserts = TokenStream::new();
        for (at, argument) in self.signature.arguments.iter().enumerate() {
            let ArgumentNames { argument: ty, kind, .. } = ArgumentNames::of(at);
            let SpanRange { first, last } = argument.span;
            calls.extend(quote_spanned!(first=> __iii::argument::<#ty, __iii::Checked<#kind));
            calls.extend(quote_spanned!(last=> >>();));
            let earlier: Vec<Ident> = (0..at).map(|at| ArgumentNames::of(at).kind).collect();
            if !earlier.is_empty() {
                let condition = quote! {
                    #kind != __iii::INPUT || !(false #(|| #earlier == __iii::INPUT)*)
                };
                let message = "expected one payload, found a second: combine both into one struct";
                asserts.extend(const_assert(argument.span, &condition, message));
            }
            if let (Some(_), Some(name)) = (self.stub_name(), argument.extractor) {
                let message = format!(
                    "a payload type cannot be named `{name}` here: rename it, or write \
                     `stub = false` in `#[iii::function]`"
                );
                let condition = quote!(#kind != __iii::INPUT);
                asserts.extend(const_assert(argument.span, &condition, &message));
            }
        }
        let SpanRange { first, last } = self.signature.output.ok;
        calls.extend(
            quote_spanned!(first=> __iii::result::<__IiiOk, __iii::CheckedResult<__III_IS_OUTPUT),
        );
        calls.extend(quote_spanned!(last=> >>();));
        let SpanRange { first, last } = self.signature.output.err;
        calls.extend(
            quote_spanned!(first=> __iii::error::<__IiiErr, __iii::CheckedResult<__III_IS_ERROR),
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

    /// Emits the function that extracts the arguments from an invocation and calls the user's function.
    fn handler(&self) -> TokenStream {
        let name = &self.item.signature.ident;
        let count = self.signature.arguments.len();
        let values: Vec<Ident> = (0..count).map(|at| ArgumentNames::of(at).value).collect();
        let slots = (0..count).map(|at| ArgumentNames::of(at).slot);
        let invocation = if count == 0 { quote!(_) } else { quote!(mut __iii_call) };
        let run = if self.item.signature.asyncness.is_some() {
            quote!(#name(#(#values),*).await)
        } else {
            // A result that is not `Send` is reported at the name, too.
            quote_spanned!(name.span()=> __iii::blocking(move || #name(#(#values),*)).await)
        };
        let body = quote! {
            #(
                let #values = <#slots as __iii::Argument>::take(&mut __iii_call).await?;
            )*
            <__IiiResult as __iii::Give<__IiiReturn>>::reply(#run)
        };
        // A future that is not `Send` is reported at the name.
        let future = quote_spanned!(name.span()=> ::std::boxed::Box::pin(async move { #body }));
        quote! {
            #[allow(deprecated)]
            fn __iii_handler(#invocation: __iii::Invocation) -> __iii::HandlerFuture {
                #future
            }
        }
    }

    /// Emits the function that describes the arguments and the result.
    fn signature_function(&self) -> TokenStream {
        let slots = (0..self.signature.arguments.len()).map(|at| ArgumentNames::of(at).slot);
        quote! {
            fn __iii_signature() -> __iii::Signature {
                let mut __iii_signature = __iii::Signature::new();
                #(<#slots as __iii::Argument>::describe(&mut __iii_signature);)*
                <__IiiResult as __iii::Give<__IiiReturn>>::describe(&mut __iii_signature);
                __iii_signature
            }
        }
    }

    /// Emits the static descriptor.
    fn descriptor(&self) -> TokenStream {
        let FunctionOptions { id, metadata, timeout, concurrency, intercept, .. } = self.options;
        let description = docs::description(self.options.description.as_ref(), || {
            docs::comment(&self.item.attributes)
        });
        let description = tokens::option(description);
        let metadata = metadata.as_ref().map(|expr| quote!(|| __iii::payload(&(#expr))));
        let metadata = tokens::option(metadata);
        let timeout = tokens::duration(*timeout);
        let concurrency = tokens::option(concurrency.map(Literal::u32_unsuffixed));
        let intercept = intercept.iter().map(|expr| {
            // A type that is not an interceptor is reported at the expression.
            let SpanRange { first, .. } = SpanRange::of(expr);
            quote_spanned!(first=> __iii::interceptor(#expr))
        });
        let location = tokens::location(self.item.signature.ident.span());
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

    /// Emits the traits of the stub.
    fn implement_stub(
        &self,
        id: &TokenStream,
        types: StubTypes,
        is_declared: bool,
    ) -> Option<TokenStream> {
        let name = self.stub_name()?;
        // A type that is less visible than the function is reported at the type.
        let payload = self.signature.payload_span().unwrap_or_else(|| SpanRange::at(name.span()));
        let output = self.signature.output.span;
        let [(input_type, input_end), (output_type, output_end)] = match types {
            StubTypes::Known => [
                (
                    quote_spanned!(payload.first=>
                        <__iii::CallInput<__IiiPayload, __III_TAKES_REQUEST>
                            as __iii::CallInputType>
                    ),
                    quote_spanned!(payload.last=> ::Type),
                ),
                (
                    quote_spanned!(output.first=> <__IiiResult as __iii::Give<__IiiReturn>>),
                    quote_spanned!(output.last=> ::Value),
                ),
            ],
            StubTypes::Unit => [(quote!(()), quote!()), (quote!(()), quote!())],
        };
        let mut types = quote_spanned!(payload.first=> type Input = #input_type);
        types.extend(quote_spanned!(payload.last=> #input_end;));
        types.extend(quote_spanned!(output.first=> type Output = #output_type));
        types.extend(quote_spanned!(output.last=> #output_end;));
        Some(implement_stub(name, id, &types, is_declared))
    }
}

/// Which types a stub has.
#[derive(Clone, Copy)]
enum StubTypes {
    /// Those of the signature.
    Known,
    /// `()`, since the signature is invalid.
    Unit,
}

/// The generated names of one argument.
struct ArgumentNames {
    argument: Ident,
    kind: Ident,
    slot: Ident,
    value: Ident,
}

impl ArgumentNames {
    fn of(at: usize) -> Self {
        Self {
            argument: format_ident!("__IiiArgument{at}"),
            kind: format_ident!("__III_KIND{at}"),
            slot: format_ident!("__IiiSlot{at}"),
            value: format_ident!("__iii_value{at}"),
        }
    }
}
