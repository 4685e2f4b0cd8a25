//! Declarations that come out of the user's own macros.
#![deny(warnings, missing_docs, unused)]

use iii::{JsonSchema, schemars};
use serde::{Deserialize, Serialize};

#[derive(Deserialize, Serialize, JsonSchema)]
struct Order {}

macro_rules! declare {
    ($visibility:vis $name:ident, $id:literal, $method:expr, $path:literal, $level:expr, $of:ty, $result:ty, $error:path) => {
        #[iii::function(id = $id, timeout = "1s", metadata = $level)]
        #[iii::trigger(http, method = $method, path = $path)]
        #[iii::trigger(cron, "0 0 9 * * *", metadata = $level)]
        $visibility async fn $name(order: $of, path: iii::Path<(String,)>) -> Result<$result, $error> {
            let _ = path;
            Ok(Some(order))
        }
    };
}

declare!(pub(crate) first, "macros::first", "post", "/first/:id", 1 + 1, Order, Option<Order>, iii::Error);
declare!(second, "macros::second", "PUT", "/second/:id", "two", Vec<Order>, Option<Vec<Order>>, iii::BoxError);

macro_rules! error {
    ($name:ident, $($variant:ident = $code:literal $message:literal,)*) => {
        #[derive(Debug, iii::Error)]
        enum $name {
            $(#[error($message, code = $code)] $variant,)*
        }
    };
}

error!(Failure, Gone = "macros/gone" "it is gone", Late = "macros/late" "it is late",);

fn main() {
    use iii::Function as _;
    use iii::catalogue::Declared as _;
    assert_eq!(first::ID, "macros::first");
    let declared = second::descriptor();
    assert_eq!((declared.triggers[0].binding)().summary, "PUT /second/:id");
    assert_eq!([Failure::Gone, Failure::Late].map(|error| error.to_string()), ["it is gone", "it is late"]);
}
