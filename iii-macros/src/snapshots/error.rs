//! The expansion of `error` in `snapshots.rs`.

#[allow(unused_qualifications)]
const _: () = {
    use ::iii::__private as __iii;
    trait __IiiSource {
        fn __iii_source_error(&self) -> &(dyn ::std::error::Error + 'static);
    }
    impl<__IiiT: ::std::error::Error + 'static> __IiiSource for __IiiT {
        fn __iii_source_error(&self) -> &(dyn ::std::error::Error + 'static) {
            self
        }
    }
    impl __IiiSource for dyn ::std::error::Error + 'static {
        fn __iii_source_error(&self) -> &(dyn ::std::error::Error + 'static) {
            self
        }
    }
    impl __IiiSource for dyn ::std::error::Error + ::core::marker::Send + 'static {
        fn __iii_source_error(&self) -> &(dyn ::std::error::Error + 'static) {
            self
        }
    }
    impl __IiiSource
    for dyn ::std::error::Error + ::core::marker::Send + ::core::marker::Sync + 'static {
        fn __iii_source_error(&self) -> &(dyn ::std::error::Error + 'static) {
            self
        }
    }
    #[automatically_derived]
    impl ::core::fmt::Display for OrderError {
        fn fmt(
            &self,
            __iii_out: &mut ::core::fmt::Formatter<'_>,
        ) -> ::core::fmt::Result {
            match self {
                Self::OutOfStock { .. } => __iii_out.write_str("Out of stock."),
                Self::NotFound { id: __iii_field0, .. } => {
                    ::core::write!(
                        __iii_out, "there is no order {__iii_field0}", __iii_field0 =
                        __iii_field0
                    )
                }
                Self::Database { .. } => __iii_out.write_str("database"),
                Self::Call { 0: __iii_field0, .. } => {
                    ::core::fmt::Display::fmt(__iii_field0, __iii_out)
                }
            }
        }
    }
    #[automatically_derived]
    impl ::std::error::Error for OrderError {
        fn source(
            &self,
        ) -> ::core::option::Option<&(dyn ::std::error::Error + 'static)> {
            match self {
                Self::OutOfStock { .. } => ::core::option::Option::None,
                Self::NotFound { .. } => ::core::option::Option::None,
                Self::Database { 0: __iii_field0, .. } => {
                    ::core::option::Option::Some(__iii_field0.__iii_source_error())
                }
                Self::Call { 0: __iii_field0, .. } => {
                    __iii_field0.__iii_source_error().source()
                }
            }
        }
    }
    #[automatically_derived]
    impl __iii::IntoError for OrderError {
        fn into_error(self) -> __iii::Error {
            let __iii_message = ::std::string::ToString::to_string(&self);
            match self {
                Self::OutOfStock { sku: __iii_field0, .. } => {
                    __iii::Error::new("orders/out-of-stock", __iii_message)
                        .with_status(409u16)
                        .with_details(
                            &{
                                let mut __iii_details = ::std::collections::BTreeMap::<
                                    &'static ::core::primitive::str,
                                    __iii::Payload,
                                >::new();
                                __iii_details
                                    .insert("sku", __iii::payload::<String>(&__iii_field0));
                                __iii_details
                            },
                        )
                }
                Self::NotFound { id: __iii_field0, .. } => {
                    __iii::Error::new("orders/not-found", __iii_message)
                        .with_retryable(false)
                        .with_details(
                            &{
                                let mut __iii_details = ::std::collections::BTreeMap::<
                                    &'static ::core::primitive::str,
                                    __iii::Payload,
                                >::new();
                                __iii_details
                                    .insert("id", __iii::payload::<u64>(&__iii_field0));
                                __iii_details
                            },
                        )
                }
                Self::Database { 0: __iii_field0, .. } => {
                    __iii::Error::new("orders/database", __iii_message)
                        .with_retry_after(::core::time::Duration::from_millis(30000u64))
                        .with_source(__iii_field0)
                }
                Self::Call { 0: __iii_field0, .. } => {
                    <iii::Error as __iii::IntoError>::into_error(__iii_field0)
                }
            }
        }
    }
    #[automatically_derived]
    impl ::core::convert::From<OrderError> for __iii::Error {
        fn from(__iii_error: OrderError) -> Self {
            __iii::IntoError::into_error(__iii_error)
        }
    }
    #[automatically_derived]
    impl ::core::convert::From<iii::Error> for OrderError {
        fn from(__iii_source: iii::Error) -> Self {
            Self::Call { 0: __iii_source }
        }
    }
};
