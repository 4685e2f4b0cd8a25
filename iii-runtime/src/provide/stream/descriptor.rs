//! A stream store as data: its name, and the functions that the engine looks for.

use std::any::TypeId;
use std::fmt;
use std::sync::OnceLock;

use super::{StreamStore, serve};
use crate::declare::FunctionDescriptor;
#[cfg(feature = "testing")]
use crate::extract::Resources;
use crate::function::Location;
use iii_wire::keyed_lock::KeyedLock;

/// Serialises the writes to one item of one stream.
pub(crate) type ItemLocks = KeyedLock<(&'static str, String, String)>;

/// A declared stream store.
pub struct StreamStoreDescriptor {
    /// The name of the stream.
    pub name: &'static str,
    /// What it keeps: the doc comment.
    pub description: &'static str,
    /// The module it is declared in; its first segment is the crate.
    pub module: &'static str,
    /// Where it is declared.
    pub location: Location,
    make: fn(&Self) -> Vec<FunctionDescriptor>,
    functions: OnceLock<Vec<FunctionDescriptor>>,
    type_id: fn() -> TypeId,
}

impl StreamStoreDescriptor {
    /// The descriptor of a store that is declared at `location`.
    pub const fn new<T: StreamStore>(module: &'static str, location: Location) -> Self {
        Self {
            name: T::NAME,
            description: T::DESCRIPTION,
            module,
            location,
            make: serve::functions::<T>,
            functions: OnceLock::new(),
            type_id: TypeId::of::<T>,
        }
    }

    /// Whether it is the store `T`.
    pub(crate) fn is<T: StreamStore>(&self) -> bool {
        (self.type_id)() == TypeId::of::<T>()
    }

    /// Whether the app provides the store itself.
    #[cfg(feature = "testing")]
    pub(crate) fn is_provided(&self, provided: &Resources) -> bool {
        provided.contains((self.type_id)())
    }

    /// The functions that it is served by: `stream::get(name)` and so on.
    pub fn functions(&'static self) -> &'static [FunctionDescriptor] {
        self.functions.get_or_init(|| (self.make)(self))
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

/// What the macros put into the inventory.
#[derive(Debug, Clone, Copy)]
pub struct StreamStoreDeclaration(pub &'static StreamStoreDescriptor);

inventory::collect!(StreamStoreDeclaration);

/// The stores that the macros have declared in all crates that are linked in, sorted by name.
pub(crate) fn declared_stream_stores() -> Vec<&'static StreamStoreDescriptor> {
    let mut stores: Vec<_> =
        inventory::iter::<StreamStoreDeclaration>().map(|declaration| declaration.0).collect();
    stores.sort_by_key(|one| (one.name, one.location.file, one.location.line));
    stores
}
