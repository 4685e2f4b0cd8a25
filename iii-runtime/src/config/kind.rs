//! Which types a default or a bound fits, for checks while compiling.

use std::marker::PhantomData;
use std::num::{
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroIsize, NonZeroU8,
    NonZeroU16, NonZeroU32, NonZeroU64, NonZeroU128, NonZeroUsize,
};
use std::time::Duration;

/// What a type is, as far as a literal can fit it or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigKind {
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// A span of time.
    Duration,
    /// Anything else.
    Other,
}

/// Asks what a type is: an inherent constant in front of one of a trait.
#[derive(Debug)]
pub struct KindProbe<T>(PhantomData<T>);

/// The types that are nothing special.
pub trait OtherKind {
    /// What the type is.
    const KIND: ConfigKind = ConfigKind::Other;
}

impl<T> OtherKind for KindProbe<T> {}

macro_rules! kinds {
    ($kind:ident: $($type:ty)*) => {$(
        impl KindProbe<$type> {
            #[doc(hidden)]
            pub const KIND: ConfigKind = ConfigKind::$kind;
        }
        impl KindProbe<Option<$type>> {
            #[doc(hidden)]
            pub const KIND: ConfigKind = ConfigKind::$kind;
        }
    )*};
}

kinds!(Number: u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64
    NonZeroU8 NonZeroU16 NonZeroU32 NonZeroU64 NonZeroU128 NonZeroUsize
    NonZeroI8 NonZeroI16 NonZeroI32 NonZeroI64 NonZeroI128 NonZeroIsize);
kinds!(Bool: bool);
kinds!(Duration: Duration);

/// Whether a literal fits a type.
pub mod kind_of {
    use super::ConfigKind;

    /// A text that stands for a default; `is_duration` if it can be read as a span of time.
    pub const fn text_fits(kind: ConfigKind, is_duration: bool) -> bool {
        match kind {
            ConfigKind::Number | ConfigKind::Bool => false,
            ConfigKind::Duration => is_duration,
            ConfigKind::Other => true,
        }
    }

    /// A bound that is a number.
    pub const fn is_number(kind: ConfigKind) -> bool {
        matches!(kind, ConfigKind::Number)
    }

    /// A bound that is a span of time.
    pub const fn is_duration(kind: ConfigKind) -> bool {
        matches!(kind, ConfigKind::Duration)
    }
}
