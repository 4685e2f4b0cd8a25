#[iii::test]
#[tokio::test]
async fn a_test(_iii: iii::testing::Harness) {}

fn main() {}
