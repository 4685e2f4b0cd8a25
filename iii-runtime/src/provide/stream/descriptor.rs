//! The static descriptor of a stream store, and the functions that serve it.

use std::any::TypeId;
use std::fmt;
use std::sync::OnceLock;

use super::{StreamStore, serve};
use crate::declare::FunctionDescriptor;
#[cfg(feature = "testing")]
use crate::extract::Resources;
use crate::function::Location;
use iii_wire::keyed_lock::KeyedLock;

/// Serialises writes to an item, by stream, group and item.
pub(crate) type ItemLocks = KeyedLock<(&'static str, String, String)>;

/// The declaration of a stream store.
pub struct StreamStoreDescriptor {
    /// The name of the stream.
    pub name: &'static str,
    /// The description: the doc comment.
    pub description: &'static str,
    /// The module of the declaration; its first segment is the crate.
    pub module: &'static str,
    /// The location of the declaration.
    pub location: Location,
    build_functions: fn(&Self) -> Vec<FunctionDescriptor>,
    functions: OnceLock<Vec<FunctionDescriptor>>,
    type_id: fn() -> TypeId,
}

impl StreamStoreDescriptor {
    /// The descriptor of the store `T`, declared at `location`.
    pub const fn new<T: StreamStore>(module: &'static str, location: Location) -> Self {
        Self {
            name: T::NAME,
            description: T::DESCRIPTION,
            module,
            location,
            build_functions: serve::functions::<T>,
            functions: OnceLock::new(),
            type_id: TypeId::of::<T>,
        }
    }

    /// Whether it declares the store `T`.
    pub(crate) fn is<T: StreamStore>(&self) -> bool {
        (self.type_id)() == TypeId::of::<T>()
    }

    /// Whether the app provides the store.
    #[cfg(feature = "testing")]
    pub(crate) fn is_provided(&self, provided: &Resources) -> bool {
        provided.contains((self.type_id)())
    }

    /// The functions that serve the stream: `stream::get(name)` and so on.
    pub fn functions(&'static self) -> &'static [FunctionDescriptor] {
        self.functions.get_or_init(|| (self.build_functions)(self))
    }
}

impl fmt::Debug for StreamStoreDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamStoreDescriptor")
            .field("name", &self.name)
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

/// A declaration in the inventory, which collects those of all linked crates.
#[derive(Debug, Clone, Copy)]
pub struct StreamStoreDeclaration(pub &'static StreamStoreDescriptor);

inventory::collect!(StreamStoreDeclaration);

/// The stores that the macros declared in all linked crates, sorted by name.
pub(crate) fn declared_stream_stores() -> Vec<&'static StreamStoreDescriptor> {
    let mut stores: Vec<_> =
        inventory::iter::<StreamStoreDeclaration>().map(|declaration| declaration.0).collect();
    stores.sort_by_key(|store| (store.name, store.location.file, store.location.line));
    stores
}
