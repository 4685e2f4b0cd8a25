//! The function `engine::traces::tree` ([protocol 6.7](iii_wire::protocol#s6-7)).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::id::{SpanId, TraceId};
use super::list::is_root;
use super::span::{SharedSpan, Span};
use super::{TraceStorage, Traces};

/// Maximum depth of a tree. JSON parsers support about 128 levels, and each level of the tree has two. Deeper spans are
/// children on the last level.
const MAX_DEPTH: usize = 48;

/// Input of `engine::traces::tree`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
pub(super) struct TraceTreeInput {
    /// The trace id.
    trace_id: String,
}

/// Output of `engine::traces::tree`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct TraceTreeOutput {
    /// The root spans, the earliest first; empty if the trace is unknown.
    roots: Vec<SpanNode>,
    /// The completeness of the stored spans.
    storage: TraceStorage,
}

/// A span with its children.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct SpanNode {
    #[serde(flatten)]
    span: SharedSpan,
    /// The child spans, the earliest first.
    children: Vec<SpanNode>,
}

impl TraceTreeInput {
    /// Runs the query.
    pub(super) fn run(&self, traces: &Traces) -> TraceTreeOutput {
        let spans = TraceId::parse(&self.trace_id).map(|id| traces.of_trace(id));
        TraceTreeOutput { roots: build_tree(spans.unwrap_or_default()), storage: traces.storage() }
    }
}

/// The spans that are not in the tree yet.
struct TreeBuilder {
    /// Spans by the id of their parent.
    children: HashMap<SpanId, Vec<Arc<Span>>>,
    visited: HashSet<SpanId>,
}

fn build_tree(mut spans: Vec<Arc<Span>>) -> Vec<SpanNode> {
    spans.sort_by_key(|span| (span.start, span.span_id));
    let ids: HashSet<SpanId> = spans.iter().map(|span| span.span_id).collect();
    let (roots, others): (Vec<_>, Vec<_>) =
        spans.into_iter().partition(|span| is_root(span, |parent| ids.contains(&parent)));
    let mut builder = TreeBuilder { children: HashMap::new(), visited: HashSet::new() };
    for span in &others {
        if let Some(parent) = span.parent {
            builder.children.entry(parent).or_default().push(span.clone());
        }
    }
    let mut nodes = Vec::new();
    // A cycle of parents has no root: the earliest span of the cycle becomes one, after the actual roots.
    for span in roots.into_iter().chain(others) {
        if builder.visited.insert(span.span_id) {
            nodes.push(builder.node(span, 1));
        }
    }
    nodes
}

impl TreeBuilder {
    /// Creates the node of a span with all its descendants.
    fn node(&mut self, span: Arc<Span>, depth: usize) -> SpanNode {
        let mut children = self.take_children(&span);
        if depth + 1 == MAX_DEPTH {
            // The children are on the last level, so all their descendants join them.
            let mut index = 0;
            while index < children.len() {
                let descendants = self.take_children(&children[index]);
                children.extend(descendants);
                index += 1;
            }
        }
        let children = children.into_iter().map(|child| self.node(child, depth + 1)).collect();
        SpanNode { span: SharedSpan(span), children }
    }

    /// Returns the children of a span that are not visited yet, and marks them as visited.
    fn take_children(&mut self, span: &Span) -> Vec<Arc<Span>> {
        let mut children = self.children.remove(&span.span_id).unwrap_or_default();
        children.retain(|child| self.visited.insert(child.span_id));
        children
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::span;
    use super::*;

    fn outline(nodes: &[SpanNode]) -> String {
        let outline_node = |node: &SpanNode| {
            format!("{}({})", node.span.0.span_id.0, outline(&node.children)).replace("()", "")
        };
        nodes.iter().map(outline_node).collect::<Vec<_>>().join(" ")
    }

    fn tree_of(spans: &[(u64, Option<u64>)]) -> String {
        let spans = spans.iter().map(|(id, parent)| Arc::new(span(1, *id, *parent)));
        outline(&build_tree(spans.collect()))
    }

    #[test]
    fn spans_are_children_of_their_parents() {
        assert_eq!(tree_of(&[(3, Some(1)), (1, None), (2, Some(1)), (4, Some(2))]), "1(2(4) 3)");
        assert_eq!(
            tree_of(&[(2, Some(9)), (1, None)]),
            "1 2",
            "a span with an unknown parent is a root"
        );
        assert_eq!(tree_of(&[]), "");
    }

    #[test]
    fn cycles_of_parents_are_broken() {
        assert_eq!(tree_of(&[(1, Some(2)), (2, Some(1)), (3, Some(3)), (4, Some(2))]), "1(2(4)) 3");
    }

    #[test]
    fn deep_trace_can_be_parsed() {
        let chain: Vec<_> = (1..=5000).map(|n| (n, (n > 1).then(|| n - 1))).collect();
        let nodes = build_tree(chain.iter().map(|(id, p)| Arc::new(span(1, *id, *p))).collect());
        let json = serde_json::to_string(&nodes).unwrap();
        let parsed: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json.matches("\"span_id\"").count(), 5000);
        assert_eq!(parsed[0]["children"][0]["span_id"], "0000000000000002");
    }
}
