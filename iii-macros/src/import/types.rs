//! The types that schemas become, before they are written down: shapes, items with names, and which of them need a `Box`.

/// A type where it is used.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    /// Any JSON: what is not known, or not understood.
    Payload,
    Unit,
    Bool,
    Text,
    /// An integer or a float, by the name of its type.
    Number(&'static str),
    Option(Box<Shape>),
    List(Box<Shape>),
    Array(Box<Shape>, usize),
    Tuple(Vec<Shape>),
    /// Texts to values.
    Map(Box<Shape>),
    /// An item of the module, by its place in it.
    Item(usize),
}

impl Shape {
    /// The type of a value that may be `null`.
    pub(super) fn optional(self) -> Self {
        match self {
            // These have a `null` of their own.
            Self::Payload | Self::Option(_) | Self::Unit => self,
            other => Self::Option(Box::new(other)),
        }
    }
}

/// A type with a name.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) name: String,
    pub(super) docs: String,
    pub(super) kind: Kind,
}

/// What an item is.
#[derive(Debug)]
pub(super) enum Kind {
    Struct(Struct),
    /// Each variant is a text.
    Texts(Vec<TextVariant>),
    /// `"Unit"` or `{"Variant": …}`
    External(Vec<Variant>),
    /// `{"<tag>": "Variant", …}`
    Internal {
        tag: String,
        variants: Vec<Variant>,
    },
    /// Told apart by what is in it.
    Untagged(Vec<Variant>),
    /// Another name of a type.
    Alias(Shape),
}

#[derive(Debug, Default)]
pub(super) struct Struct {
    pub(super) fields: Vec<Field>,
    /// The type of what else may be there.
    pub(super) rest: Option<Shape>,
}

#[derive(Debug)]
pub(super) struct Field {
    /// As it is on the wire.
    pub(super) wire: String,
    pub(super) docs: String,
    pub(super) shape: Shape,
    /// Whether it must be there.
    pub(super) required: bool,
}

#[derive(Debug)]
pub(super) struct TextVariant {
    pub(super) wire: String,
    pub(super) docs: String,
}

/// A variant with its name in Rust, or on the wire where it is seen there.
#[derive(Debug)]
pub(super) struct Variant {
    pub(super) name: String,
    pub(super) docs: String,
    pub(super) body: Body,
}

#[derive(Debug)]
pub(super) enum Body {
    Unit,
    One(Shape),
    Fields(Struct),
}

/// Which items an item holds in itself, and which it names at all.
#[derive(Debug)]
pub(super) struct Graph {
    direct: Vec<Vec<usize>>,
    named: Vec<Vec<usize>>,
}

impl Graph {
    pub(super) fn new(items: &[Item]) -> Self {
        let (mut direct, mut named) = (Vec::new(), Vec::new());
        for item in items {
            let (mut held, mut all) = (Vec::new(), Vec::new());
            for shape in shapes(&item.kind) {
                visit(shape, true, &mut |index, is_direct| {
                    all.push(index);
                    if is_direct {
                        held.push(index);
                    }
                });
            }
            direct.push(held);
            named.push(all);
        }
        Self { direct, named }
    }

    /// Whether `from` in `to` would have no end without a `Box`.
    pub(super) fn needs_box(&self, from: usize, to: usize) -> bool {
        reach(&self.direct, &[from], |_| true)[to]
    }

    /// Whether an alias is, by way of other aliases, an alias of itself.
    pub(super) fn is_endless_alias(&self, items: &[Item], index: usize) -> bool {
        let is_alias = |at: usize| matches!(items[at].kind, Kind::Alias(_));
        is_alias(index) && reach(&self.named, &self.named[index], is_alias)[index]
    }

    /// What is named by some items, and by what they name.
    pub(super) fn needed(&self, by: &[usize]) -> Vec<bool> {
        reach(&self.named, by, |_| true)
    }
}

/// What can be reached from `from`, which counts as reached; only what `through` holds for leads on.
fn reach(edges: &[Vec<usize>], from: &[usize], through: impl Fn(usize) -> bool) -> Vec<bool> {
    let mut reached = vec![false; edges.len()];
    let mut open = from.to_vec();
    while let Some(next) = open.pop() {
        if !reached[next] && through(next) {
            reached[next] = true;
            open.extend(&edges[next]);
        }
    }
    reached
}

fn shapes(kind: &Kind) -> Vec<&Shape> {
    fn of_struct(item: &Struct) -> impl Iterator<Item = &Shape> {
        item.fields.iter().map(|field| &field.shape)
    }
    match kind {
        // What else is in a struct is in a map.
        Kind::Struct(item) => of_struct(item).chain(&item.rest).collect(),
        Kind::Texts(_) => Vec::new(),
        Kind::External(variants) | Kind::Internal { variants, .. } | Kind::Untagged(variants) => {
            variants
                .iter()
                .flat_map(|variant| match &variant.body {
                    Body::Unit => Vec::new(),
                    Body::One(shape) => vec![shape],
                    Body::Fields(item) => of_struct(item).collect(),
                })
                .collect()
        }
        Kind::Alias(shape) => vec![shape],
    }
}

/// Calls `see` with each item in a shape, and whether the shape holds it without a pointer.
pub(super) fn visit(shape: &Shape, direct: bool, see: &mut impl FnMut(usize, bool)) {
    match shape {
        Shape::Item(index) => see(*index, direct),
        Shape::Option(inner) | Shape::Array(inner, _) => visit(inner, direct, see),
        Shape::Tuple(all) => all.iter().for_each(|inner| visit(inner, direct, see)),
        Shape::List(inner) | Shape::Map(inner) => visit(inner, false, see),
        Shape::Payload | Shape::Unit | Shape::Bool | Shape::Text | Shape::Number(_) => {}
    }
}
