//! Where a panic came from, for those who report it later.

use std::cell::RefCell;
use std::panic;
use std::sync::Once;

thread_local! {
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From now on the place of each panic is kept, until the next on its thread. What is printed stays as it is.
pub(super) fn keep_places() {
    static KEPT: Once = Once::new();
    KEPT.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            set_place(info.location().map(ToString::to_string));
            before(info);
        }));
    });
}

/// The place of the last panic on this thread.
pub(super) fn take_place() -> Option<String> {
    PLACE.take()
}

/// Says where the panic was that is about to go on, on this thread.
pub(super) fn set_place(place: Option<String>) {
    PLACE.set(place);
}
