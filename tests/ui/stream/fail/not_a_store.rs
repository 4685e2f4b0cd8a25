use iii::prelude::*;
use iii::stream::*;
use iii::StreamStore;

struct Lazy;

#[iii::stream(name = "lazy")]
impl StreamStore for Lazy {
    type Item = u32;
    async fn get(&self, _: StreamGetInput) -> iii::Result<Option<u32>> {
        Ok(None)
    }
}

struct Nothing;

fn keep(app: &mut App) {
    app.stream_store::<Nothing>();
}

fn main() {}
