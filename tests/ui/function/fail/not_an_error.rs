type Outcome<T> = Result<T, std::num::ParseIntError>;

#[iii::function(id = "orders::create")]
async fn create() -> Outcome<u8> {
    "7".parse()
}

#[iii::function(id = "orders::get")]
fn get() -> Result<u8, String> {
    Ok(7)
}

fn main() {}
