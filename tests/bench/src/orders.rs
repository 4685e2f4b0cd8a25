//! The work that every side does: JSON into a type, and another type into JSON.

use iii::prelude::*;

/// What comes in.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct NewOrder {
    sku: String,
    quantity: u32,
    note: String,
}

/// What goes out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Order {
    id: u64,
    sku: String,
    quantity: u32,
    note: String,
}

impl NewOrder {
    /// An order whose JSON has about `size` bytes.
    pub(crate) fn of_size(size: usize) -> Self {
        // The names of the fields, the signs between them, and the other values have 50 bytes.
        Self { sku: "tea-0042".to_owned(), quantity: 3, note: "n".repeat(size.saturating_sub(50)) }
    }

    /// The answer to it.
    pub(crate) fn accept(self) -> Order {
        Order {
            id: u64::from(self.quantity) + 39,
            sku: self.sku,
            quantity: self.quantity,
            note: self.note,
        }
    }
}

impl Order {
    /// The order that is read by its id.
    pub(crate) fn by_id(id: u64) -> Self {
        Self { id, sku: "tea-0042".to_owned(), quantity: 3, note: "as it was ordered".to_owned() }
    }
}
