//! Payments that arrive by a trigger type of another worker: some worker of the fleet provides `webhook`, checks the
//! signatures of what comes in, and fires.
//!
//! Without such a worker, `cargo run -p webhooks` starts all the same, and says that its trigger waits for one.

#[cfg(test)]
mod tests;

use iii::prelude::*;

/// What the provider of `webhook` wants to know.
#[derive(Debug, Serialize)]
struct Webhook {
    url: &'static str,
    secret: &'static str,
}

/// What it sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
struct Payment {
    order: u64,
    cents: u64,
}

#[derive(Debug, iii::Error)]
enum PaymentError {
    #[error("a payment of nothing", code = "payments/empty", status = 422)]
    Empty,
    #[error(transparent)]
    Call(#[from] iii::Error),
}

/// Notes a payment, and tells everybody. The same payment twice is one.
#[iii::function(id = "payments::arrived")]
#[iii::trigger("webhook", config = Webhook { url: "/hooks/payments", secret: "PAYMENTS_SECRET" })]
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
async fn main() {}
