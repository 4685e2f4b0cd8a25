#[iii::test(start_time = "2026-01-05T09:00:00Z", real_time)]
async fn a_test() {}

fn main() {}
