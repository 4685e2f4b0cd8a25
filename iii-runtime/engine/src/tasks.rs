//! The background tasks of one engine, which are aborted with it.

use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use tokio::task::JoinSet;

use iii_wire::sync::lock;

/// A set of tasks that can be aborted together.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    state: Mutex<TasksState>,
}

#[derive(Debug, Default)]
struct TasksState {
    closed: bool,
    set: JoinSet<()>,
}

impl Tasks {
    /// Spawns a task, unless the set was aborted or finished.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut state = lock(&self.state);
        if state.closed {
            return;
        }
        // Removes completed tasks, so that the set does not grow without bound.
        while state.set.try_join_next().is_some() {}
        state.set.spawn(task);
    }

    /// Aborts all tasks.
    pub(crate) fn abort(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.set.abort_all();
    }

    /// Waits up to `limit` until all tasks complete, then aborts the rest.
    pub(crate) async fn finish(&self, limit: Duration) {
        let mut set = {
            let mut state = lock(&self.state);
            state.closed = true;
            std::mem::take(&mut state.set)
        };
        let all = async { while set.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(limit, all).await;
        set.abort_all();
    }
}
