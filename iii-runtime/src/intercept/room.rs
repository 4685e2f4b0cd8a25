//! The room that an invocation takes while it runs: one place of its function and one of the worker.

use std::sync::Arc;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use iii_wire::{Error, Result, code};

/// The room that an invocation takes. Others have it when this is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    of_function: Option<OwnedSemaphorePermit>,
    of_worker: OwnedSemaphorePermit,
}

/// Where room is to be had.
#[derive(Debug)]
pub(super) struct Outside {
    of_function: Option<Arc<Semaphore>>,
    of_worker: Arc<Semaphore>,
}

impl Room {
    /// Waits for room.
    pub(crate) async fn enter(
        of_function: Option<Arc<Semaphore>>,
        of_worker: Arc<Semaphore>,
    ) -> Result<Self> {
        // The function's own limit first: a function that is full must not take the room of others.
        let of_function = match of_function {
            Some(limit) => Some(limit.acquire_owned().await.map_err(closed)?),
            None => None,
        };
        let of_worker = of_worker.acquire_owned().await.map_err(closed)?;
        Ok(Self { of_function, of_worker })
    }

    /// Gives the room to others.
    pub(super) fn leave(self) -> Outside {
        Outside {
            of_function: self.of_function.as_ref().map(|room| room.semaphore().clone()),
            of_worker: self.of_worker.semaphore().clone(),
        }
    }
}

impl Outside {
    /// Waits for room, behind those who have waited longer.
    pub(super) async fn enter(self) -> Result<Room> {
        Room::enter(self.of_function, self.of_worker).await
    }
}

fn closed(_: AcquireError) -> Error {
    Error::new(code::SHUTTING_DOWN, "the worker has stopped")
}
