//! JSON Schema documents of Rust types, generated once per process.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{LazyLock, Mutex};

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};

use crate::protocol::Payload;
use crate::sync::lock;

/// Generates the schema of a type.
pub type SchemaFn = fn(&mut SchemaGenerator) -> Schema;

/// Returns the schema of a type in the 2020-12 draft, without `$schema` and `title`.
pub fn document(schema: SchemaFn) -> Payload {
    memoized(schema as *const () as usize, || {
        let mut settings = SchemaSettings::draft2020_12();
        settings.meta_schema = None;
        let mut document = schema(&mut settings.into_generator());
        document.remove("title");
        Payload::new(&document).unwrap_or_default()
    })
}

/// Schema documents by the address of their generator function, which needs no further hashing than a multiplication.
type Documents = HashMap<usize, Payload, BuildHasherDefault<AddressHasher>>;

/// Hashes one address by multiplication.
#[derive(Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| (hash << 8) ^ u64::from(*byte));
    }

    fn write_usize(&mut self, address: usize) {
        // `HashMap` uses the upper bits, which are equal in all addresses.
        self.0 = (address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// Returns the cached document of `generator`, the address of a function that belongs to one type, or generates it with
/// `generate` and caches it.
///
/// Generating a schema is the most expensive step of a start, and a test process starts many workers.
pub fn memoized(generator: usize, generate: impl FnOnce() -> Payload) -> Payload {
    static DOCUMENTS: LazyLock<Mutex<Documents>> = LazyLock::new(Mutex::default);
    if let Some(document) = lock(&DOCUMENTS).get(&generator) {
        return document.clone();
    }
    // Not under the lock: generating a schema may request others.
    let document = generate();
    lock(&DOCUMENTS).insert(generator, document.clone());
    document
}
