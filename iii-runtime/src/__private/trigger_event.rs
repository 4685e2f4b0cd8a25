//! Triggers of declared types: the check that the payload of the function is the event of the trigger type.

use std::marker::PhantomData;

use crate::provide::TriggerType;
use crate::trigger;

/// The payload that a function takes from a trigger; `NOTHING` if it takes none.
pub struct Taken<P, const NOTHING: bool>(PhantomData<P>);

/// Checks that a function accepts the event of a trigger type.
#[diagnostic::on_unimplemented(
    message = "the function does not accept the event `{E}` of this trigger type",
    label = "this trigger type emits `{E}`",
    note = "take it as the payload, or take no payload; `#[iii::trigger(\"id\", config = …)]` accepts any payload type"
)]
pub trait TakesEvent<E> {}
#[diagnostic::do_not_recommend]
impl<E> TakesEvent<E> for Taken<E, false> {}
#[diagnostic::do_not_recommend]
impl<E> TakesEvent<E> for Taken<(), true> {}

/// The binding of a trigger of a declared type to a function with the payload `P`. The bounds are the check.
pub fn typed<T: TriggerType, P: TakesEvent<T::Event>>(
    config: T,
    condition: Option<trigger::FunctionRef>,
) -> trigger::Binding {
    // The binding itself: with a type in between, one mistake would lead to two errors.
    crate::provide::TypedTrigger { config, condition }.into()
}
