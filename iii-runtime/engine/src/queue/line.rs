//! Messages that wait for their turn: by priority and age, or group by group. No step looks at all of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::time::Instant;
use uuid::Uuid;

/// One copy of a message, as far as it is needed for finding its turn. The rest is in its record.
#[derive(Debug, Clone)]
pub(super) struct Message {
    /// Its id, which is the key of its record.
    pub(super) id: Uuid,
    /// Its place in time among all messages.
    pub(super) seq: u64,
    /// The failed attempts so far.
    pub(super) attempts: u32,
    /// The highest first.
    pub(super) priority: u8,
    /// What it counts against the bounds.
    pub(super) bytes: usize,
    /// Not before then; `None`: at once.
    pub(super) due: Option<Instant>,
    /// The group that it must keep its order in. Subscribers have one group only: `None`.
    pub(super) group: Option<Arc<str>>,
    /// It was there when the engine started.
    pub(super) restored: bool,
}

/// The order of turns.
type Rank = (Reverse<u8>, u64);

impl Message {
    fn rank(&self) -> Rank {
        (Reverse(self.priority), self.seq)
    }
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Next {
    /// This message.
    Message(Message),
    /// Nothing before then.
    At(Instant),
    /// Nothing, until something happens.
    Nothing,
}

/// The messages that wait for one consumer.
#[derive(Debug)]
pub(super) enum Line {
    /// Each message by itself.
    Open(Open),
    /// The messages of a group one after the other.
    Grouped(Grouped),
}

impl Line {
    /// An empty line. `busy` jobs without a group are running.
    pub(super) fn new(grouped: bool, busy: usize) -> Self {
        if !grouped {
            return Self::Open(Open::default());
        }
        let mut line = Grouped::default();
        if busy > 0 {
            line.groups.insert(None, Group { busy, ..Group::default() });
        }
        Self::Grouped(line)
    }

    /// Changes between the two kinds. `busy` jobs without a group are running.
    pub(super) fn set_grouped(&mut self, grouped: bool, busy: usize) {
        if grouped == matches!(self, Self::Grouped(_)) {
            return;
        }
        let messages: Vec<Message> = match std::mem::replace(self, Self::new(grouped, busy)) {
            Self::Open(line) => line.ready.into_values().chain(line.later.into_values()).collect(),
            Self::Grouped(line) => {
                line.groups.into_values().flat_map(|group| group.line.into_values()).collect()
            }
        };
        for message in messages {
            self.push(message);
        }
    }

    /// Puts a message where it belongs by its age, priority, group and time.
    pub(super) fn push(&mut self, message: Message) {
        match self {
            Self::Open(line) => line.push(message),
            Self::Grouped(line) => line.push(message),
        }
    }

    /// Takes the next message that may begin now. Its group is busy until it is released.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        match self {
            Self::Open(line) => line.next(now),
            Self::Grouped(line) => line.next(now),
        }
    }

    /// A job of this group has ended. What is to be tried again was pushed before.
    pub(super) fn release(&mut self, group: &Option<Arc<str>>) {
        if let Self::Grouped(line) = self {
            line.release(group);
        }
    }

    /// How many messages wait.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Open(line) => line.ready.len() + line.later.len(),
            Self::Grouped(line) => line.len,
        }
    }
}

/// See [`Line::Open`].
#[derive(Debug, Default)]
pub(super) struct Open {
    ready: BTreeMap<Rank, Message>,
    later: BTreeMap<(Instant, u64), Message>,
}

impl Open {
    fn push(&mut self, message: Message) {
        match message.due {
            Some(due) => self.later.insert((due, message.seq), message),
            None => self.ready.insert(message.rank(), message),
        };
    }

    fn next(&mut self, now: Instant) -> Next {
        while let Some(entry) = self.later.first_entry().filter(|entry| entry.key().0 <= now) {
            let message = entry.remove();
            self.ready.insert(message.rank(), Message { due: None, ..message });
        }
        match (self.ready.pop_first(), self.later.first_key_value()) {
            (Some((_, message)), _) => Next::Message(message),
            (None, Some(((due, _), _))) => Next::At(*due),
            (None, None) => Next::Nothing,
        }
    }
}

/// See [`Line::Grouped`].
///
/// A group that waits and is not busy is in exactly one of `ready` and `later`, by its first message.
#[derive(Debug, Default)]
pub(super) struct Grouped {
    groups: HashMap<Option<Arc<str>>, Group>,
    ready: BTreeMap<Rank, Option<Arc<str>>>,
    later: BTreeMap<(Instant, u64), Option<Arc<str>>>,
    len: usize,
}

/// The messages of one group by age, and how many of its jobs run.
#[derive(Debug, Default)]
struct Group {
    line: BTreeMap<u64, Message>,
    busy: usize,
}

impl Group {
    fn head(&self) -> Option<&Message> {
        self.line.first_key_value().map(|(_, message)| message).filter(|_| self.busy == 0)
    }
}

impl Grouped {
    fn push(&mut self, message: Message) {
        let key = message.group.clone();
        let group = self.groups.entry(key.clone()).or_default();
        let before = group.head().map(|head| (head.rank(), head.due));
        group.line.insert(message.seq, message);
        self.len += 1;
        match before {
            Some((rank, None)) => drop(self.ready.remove(&rank)),
            Some((rank, Some(due))) => drop(self.later.remove(&(due, rank.1))),
            None => {}
        }
        self.show(&key);
    }

    /// Lists a group by its first message, if it has one whose turn can come.
    fn show(&mut self, key: &Option<Arc<str>>) {
        let Some(head) = self.groups.get(key).and_then(Group::head) else { return };
        match head.due {
            Some(due) => self.later.insert((due, head.seq), key.clone()),
            None => self.ready.insert(head.rank(), key.clone()),
        };
    }

    fn next(&mut self, now: Instant) -> Next {
        while let Some(entry) = self.later.first_entry().filter(|entry| entry.key().0 <= now) {
            let key = entry.remove();
            let head = self.groups.get_mut(&key).and_then(|group| group.line.first_entry());
            if let Some(mut head) = head {
                head.get_mut().due = None;
            }
            self.show(&key);
        }
        if let Some((_, key)) = self.ready.pop_first()
            && let Some(group) = self.groups.get_mut(&key)
            && let Some((_, message)) = group.line.pop_first()
        {
            group.busy += 1;
            self.len -= 1;
            return Next::Message(message);
        }
        self.later.first_key_value().map_or(Next::Nothing, |((due, _), _)| Next::At(*due))
    }

    fn release(&mut self, key: &Option<Arc<str>>) {
        let Some(group) = self.groups.get_mut(key) else { return };
        group.busy = group.busy.saturating_sub(1);
        if group.busy == 0 && group.line.is_empty() {
            self.groups.remove(key);
        } else {
            self.show(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn message(seq: u64, group: &str) -> Message {
        Message {
            id: Uuid::nil(),
            seq,
            attempts: 0,
            priority: 0,
            bytes: 0,
            due: None,
            group: Some(group.into()),
            restored: false,
        }
    }

    fn take(line: &mut Line, now: Instant) -> Option<u64> {
        match line.next(now) {
            Next::Message(message) => Some(message.seq),
            _ => None,
        }
    }

    #[test]
    fn an_open_line_goes_by_priority_age_and_time() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut line = Line::new(false, 0);
        line.push(Message { due: Some(later), ..message(1, "") });
        line.push(message(3, ""));
        line.push(message(2, ""));
        line.push(Message { priority: 9, ..message(4, "") });
        assert_eq!(line.len(), 4);
        let taken: Vec<_> = std::iter::from_fn(|| take(&mut line, now)).collect();
        assert_eq!(taken, [4, 2, 3]);
        assert!(matches!(line.next(now), Next::At(at) if at == later));
        assert_eq!(take(&mut line, later), Some(1));
        assert!(matches!(line.next(later), Next::Nothing));
    }

    #[test]
    fn a_group_waits_for_its_own_jobs_only() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut line = Line::new(true, 0);
        for (seq, group) in [(1, "a"), (2, "a"), (3, "b")] {
            line.push(message(seq, group));
        }
        assert_eq!((take(&mut line, now), take(&mut line, now)), (Some(1), Some(3)));
        assert!(matches!(line.next(now), Next::Nothing));
        // 1 is to be tried again, so 2 waits with it.
        line.push(Message { due: Some(later), ..message(1, "a") });
        line.release(&Some("a".into()));
        assert!(matches!(line.next(now), Next::At(at) if at == later));
        assert_eq!(take(&mut line, later), Some(1));
        line.release(&Some("a".into()));
        line.release(&Some("b".into()));
        assert_eq!(take(&mut line, later), Some(2));
        line.release(&Some("a".into()));
        assert_eq!(line.len(), 0);
        assert!(matches!(&line, Line::Grouped(line) if line.groups.is_empty()));
    }

    #[test]
    fn an_older_message_takes_the_head_of_its_group() {
        let now = Instant::now();
        let mut line = Line::new(true, 0);
        line.push(Message { due: Some(now + Duration::from_secs(9)), ..message(5, "a") });
        line.push(message(2, "a"));
        assert_eq!(take(&mut line, now), Some(2));
        line.push(message(1, "a"));
        line.release(&Some("a".into()));
        assert_eq!(take(&mut line, now), Some(1));
    }

    #[test]
    fn a_line_changes_its_kind_while_jobs_run() {
        let now = Instant::now();
        let one = |seq| Message { group: None, ..message(seq, "") };
        let mut line = Line::new(false, 0);
        for seq in 1..=3 {
            line.push(one(seq));
        }
        assert_eq!(take(&mut line, now), Some(1));
        line.set_grouped(true, 1);
        assert_eq!(take(&mut line, now), None);
        line.release(&None);
        assert_eq!(take(&mut line, now), Some(2));
        assert_eq!(take(&mut line, now), None);
        line.set_grouped(false, 1);
        assert_eq!((take(&mut line, now), line.len()), (Some(3), 0));
    }
}
