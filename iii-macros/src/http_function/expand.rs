//! What a function becomes that an endpoint serves: a type of its name, and one anonymous constant with all the rest.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote, quote_spanned};
use syn::{Attribute, Ident};

use super::Head;
use super::options::{Auth, HttpOptions, Url};
use crate::diagnostics::Ends;
use crate::function::{Parts, Stub, claim_id, stub};
use crate::options::Text;
use crate::remote::duration;
use crate::trigger::{self, Trigger};
use crate::{docs, names};

/// All that is known about such a function.
pub(super) struct HttpFunction<'a> {
    pub(super) head: &'a Head,
    pub(super) options: &'a HttpOptions,
    pub(super) parts: &'a Parts,
    pub(super) triggers: &'a [Trigger],
    /// The attributes of the triggers, which were taken off.
    pub(super) attributes: &'a [Attribute],
}

impl HttpFunction<'_> {
    /// The declaration.
    pub(super) fn declare(&self) -> TokenStream {
        let (Some(id), Some(url)) = (&self.options.id, &self.options.url) else {
            return TokenStream::new();
        };
        let types = self.types();
        let descriptor = self.descriptor(id, url);
        let implementation = self.implement(&id.to_token_stream(), true);
        let claim = claim_id(id, &self.head.of(&["cfg"]).into_iter());
        let content = quote! {
            #types
            #descriptor
            #implementation
            __iii::inventory::submit! { __iii::FunctionDeclaration(&__III_DESCRIPTOR) }
        };
        self.surround(&content, &claim)
    }

    /// What remains after a mistake: enough that other code can name and call the function.
    pub(super) fn fall_back(&self, signature_is_sound: bool) -> TokenStream {
        if let Some(whole) = self.head.whole().filter(|_| self.head.signature.receiver().is_some())
        {
            return whole;
        }
        let types = match signature_is_sound {
            true => self.types(),
            false => quote!(
                type __IiiSent = ();
                type __IiiOk = ();
            ),
        };
        let implementation = self.implement(&quote!(""), false);
        self.surround(&quote!(#types #implementation), &TokenStream::new())
    }

    fn name(&self) -> &Ident {
        &self.head.signature.ident
    }

    fn stub(&self) -> Option<&Ident> {
        match &self.options.stub {
            Stub::SameName => Some(self.name()),
            Stub::Named(name) => Some(name),
            Stub::None => None,
        }
    }

    /// The type, and the anonymous constant around `content`.
    fn surround(&self, content: &TokenStream, claim: &TokenStream) -> TokenStream {
        let cfgs = self.head.of(&["cfg"]);
        let stub = self.stub().map(|name| {
            let doc = docs::text(&self.head.attributes)
                .unwrap_or_else(|| format!("Calls an HTTP endpoint: `client.call::<{name}>(…)`."));
            let deprecated = self.head.of(&["deprecated"]);
            let stub = stub(name, &self.head.visibility, &doc, &cfgs);
            quote!(#(#deprecated)* #stub)
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
            #stub
            #(#cfgs)*
            #[allow(unused_qualifications, deprecated, clippy::all, clippy::pedantic)]
            const _: () = {
                #import
                #[allow(unused_imports)]
                use __iii::{NotResult as _, NotUnit as _};
                #(#uses)*
                #content
            };
            #claim
        }
    }

    /// The types of the payload and of the result.
    fn types(&self) -> TokenStream {
        let sent = match self.parts.arguments.first() {
            Some(argument) => argument.ty.to_token_stream(),
            None => quote!(()),
        };
        let given = &self.parts.output.ty;
        quote! {
            type __IiiSent = #sent;
            type __IiiGiven = #given;
            type __IiiOk = <__iii::Parts<
                __IiiGiven,
                { <__iii::Probe<__IiiGiven>>::IS_RESULT },
            > as __iii::Split>::Ok;
            #[allow(dead_code)]
            type __IiiTaken =
                __iii::Taken<__IiiSent, { <__iii::Probe<__IiiSent>>::IS_UNIT }>;
        }
    }

    /// Makes the type one for typed calls.
    fn implement(&self, id: &TokenStream, declared: bool) -> Option<TokenStream> {
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
        let sent = self.parts.payload().unwrap_or_else(|| Ends::at(self.name().span()));
        let given = self.parts.output.all;
        let mut types = quote_spanned!(sent.first=> type Input =);
        types.extend(quote_spanned!(sent.last=> __IiiSent;));
        types.extend(quote_spanned!(given.first=> type Output =));
        types.extend(quote_spanned!(given.last=> __IiiOk;));
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

    /// Tells the schemas. What the types lack is shown at them.
    fn signature(&self) -> TokenStream {
        let sends = self.parts.arguments.first().map(|argument| {
            let Ends { first, last } = argument.ends;
            let mut call = quote_spanned!(first=> __iii::sends::<__IiiSent);
            call.extend(quote_spanned!(last=> >(&mut __iii_signature);));
            call
        });
        let Ends { first, last } = self.parts.output.ok;
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

    /// The declaration as data.
    fn descriptor(&self, id: &Text, url: &Url) -> TokenStream {
        let HttpOptions { description, metadata, timeout, method, headers, auth, .. } =
            self.options;
        let description = match description {
            Some(text) => Some(text.value().trim().to_owned()),
            None => docs::text(&self.head.attributes),
        };
        let description = option(description.filter(|text| !text.is_empty()));
        let metadata = option(metadata.as_ref().map(|expr| quote!(|| __iii::payload(&(#expr)))));
        let timeout = duration(*timeout);
        let location = trigger::location(self.name().span());
        let triggers = self.triggers;
        let signature = self.signature();
        let url = match url {
            Url::Literal(url) => quote!(__iii::EndpointUrl::Literal(#url)),
            Url::Variable(name) => quote!(__iii::EndpointUrl::Variable(#name)),
            Url::Computed(expr) => {
                // A value that is no text is shown at it.
                let Ends { first, last } = Ends::of(expr);
                let mut call = quote_spanned!(first=> __iii::url);
                call.extend(quote_spanned!(last=> (#expr)));
                quote!(__iii::EndpointUrl::Computed(|| #call))
            }
        };
        let headers = headers.iter().map(|(name, value)| quote!((#name, #value)));
        let auth = option(auth.as_ref().map(|auth| match auth {
            Auth::Hmac(key) => quote!(__iii::EndpointAuth::Hmac { secret_key: #key }),
            Auth::Bearer(key) => quote!(__iii::EndpointAuth::Bearer { token_key: #key }),
            Auth::ApiKey { header, variable } => {
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

fn option(value: Option<impl quote::ToTokens>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}
