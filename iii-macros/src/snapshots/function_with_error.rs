//! The expansion of `function_with_error` in `snapshots.rs`.

fn create(order: NewOrder) -> Order {
    order.into()
}
///Calls the function `create`: `client.call::<create>(…)`.
#[allow(
    non_camel_case_types,
    dead_code,
    missing_debug_implementations,
    missing_copy_implementations
)]
struct create {}
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
    type __IiiPayload = <__IiiSlot0 as __iii::PayloadOr<()>>::Type;
    #[allow(dead_code)]
    const __III_TAKES_REQUEST: ::core::primitive::bool = (false
        || <__iii::Probe<__IiiArgument0>>::TAKES_REQUEST)
        && !<__iii::Probe<__IiiPayload>>::IS_HTTP_REQUEST;
    #[allow(dead_code)]
    type __IiiEvent = __iii::Taken<
        __IiiPayload,
        { <__iii::Probe<__IiiPayload>>::IS_UNIT },
    >;
    type __IiiReturn = Order;
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
    #[automatically_derived]
    impl __iii::Function for create {
        const ID: &'static ::core::primitive::str = "";
        type Input = <__iii::CallInput<
            __IiiPayload,
            __III_TAKES_REQUEST,
        > as __iii::CallInputType>::Type;
        type Output = <__IiiResult as __iii::Give<__IiiReturn>>::Value;
        fn info() -> ::core::option::Option<__iii::FunctionInfo> {
            ::core::option::Option::None
        }
    }
    #[automatically_derived]
    impl __iii::Declared for create {
        fn descriptor() -> &'static __iii::FunctionDescriptor {
            ::core::unreachable!()
        }
    }
};
::core::compile_error! {
    "expected an id of at least two segments, found one\nhelp: write `service::name`, such as `orders::create`"
}
