use std::time::Duration;

struct NoDefault;

impl<'de> iii::prelude::Deserialize<'de> for NoDefault {
    fn deserialize<D>(_: D) -> Result<Self, D::Error> {
        Ok(Self)
    }
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
