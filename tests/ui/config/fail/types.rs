struct Plain;

#[derive(iii::Config)]
struct Types {
    plain: Plain,
    #[config(nested)]
    nested: Plain,
    unknown: Unknown,
}

#[derive(iii::Config)]
struct Inner {
    a: u8,
}

#[derive(iii::Config)]
struct Forgotten {
    inner: Inner,
}

struct NotDerived;

#[iii::function(id = "ui::types")]
async fn takes(_settings: iii::Config<NotDerived>) {}

fn main() {}
