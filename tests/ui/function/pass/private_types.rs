//! Public functions that take private state: a type may be less known than the function.
#![deny(warnings, missing_docs, unused)]

use iii::prelude::*;

/// A payload.
#[derive(Deserialize, Serialize, JsonSchema)]
pub struct Greeting {
    name: String,
}

pub(crate) struct Names(Vec<String>);

#[derive(Deserialize)]
pub(crate) struct Page {
    page: usize,
}

/// Greets.
#[iii::function(id = "private::greet")]
#[iii::trigger(http, path = "/greet/:name")]
#[allow(private_interfaces)]
pub async fn greet(
    greeting: Greeting,
    names: State<Names>,
    Query(page): iii::Query<Page>,
    path: Path<Page>,
    metadata: Metadata<Option<Page>>,
) -> String {
    let _ = (path.0.page, metadata);
    format!("{} {}", names.0.0[page.page], greeting.name)
}

fn main() {
    let _: Option<<greet as iii::Function>::Input> = None::<HttpRequest<Greeting>>;
}
