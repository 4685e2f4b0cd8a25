//! JSON Schema documents of Rust types, generated once a process.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{LazyLock, Mutex};

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};

use crate::protocol::Payload;
use crate::sync::lock;

/// Makes the schema of a type.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// A schema document in the 2020-12 draft, without what says nothing about the type.
pub fn document(schema: SchemaOf) -> Payload {
    memoized(schema as *const () as usize, || {
        let mut settings = SchemaSettings::draft2020_12();
        settings.meta_schema = None;
        let mut document = schema(&mut settings.into_generator());
        document.remove("title");
        Payload::new(&document).unwrap_or_default()
    })
}

/// Schema documents by the addresses of their makers, which are good hashes as they are.
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
        // The table looks at the upper bits, which are the same in all addresses.
        self.0 = (address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// A schema document, made the first time that it is asked for in this process. `maker` is the address of the code
/// that makes it, which belongs to one type.
///
/// Making it costs more than all the rest of a start, and a process with many tests starts many workers.
pub fn memoized(maker: usize, make: impl FnOnce() -> Payload) -> Payload {
    static DOCUMENTS: LazyLock<Mutex<Documents>> = LazyLock::new(Mutex::default);
    if let Some(document) = lock(&DOCUMENTS).get(&maker) {
        return document.clone();
    }
    // Not under the lock: making one may ask for others.
    let document = make();
    lock(&DOCUMENTS).insert(maker, document.clone());
    document
}
