//! Replays recordings of the official engine against the embedded one and names every difference.

mod claim;
mod compare;
mod differences;
mod endpoint;
mod ids;
mod plan;
mod probe;
mod recording;
mod replay;
mod request;
mod socket;
mod tables;

pub use differences::{Difference, Known};
pub use recording::Recording;
pub use replay::{Outcome, replay};
pub use tables::{MOVES, NOT_YET, NotYet, Until};
