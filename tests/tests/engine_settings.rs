//! `App::engine`: the settings of the embedded engine, from the app.

use iii::code;
use iii::engine::CorsSettings;
use iii::prelude::*;
use iii_tests::request;

/// Returns what it gets.
#[iii::function(id = "settings::echo")]
#[iii::trigger(http, method = "POST", path = "/settings/echo")]
async fn echo(text: String) -> String {
    text
}

#[tokio::test]
async fn the_app_configures_its_engine() {
    let mut app = App::new();
    app.function::<echo>().host("127.0.0.1").worker_port(0).http_port(1).stream_port(0);
    app.engine(|engine| {
        engine.http_port(0).http_body_limit(16).http_cors(CorsSettings::default());
    });
    let mut running = app.start().await.unwrap();
    let http = running.addresses().http.expect("later calls win over earlier ones");
    let small = request(http, "POST", "/settings/echo", Some("\"tea\"")).await;
    let large = request(http, "POST", "/settings/echo", Some("\"more than sixteen bytes\"")).await;
    assert_eq!((small.status, large.status), (200, 413));
    running.drain().await.unwrap();
}

#[tokio::test]
async fn settings_that_contradict_each_other_are_named() {
    let mut app = App::new();
    app.function::<echo>().worker_port(0).http_port(0).stream_port(0);
    app.engine(|engine| {
        engine.streams(None);
    });
    let error = app.start().await.unwrap_err();
    assert_eq!(error.code(), code::INVALID_CONFIGURATION);
    for part in ["stream_port", "stream"] {
        assert!(error.message().contains(part), "{part}: {error}");
    }
}

#[iii::test]
async fn a_test_runs_with_the_settings_of_the_app(iii: Harness) {
    let answer = iii.http().post("/settings/echo").json("tea").send().await;
    assert_eq!(answer.status(), 200);
}
