//! The expansion of `remote` in `snapshots.rs`.

/// Orders of the shop.
#[allow(non_snake_case)]
pub mod Orders {
    #[allow(unused_imports)]
    use super::*;
    #[allow(unused_imports)]
    use ::iii::__private as __iii;
    #[allow(unused_imports)]
    use __iii::NotResult as _;
    ///Creates an order.
    #[allow(
        non_camel_case_types,
        dead_code,
        missing_debug_implementations,
        missing_copy_implementations
    )]
    pub struct create {}
    #[automatically_derived]
    impl __iii::Function for create {
        const ID: &'static ::core::primitive::str = "orders::create";
        const NAMESPACE: ::core::option::Option<&'static ::core::primitive::str> = ::core::option::Option::Some(
            "shop",
        );
        const TIMEOUT: ::core::option::Option<::core::time::Duration> = ::core::option::Option::Some(
            ::core::time::Duration::from_millis(5000u64),
        );
        type Input = NewOrder;
        type Output = <__iii::Parts<
            Result<Order, OrderError>,
            { <__iii::Probe<Result<Order, OrderError>>>::IS_RESULT },
        > as __iii::Split>::Ok;
    }
    ///Calls the function `orders::all` of another worker.
    #[allow(
        non_camel_case_types,
        dead_code,
        missing_debug_implementations,
        missing_copy_implementations
    )]
    pub struct list {}
    #[automatically_derived]
    impl __iii::Function for list {
        const ID: &'static ::core::primitive::str = "orders::all";
        const NAMESPACE: ::core::option::Option<&'static ::core::primitive::str> = ::core::option::Option::Some(
            "shop",
        );
        const TIMEOUT: ::core::option::Option<::core::time::Duration> = ::core::option::Option::Some(
            ::core::time::Duration::from_millis(60000u64),
        );
        type Input = ();
        type Output = <__iii::Parts<
            Vec<Order>,
            { <__iii::Probe<Vec<Order>>>::IS_RESULT },
        > as __iii::Split>::Ok;
    }
}
