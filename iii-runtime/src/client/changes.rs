//! Lists of what the engine knows that follow its changes (protocol section 5.11).

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::{BoxStream, StreamExt, unfold};
use futures_util::{FutureExt, Stream};

use super::discovery::{Filter, Listable, ListRequest};
use super::listen::{Listen, Listener};
use super::{Client, FunctionSummary, WorkerSummary};
use crate::trigger::{Binding, FunctionsAvailable, WorkersAvailable};
use iii_wire::protocol::Payload;
use iii_wire::{Result, code};

/// Something that the engine lists, and tells of when it changes.
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
    /// The functions that can be called, now and after each change. The same as `client.functions().watch()`, which takes
    /// a filter.
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

    /// The workers that are connected, now and after each change. The same as `client.workers().watch()`, which takes a
    /// filter.
    pub fn on_workers_available(&self) -> ListWatch<WorkerSummary> {
        self.workers().watch()
    }
}

impl<T: Watchable> ListRequest<T> {
    /// The list now, and again each time that it has changed.
    ///
    /// It is asked for anew when the engine tells of a change, so that it is filtered like any list, and changes that come
    /// together give one list. An engine may tell of functions some seconds later.
    pub fn watch(self) -> ListWatch<T> {
        let ListRequest { session, filter, .. } = self;
        let begin = Follower::<T> {
            client: Client::new(session),
            filter,
            listener: None,
            last: None,
            stale: true,
            over: false,
        };
        ListWatch { lists: unfold(begin, Follower::next).boxed() }
    }
}

/// A list that follows its changes, as a [`Stream`] of lists. Dropping it ends it.
///
/// The first list comes at once. An item is an error if the engine does not give the list, or cannot be listened to (see
/// [`Client::listen`]); after the first the next change is waited for, after the second nothing more comes. A lost link is
/// no error: when it is back, the list is asked for again. The stream ends when the worker stops.
pub struct ListWatch<T> {
    lists: BoxStream<'static, Result<Vec<T>>>,
}

impl<T> ListWatch<T> {
    /// Waits for the next list; `None` when the worker has stopped. Nothing is lost if it is dropped.
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

/// How far somebody is with following a list.
struct Follower<T> {
    client: Client,
    filter: Filter,
    /// Only that something has changed matters, not what.
    listener: Option<Listener<Payload>>,
    last: Option<Vec<T>>,
    /// Something may have changed since the last list.
    stale: bool,
    over: bool,
}

impl<T: Watchable> Follower<T> {
    async fn next(mut self) -> Option<(Result<Vec<T>>, Self)> {
        if self.over {
            return None;
        }
        let mut listener = match self.listener.take() {
            Some(listener) => listener,
            None => {
                // Before the first look, so that no change is missed between the two.
                let Binding { kind, config, .. } = T::trigger();
                match Listen::new(self.client.session().clone(), kind, Ok(config)).await {
                    Ok(listener) => listener,
                    Err(error) => {
                        self.over = true;
                        return Some((Err(error), self));
                    }
                }
            }
        };
        loop {
            if self.stale {
                // Changes that came already are in the list.
                while let Some(Some(event)) = listener.next().now_or_never() {
                    if let Err(error) = event
                        && error.code() == code::REGISTRATION_REJECTED
                    {
                        self.over = true;
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
                    // The list is asked for again when the link is back.
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
                    self.over = true;
                    return Some((Err(error), self));
                }
                // Something happened, or may have been missed.
                Ok(_) | Err(_) => self.stale = true,
            }
        }
    }

    async fn list(&self) -> Result<Vec<T>> {
        ListRequest::<T>::of(self.client.session().clone(), self.filter.clone()).await
    }
}
