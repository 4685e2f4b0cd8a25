//! Mails from a durable queue: retries with exponential backoff, dead letters, and deduplication.
//!
//! `cargo run -p jobs` accepts mails from the topic `mails`, and over HTTP:
//!
//! ```sh
//! curl -d '{"id":"1","to":"ada@example.org","text":"hello"}' localhost:3111/mails
//! ```

#[cfg(test)]
mod tests;

use std::sync::Mutex;

use iii::prelude::*;

/// A mail to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
struct Mail {
    /// Chosen by the sender; mails with the same id are duplicates.
    id: String,
    to: String,
    text: String,
}

#[derive(Debug, iii::Error)]
enum MailError {
    /// Retried: the server may respond later.
    #[error("the mail server does not respond", code = "mails/unavailable", retryable = true)]
    Unavailable,
    /// Not retried: an invalid address stays invalid.
    #[error("`{to}` is not a mail address", code = "mails/no-address", retryable = false)]
    NoAddress { to: String },
    #[error(transparent)]
    Call(#[from] iii::Error),
}

/// A mail client that only stores the mails.
#[derive(Debug, Default)]
struct Outbox {
    sent: Mutex<Vec<Mail>>,
    /// The number of sends that fail before one succeeds.
    failures: Mutex<u32>,
}

impl Outbox {
    fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let mut failures = self.failures.lock().expect("no handler panics with the lock");
        if *failures > 0 {
            *failures -= 1;
            return Err(MailError::Unavailable);
        }
        if !mail.to.contains('@') {
            return Err(MailError::NoAddress { to: mail.to.clone() });
        }
        self.sent.lock().expect("no handler panics with the lock").push(mail.clone());
        Ok(())
    }
}

/// Accepts a mail, and returns before it is sent.
#[iii::function(id = "mails::accept")]
#[iii::trigger(http, method = "POST", path = "/mails")]
async fn accept(mail: Mail, client: Client) -> iii::Result<()> {
    client.publish_durable("mails", &mail).await
}

/// Sends a mail, once for each id.
#[iii::function(id = "mails::send")]
#[iii::trigger(queue, topic = "mails", max_retries = 3, backoff = "2s")]
async fn send(mail: Mail, outbox: State<Outbox>, client: Client) -> Result<(), MailError> {
    let sent = client.state::<bool>("mails.sent");
    if sent.get(&mail.id).await? == Some(true) {
        return Ok(());
    }
    outbox.send(&mail)?;
    sent.set(&mail.id, &true).await?;
    Ok(())
}

#[iii::main]
async fn main(app: &mut App) {
    app.state(Outbox::default());
}
