//! Lists of functions and workers that are read again after each change ([protocol 5.11](crate::protocol#s5-11)).

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::{BoxStream, StreamExt, unfold};
use futures_util::{FutureExt, Stream};

use super::discovery::{ListFilter, ListRequest, Listable};
use super::listen::{Listen, Listener};
use super::{Client, FunctionSummary, WorkerSummary};
use crate::trigger::{Binding, FunctionsAvailable, WorkersAvailable};
use iii_wire::protocol::Payload;
use iii_wire::{Result, code};

/// A kind of list that the engine fires a trigger for when it changes.
pub trait Watchable: Listable + Clone + PartialEq + Sync {
    /// The trigger that fires when the list changes.
    #[doc(hidden)]
    fn trigger() -> Binding;
}

impl Watchable for FunctionSummary {
    fn trigger() -> Binding {
        FunctionsAvailable.into()
    }
}

impl Watchable for WorkerSummary {
    fn trigger() -> Binding {
        WorkersAvailable.into()
    }
}

impl Client {
    /// Watches the functions that can be called: yields the current list, and the new one after each change. Equal to
    /// `client.functions().watch()`, which also filters.
    ///
    /// ```no_run
    /// # async fn example(client: iii::Client) -> iii::Result<()> {
    /// let mut lists = client.on_functions_available();
    /// while let Some(functions) = lists.next().await {
    ///     println!("{} functions", functions?.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_functions_available(&self) -> ListWatch<FunctionSummary> {
        self.functions().watch()
    }

    /// Watches the connected workers: yields the current list, and the new one after each change. Equal to
    /// `client.workers().watch()`, which also filters.
    pub fn on_workers_available(&self) -> ListWatch<WorkerSummary> {
        self.workers().watch()
    }
}

impl<T: Watchable> ListRequest<T> {
    /// Watches the list: yields the current list, and the new one after each change.
    ///
    /// Reads the list again with the same filter when the engine reports a change, so that concurrent changes may yield one
    /// list. An engine may report changes of functions with a delay of some seconds.
    pub fn watch(self) -> ListWatch<T> {
        let ListRequest { session, filter, .. } = self;
        let start = WatchState::<T> {
            client: Client::new(session),
            filter,
            listener: None,
            last: None,
            stale: true,
            ended: false,
        };
        ListWatch { lists: unfold(start, WatchState::next).boxed() }
    }
}

/// A [`Stream`] of lists: the current one, and a new one after each change. Dropping it ends the watch.
///
/// An item is an error if the list cannot be read, after which the watch continues, or if the trigger cannot be bound (see
/// [`Client::listen`]), after which it ends. A lost connection is not an error: the list is read again after the reconnect.
/// The stream ends when the worker stops.
pub struct ListWatch<T> {
    lists: BoxStream<'static, Result<Vec<T>>>,
}

impl<T> ListWatch<T> {
    /// Waits for the next list; `None` when the worker has stopped. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<Vec<T>>> {
        self.lists.next().await
    }
}

impl<T> Stream for ListWatch<T> {
    type Item = Result<Vec<T>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.lists.poll_next_unpin(context)
    }
}

impl<T> fmt::Debug for ListWatch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListWatch").finish_non_exhaustive()
    }
}

/// The state of a [`ListWatch`] between two items.
struct WatchState<T> {
    client: Client,
    filter: ListFilter,
    /// The payload of its events is ignored.
    listener: Option<Listener<Payload>>,
    last: Option<Vec<T>>,
    /// Whether the list may have changed since it was read.
    stale: bool,
    ended: bool,
}

impl<T: Watchable> WatchState<T> {
    async fn next(mut self) -> Option<(Result<Vec<T>>, Self)> {
        if self.ended {
            return None;
        }
        let mut listener = match self.listener.take() {
            Some(listener) => listener,
            None => {
                // Bound before the list is read, so that no change in between is missed.
                let Binding { kind, config, .. } = T::trigger();
                match Listen::new(self.client.session().clone(), kind, Ok(config)).await {
                    Ok(listener) => listener,
                    Err(error) => {
                        self.ended = true;
                        return Some((Err(error), self));
                    }
                }
            }
        };
        loop {
            if self.stale {
                // The list to be read includes the changes that were already reported.
                while let Some(Some(event)) = listener.next().now_or_never() {
                    if let Err(error) = event
                        && error.code() == code::REGISTRATION_REJECTED
                    {
                        self.ended = true;
                        return Some((Err(error), self));
                    }
                }
                self.stale = false;
                match self.list().await {
                    Ok(list) if self.last.as_ref() == Some(&list) => {}
                    Ok(list) => {
                        self.last = Some(list.clone());
                        self.listener = Some(listener);
                        return Some((Ok(list), self));
                    }
                    // The reconnect marks the list as stale.
                    Err(error) if error.code() == code::CONNECTION_LOST => {}
                    Err(error) if error.code() == code::SHUTTING_DOWN => return None,
                    Err(error) => {
                        self.listener = Some(listener);
                        return Some((Err(error), self));
                    }
                }
            }
            match listener.next().await? {
                Err(error) if error.code() == code::REGISTRATION_REJECTED => {
                    self.ended = true;
                    return Some((Err(error), self));
                }
                // A change, or missed events.
                Ok(_) | Err(_) => self.stale = true,
            }
        }
    }

    async fn list(&self) -> Result<Vec<T>> {
        ListRequest::<T>::with_filter(self.client.session().clone(), self.filter.clone()).await
    }
}
