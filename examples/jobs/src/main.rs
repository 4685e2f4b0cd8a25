//! Mails from a durable queue: a mail that cannot be sent is tried again, later and later, and given up in the end. A
//! message may come twice; its mail goes out once.
//!
//! `cargo run -p jobs` takes mails from the topic `mails`, and over HTTP:
//!
//! ```sh
//! curl -d '{"id":"1","to":"ada@example.org","text":"hello"}' localhost:3111/mails
//! ```

#[cfg(test)]
mod tests;

use std::sync::Mutex;

use iii::prelude::*;

/// A mail that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
struct Mail {
    /// Chosen by the sender; the same id is the same mail.
    id: String,
    to: String,
    text: String,
}

#[derive(Debug, iii::Error)]
enum MailError {
    /// Tried again: the server may answer later.
    #[error("the mail server does not answer", code = "mails/unavailable", retryable = true)]
    Unavailable,
    /// Given up at once: no address becomes right by itself.
    #[error("`{to}` is no address", code = "mails/no-address", retryable = false)]
    NoAddress { to: String },
    #[error(transparent)]
    Call(#[from] iii::Error),
}

/// Sends mails; here, it only keeps them.
#[derive(Debug, Default)]
struct Outbox {
    sent: Mutex<Vec<Mail>>,
    /// How often the server does not answer before it does.
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

/// Takes a mail, and answers before it is sent.
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
