#[iii::http_function(id = "ext::a")]
fn no_url();

#[iii::http_function(id = "ext::b", url = "pay.test/charge")]
fn no_scheme();

#[iii::http_function(id = "ext::c", url = "ftp://pay.test/charge")]
fn other_scheme();

#[iii::http_function(id = "ext::d", url = "https://me:pass@pay.test/charge")]
fn password();

#[iii::http_function(id = "ext::e", url = "https://pay.test", method = "post")]
fn method();

#[iii::http_function(id = "ext::f", url = "https://pay.test", timeout = "2m")]
fn timeout();

#[iii::http_function(id = "ext::g", url = "https://pay.test", headers("host" = "x", "a b" = "y"))]
fn headers();

#[iii::http_function(id = "ext::h", url = "https://pay.test", headers = [("a", "b")])]
fn list();

#[iii::http_function(id = "ext::i", url = "https://pay.test", auth = bearer("sk-live-123"))]
fn secret();

#[iii::http_function(id = "ext::j", url = "https://pay.test", auth = basic("USER"))]
fn auth();

#[iii::http_function(id = "ext::k", url = "https://pay.test")]
fn two(a: u8, b: u8);

#[iii::http_function(id = "ext::l", url = "https://pay.test")]
async fn body() {}

#[iii::http_function(id = "ext::m", url = "https://pay.test")]
#[iii::trigger(http, path = "/m")]
async fn request();

#[iii::http_function(id = "ext::n", url = "https://pay.test")]
async fn extractor(state: iii::State<u8>);

#[iii::http_function(id = "ext::o", url = 8080)]
async fn number();

fn main() {}
