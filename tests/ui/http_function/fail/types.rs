use iii::prelude::*;

#[derive(Deserialize, JsonSchema)]
struct NotSent;

#[derive(Serialize, JsonSchema)]
struct NotReceived;

#[derive(Serialize, Deserialize)]
struct NoSchema;

fn port() -> u16 {
    8080
}

#[iii::http_function(id = "ext::a", url = "https://pay.test")]
async fn not_sent(a: NotSent);

#[iii::http_function(id = "ext::b", url = "https://pay.test")]
async fn not_received() -> Result<NotReceived, ()>;

#[iii::http_function(id = "ext::c", url = "https://pay.test")]
async fn no_schema(a: NoSchema) -> NoSchema;

#[iii::http_function(id = "ext::d", url = port())]
async fn no_text();

#[iii::http_function(id = "ext::e", url = "https://pay.test")]
async fn extractor(client: Client);

fn main() {}
