#[iii::test(start_time = "nine o'clock")]
async fn a_test() {}

fn main() {}
