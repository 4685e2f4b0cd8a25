//! `iii catalogue`: it writes what the engine tells, and tells when a file is old.

use std::path::Path;

use super::*;

/// A worker that has functions, for as long as it is kept.
struct Worker(
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>,
);

impl Worker {
    /// Connects, and waits until the engine has the functions.
    async fn start(url: &str, namespace: &str, functions: &[Value]) -> Self {
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        let named = json!({"type": "invokefunction", "function_id": "engine::workers::register",
            "invocation_id": uuid::Uuid::new_v4(), "namespace": "default",
            "data": {"name": format!("w-{namespace}"), "namespace": namespace, "pid": 1}});
        let last = uuid::Uuid::new_v4();
        let asked = json!({"type": "invokefunction", "function_id": "engine::functions::list",
            "invocation_id": last, "data": {}});
        let registered = functions.iter().map(|function| {
            let mut function = function.clone();
            function["type"] = json!("registerfunction");
            function
        });
        for message in std::iter::once(named).chain(registered).chain([asked]) {
            socket.send(Message::text(message.to_string())).await.unwrap();
        }
        loop {
            let Message::Text(text) = socket.next().await.unwrap().unwrap() else { continue };
            let answer: Value = serde_json::from_str(&text).unwrap();
            if answer["invocation_id"] == json!(last) {
                return Self(socket);
            }
        }
    }

    async fn stop(mut self) {
        self.0.close(None).await.unwrap();
        while let Some(Ok(_)) = self.0.next().await {}
    }
}

async fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let run = move || ended(&args.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn ids(text: &str) -> Vec<String> {
    let file: Value = serde_json::from_str(text).unwrap();
    assert_eq!(file["version"], 1);
    let functions = file["functions"].as_array().unwrap().iter();
    functions.map(|function| function["function_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_file_is_written_and_checked() {
    let engine = Running::start(
        &["engine", "--worker-port", "0", "--http-port", "0", "--stream-port", "0"],
        &[],
    );
    let url = engine.fact("workers").to_owned();
    let (status, _, told) = run(&["catalogue", "--url", &url]).await;
    assert_eq!(status, Some(1));
    assert!(told.contains("has no such functions"), "{told}");
    let schema =
        json!({"type": "object", "properties": {"b": true, "a": true}, "required": ["b", "a"]});
    let functions = [
        json!({"id": "orders::list", "description": "Lists."}),
        json!({"id": "orders::create", "request_format": schema, "metadata": {"team": "x"}}),
        json!({"id": "carts::add"}),
        json!({"id": "orders2::x", "metadata": {"internal": true}}),
    ];
    let worker = Worker::start(&url, "default", &functions).await;
    let _shop = Worker::start(&url, "shop", &[json!({"id": "orders::create"})]).await;

    let (status, all, told) = run(&["catalogue", "--url", &url]).await;
    assert_eq!(status, Some(0), "{told}");
    assert_eq!(ids(&all), ["carts::add", "orders::create", "orders::create", "orders::list"]);
    let (_, shop, _) = run(&["catalogue", "--url", &url, "--namespace", "shop"]).await;
    assert_eq!(ids(&shop), ["orders::create"]);
    let (_, builtin, _) = run(&["catalogue", "--url", &url, "--include-builtin"]).await;
    let builtin = ids(&builtin);
    for id in ["orders2::x", "engine::functions::list", "state::set"] {
        assert!(builtin.contains(&id.to_owned()), "{id}: {builtin:?}");
    }

    let directory = directory();
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("orders.json");
    let file = path.to_str().unwrap();
    let write =
        ["catalogue", "--url", &url, "--namespace", "default", "--prefix", "orders", "-o", file];
    let (status, out, _) = run(&write).await;
    assert_eq!((status, out), (Some(0), format!("{file}: 2 functions\n")));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.ends_with("}\n"), "{text}");
    let written: Value = serde_json::from_str(&text).unwrap();
    let create = &written["functions"][0];
    assert_eq!(create["namespace"], "default");
    assert_eq!(create["request_schema"]["required"], json!(["a", "b"]));
    assert_eq!(create["metadata"], json!({"team": "x"}));
    assert_eq!(written["functions"][1]["description"], "Lists.");
    assert!(run(&write).await.1.contains("right already"));

    // Which functions it has, the file says itself.
    let check = ["catalogue", "--url", &url, "--check", file];
    let (status, out, told) = run(&check).await;
    assert_eq!(status, Some(0), "{told}");
    assert!(out.contains("is as the engine") && out.contains("2 functions"), "{out}");
    worker.stop().await;
    let functions = [json!({"id": "orders::create"}), json!({"id": "orders::cancel"})];
    let _worker = Worker::start(&url, "default", &functions).await;
    let (status, out, told) = run(&check).await;
    assert_eq!((status, out.as_str()), (Some(1), ""));
    for part in [
        "`orders::cancel` was added",
        "`orders::create` changed: request_schema, metadata",
        "`orders::list` was removed",
        "iii catalogue --output",
    ] {
        assert!(told.contains(part), "`{part}` is missing in: {told}");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "a check writes nothing");
    let environment = program(&["catalogue", "--prefix", "carts"]).env("III_URL", &url).output();
    let environment = tokio::task::spawn_blocking(|| environment).await.unwrap().unwrap();
    assert_eq!(environment.status.code(), Some(1), "the worker that had it is gone");
    std::fs::remove_dir_all(directory).unwrap();
    engine.stop("-TERM");
}

#[test]
fn its_mistakes_are_told() {
    let none = "/no/such.json";
    assert!(!Path::new(none).exists());
    for (args, part) in [
        (&["catalogue", "--check", none][..], none),
        (&["catalogue", "--check", "a", "--output", "b"], "leave out one"),
        (&["catalogue", "--header", "x"], "name: value"),
        (&["catalogue", "--nonsense"], "`iii catalogue --help` lists"),
        (&["catalogue", "--url", "no url"], "no url"),
    ] {
        let (status, out, told) = ended(args);
        assert_eq!((status, out.as_str()), (Some(1), ""), "{told}");
        assert!(told.starts_with("error: ") && told.contains(part), "{told}");
    }
    let (status, help, _) = ended(&["catalogue", "--help"]);
    assert_eq!(status, Some(0));
    for option in [
        "--url",
        "--header",
        "--namespace",
        "--prefix",
        "--include-builtin",
        "--output",
        "--check",
        "III_URL",
    ] {
        assert!(help.contains(option), "{option}: {help}");
    }
    assert!(ended(&["--help"]).1.contains("iii catalogue"));
}
