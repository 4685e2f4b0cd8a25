#[iii::function(id = "orders::one", intercept = iii::intercept::Traced::new())]
async fn one() {}

#[iii::function(id = "orders::parentheses", intercept(iii::intercept::Traced::new()))]
async fn parentheses() {}

#[iii::function(id = "orders::nothing", intercept)]
async fn nothing() {}

#[iii::function(id = "orders::twice", intercept = [], intercept = [])]
async fn twice() {}

#[iii::function(id = "orders::misspelt", intercepts = [])]
async fn misspelt() {}

fn main() {}
