//! Functions that endpoints serve, in all forms.

#![deny(warnings, missing_docs, unreachable_pub, unused_qualifications)]
#![allow(clippy::all)]

use iii::prelude::*;

/// Only sent.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Charge {
    cents: u64,
}

/// Only received.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Receipt {
    /// Its number.
    pub number: String,
}

/// An error that the worker does not need to know.
#[derive(Debug)]
pub enum PayError {}

const TENANT: &str = "7";
const SECRET: &str = "PAY_SECRET";

fn url() -> String {
    "https://pay.test/charge".to_owned()
}

/// Takes money.
#[iii::http_function(
    id = "ext::charge",
    url = "https://pay.test/charge",
    method = "PUT",
    timeout = "60s",
    headers("x-tenant" = TENANT, "accept" = "text/json",),
    auth = hmac(SECRET),
    metadata = vec![1]
)]
#[iii::trigger(queue, topic = "charges", condition = may)]
#[iii::trigger(cron, "0 0 9 * * *")]
pub async fn charge(charge: Charge) -> Result<Receipt, PayError>;

#[iii::http_function(id = "ext::ping", url = url(), auth = bearer("TOKEN"))]
fn ping();

#[iii::http_function(id = "ext::list", url = url(), auth = api_key("x-api-key", "KEY"))]
async fn list() -> Vec<u8>;

#[iii::http_function(id = "ext::done", url = url(), stub = Done)]
async fn done(all: Vec<Charge>) -> iii::Result<()>;

#[iii::http_function(id = "ext::nothing", url = concat!("https://", "pay.test"), stub = false)]
async fn nothing(all: Vec<Charge>) -> Option<Receipt>;

#[cfg(any())]
#[iii::http_function(id = "ext::charge", url = "https://pay.test")]
fn charge();

#[iii::function(id = "ext::may")]
fn may(message: Payload) -> bool {
    !message.is_null()
}

async fn calls(client: Client) -> iii::Result<()> {
    let receipt: Receipt = client.call::<charge>(Charge { cents: 1 }).await?;
    drop(receipt);
    client.call::<ping>(()).await?;
    let _: Vec<u8> = client.call::<list>(()).await?;
    client.call::<Done>(vec![]).await
}

fn main() {
    let _ = calls;
    let catalogue = App::declared().catalogue().unwrap();
    assert_eq!(catalogue.entries().len(), 6);
    let entry = catalogue.get("ext::charge").unwrap();
    assert_eq!(entry.endpoint.as_ref().unwrap().method, "PUT");
    assert_eq!(entry.triggers.len(), 2);
    assert!(catalogue.get("ext::done").unwrap().output_schema.is_none());
}
