//! A worker that ends in every way there is: `LIFECYCLE` says how.

use std::time::Duration;

use iii::prelude::*;

/// What nobody provides, if `LIFECYCLE` says so.
struct Stock;

/// Never ends.
#[iii::function(id = "lifecycle::never")]
async fn never(_stock: State<Stock>) {
    std::future::pending::<()>().await;
}

#[iii::main]
async fn main(app: &mut App) -> iii::Result<()> {
    let way = std::env::var("LIFECYCLE").unwrap_or_default();
    if way == "main fails" {
        // Its own failure, whatever the code says.
        return Err(iii::Error::new(iii::code::INVALID_CATALOGUE, "main has failed"));
    }
    if way != "invalid" {
        app.state(Stock);
    }
    app.name("lifecycle").health().health_check("stock", async |_: State<Stock>| Ok(()));
    app.grace(Duration::from_millis(if way == "short grace" { 50 } else { 60_000 }));
    app.on_start(async move |client| {
        iii::tracing::info!("starts, ready: {}", *client.ready().borrow());
        match way.as_str() {
            "start fails" => Err(iii::Error::new("lifecycle/closed", "the start has failed")),
            _ => Ok(()),
        }
    });
    app.on_stop(async |_| {
        iii::tracing::info!("stops");
        Ok(())
    });
    Ok(())
}
