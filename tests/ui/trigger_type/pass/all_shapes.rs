#![deny(warnings, missing_docs)]
//! Trigger types of several shapes, and functions that are bound to them.

use iii::prelude::*;
use iii::{Emitter, TriggerType};

/// Without fields.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Boot;

/// Fires once.
#[iii::trigger_type(id = "boot")]
impl TriggerType for Boot {
    type Event = ();

    async fn run(self, emitter: Emitter<()>) -> iii::Result<()> {
        emitter.emit(&()).await
    }
}

/// With a constructor.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Watch {
    path: String,
}

impl Watch {
    /// Watches a path.
    pub fn path(path: &str) -> Self {
        Self { path: path.to_owned() }
    }
}

/// What happened.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Change {
    path: String,
}

#[iii::trigger_type(id = "fs::change", description = "Fires when a file changes.")]
impl iii::TriggerType for Watch {
    type Event = Change;

    async fn check(&self, emitter: &Emitter<Change>) -> iii::Result<()> {
        let _ = (emitter.function_id(), emitter.namespace(), emitter.trigger_id());
        Ok(())
    }

    async fn run(self, emitter: Emitter<Change>) -> iii::Result<()> {
        emitter.emit(&Change { path: self.path }).await
    }
}

/// Takes nothing.
#[iii::function(id = "app::boot")]
#[iii::trigger(Boot)]
#[iii::trigger(Watch::path("/etc"))]
pub async fn boot() {}

/// Says yes.
#[iii::function(id = "app::wanted")]
pub async fn wanted(change: Change) -> bool {
    !change.path.is_empty()
}

/// Takes the event.
#[iii::function(id = "app::changed")]
#[iii::trigger(Watch { path: "/tmp".into() }, condition = wanted, metadata = 7)]
#[iii::trigger("fs::change", config = Watch::path("/var"))]
pub async fn changed(change: Change, _context: Context) -> String {
    change.path
}

fn main() {
    use iii::App;
    let catalogue = App::declared().catalogue().unwrap();
    let ids: Vec<&str> = catalogue.trigger_types().iter().map(|one| one.id).collect();
    assert_eq!(ids, ["boot", "fs::change"]);
    assert_eq!(catalogue.trigger_types()[1].description, "Fires when a file changes.");
    let triggers = &catalogue.get("app::changed").unwrap().triggers;
    let config = triggers[0].0.config.as_str();
    assert_eq!(config, r#"{"condition_function_id":"app::wanted","path":"/tmp"}"#);
}
