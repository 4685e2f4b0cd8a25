//! The expansion of `config` in `snapshots.rs`.

#[allow(unused_qualifications, clippy::all, clippy::pedantic)]
const _: () = {
    use ::iii::__private as __iii;
    #[allow(unused_imports)]
    use __iii::{
        ConfigNested as _, ConfigSchemaOf as _, ConfigShow as _, ConfigValue as _,
        NotConfig as _, NotDeserialize as _, NotSchema as _, NotSerialize as _,
        OtherKind as _,
    };
    type __IiiField0 = String;
    type __IiiField1 = u32;
    type __IiiField2 = Duration;
    type __IiiField3 = Option<Mail>;
    fn __iii_default1() -> __IiiField1 {
        100
    }
    #[allow(dead_code)]
    fn __iii_check() {
        __iii::config_value::<
            __IiiField0,
            __iii::CheckedConfig<{ <__iii::Probe<__IiiField0>>::IS_DESERIALIZE }>,
        >();
        __iii::config_value::<
            __IiiField1,
            __iii::CheckedConfig<{ <__iii::Probe<__IiiField1>>::IS_DESERIALIZE }>,
        >();
        __iii::config_value::<
            __IiiField2,
            __iii::CheckedConfig<{ <__iii::Probe<__IiiField2>>::IS_DESERIALIZE }>,
        >();
        __iii::config_nested::<
            __IiiField3,
            __iii::CheckedConfig<{ <__iii::Probe<__IiiField3>>::IS_CONFIG }>,
        >();
    }
    const _: () = ::core::assert!(
        __iii::kind_of::is_number(< __iii::KindProbe < __IiiField1 >> ::KIND),
        "`min` is a number, but the field is not: for a duration, write a string such as `min = \"1s\"`"
    );
    const _: () = ::core::assert!(
        __iii::kind_of::is_number(< __iii::KindProbe < __IiiField1 >> ::KIND),
        "`max` is a number, but the field is not: for a duration, write a string such as `max = \"1s\"`"
    );
    const _: () = ::core::assert!(
        __iii::kind_of::text_fits(< __iii::KindProbe < __IiiField2 >> ::KIND, true),
        "the default does not match the type of the field: write numbers, `true` and `false` without quotes, and durations as \"30s\" or \"1m 30s\""
    );
    static __III_DESCRIPTOR: __iii::ConfigDescriptor = __iii::ConfigDescriptor {
        id: ::core::option::Option::Some("shop"),
        section: ::core::option::Option::Some("shop"),
        prefix: "SHOP",
        title: "shop",
        name: "Settings",
        description: ::core::option::Option::Some("Settings of the shop."),
        location: __iii::Location {
            file: ::core::file!(),
            line: ::core::line!(),
            column: ::core::column!(),
        },
        fields: <Settings as __iii::Configurable>::FIELDS,
    };
    #[automatically_derived]
    impl __iii::Configurable for Settings {
        const FIELDS: &'static [__iii::ConfigField] = &[
            __iii::ConfigField {
                key: "database_url",
                description: ::core::option::Option::Some("The URL of the database."),
                variable: __iii::ConfigVariable::Derived,
                secret: true,
                content: __iii::ConfigContent::Value {
                    schema: <__iii::ConfigSchema<
                        __IiiField0,
                        { <__iii::Probe<__IiiField0>>::HAS_SCHEMA },
                    > as __iii::ConfigSchemaOf>::schema,
                    optional: <__iii::ConfigSlot<
                        __IiiField0,
                        { <__iii::Probe<__IiiField0>>::IS_DESERIALIZE },
                    > as __iii::ConfigValue>::optional,
                    default: ::core::option::Option::None,
                    min: ::core::option::Option::None,
                    max: ::core::option::Option::None,
                },
            },
            __iii::ConfigField {
                key: "most_items",
                description: ::core::option::Option::None,
                variable: __iii::ConfigVariable::Derived,
                secret: false,
                content: __iii::ConfigContent::Value {
                    schema: <__iii::ConfigSchema<
                        __IiiField1,
                        { <__iii::Probe<__IiiField1>>::HAS_SCHEMA },
                    > as __iii::ConfigSchemaOf>::schema,
                    optional: <__iii::ConfigSlot<
                        __IiiField1,
                        { <__iii::Probe<__IiiField1>>::IS_DESERIALIZE },
                    > as __iii::ConfigValue>::optional,
                    default: ::core::option::Option::Some(|| {
                        <__iii::ConfigShown<
                            __IiiField1,
                            { <__iii::Probe<__IiiField1>>::IS_SERIALIZE },
                        > as __iii::ConfigShow<__IiiField1>>::show(&__iii_default1())
                    }),
                    min: ::core::option::Option::Some("1"),
                    max: ::core::option::Option::Some("1000"),
                },
            },
            __iii::ConfigField {
                key: "timeout",
                description: ::core::option::Option::None,
                variable: __iii::ConfigVariable::Named("SHOP_TIMEOUT"),
                secret: false,
                content: __iii::ConfigContent::Value {
                    schema: <__iii::ConfigSchema<
                        __IiiField2,
                        { <__iii::Probe<__IiiField2>>::HAS_SCHEMA },
                    > as __iii::ConfigSchemaOf>::schema,
                    optional: <__iii::ConfigSlot<
                        __IiiField2,
                        { <__iii::Probe<__IiiField2>>::IS_DESERIALIZE },
                    > as __iii::ConfigValue>::optional,
                    default: ::core::option::Option::Some(|| __iii::config_text("30s")),
                    min: ::core::option::Option::None,
                    max: ::core::option::Option::None,
                },
            },
            __iii::ConfigField {
                key: "mail",
                description: ::core::option::Option::None,
                variable: __iii::ConfigVariable::Derived,
                secret: false,
                content: __iii::ConfigContent::Nested {
                    fields: <__iii::ConfigNest<
                        __IiiField3,
                        { <__iii::Probe<__IiiField3>>::IS_CONFIG },
                    > as __iii::ConfigNested>::FIELDS,
                    optional: <__iii::ConfigNest<
                        __IiiField3,
                        { <__iii::Probe<__IiiField3>>::IS_CONFIG },
                    > as __iii::ConfigNested>::OPTIONAL,
                },
            },
        ];
        fn descriptor() -> &'static __iii::ConfigDescriptor {
            &__III_DESCRIPTOR
        }
        #[allow(unused_variables)]
        fn read(
            __iii_reader: &mut __iii::ConfigReader<'_>,
        ) -> ::core::option::Option<Self> {
            let __iii_fields: &'static [__iii::ConfigField] = <Self as __iii::Configurable>::FIELDS;
            let __iii_value0 = <__iii::ConfigSlot<
                __IiiField0,
                { <__iii::Probe<__IiiField0>>::IS_DESERIALIZE },
            > as __iii::ConfigValue>::read(
                __iii_reader,
                &__iii_fields[0usize],
                &__iii::ValueDefault::None,
            );
            let __iii_value1 = <__iii::ConfigSlot<
                __IiiField1,
                { <__iii::Probe<__IiiField1>>::IS_DESERIALIZE },
            > as __iii::ConfigValue>::read(
                __iii_reader,
                &__iii_fields[1usize],
                &__iii::ValueDefault::Value(__iii_default1),
            );
            let __iii_value2 = <__iii::ConfigSlot<
                __IiiField2,
                { <__iii::Probe<__IiiField2>>::IS_DESERIALIZE },
            > as __iii::ConfigValue>::read(
                __iii_reader,
                &__iii_fields[2usize],
                &__iii::ValueDefault::Text("30s"),
            );
            let __iii_value3 = <__iii::ConfigNest<
                __IiiField3,
                { <__iii::Probe<__IiiField3>>::IS_CONFIG },
            > as __iii::ConfigNested>::read(__iii_reader, &__iii_fields[3usize]);
            ::core::option::Option::Some(Self {
                database_url: __iii_value0?,
                most_items: __iii_value1?,
                timeout: __iii_value2?,
                mail: __iii_value3?,
            })
        }
    }
    __iii::inventory::submit! {
        __iii::ConfigDeclaration(& __III_DESCRIPTOR)
    }
};
