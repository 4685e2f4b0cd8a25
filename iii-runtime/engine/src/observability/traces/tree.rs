//! `engine::traces::tree`: the spans of one trace, each with those that are a part of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::id::{SpanId, TraceId};
use super::query::is_root;
use super::span::{Shown, Span};
use super::{Storage, Traces};

/// Levels of a tree. Readers of JSON stop at about 128 levels, and each level here has two of them; what is deeper is
/// shown on the last one.
const LEVELS: usize = 48;

/// The input of `engine::traces::tree`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
pub(super) struct Wanted {
    /// The trace.
    trace_id: String,
}

/// The tree of a trace.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct Tree {
    /// The spans that begin it, the earliest first; empty if the trace is not known.
    roots: Vec<Node>,
    /// What is kept, and what is not.
    storage: Storage,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Node {
    #[serde(flatten)]
    span: Shown,
    /// The spans that are a part of it, the earliest first.
    children: Vec<Node>,
}

impl Wanted {
    /// Builds the tree.
    pub(super) fn answer(&self, traces: &Traces) -> Tree {
        let spans = TraceId::read(&self.trace_id).map(|id| traces.of_trace(id));
        Tree { roots: grow(spans.unwrap_or_default()), storage: traces.storage() }
    }
}

/// The spans of a trace that have a parent there, by parent; and which spans have their place in the tree already.
struct Rest {
    children: HashMap<SpanId, Vec<Arc<Span>>>,
    placed: HashSet<SpanId>,
}

fn grow(mut spans: Vec<Arc<Span>>) -> Vec<Node> {
    spans.sort_by_key(|span| (span.start, span.span_id));
    let known: HashSet<SpanId> = spans.iter().map(|span| span.span_id).collect();
    let (roots, others): (Vec<_>, Vec<_>) =
        spans.into_iter().partition(|span| is_root(span, |parent| known.contains(&parent)));
    let mut rest = Rest { children: HashMap::new(), placed: HashSet::new() };
    for span in &others {
        if let Some(parent) = span.parent {
            rest.children.entry(parent).or_default().push(span.clone());
        }
    }
    let mut nodes = Vec::new();
    // Spans that are parts of each other have no beginning: after the roots, the earliest of them is taken for one.
    for span in roots.into_iter().chain(others) {
        if rest.placed.insert(span.span_id) {
            nodes.push(rest.node(span, 1));
        }
    }
    nodes
}

impl Rest {
    /// The node of a span, with all below it.
    fn node(&mut self, span: Arc<Span>, level: usize) -> Node {
        let mut parts = self.parts_of(&span);
        if level + 1 == LEVELS {
            // The last level: everything below is put there.
            let mut at = 0;
            while at < parts.len() {
                let below = self.parts_of(&parts[at]);
                parts.extend(below);
                at += 1;
            }
        }
        let children = parts.into_iter().map(|part| self.node(part, level + 1)).collect();
        Node { span: Shown(span), children }
    }

    /// The parts of a span that have no place yet; they have one now.
    fn parts_of(&mut self, span: &Span) -> Vec<Arc<Span>> {
        let mut parts = self.children.remove(&span.span_id).unwrap_or_default();
        parts.retain(|part| self.placed.insert(part.span_id));
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::span;
    use super::*;

    fn outline(nodes: &[Node]) -> String {
        let one = |node: &Node| {
            format!("{}({})", node.span.0.span_id.0, outline(&node.children)).replace("()", "")
        };
        nodes.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    fn grown(spans: &[(u64, Option<u64>)]) -> String {
        outline(&grow(spans.iter().map(|(id, parent)| Arc::new(span(1, *id, *parent))).collect()))
    }

    #[test]
    fn spans_hang_below_their_parents() {
        assert_eq!(grown(&[(3, Some(1)), (1, None), (2, Some(1)), (4, Some(2))]), "1(2(4) 3)");
        assert_eq!(grown(&[(2, Some(9)), (1, None)]), "1 2", "an unknown parent is none");
        assert_eq!(grown(&[]), "");
    }

    #[test]
    fn spans_that_are_parts_of_each_other_are_shown_once() {
        assert_eq!(grown(&[(1, Some(2)), (2, Some(1)), (3, Some(3)), (4, Some(2))]), "1(2(4)) 3");
    }

    #[test]
    fn a_deep_trace_can_be_read() {
        let chain: Vec<_> = (1..=5000).map(|n| (n, (n > 1).then(|| n - 1))).collect();
        let nodes = grow(chain.iter().map(|(id, p)| Arc::new(span(1, *id, *p))).collect());
        let text = serde_json::to_string(&nodes).unwrap();
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(text.matches("\"span_id\"").count(), 5000);
        assert_eq!(read[0]["children"][0]["span_id"], "0000000000000002");
    }
}
