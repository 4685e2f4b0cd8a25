//! All that a configuration may be.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use iii::prelude::*;

const MOST: u32 = 7;

/// Another type with a name of the prelude's.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
struct NoSchema(u8);

#[derive(Debug, Clone, PartialEq, iii::Config, Serialize, Deserialize, JsonSchema)]
struct Mail {
    #[config(default = "localhost")]
    host: String,
    #[config(default = 25)]
    port: u16,
}

/// How orders are taken.
#[derive(Debug, Clone, PartialEq, Config)]
#[config(id = "ui-orders", name = "Orders")]
#[config(prefix = "UI", crate = ::iii)]
pub struct Settings {
    #[config(default = 100, min = 1, max = 1_000)]
    most_items: u32,
    #[config(default = MOST)]
    most_orders: u32,
    #[config(default = -1, min = -5)]
    offset: i64,
    #[config(default = 0.5, min = 0, max = 1.0)]
    ratio: f64,
    #[config(env = "UI_DB_URL", secret, default = "db://x")]
    db_url: String,
    #[config(default = "1m 30s", min = "1s", max = "1h")]
    timeout: Duration,
    #[config(min = 1)]
    perhaps: Option<u8>,
    #[config(default = "1s")]
    perhaps_soon: Option<Duration>,
    #[config(nested)]
    mail: Mail,
    #[config(nested, env = "UI_SECOND")]
    second: Option<Mail>,
    #[config(default, env = false)]
    map: BTreeMap<String, PathBuf>,
    #[config(default = vec!["a".to_owned()])]
    tags: Vec<String>,
    #[config(default = "127.0.0.1:80")]
    listen: SocketAddr,
    #[config(default = NoSchema(3))]
    no_schema: NoSchema,
    #[config(rename = "type", default = true)]
    r#type: bool,
}

#[derive(Debug, iii::Config)]
struct Empty {}

#[iii::function(id = "ui::settings")]
async fn settings(settings: Config<Settings>, _empty: iii::Config<Empty>) -> u32 {
    settings.most_items
}

fn main() {
    let settings = Settings::load().unwrap();
    assert_eq!((settings.most_items, settings.most_orders, settings.offset), (100, 7, -1));
    assert_eq!(settings.timeout, Duration::from_secs(90));
    assert_eq!(settings.mail, Mail { host: "localhost".into(), port: 25 });
    assert_eq!((settings.second, settings.perhaps), (None, None));
    assert_eq!(settings.no_schema, NoSchema(3));
    assert!(settings.r#type);
    let error = iii::App::new().config_file("/no/such.json").load::<Settings>().unwrap_err();
    assert_eq!(error.code(), iii::code::INVALID_CONFIGURATION);
}
