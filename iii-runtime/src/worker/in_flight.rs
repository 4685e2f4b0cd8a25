//! The number of invocations in flight, and waiting until there is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The number of invocations that are not answered yet.
#[derive(Debug, Default)]
pub(super) struct InFlightCount {
    now: AtomicUsize,
    zero: Notify,
}

impl InFlightCount {
    /// The number now.
    pub(super) fn get(&self) -> usize {
        self.now.load(Ordering::Acquire)
    }

    /// Waits until the number is zero.
    pub(super) async fn zero(&self) {
        loop {
            let zero = self.zero.notified();
            tokio::pin!(zero);
            // Registered before the number is read: the last one may end in between.
            zero.as_mut().enable();
            if self.get() == 0 {
                return;
            }
            zero.await;
        }
    }
}

/// Counts one invocation until it is dropped.
pub(super) struct InFlightGuard(Arc<InFlightCount>);

impl InFlightGuard {
    pub(super) fn new(count: Arc<InFlightCount>) -> Self {
        count.now.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        if self.0.now.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.zero.notify_waiters();
        }
    }
}
