use iii::prelude::*;
use iii::stream::*;
use iii::StreamStore;

struct Chat;

#[iii::stream]
impl StreamStore for Chat {
    type Item = String;
    async fn get(&self, _: StreamGetInput) -> iii::Result<Option<String>> {
        Ok(None)
    }
    async fn set(&self, new: StreamSetInput<String>) -> iii::Result<StreamSetResult<String>> {
        Ok(StreamSetResult { old_value: None, new_value: new.data })
    }
    async fn delete(&self, _: StreamDeleteInput) -> iii::Result<StreamDeleteResult<String>> {
        Ok(StreamDeleteResult { old_value: None })
    }
    async fn list(&self, _: StreamListInput) -> iii::Result<Vec<String>> {
        Ok(Vec::new())
    }
    async fn list_groups(&self, _: StreamListGroupsInput) -> iii::Result<Vec<String>> {
        Ok(Vec::new())
    }
}

#[iii::stream(name = " chat")]
impl Chat {}

#[iii::stream(nam = "chat", name = "")]
struct Other;

#[iii::stream(name = "chat")]
fn keep(_: State<Chat>) {}

fn main() {}
