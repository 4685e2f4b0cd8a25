#[iii::test]
async fn a_test(_iii: iii::testing::Harness, _name: String) {}

fn main() {}
