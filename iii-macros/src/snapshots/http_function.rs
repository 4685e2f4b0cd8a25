//! The expansion of `http_function` in `snapshots.rs`.

///Charges a card.
#[allow(
    non_camel_case_types,
    dead_code,
    missing_debug_implementations,
    missing_copy_implementations
)]
pub struct charge {}
#[allow(unused_qualifications, deprecated, clippy::all, clippy::pedantic)]
const _: () = {
    use ::iii::__private as __iii;
    #[allow(unused_imports)]
    use __iii::{NotResult as _, NotUnit as _};
    type __IiiPayload = Charge;
    type __IiiReturn = Result<Receipt, PayError>;
    type __IiiOk = <__iii::Parts<
        __IiiReturn,
        { <__iii::Probe<__IiiReturn>>::IS_RESULT },
    > as __iii::Split>::Ok;
    #[allow(dead_code)]
    type __IiiEvent = __iii::Taken<
        __IiiPayload,
        { <__iii::Probe<__IiiPayload>>::IS_UNIT },
    >;
    fn __iii_signature() -> __iii::Signature {
        let mut __iii_signature = __iii::Signature::new();
        __iii::sends::<__IiiPayload>(&mut __iii_signature);
        __iii::receives::<
            __IiiOk,
        >(&mut __iii_signature, <__iii::Probe<__IiiOk>>::IS_UNIT);
        __iii_signature
    }
    #[allow(clippy::needless_update)]
    static __III_TRIGGERS: &[__iii::TriggerDescriptor] = &[];
    static __III_ENDPOINT: __iii::EndpointDescriptor = __iii::EndpointDescriptor {
        url: __iii::EndpointUrl::Variable("PAY_URL"),
        method: "PUT",
        headers: &[("x-tenant", "7")],
        auth: ::core::option::Option::Some(__iii::EndpointAuth::Bearer {
            token_key: "PAY_TOKEN",
        }),
    };
    static __III_DESCRIPTOR: __iii::FunctionDescriptor = __iii::FunctionDescriptor {
        description: ::core::option::Option::Some("Charges a card."),
        metadata: ::core::option::Option::None,
        timeout: ::core::option::Option::Some(
            ::core::time::Duration::from_millis(5000u64),
        ),
        triggers: __III_TRIGGERS,
        ..__iii::FunctionDescriptor::at_endpoint(
            "ext::charge",
            &__III_ENDPOINT,
            __iii_signature,
            ::core::module_path!(),
            __iii::Location {
                file: ::core::file!(),
                line: ::core::line!(),
                column: ::core::column!(),
            },
        )
    };
    #[automatically_derived]
    impl __iii::Function for charge {
        const ID: &'static ::core::primitive::str = "ext::charge";
        type Input = __IiiPayload;
        type Output = __IiiOk;
        fn info() -> ::core::option::Option<__iii::FunctionInfo> {
            ::core::option::Option::Some(__III_DESCRIPTOR.info())
        }
    }
    #[automatically_derived]
    impl __iii::Declared for charge {
        fn descriptor() -> &'static __iii::FunctionDescriptor {
            &__III_DESCRIPTOR
        }
    }
    __iii::inventory::submit! {
        __iii::FunctionDeclaration(& __III_DESCRIPTOR)
    }
};
#[doc(hidden)]
#[allow(non_local_definitions)]
#[macro_export]
macro_rules! __iii_duplicate_function_id__ext__charge {
    () => {};
}
