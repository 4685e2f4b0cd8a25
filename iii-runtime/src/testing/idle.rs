//! When a runtime has nothing left to do before time moves, and work on other threads that it waits for.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use super::{locked, panics};

thread_local! {
    /// How much work the runtime of this thread has given to other threads.
    static BLOCKING: RefCell<Arc<AtomicUsize>> = RefCell::default();
}

/// Tells when a runtime of one thread is about to sleep.
#[derive(Debug)]
pub(super) struct Idle {
    state: Mutex<State>,
    blocking: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct State {
    /// How often somebody was told.
    told: u64,
    waiting: Vec<Waker>,
}

impl Idle {
    /// For a runtime that will run on this thread.
    pub(super) fn new() -> Self {
        let blocking = Arc::<AtomicUsize>::default();
        BLOCKING.set(blocking.clone());
        Self { state: Mutex::default(), blocking }
    }

    /// The runtime is about to sleep: no task can go on. Called by it.
    pub(super) fn parked(&self) {
        if self.blocking.load(Ordering::Acquire) > 0 {
            // The end of that work will wake the runtime, and this is called again.
            return;
        }
        let waiting = {
            let mut state = locked(&self.state);
            if state.waiting.is_empty() {
                return;
            }
            state.told += 1;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Waits until no task can go on before time moves. Time does not move meanwhile: whoever is told is awake, and a
    /// runtime with something to do does not move it.
    pub(super) async fn wait(&self) {
        let before = locked(&self.state).told;
        std::future::poll_fn(|context| {
            let mut state = locked(&self.state);
            if state.told > before {
                return Poll::Ready(());
            }
            if !state.waiting.iter().any(|one| one.will_wake(context.waker())) {
                state.waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}

/// One piece of work that is not done.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::AcqRel);
        Self(counter.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Runs a plain function on another thread. A panic goes on in the caller, with its place.
pub(crate) async fn blocking<T: Send + 'static>(
    function: impl FnOnce() -> T + Send + 'static,
) -> T {
    let counter = BLOCKING.with_borrow(Arc::clone);
    // Two counts: there is no moment between the end of the work and the return to the runtime at which none is left.
    let (_waited_for, running) = (Counted::new(&counter), Counted::new(&counter));
    let done = tokio::task::spawn_blocking(move || {
        let _running = running;
        catch_unwind(AssertUnwindSafe(function)).map_err(|panic| (panic, panics::take_place()))
    });
    match done.await {
        Ok(Ok(value)) => value,
        Ok(Err((panic, place))) => {
            panics::set_place(place);
            resume_unwind(panic)
        }
        Err(failed) => resume_unwind(failed.into_panic()),
    }
}
