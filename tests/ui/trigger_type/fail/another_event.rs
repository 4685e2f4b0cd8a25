use iii::prelude::*;
use iii::{Emitter, TriggerType};

#[derive(Serialize, Deserialize, JsonSchema)]
struct Mail {
    folder: String,
}

#[iii::trigger_type(id = "mail")]
impl TriggerType for Mail {
    type Event = u32;
    async fn run(self, _: Emitter<u32>) -> iii::Result<()> {
        Ok(())
    }
}

#[iii::function(id = "mail::read")]
#[iii::trigger(Mail { folder: "inbox".into() })]
async fn read(letter: String) {
    let _ = letter;
}

#[iii::function(id = "mail::again")]
#[iii::trigger(Mail { foldr: "inbox".into() })]
async fn again() {}

fn main() {}
