//! x
extern crate self as iii;
#[doc(hidden)]
pub mod __private;
mod app;
mod clock;
mod declare;
mod error;
mod extract;
mod output;
mod protocol;
mod transport;
pub mod trigger;

pub use app::App;
pub use declare::*;
pub use error::{code, BoxError, Error, IntoError, Result};
pub use extract::*;
pub use output::*;
pub use schemars::{self, JsonSchema};
pub use protocol::*;
