//! The types that schemas become: shapes, named items, and the graph that decides which fields need a `Box`.

/// A type where it is used.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    /// Any JSON: the schema is missing or not supported.
    Payload,
    Unit,
    Bool,
    String,
    /// An integer or a float, by the name of its type.
    Number(&'static str),
    Option(Box<Shape>),
    List(Box<Shape>),
    Array(Box<Shape>, usize),
    Tuple(Vec<Shape>),
    /// A map with string keys.
    Map(Box<Shape>),
    /// An item of the module, by its index.
    Item(usize),
}

impl Shape {
    /// Returns the type of a value that may be `null`.
    pub(super) fn optional(self) -> Self {
        match self {
            // These represent `null` themselves.
            Self::Payload | Self::Option(_) | Self::Unit => self,
            other => Self::Option(Box::new(other)),
        }
    }
}

/// A type with a name.
#[derive(Debug)]
pub(super) struct TypeItem {
    pub(super) name: String,
    pub(super) docs: String,
    pub(super) kind: ItemKind,
}

#[derive(Debug)]
pub(super) enum ItemKind {
    Struct(StructItem),
    /// An enum of strings.
    StringEnum(Vec<StringVariant>),
    /// `"Unit"` or `{"Variant": …}`
    ExternallyTagged(Vec<EnumVariant>),
    /// `{"<tag>": "Variant", …}`
    InternallyTagged {
        tag: String,
        variants: Vec<EnumVariant>,
    },
    /// The content decides the variant.
    Untagged(Vec<EnumVariant>),
    /// Another name of a type.
    Alias(Shape),
}

#[derive(Debug, Default)]
pub(super) struct StructItem {
    pub(super) fields: Vec<StructField>,
    /// The type of additional properties, if there may be any.
    pub(super) additional: Option<Shape>,
}

#[derive(Debug)]
pub(super) struct StructField {
    /// The name on the wire.
    pub(super) wire: String,
    pub(super) docs: String,
    pub(super) shape: Shape,
    pub(super) required: bool,
}

#[derive(Debug)]
pub(super) struct StringVariant {
    pub(super) wire: String,
    pub(super) docs: String,
}

/// A variant. Its name is that on the wire, if it occurs there.
#[derive(Debug)]
pub(super) struct EnumVariant {
    pub(super) name: String,
    pub(super) docs: String,
    pub(super) body: VariantBody,
}

#[derive(Debug)]
pub(super) enum VariantBody {
    Unit,
    Newtype(Shape),
    Struct(StructItem),
}

/// The references between the items of a module, by index.
#[derive(Debug)]
pub(super) struct TypeGraph {
    /// The items that an item contains without a pointer.
    contained: Vec<Vec<usize>>,
    /// The items that an item refers to in any way.
    referenced: Vec<Vec<usize>>,
}

impl TypeGraph {
    pub(super) fn new(items: &[TypeItem]) -> Self {
        let (mut contained, mut referenced) = (Vec::new(), Vec::new());
        for item in items {
            let (mut item_contains, mut item_references) = (Vec::new(), Vec::new());
            for shape in shapes(&item.kind) {
                visit_items(shape, true, &mut |index, is_contained| {
                    item_references.push(index);
                    if is_contained {
                        item_contains.push(index);
                    }
                });
            }
            contained.push(item_contains);
            referenced.push(item_references);
        }
        Self { contained, referenced }
    }

    /// Returns whether `item` inside `container` would have an infinite size without a `Box`.
    pub(super) fn needs_box(&self, item: usize, container: usize) -> bool {
        reachable(&self.contained, &[item], |_| true)[container]
    }

    /// Returns whether an alias refers to itself through other aliases.
    pub(super) fn is_recursive_alias(&self, items: &[TypeItem], index: usize) -> bool {
        let is_alias = |at: usize| matches!(items[at].kind, ItemKind::Alias(_));
        is_alias(index) && reachable(&self.referenced, &self.referenced[index], is_alias)[index]
    }

    /// Returns for each item whether `roots` refer to it, directly or through other items.
    pub(super) fn referenced_by(&self, roots: &[usize]) -> Vec<bool> {
        reachable(&self.referenced, roots, |_| true)
    }
}

/// Returns the nodes that are reachable from `roots`, including them, on paths of nodes that match `predicate`.
fn reachable(
    edges: &[Vec<usize>],
    roots: &[usize],
    predicate: impl Fn(usize) -> bool,
) -> Vec<bool> {
    let mut reached = vec![false; edges.len()];
    let mut open = roots.to_vec();
    while let Some(next) = open.pop() {
        if !reached[next] && predicate(next) {
            reached[next] = true;
            open.extend(&edges[next]);
        }
    }
    reached
}

/// Returns the shapes in an item.
fn shapes(kind: &ItemKind) -> Vec<&Shape> {
    fn field_shapes(item: &StructItem) -> impl Iterator<Item = &Shape> {
        item.fields.iter().map(|field| &field.shape)
    }
    match kind {
        // Additional properties are counted like a field, although they are in a map.
        ItemKind::Struct(item) => field_shapes(item).chain(&item.additional).collect(),
        ItemKind::StringEnum(_) => Vec::new(),
        ItemKind::ExternallyTagged(variants)
        | ItemKind::InternallyTagged { variants, .. }
        | ItemKind::Untagged(variants) => variants
            .iter()
            .flat_map(|variant| match &variant.body {
                VariantBody::Unit => Vec::new(),
                VariantBody::Newtype(shape) => vec![shape],
                VariantBody::Struct(item) => field_shapes(item).collect(),
            })
            .collect(),
        ItemKind::Alias(shape) => vec![shape],
    }
}

/// Calls `visit` with each item in a shape, and whether the shape contains it without a pointer.
fn visit_items(shape: &Shape, is_contained: bool, visit: &mut impl FnMut(usize, bool)) {
    match shape {
        Shape::Item(index) => visit(*index, is_contained),
        Shape::Option(inner) | Shape::Array(inner, _) => visit_items(inner, is_contained, visit),
        Shape::Tuple(parts) => {
            parts.iter().for_each(|part| visit_items(part, is_contained, visit));
        }
        Shape::List(inner) | Shape::Map(inner) => visit_items(inner, false, visit),
        Shape::Payload | Shape::Unit | Shape::Bool | Shape::String | Shape::Number(_) => {}
    }
}
