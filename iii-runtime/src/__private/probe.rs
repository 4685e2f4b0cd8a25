//! Constants that tell at compile time which traits a type implements.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::extract::{Extract, Input};
use crate::output::{IntoError, Output};
use iii_wire::Error;

/// The kinds of arguments and results.
pub const EXTRACTOR: u8 = 0;
pub const INPUT: u8 = 1;
/// Deserialisable, but without a schema.
pub const NO_SCHEMA: u8 = 2;
pub const NOTHING: u8 = 3;
pub const VALUE: u8 = 4;
pub const RESULT: u8 = 5;

/// The traits of a type, as constants.
pub struct Probe<T>(PhantomData<T>);

impl<T: Extract> Probe<T> {
    pub const IS_EXTRACTOR: bool = true;
    pub const TAKES_REQUEST: bool = T::REQUEST_PARTS.http;
}
pub trait NotExtractor {
    const IS_EXTRACTOR: bool = false;
    const TAKES_REQUEST: bool = false;
}
impl<T> NotExtractor for Probe<T> {}

impl<T: Input> Probe<T> {
    pub const IS_INPUT: bool = true;
    pub const IS_HTTP_REQUEST: bool = T::IS_HTTP_REQUEST;
}
pub trait NotInput {
    const IS_INPUT: bool = false;
    const IS_HTTP_REQUEST: bool = false;
}
impl<T> NotInput for Probe<T> {}

impl<T: DeserializeOwned> Probe<T> {
    pub const IS_DESERIALIZE: bool = true;
}
pub trait NotDeserialize {
    const IS_DESERIALIZE: bool = false;
}
impl<T> NotDeserialize for Probe<T> {}

impl<T: Output> Probe<T> {
    pub const IS_OUTPUT: bool = true;
}
pub trait NotOutput {
    const IS_OUTPUT: bool = false;
}
impl<T> NotOutput for Probe<T> {}

impl<T: Serialize> Probe<T> {
    pub const IS_SERIALIZE: bool = true;
}
pub trait NotSerialize {
    const IS_SERIALIZE: bool = false;
}
impl<T> NotSerialize for Probe<T> {}

impl<T, E> Probe<Result<T, E>> {
    pub const IS_RESULT: bool = true;
}
pub trait NotResult {
    const IS_RESULT: bool = false;
}
impl<T> NotResult for Probe<T> {}

impl<T: IntoError> Probe<T> {
    pub const IS_ERROR: bool = true;
}
pub trait NotError {
    const IS_ERROR: bool = false;
}
impl<T> NotError for Probe<T> {}

impl Probe<()> {
    pub const IS_UNIT: bool = true;
}
pub trait NotUnit {
    const IS_UNIT: bool = false;
}
impl<T> NotUnit for Probe<T> {}

/// The error of code that never runs, since the check beside it does not compile.
pub(super) fn does_not_compile() -> Error {
    Error::new(iii_wire::code::INTERNAL, "this function does not compile")
}
