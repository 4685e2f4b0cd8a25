//! The bounds of an engine, reached and gone beyond: who does so is refused or ended, and others go on.

mod connections;
mod frames;
mod growth;
mod pages;
mod queues;
