//! The bindings of the trigger types that this worker provides: begun, kept over a lost link, and ended.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use tokio::task::AbortHandle;

use crate::client::Client;
use crate::extract::Resources;
use crate::provide::{BindingContext, BindingTask, TriggerTypeDescriptor};
use iii_wire::protocol::{
    ErrorBody, Message, RegisterTrigger, TriggerId, TriggerRegistrationResult,
};
use iii_wire::transport::Outbox;
use iii_wire::{Error, Result, code};

/// The trigger types of a worker, and what runs for their bindings.
#[derive(Debug)]
pub(crate) struct Provider {
    types: Vec<&'static TriggerTypeDescriptor>,
    client: Client,
    resources: Arc<Resources>,
    bindings: Mutex<Bindings>,
}

#[derive(Debug, Default)]
struct Bindings {
    by_id: HashMap<TriggerId, Bound>,
    stopped: bool,
}

/// A binding that is served.
#[derive(Debug)]
struct Bound {
    binding: RegisterTrigger,
    task: AbortHandle,
    /// Whether the engine named it since the link is there.
    current: bool,
}

impl Drop for Bound {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Provider {
    pub(crate) fn new(
        types: Vec<&'static TriggerTypeDescriptor>,
        client: Client,
        resources: Arc<Resources>,
    ) -> Self {
        Self { types, client, resources, bindings: Mutex::default() }
    }

    /// A new link is there: the engine will name each binding again that it still has.
    pub(super) fn linked(&self) {
        for bound in self.lock().by_id.values_mut() {
            bound.current = false;
        }
    }

    /// The engine has named every binding: those that it did not name have ended.
    pub(super) fn confirmed(&self) {
        self.lock().by_id.retain(|_, bound| bound.current);
    }

    /// Serves a binding. The engine is told whether it is taken.
    pub(super) fn bind(self: &Arc<Self>, binding: RegisterTrigger, outbox: &Outbox) {
        let Some(of_type) = self.types.iter().find(|one| one.id == &*binding.trigger_type) else {
            let text =
                format!("this worker does not provide the trigger type `{}`", binding.trigger_type);
            let error = ErrorBody::new(code::TRIGGER_TYPE_NOT_FOUND, text);
            return answer(outbox, &binding, Some(error));
        };
        let mut bindings = self.lock();
        if bindings.stopped {
            return;
        }
        if let Some(known) = bindings.by_id.get_mut(&binding.id)
            && known.binding == binding
        {
            // The link was lost, and is back: what runs for it goes on.
            known.current = true;
            return answer(outbox, &binding, None);
        }
        let task = tokio::spawn(serve(of_type, self.clone(), binding.clone(), outbox.clone()));
        let bound = Bound { binding, task: task.abort_handle(), current: true };
        bindings.by_id.insert(bound.binding.id.clone(), bound);
    }

    /// Ends a binding.
    pub(super) fn unbind(&self, id: &TriggerId) {
        let removed = self.lock().by_id.remove(id);
        drop(removed);
    }

    /// Ends all bindings, and takes no more.
    pub(super) fn stop(&self) {
        let mut bindings = self.lock();
        bindings.stopped = true;
        let removed = std::mem::take(&mut bindings.by_id);
        drop(bindings);
        drop(removed);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Bindings> {
        self.bindings.lock().expect("no panic under this lock")
    }
}

/// Begins a binding, answers, and runs what runs for it.
async fn serve(
    of_type: &'static TriggerTypeDescriptor,
    provider: Arc<Provider>,
    binding: RegisterTrigger,
    outbox: Outbox,
) {
    let begin = BindingContext {
        binding: binding.clone(),
        client: provider.client.clone(),
        resources: provider.resources.clone(),
    };
    // The code of the user is entered inside the future, so that a panic on the way in is caught as well.
    let begun = guarded(async move { (of_type.begin)(begin).await }).await;
    let running: BindingTask = match begun {
        Ok(running) => running,
        Err(error) => {
            let body = ErrorBody {
                details: error.to_body().details,
                ..ErrorBody::new(code::TRIGGER_REGISTRATION_FAILED, error.message())
            };
            answer(&outbox, &binding, Some(body));
            // Forgotten, so that the same binding may come again. This drops, and so ends, this very task.
            return provider.unbind(&binding.id);
        }
    };
    answer(&outbox, &binding, None);
    if let Err(error) = guarded(running).await {
        tracing::error!(
            trigger = %binding.id,
            function = %binding.function_id,
            "the trigger type `{}` failed for a trigger, which will not fire any more: {error}",
            of_type.id
        );
    }
}

/// A panic is an error like any other.
async fn guarded<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Err(Error::new(code::PANIC, "the trigger type panicked")))
}

fn answer(outbox: &Outbox, binding: &RegisterTrigger, error: Option<ErrorBody>) {
    let message = TriggerRegistrationResult {
        id: binding.id.clone(),
        trigger_type: binding.trigger_type.clone(),
        function_id: binding.function_id.clone(),
        error,
    };
    if outbox.send(Message::TriggerRegistrationResult(Box::new(message))).is_err() {
        tracing::debug!(trigger = %binding.id, "the link was lost before the trigger was answered");
    }
}
