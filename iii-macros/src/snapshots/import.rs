//! The expansion of `import` in `snapshots.rs`.

const _: &[::core::primitive::u8] = ::core::include_bytes!(
    ::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/",
    "src/snapshots/catalogue.json")
);
///Functions whose ids start with `orders::`.
#[allow(
    dead_code,
    deprecated,
    missing_copy_implementations,
    missing_debug_implementations,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    rustdoc::all
)]
pub mod orders {
    ///Creates an order.
    pub struct create {}
    #[automatically_derived]
    impl ::iii::__private::Function for create {
        const ID: &'static ::core::primitive::str = "orders::create";
        const NAMESPACE: ::core::option::Option<&'static ::core::primitive::str> = ::core::option::Option::Some(
            "shop",
        );
        const TIMEOUT: ::core::option::Option<::core::time::Duration> = ::core::option::Option::Some(
            ::core::time::Duration::from_millis(5000u64),
        );
        type Input = CreateInput;
        type Output = CreateOutput;
    }
    #[derive(
        ::core::fmt::Debug,
        ::core::clone::Clone,
        ::core::cmp::PartialEq,
        ::iii::__private::serde::Serialize,
        ::iii::__private::serde::Deserialize,
        ::iii::__private::schemars::JsonSchema,
    )]
    #[serde(crate = "::iii::__private::serde")]
    #[schemars(crate = "::iii::__private::schemars")]
    pub struct Order {
        pub id: ::core::primitive::u64,
        pub status: Status,
    }
    #[derive(
        ::core::fmt::Debug,
        ::core::clone::Clone,
        ::core::cmp::PartialEq,
        ::iii::__private::serde::Serialize,
        ::iii::__private::serde::Deserialize,
        ::iii::__private::schemars::JsonSchema,
        ::core::marker::Copy,
        ::core::cmp::Eq,
        ::core::hash::Hash
    )]
    #[serde(crate = "::iii::__private::serde")]
    #[schemars(crate = "::iii::__private::schemars")]
    pub enum Status {
        #[serde(rename = "open")]
        Open,
        #[serde(rename = "sold-out")]
        SoldOut,
    }
    #[derive(
        ::core::fmt::Debug,
        ::core::clone::Clone,
        ::core::cmp::PartialEq,
        ::iii::__private::serde::Serialize,
        ::iii::__private::serde::Deserialize,
        ::iii::__private::schemars::JsonSchema,
    )]
    #[serde(crate = "::iii::__private::serde")]
    #[schemars(crate = "::iii::__private::schemars")]
    pub struct NewOrder {
        ///Default: `1`.
        #[serde(default, skip_serializing_if = "::core::option::Option::is_none")]
        pub count: ::core::option::Option<::core::primitive::u32>,
        #[serde(rename = "gift-note")]
        #[serde(default, skip_serializing_if = "::core::option::Option::is_none")]
        pub gift_note: ::core::option::Option<::std::string::String>,
        ///The item.
        pub sku: ::std::string::String,
    }
    pub type CreateInput = NewOrder;
    pub type CreateOutput = Order;
}
