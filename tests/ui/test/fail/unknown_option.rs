#[iii::test(start = "2026-01-05T09:00:00Z")]
async fn a_test() {}

fn main() {}
