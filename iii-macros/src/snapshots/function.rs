//! The expansion of `function` in `snapshots.rs`.

/// Creates an order.
#[cfg(unix)]
pub async fn create(
    order: NewOrder,
    State(stock): State<Stock>,
) -> Result<Order, OrderError> {
    stock.take(order).await
}
#[cfg(unix)]
///Calls the function `orders::create`: `client.call::<create>(…)`.
#[allow(
    non_camel_case_types,
    dead_code,
    missing_debug_implementations,
    missing_copy_implementations
)]
pub struct create {}
#[cfg(unix)]
#[allow(unused_qualifications, clippy::all, clippy::pedantic)]
const _: () = {
    use ::iii::__private as __iii;
    #[allow(unused_imports)]
    use __iii::{
        NotDeserialize as _, NotError as _, NotExtractor as _, NotInput as _,
        NotOutput as _, NotResult as _, NotUnit as _, PayloadOr as _,
    };
    type __IiiArgument0 = NewOrder;
    const __III_KIND0: ::core::primitive::u8 = __iii::argument_kind(
        <__iii::Probe<__IiiArgument0>>::IS_EXTRACTOR,
        <__iii::Probe<__IiiArgument0>>::IS_INPUT,
        <__iii::Probe<__IiiArgument0>>::IS_DESERIALIZE,
    );
    type __IiiSlot0 = __iii::Slot<__IiiArgument0, __III_KIND0>;
    type __IiiArgument1 = State<Stock>;
    const __III_KIND1: ::core::primitive::u8 = __iii::argument_kind(
        <__iii::Probe<__IiiArgument1>>::IS_EXTRACTOR,
        <__iii::Probe<__IiiArgument1>>::IS_INPUT,
        <__iii::Probe<__IiiArgument1>>::IS_DESERIALIZE,
    );
    type __IiiSlot1 = __iii::Slot<__IiiArgument1, __III_KIND1>;
    type __IiiPayload = <__IiiSlot0 as __iii::PayloadOr<()>>::Type;
    #[allow(dead_code)]
    const __III_TAKES_REQUEST: ::core::primitive::bool = (false
        || <__iii::Probe<__IiiArgument0>>::TAKES_REQUEST
        || <__iii::Probe<__IiiArgument1>>::TAKES_REQUEST)
        && !<__iii::Probe<__IiiPayload>>::IS_HTTP_REQUEST;
    #[allow(dead_code)]
    type __IiiEvent = __iii::Taken<
        __IiiPayload,
        { <__iii::Probe<__IiiPayload>>::IS_UNIT },
    >;
    type __IiiReturn = Result<Order, OrderError>;
    const __III_IS_RESULT: ::core::primitive::bool = <__iii::Probe<
        __IiiReturn,
    >>::IS_RESULT;
    type __IiiOk = <__iii::Parts<__IiiReturn, __III_IS_RESULT> as __iii::Split>::Ok;
    type __IiiErr = <__iii::Parts<__IiiReturn, __III_IS_RESULT> as __iii::Split>::Err;
    const __III_IS_OUTPUT: ::core::primitive::bool = <__iii::Probe<__IiiOk>>::IS_OUTPUT;
    const __III_IS_ERROR: ::core::primitive::bool = <__iii::Probe<__IiiErr>>::IS_ERROR;
    type __IiiResult = __iii::Gives<
        __IiiReturn,
        { __iii::result_kind(__III_IS_RESULT, __III_IS_OUTPUT, __III_IS_ERROR) },
    >;
    #[allow(dead_code)]
    fn __iii_check() {
        __iii::argument::<__IiiArgument0, __iii::Checked<__III_KIND0>>();
        __iii::argument::<__IiiArgument1, __iii::Checked<__III_KIND1>>();
        __iii::result::<__IiiOk, __iii::CheckedResult<__III_IS_OUTPUT>>();
        __iii::error::<__IiiErr, __iii::CheckedResult<__III_IS_ERROR>>();
    }
    const _: () = ::core::assert!(
        __III_KIND1 != __iii::INPUT || ! (false || __III_KIND0 == __iii::INPUT),
        "expected one payload, found a second: combine both into one struct"
    );
    const _: () = ::core::assert!(
        __III_KIND1 != __iii::INPUT,
        "a payload type cannot be named `State` here: rename it, or write `stub = false` in `#[iii::function]`"
    );
    #[allow(deprecated)]
    fn __iii_handler(mut __iii_call: __iii::Invocation) -> __iii::HandlerFuture {
        ::std::boxed::Box::pin(async move {
            let __iii_value0 = <__IiiSlot0 as __iii::Argument>::take(&mut __iii_call)
                .await?;
            let __iii_value1 = <__IiiSlot1 as __iii::Argument>::take(&mut __iii_call)
                .await?;
            <__IiiResult as __iii::Give<
                __IiiReturn,
            >>::reply(create(__iii_value0, __iii_value1).await)
        })
    }
    fn __iii_signature() -> __iii::Signature {
        let mut __iii_signature = __iii::Signature::new();
        <__IiiSlot0 as __iii::Argument>::describe(&mut __iii_signature);
        <__IiiSlot1 as __iii::Argument>::describe(&mut __iii_signature);
        <__IiiResult as __iii::Give<__IiiReturn>>::describe(&mut __iii_signature);
        __iii_signature
    }
    #[allow(clippy::needless_update)]
    static __III_TRIGGERS: &[__iii::TriggerDescriptor] = &[];
    static __III_DESCRIPTOR: __iii::FunctionDescriptor = __iii::FunctionDescriptor {
        id: "orders::create",
        description: ::core::option::Option::Some("Creates an order."),
        metadata: ::core::option::Option::Some(|| __iii::payload(&("beta"))),
        module: ::core::module_path!(),
        location: __iii::Location {
            file: ::core::file!(),
            line: ::core::line!(),
            column: ::core::column!(),
        },
        handler: __iii_handler,
        signature: __iii_signature,
        timeout: ::core::option::Option::Some(
            ::core::time::Duration::from_millis(30000u64),
        ),
        concurrency: ::core::option::Option::Some(4),
        intercept: || ::std::vec![__iii::interceptor(Traced::new())],
        triggers: __III_TRIGGERS,
        endpoint: ::core::option::Option::None,
    };
    #[automatically_derived]
    impl __iii::Function for create {
        const ID: &'static ::core::primitive::str = "orders::create";
        type Input = <__iii::CallInput<
            __IiiPayload,
            __III_TAKES_REQUEST,
        > as __iii::CallInputType>::Type;
        type Output = <__IiiResult as __iii::Give<__IiiReturn>>::Value;
        fn info() -> ::core::option::Option<__iii::FunctionInfo> {
            ::core::option::Option::Some(__III_DESCRIPTOR.info())
        }
    }
    #[automatically_derived]
    impl __iii::Declared for create {
        fn descriptor() -> &'static __iii::FunctionDescriptor {
            &__III_DESCRIPTOR
        }
    }
    __iii::inventory::submit! {
        __iii::FunctionDeclaration(& __III_DESCRIPTOR)
    }
};
#[cfg(unix)]
#[doc(hidden)]
#[allow(non_local_definitions)]
#[macro_export]
macro_rules! __iii_duplicate_function_id__orders__create {
    () => {};
}
