//! Fields of `#[derive(iii::Config)]`: how each is read, shown and described, and the checks of their types.

use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::probe::Probe;
use crate::config::{Configurable, Field, Reader, ValueDefault};

impl<T: JsonSchema> Probe<T> {
    pub const HAS_SCHEMA: bool = true;
}
pub trait NotSchema {
    const HAS_SCHEMA: bool = false;
}
impl<T> NotSchema for Probe<T> {}

impl<T: ConfigPart> Probe<T> {
    pub const IS_CONFIG: bool = true;
}
pub trait NotConfig {
    const IS_CONFIG: bool = false;
}
impl<T> NotConfig for Probe<T> {}

/// A value as JSON, if it implements `Serialize`.
pub struct ConfigShown<T, const SERIALIZE: bool>(PhantomData<T>);
pub trait ConfigShow<T> {
    fn show(value: &T) -> Option<Value>;
}
impl<T: Serialize> ConfigShow<T> for ConfigShown<T, true> {
    fn show(value: &T) -> Option<Value> {
        serde_json::to_value(value).ok()
    }
}
impl<T> ConfigShow<T> for ConfigShown<T, false> {
    fn show(_: &T) -> Option<Value> {
        None
    }
}

/// The default of a field as JSON, if it is written as a string.
pub fn config_text(text: &str) -> Option<Value> {
    Some(text.into())
}

/// The schema of a field, if its type has one.
pub struct ConfigSchema<T, const HAS: bool>(PhantomData<T>);
pub trait ConfigSchemaOf {
    fn schema(generator: &mut SchemaGenerator) -> Schema;
}
impl<T: JsonSchema> ConfigSchemaOf for ConfigSchema<T, true> {
    fn schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
}
impl<T> ConfigSchemaOf for ConfigSchema<T, false> {
    fn schema(_: &mut SchemaGenerator) -> Schema {
        Schema::default()
    }
}

/// A field with one value; `READABLE` is false if its type cannot be deserialised.
pub struct ConfigSlot<T, const READABLE: bool>(PhantomData<T>);
pub trait ConfigValue {
    type Type;
    fn read(
        reader: &mut Reader<'_>,
        field: &'static Field,
        default: &ValueDefault<Self::Type>,
    ) -> Option<Self::Type>;
    /// Whether the field may be absent without a default.
    fn optional() -> bool;
}
impl<T: DeserializeOwned> ConfigValue for ConfigSlot<T, true> {
    type Type = T;
    fn read(
        reader: &mut Reader<'_>,
        field: &'static Field,
        default: &ValueDefault<T>,
    ) -> Option<T> {
        reader.value(field, default)
    }
    fn optional() -> bool {
        crate::config::fits_nothing::<T>()
    }
}
impl<T> ConfigValue for ConfigSlot<T, false> {
    type Type = T;
    fn read(_: &mut Reader<'_>, _: &'static Field, _: &ValueDefault<T>) -> Option<T> {
        None
    }
    fn optional() -> bool {
        true
    }
}

/// A type of a nested field: a configuration, or an option of one.
pub trait ConfigPart: Sized {
    const FIELDS: &'static [Field];
    const OPTIONAL: bool;
    fn read(reader: &mut Reader<'_>, field: &'static Field) -> Option<Self>;
}
impl<T: Configurable> ConfigPart for T {
    const FIELDS: &'static [Field] = T::FIELDS;
    const OPTIONAL: bool = false;
    fn read(reader: &mut Reader<'_>, field: &'static Field) -> Option<Self> {
        reader.nested(field)
    }
}
impl<T: Configurable> ConfigPart for Option<T> {
    const FIELDS: &'static [Field] = T::FIELDS;
    const OPTIONAL: bool = true;
    fn read(reader: &mut Reader<'_>, field: &'static Field) -> Option<Self> {
        if reader.has_any(field) { reader.nested(field).map(Some) } else { Some(None) }
    }
}

/// A nested field; `CONFIG` is false if its type is not a configuration.
pub struct ConfigNest<T, const CONFIG: bool>(PhantomData<T>);
pub trait ConfigNested {
    type Type;
    const FIELDS: &'static [Field];
    const OPTIONAL: bool;
    fn read(reader: &mut Reader<'_>, field: &'static Field) -> Option<Self::Type>;
}
impl<T: ConfigPart> ConfigNested for ConfigNest<T, true> {
    type Type = T;
    const FIELDS: &'static [Field] = T::FIELDS;
    const OPTIONAL: bool = T::OPTIONAL;
    fn read(reader: &mut Reader<'_>, field: &'static Field) -> Option<T> {
        T::read(reader, field)
    }
}
impl<T> ConfigNested for ConfigNest<T, false> {
    type Type = T;
    const FIELDS: &'static [Field] = &[];
    const OPTIONAL: bool = true;
    fn read(_: &mut Reader<'_>, _: &'static Field) -> Option<T> {
        None
    }
}

/// Checks that a field of a configuration can be read.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be the value of a configuration field",
    label = "cannot be deserialised",
    note = "derive `Deserialize` for it, and `iii::JsonSchema`, which messages and the schema of the configuration use",
    note = "a nested struct derives `iii::Config`, and its field has `#[config(nested)]`"
)]
pub trait CanBeConfigValue<T> {}

/// Checks that a field of a configuration has fields of its own.
#[diagnostic::on_unimplemented(
    message = "`{T}` is not a configuration, so the field cannot be nested",
    label = "not a configuration",
    note = "derive it: `#[derive(iii::Config)]`, or remove `nested`"
)]
pub trait CanBeNested<T> {}

pub struct CheckedConfig<const GOOD: bool>;
#[diagnostic::do_not_recommend]
impl<T> CanBeConfigValue<T> for CheckedConfig<true> {}
#[diagnostic::do_not_recommend]
impl<T> CanBeNested<T> for CheckedConfig<true> {}

/// Checks the type of a field by the bound.
pub fn config_value<T, K: CanBeConfigValue<T>>() {}

/// Checks the type of a nested field by the bound.
pub fn config_nested<T, K: CanBeNested<T>>() {}
