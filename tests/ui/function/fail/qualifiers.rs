#[iii::function(id = "orders::constant")]
const fn constant() {}

#[iii::function(id = "orders::unchecked")]
async unsafe fn unchecked() {}

#[iii::function(id = "orders::foreign")]
extern "C" fn foreign() {}

fn main() {}
