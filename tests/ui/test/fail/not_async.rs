#[iii::test]
fn a_test(_iii: iii::testing::Harness) {}

fn main() {}
