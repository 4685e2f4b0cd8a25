//! A custom trigger type, `webhook`, and a function bound to it that receives payments.
//!
//! `cargo run -p webhooks` serves them on port 3111:
//!
//! ```sh
//! curl -H 'x-hook-token: sesame' -d '{"order":7,"cents":350}' localhost:3111/hooks/payments
//! ```

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use iii::prelude::*;
use iii::{Emitter, TriggerType};

/// Configuration of a `webhook` trigger.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Webhook {
    /// The last segment of the path, `/hooks/…`.
    hook: String,
    /// The token that the sender passes in the header `x-hook-token`.
    token: String,
}

/// The payload of the hook `payments`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
struct Payment {
    order: u64,
    cents: u64,
}

/// The bound trigger of each hook.
type Hooks = Arc<Mutex<HashMap<String, Bound>>>;

#[derive(Clone)]
struct Bound {
    token: String,
    emitter: Emitter<Payment>,
}

fn bound(hooks: &Hooks, hook: &str) -> Option<Bound> {
    hooks.lock().unwrap_or_else(PoisonError::into_inner).get(hook).cloned()
}

/// Fires on a POST request to a hook. Functions of any worker, in any language, can be bound to it.
#[iii::trigger_type(id = "webhook")]
impl TriggerType for Webhook {
    type Event = Payment;

    async fn check(&self, emitter: &Emitter<Payment>) -> iii::Result<()> {
        if self.token.is_empty() {
            return Err(iii::Error::new("webhook/no-token", "the token must not be empty"));
        }
        if bound(emitter.state::<Hooks>()?.as_ref(), &self.hook).is_some() {
            let text = format!("the hook `{}` is taken", self.hook);
            return Err(iii::Error::new("webhook/taken", text));
        }
        Ok(())
    }

    async fn run(self, emitter: Emitter<Payment>) -> iii::Result<()> {
        let hooks = emitter.state::<Hooks>()?.as_ref().clone();
        let _open = Open::new(hooks, self, emitter);
        // The future is dropped when the trigger is unregistered, or its worker disconnects.
        std::future::pending().await
    }
}

/// Removes the hook when it is dropped.
struct Open(Hooks, String);

impl Open {
    fn new(hooks: Hooks, Webhook { hook, token }: Webhook, emitter: Emitter<Payment>) -> Self {
        let mut open = hooks.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(hook.clone(), Bound { token, emitter });
        drop(open);
        Self(hooks, hook)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

#[derive(Debug, iii::Error)]
enum HookError {
    #[error("there is no hook `{hook}`", code = "webhook/not-found", status = 404)]
    NotFound { hook: String },
    #[error("the token is wrong", code = "webhook/forbidden", status = 403)]
    Forbidden,
    #[error(transparent)]
    Call(#[from] iii::Error),
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct At {
    hook: String,
}

/// Fires the hook, and returns the result of the function, so that the sender can retry after a failure.
#[iii::function(id = "webhook::receive")]
#[iii::trigger(http, method = "POST", path = "/hooks/:hook")]
async fn receive(
    payment: Payment,
    Path(At { hook }): Path<At>,
    headers: Headers,
    hooks: State<Hooks>,
) -> Result<Option<u64>, HookError> {
    let Some(bound) = bound(&hooks, &hook) else { return Err(HookError::NotFound { hook }) };
    if headers.get("x-hook-token") != Some(bound.token.as_str()) {
        return Err(HookError::Forbidden);
    }
    Ok(bound.emitter.call(&payment).await?)
}

#[derive(Debug, iii::Error)]
enum PaymentError {
    #[error("the amount is zero", code = "payments/empty", status = 422)]
    Empty,
    #[error(transparent)]
    Call(#[from] iii::Error),
}

/// Stores a payment and publishes it, once for each order.
#[iii::function(id = "payments::arrived")]
#[iii::trigger(Webhook { hook: "payments".into(), token: "sesame".into() })]
async fn arrived(payment: Payment, client: Client) -> Result<u64, PaymentError> {
    if payment.cents == 0 {
        return Err(PaymentError::Empty);
    }
    let before = client.state("payments").set(&payment.order.to_string(), &payment).await?;
    if before.old_value.is_none() {
        client.publish("payments.arrived", &payment).await?;
    }
    Ok(payment.order)
}

#[iii::main]
async fn main(app: &mut App) -> iii::Result<()> {
    app.state(Hooks::default());
    Ok(())
}
