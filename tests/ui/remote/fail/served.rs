//! Functions of other workers are called, and not served.

use iii::prelude::*;

#[iii::remote(prefix = "payments")]
trait Payments {
    /// Charges a card.
    async fn charge(cents: u64) -> String;
}

fn main() {
    let mut app = App::new();
    app.function::<Payments::charge>();
}
