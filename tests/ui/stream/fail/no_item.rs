use iii::prelude::*;
use iii::stream::*;
use iii::StreamStore;

#[derive(Clone, Serialize, Deserialize)]
struct NoSchema;

struct Chat;

#[iii::stream(name = "chat")]
impl StreamStore for Chat {
    type Item = NoSchema;
    async fn get(&self, _: StreamGetInput) -> iii::Result<Option<NoSchema>> {
        Ok(None)
    }
    async fn set(&self, new: StreamSetInput<NoSchema>) -> iii::Result<StreamSetResult<NoSchema>> {
        Ok(StreamSetResult { old_value: None, new_value: new.data })
    }
    async fn delete(&self, _: StreamDeleteInput) -> iii::Result<StreamDeleteResult<NoSchema>> {
        Ok(StreamDeleteResult { old_value: None })
    }
    async fn list(&self, _: StreamListInput) -> iii::Result<Vec<NoSchema>> {
        Ok(Vec::new())
    }
    async fn list_groups(&self, _: StreamListGroupsInput) -> iii::Result<Vec<String>> {
        Ok(Vec::new())
    }
}

fn main() {}
