//! The expansion of `service` in `snapshots.rs`.

/// Orders of the shop.
pub mod orders {
    #[iii::function(id = "orders::create", intercept = [audit()])]
    pub async fn create(order: NewOrder) -> Order {
        order.into()
    }
    #[iii::service(id = "orders::items", parent = "orders", intercept = [audit()])]
    mod items {}
    #[doc(hidden)]
    #[allow(dead_code, unreachable_pub)]
    pub const __III_SERVICE: (
        &'static ::core::primitive::str,
        &'static ::core::primitive::str,
    ) = ("orders", ::core::module_path!());
}
#[allow(unused_qualifications)]
const _: () = {
    use ::iii::__private as __iii;
    static __III_DESCRIPTOR: __iii::ServiceDescriptor = __iii::ServiceDescriptor {
        id: "orders",
        name: ::core::option::Option::Some("Orders"),
        description: ::core::option::Option::Some("Orders of the shop."),
        parent: ::core::option::Option::None,
        module: orders::__III_SERVICE.1,
        location: __iii::Location {
            file: ::core::file!(),
            line: ::core::line!(),
            column: ::core::column!(),
        },
    };
    __iii::inventory::submit! {
        __iii::ServiceDeclaration(& __III_DESCRIPTOR)
    }
};
