use std::time::Duration;

#[derive(iii::prelude::Deserialize)]
struct NoDefault {
    _a: u8,
}

#[derive(iii::Config)]
struct Defaults {
    #[config(default = "100")]
    number: u32,
    #[config(default = "true")]
    bool: bool,
    #[config(default = "soon")]
    time: Duration,
    #[config(default = 30)]
    seconds: Duration,
    #[config(default = 1.5)]
    whole: u32,
    #[config(default)]
    none: NoDefault,
    #[config(min = 1)]
    text: String,
    #[config(max = "1s")]
    count: u8,
    #[config(max = 1)]
    wait: Option<Duration>,
}

fn main() {}
