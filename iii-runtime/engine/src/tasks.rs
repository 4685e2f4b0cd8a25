//! The tasks of one engine, which end with it.

use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use tokio::task::JoinSet;

use iii_wire::sync::lock;

/// Tasks that can be ended together.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    running: Mutex<Running>,
}

#[derive(Debug, Default)]
struct Running {
    ended: bool,
    set: JoinSet<()>,
}

impl Tasks {
    /// Starts a task; not any more after the end.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut running = lock(&self.running);
        if running.ended {
            return;
        }
        // What has finished is taken out, so that the set does not grow for ever.
        while running.set.try_join_next().is_some() {}
        running.set.spawn(task);
    }

    /// Ends all tasks now.
    pub(crate) fn abort(&self) {
        let mut running = lock(&self.running);
        running.ended = true;
        running.set.abort_all();
    }

    /// Waits until all tasks have ended by themselves, at most for `limit`; what is left is ended.
    pub(crate) async fn finish(&self, limit: Duration) {
        let mut set = {
            let mut running = lock(&self.running);
            running.ended = true;
            std::mem::take(&mut running.set)
        };
        let all = async { while set.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(limit, all).await;
        set.abort_all();
    }
}
