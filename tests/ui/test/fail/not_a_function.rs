#[iii::test]
struct ATest;

fn main() {}
