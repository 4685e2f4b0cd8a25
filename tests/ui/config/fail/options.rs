#[derive(iii::Config)]
#[config(id = "MyOrders", sektion = "orders")]
struct Names {
    #[config(defualt = 1)]
    a: u32,
    #[config(env = "A B")]
    b: String,
    #[config(secret = true)]
    c: String,
    #[config(min = "x")]
    d: u32,
    #[config(min = 5, max = 1)]
    e: u32,
    #[config]
    f: u32,
    #[config(rename = "f")]
    g: u32,
    #[config(nested, default = 1)]
    h: Inner,
}

#[derive(iii::Config)]
#[config(prefix = "orders_")]
struct Inner {
    #[config(default = 1, default = 2)]
    a: u32,
}

fn main() {}
