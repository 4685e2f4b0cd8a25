//! Checks of the signature that `#[iii::main]` and `#[iii::test]` apply to.

use quote::ToTokens;
use syn::{FnArg, Safety, Signature};

use crate::diagnostics::Errors;

/// How messages describe an entry point.
pub(crate) struct EntryPoint {
    /// The subject of the message.
    pub(crate) subject: &'static str,
    /// The argument that it may take.
    pub(crate) argument: &'static str,
    /// How to write the signature.
    pub(crate) help: &'static str,
}

impl EntryPoint {
    /// Reports the first part of the signature that an entry point cannot have. Returns whether there was one.
    pub(crate) fn check(&self, signature: &Signature, errors: &mut Errors) -> bool {
        let Self { argument, .. } = self;
        if !signature.generics.params.is_empty() {
            self.report(&signature.generics, "cannot be generic", errors);
        } else if let Some(second) = signature.inputs.get(1) {
            self.report(second, &format!("takes at most one argument, {argument}"), errors);
        } else if let Some(FnArg::Receiver(receiver)) = signature.inputs.first() {
            self.report(receiver, "cannot be a method", errors);
        } else if let Some(constness) = &signature.constness {
            self.report(constness, "cannot be `const`", errors);
        } else if let Safety::Unsafe(unsafety) = &signature.safety {
            self.report(unsafety, "cannot be `unsafe`", errors);
        } else if let Some(abi) = &signature.abi {
            self.report(abi, "cannot be `extern`", errors);
        } else {
            return false;
        }
        true
    }

    /// Reports at `tokens` that the entry point is not as it must be.
    pub(crate) fn report(&self, tokens: impl ToTokens, problem: &str, errors: &mut Errors) {
        let Self { subject, help, .. } = self;
        errors.on(tokens, format!("{subject} {problem}\nhelp: {help}"));
    }
}
