//! Function ids that another worker has: what is thought of them, and how they are asked for again.

use std::collections::BTreeSet;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::time::Backoff;
use crate::time::deadline_after;
use iii_wire::Result;
use iii_wire::protocol::{FunctionId, Payload};

/// What a worker does when another one has a function id of its own: an id has one owner at a time ([protocol 3.4](crate::protocol#s3-4)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Conflict {
    /// It ends: the start fails with `registration_rejected`, and a worker that was ready with `evicted`. The default.
    #[default]
    Fail,
    /// It warns, and serves the rest; triggers of the function are held back. It asks for the id again and again, with
    /// the pauses of its [`Backoff`], and takes it over when the other one leaves.
    ///
    /// This is for a new version that starts before the old one stops.
    Warn,
}

/// The ids of one link that another worker has.
pub(super) struct Lost {
    backoff: Backoff,
    ids: BTreeSet<FunctionId>,
    /// How often they were asked for in vain.
    attempt: u32,
    next: Option<Instant>,
    round: Option<Round>,
}

/// One time of asking.
struct Round {
    /// Those that were asked for, and not refused so far.
    open: BTreeSet<FunctionId>,
    /// The engine handles messages in their order: after this answer all refusals are there.
    answer: BoxFuture<'static, Result<Option<Payload>>>,
}

/// What is next.
#[derive(Debug)]
pub(super) enum Turn {
    /// It is time to ask for these ids.
    Ask(Vec<FunctionId>),
    /// These belong to this worker now.
    Won(Vec<FunctionId>),
}

impl Lost {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self { backoff, ids: BTreeSet::new(), attempt: 0, next: None, round: None }
    }

    pub(super) fn has(&self, id: &FunctionId) -> bool {
        self.ids.contains(id)
    }

    /// Another worker has an id; whether that is news.
    pub(super) fn lose(&mut self, id: &FunctionId) -> bool {
        if let Some(round) = &mut self.round {
            round.open.remove(id);
        }
        let news = self.ids.insert(id.clone());
        if self.next.is_none() && self.round.is_none() {
            self.next = Some(deadline_after(self.backoff.pause(self.attempt)));
        }
        news
    }

    /// The ids were asked for; `answer` comes after all refusals.
    pub(super) fn asked(&mut self, answer: BoxFuture<'static, Result<Option<Payload>>>) {
        self.round = Some(Round { open: self.ids.clone(), answer });
    }

    /// Waits for what is next. It may be dropped at any time.
    pub(super) async fn turn(&mut self) -> Turn {
        if let Some(round) = &mut self.round {
            let answer = (&mut round.answer).await;
            let open = std::mem::take(&mut round.open);
            self.round = None;
            // Without an answer nothing is known: they are asked for once more.
            let won: Vec<FunctionId> =
                if answer.is_ok() { open.into_iter().collect() } else { Vec::new() };
            for id in &won {
                self.ids.remove(id);
            }
            self.attempt = if won.is_empty() { self.attempt.saturating_add(1) } else { 0 };
            self.next =
                (!self.ids.is_empty()).then(|| deadline_after(self.backoff.pause(self.attempt)));
            return Turn::Won(won);
        }
        match self.next {
            Some(next) => tokio::time::sleep_until(next).await,
            None => std::future::pending().await,
        }
        self.next = None;
        Turn::Ask(self.ids.iter().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn backoff() -> Backoff {
        Backoff { jitter: 0.0, ..Backoff::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn an_id_is_asked_for_with_growing_pauses_until_nobody_refuses_it() {
        let (a, b) = (FunctionId::from("a"), FunctionId::from("b"));
        let mut lost = Lost::new(backoff());
        let begun = Instant::now();
        assert!(lost.lose(&a) && lost.lose(&b));
        assert!(!lost.lose(&a), "that is no news");
        for expected in [1, 3, 7] {
            let Turn::Ask(ids) = lost.turn().await else { panic!("nothing was asked yet") };
            assert_eq!(ids.len(), 2);
            assert_eq!(begun.elapsed(), Duration::from_secs(expected));
            lost.asked(Box::pin(async { Ok(None) }));
            lost.lose(&a);
            lost.lose(&b);
            assert!(matches!(lost.turn().await, Turn::Won(won) if won.is_empty()));
        }
        lost.turn().await;
        lost.asked(Box::pin(async { Ok(None) }));
        lost.lose(&a);
        assert!(matches!(lost.turn().await, Turn::Won(won) if won == ["b"]));
        assert!(lost.has(&a) && !lost.has(&b));
        let since = Instant::now();
        assert!(matches!(lost.turn().await, Turn::Ask(ids) if ids == ["a"]));
        assert_eq!(since.elapsed(), Duration::from_secs(1), "the pauses begin anew");
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_answer_nothing_is_won() {
        let mut lost = Lost::new(backoff());
        lost.lose(&"a".into());
        lost.turn().await;
        lost.asked(Box::pin(async { Err(crate::Error::new("timeout", "late")) }));
        assert!(matches!(lost.turn().await, Turn::Won(won) if won.is_empty()));
        assert!(matches!(lost.turn().await, Turn::Ask(ids) if ids == ["a"]));
    }
}
