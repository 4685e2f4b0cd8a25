use iii::prelude::*;
use iii::{Emitter, TriggerType};

#[derive(Serialize, Deserialize)]
struct Mail;

#[iii::trigger_type(id = "mail")]
impl TriggerType for Mail {
    type Event = u32;
    async fn run(self, _: Emitter<u32>) -> iii::Result<()> {
        Ok(())
    }
}

#[derive(Serialize)]
struct NoType;

#[iii::function(id = "mail::read")]
#[iii::trigger(NoType)]
async fn read(n: u32) {
    let _ = n;
}

fn main() {}
