//! A nightly report of the sales of the day.
//!
//! `cargo run -p report` counts sales over HTTP, and reports at 02:00 UTC:
//!
//! ```sh
//! curl -d '{"item":"tea","cents":350}' localhost:3111/sales
//! ```

#[cfg(test)]
mod tests;

use iii::Update;
use iii::prelude::*;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Sale {
    item: String,
    cents: i64,
}

/// The sales of one day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
struct Day {
    #[serde(default)]
    sales: u64,
    #[serde(default)]
    cents: i64,
}

/// Counts a sale.
#[iii::function(id = "sales::add")]
#[iii::trigger(http, method = "POST", path = "/sales")]
async fn add(sale: Sale, client: Client) -> iii::Result<()> {
    let update = Update::new().increment("sales", 1).increment("cents", sale.cents);
    client.state::<Day>("sales").update("today", update).await?;
    Ok(())
}

/// Reports the sales of the day, also if there are none, and resets the counters.
#[iii::function(id = "sales::report")]
#[iii::trigger(cron, "0 0 2 * * *")]
async fn report(tick: CronTick, client: Client) -> iii::Result<Day> {
    let days = client.state::<Day>("sales");
    let day = days.delete("today").await?.unwrap_or_default();
    let since = tick.scheduled_time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    days.set(&format!("until-{}", since.as_secs()), &day).await?;
    client.publish("sales.reported", &day).await?;
    Ok(day)
}

#[iii::main]
async fn main() {}
