use iii::Config;

#[derive(iii::Config)]
struct Tuple(u32);

#[derive(iii::Config)]
struct Unit;

#[derive(iii::Config)]
enum Either {
    A,
    B,
}

#[derive(iii::Config)]
union Both {
    a: u8,
}

#[derive(iii::Config)]
struct Generic<T> {
    value: T,
}

// Functions that take them say nothing more.
#[iii::function(id = "ui::shapes")]
async fn takes(_tuple: Config<Tuple>, _unit: Config<Unit>, _either: Config<Either>) {}

fn main() {}
