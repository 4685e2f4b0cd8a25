//! The app: placeholder while rooms are laid out.
pub mod entry;
/// x
pub struct App;
