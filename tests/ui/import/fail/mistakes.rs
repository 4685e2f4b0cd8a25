//! What is wrong with an import, each at its place.

mod none {
    iii::import!("no/such/catalogue.json", timeout = "5s");
}

mod unnamed {
    iii::import!(prefix = "orders");
}

mod options {
    iii::import!("catalogue.json", prefx = "orders", only = "orders::*", timeout = "soon");
}

mod values {
    iii::import!(catalogue, only = [7], namespace = 7, prefix = orders);
}

fn main() {}
