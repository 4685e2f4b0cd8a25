use iii::prelude::*;
use iii::{Emitter, TriggerType};

#[derive(Serialize, Deserialize, JsonSchema)]
struct Mail;

#[derive(Serialize, Deserialize, JsonSchema)]
struct Letter;

#[iii::trigger_type(id = "http")]
impl TriggerType for Mail {
    type Event = Letter;
    async fn run(self, _: Emitter<Letter>) -> iii::Result<()> {
        Ok(())
    }
}

#[iii::trigger_type]
impl Mail {}

#[iii::trigger_type(id = "a mail")]
struct Other;

fn main() {}
