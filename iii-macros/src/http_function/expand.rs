//! The expansion of a function that an HTTP endpoint serves: a stub, and one anonymous constant with everything else.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote, quote_spanned};
use syn::{Attribute, Ident};

use super::FunctionHeader;
use super::options::{AuthOption, HttpFunctionOptions, UrlOption};
use crate::attributes::{self, cfgs};
use crate::diagnostics::SpanRange;
use crate::function::{AnonymousConst, FunctionSignature, claim_id, implement_stub, stub};
use crate::options::StringOrPath;
use crate::trigger::Trigger;
use crate::{docs, tokens};

/// A parsed function header and its attributes.
pub(super) struct HttpFunctionDeclaration<'a> {
    pub(super) header: &'a FunctionHeader,
    pub(super) options: &'a HttpFunctionOptions,
    pub(super) signature: &'a FunctionSignature,
    pub(super) triggers: &'a [Trigger],
    /// The attributes of the triggers, which were taken from the header.
    pub(super) trigger_attributes: &'a [Attribute],
}

impl HttpFunctionDeclaration<'_> {
    /// Emits the stub and the declaration.
    pub(super) fn emit(&self) -> TokenStream {
        let (Some(id), Some(url)) = (&self.options.id, &self.options.url) else {
            return TokenStream::new();
        };
        let types = self.types();
        let descriptor = self.descriptor(id, url);
        let stub = self.implement_stub(&id.to_token_stream(), true);
        let sentinel = claim_id(id, &cfgs(&self.header.attributes));
        let content = quote! {
            #types
            #descriptor
            #stub
            __iii::inventory::submit! { __iii::FunctionDeclaration(&__III_DESCRIPTOR) }
        };
        self.surround(&content, &sentinel)
    }

    /// Emits what other code needs to name and call the function, after an error.
    pub(super) fn emit_fallback(&self, is_signature_valid: bool) -> TokenStream {
        if self.header.signature.receiver().is_some()
            && let Some(item) = self.header.to_item()
        {
            // An `impl` block cannot contain the other items.
            return item;
        }
        let types = match is_signature_valid {
            true => self.types(),
            false => quote!(
                type __IiiPayload = ();
                type __IiiOk = ();
            ),
        };
        let stub = self.implement_stub(&quote!(""), false);
        self.surround(&quote!(#types #stub), &TokenStream::new())
    }

    fn name(&self) -> &Ident {
        &self.header.signature.ident
    }

    fn stub_name(&self) -> Option<&Ident> {
        self.options.stub.name(self.name())
    }

    /// Emits the stub, the anonymous constant around `content`, and the sentinel.
    fn surround(&self, content: &TokenStream, sentinel: &TokenStream) -> TokenStream {
        let cfgs = cfgs(&self.header.attributes);
        let stub = self.stub_name().map(|name| {
            let doc = docs::comment(&self.header.attributes)
                .unwrap_or_else(|| format!("Calls an HTTP endpoint: `client.call::<{name}>(…)`."));
            let deprecated = attributes::named(&self.header.attributes, &["deprecated"]);
            let stub = stub(name, &self.header.visibility, &doc, &cfgs);
            quote!(#(#deprecated)* #stub)
        });
        let anonymous = AnonymousConst {
            cfgs: &cfgs,
            krate: self.options.krate.as_ref(),
            lints: quote!(unused_qualifications, deprecated, clippy::all, clippy::pedantic),
            traits: quote!(NotResult as _, NotUnit as _),
            trigger_attributes: self.trigger_attributes,
        };
        let anonymous = anonymous.wrap(content);
        quote! {
            #stub
            #anonymous
            #sentinel
        }
    }

    /// Emits aliases of the payload type and of the return type.
    fn types(&self) -> TokenStream {
        let payload = match self.signature.arguments.first() {
            Some(argument) => argument.ty.to_token_stream(),
            None => quote!(()),
        };
        let return_type = &self.signature.output.ty;
        quote! {
            type __IiiPayload = #payload;
            type __IiiReturn = #return_type;
            type __IiiOk = <__iii::Parts<
                __IiiReturn,
                { <__iii::Probe<__IiiReturn>>::IS_RESULT },
            > as __iii::Split>::Ok;
            #[allow(dead_code)]
            type __IiiEvent =
                __iii::Taken<__IiiPayload, { <__iii::Probe<__IiiPayload>>::IS_UNIT }>;
        }
    }

    /// Emits the traits of the stub.
    fn implement_stub(&self, id: &TokenStream, is_declared: bool) -> Option<TokenStream> {
        let name = self.stub_name()?;
        // A type that is less visible than the function is reported at the type.
        let payload =
            self.signature.payload_span().unwrap_or_else(|| SpanRange::at(self.name().span()));
        let output = self.signature.output.span;
        let mut types = quote_spanned!(payload.first=> type Input =);
        types.extend(quote_spanned!(payload.last=> __IiiPayload;));
        types.extend(quote_spanned!(output.first=> type Output =));
        types.extend(quote_spanned!(output.last=> __IiiOk;));
        Some(implement_stub(name, id, &types, is_declared))
    }

    /// Emits the function that describes the payload and the result. Bounds that a type does not satisfy are reported at
    /// the type.
    fn signature_function(&self) -> TokenStream {
        let sends = self.signature.arguments.first().map(|argument| {
            let SpanRange { first, last } = argument.span;
            let mut call = quote_spanned!(first=> __iii::sends::<__IiiPayload);
            call.extend(quote_spanned!(last=> >(&mut __iii_signature);));
            call
        });
        let SpanRange { first, last } = self.signature.output.ok;
        let mut receives = quote_spanned!(first=> __iii::receives::<__IiiOk);
        receives.extend(quote_spanned!(last=> >));
        quote! {
            fn __iii_signature() -> __iii::Signature {
                let mut __iii_signature = __iii::Signature::new();
                #sends
                #receives(&mut __iii_signature, <__iii::Probe<__IiiOk>>::IS_UNIT);
                __iii_signature
            }
        }
    }

    /// Emits the static descriptor.
    fn descriptor(&self, id: &StringOrPath, url: &UrlOption) -> TokenStream {
        let HttpFunctionOptions { metadata, timeout, method, headers, auth, .. } = self.options;
        let description = docs::description(self.options.description.as_ref(), || {
            docs::comment(&self.header.attributes)
        });
        let description = tokens::option(description);
        let metadata = metadata.as_ref().map(|expr| quote!(|| __iii::payload(&(#expr))));
        let metadata = tokens::option(metadata);
        let timeout = tokens::duration(*timeout);
        let location = tokens::location(self.name().span());
        let triggers = self.triggers;
        let signature = self.signature_function();
        let url = match url {
            UrlOption::Literal(url) => quote!(__iii::EndpointUrl::Literal(#url)),
            UrlOption::Variable(name) => quote!(__iii::EndpointUrl::Variable(#name)),
            UrlOption::Computed(expr) => {
                // A value that is no string is reported at the expression.
                let SpanRange { first, last } = SpanRange::of(expr);
                let mut call = quote_spanned!(first=> __iii::url);
                call.extend(quote_spanned!(last=> (#expr)));
                quote!(__iii::EndpointUrl::Computed(|| #call))
            }
        };
        let headers = headers.iter().map(|(name, value)| quote!((#name, #value)));
        let auth = tokens::option(auth.as_ref().map(|auth| match auth {
            AuthOption::Hmac(key) => quote!(__iii::EndpointAuth::Hmac { secret_key: #key }),
            AuthOption::Bearer(key) => quote!(__iii::EndpointAuth::Bearer { token_key: #key }),
            AuthOption::ApiKey { header, variable } => {
                quote!(__iii::EndpointAuth::ApiKey { header: #header, value_key: #variable })
            }
        }));
        quote! {
            #signature
            #[allow(clippy::needless_update)]
            static __III_TRIGGERS: &[__iii::TriggerDescriptor] = &[#(#triggers),*];
            static __III_ENDPOINT: __iii::EndpointDescriptor = __iii::EndpointDescriptor {
                url: #url,
                method: #method,
                headers: &[#(#headers),*],
                auth: #auth,
            };
            static __III_DESCRIPTOR: __iii::FunctionDescriptor = __iii::FunctionDescriptor {
                description: #description,
                metadata: #metadata,
                timeout: #timeout,
                triggers: __III_TRIGGERS,
                ..__iii::FunctionDescriptor::at_endpoint(
                    #id,
                    &__III_ENDPOINT,
                    __iii_signature,
                    ::core::module_path!(),
                    #location,
                )
            };
        }
    }
}
