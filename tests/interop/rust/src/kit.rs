//! Owns what all checks are made of: two workers, calls, functions that remember what they got, bindings, waiting.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use iii_sdk::protocol::{RegisterTriggerInput, TriggerRequest, TriggerRequestWithMetadata};
use iii_sdk::runtime::{FunctionRef, WorkerMetadata};
use iii_sdk::trigger::Trigger;
use iii_sdk::{register_worker, Error, IIIClient, InitOptions, RegisterFunction};
use reqwest::header::HeaderMap;
use reqwest::Method;
use serde_json::{json, Value};

use crate::queues::Closed;
use crate::types::Bell;

const DEADLINE: Duration = Duration::from_secs(20);

/// Writes `run`, which runs the checks of a module, each under its name in checks.txt.
macro_rules! checks {
    ($($name:literal => $body:path $(, if $on:expr)?;)*) => {
        pub async fn run(kit: &mut $crate::kit::Kit) {
            $(if true $(&& $on)? {
                eprintln!("rust {}", $name);
                $body(kit).await;
                $crate::kit::ok($name);
            })*
        }
    };
}
pub(crate) use checks;

pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

/// Checks of traces need an engine that keeps them.
pub fn traces() -> bool {
    std::env::var("INTEROP_TRACES").is_ok_and(|traces| traces == "on")
}

pub fn ok(name: &str) {
    println!("ok rust {name}");
}

pub fn connect(name: &str, namespace: Option<&str>) -> IIIClient {
    let options = InitOptions {
        metadata: Some(WorkerMetadata { name: name.into(), ..Default::default() }),
        namespace: namespace.map(Into::into),
        ..Default::default()
    };
    register_worker(&variable("III_URL"), options)
}

pub async fn call(worker: &IIIClient, function: &str, payload: Value) -> Result<Value, Error> {
    worker.trigger(TriggerRequest::new(function, payload)).await
}

/// The message of an error with this code.
pub fn refused(code: &str, found: Result<Value, Error>) -> String {
    match found {
        Err(Error::Remote { code: found, message, .. }) if found == code => message,
        other => panic!("expected {code}, got {other:?}"),
    }
}

/// Waits for a condition; a function that is not there yet counts as no.
pub async fn until<T, F>(what: &str, mut condition: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<Option<T>, Error>>,
{
    let end = Instant::now() + DEADLINE;
    loop {
        match condition().await {
            Ok(Some(found)) => return found,
            Ok(None) => {}
            Err(Error::Remote { code, .. }) if ["function_not_found", "NOT_FOUND"].contains(&&*code) => {}
            Err(error) => panic!("{what}: {error}"),
        }
        assert!(Instant::now() < end, "waited for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits for something that needs no call.
pub async fn until_is(what: &str, condition: impl Fn() -> bool) {
    until(what, || {
        let is = condition();
        async move { Ok(is.then_some(())) }
    })
    .await;
}

/// An asynchronous handler, which may take the metadata as its second argument.
pub fn handler<F, Fut>(handler: F) -> RegisterFunction
where
    F: Fn(Value, Option<Value>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Value, Error>> + Send + 'static,
{
    RegisterFunction::new_async(handler)
}

/// A handler that needs nothing else.
pub fn plain(f: impl Fn(Value) -> Value + Send + Sync + 'static) -> RegisterFunction {
    RegisterFunction::new(move |data: Value| -> Result<Value, Error> { Ok(f(data)) })
}

/// What a function got, in order, and the metadata that came with each.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<(Value, Option<Value>)>>>);

impl Heard {
    pub fn add(&self, data: Value, metadata: Option<Value>) {
        self.0.lock().unwrap().push((data, metadata));
    }

    /// A function that remembers what it gets.
    pub fn function(&self) -> RegisterFunction {
        let heard = self.clone();
        RegisterFunction::new(move |data: Value, metadata: Option<Value>| -> Result<Value, Error> {
            heard.add(data, metadata);
            Ok(Value::Null)
        })
    }

    pub fn now(&self) -> Vec<Value> {
        self.0.lock().unwrap().iter().map(|(data, _)| data.clone()).collect()
    }

    pub fn metadata(&self) -> Option<Value> {
        self.0.lock().unwrap()[0].1.clone()
    }

    pub fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub async fn wait(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until(what, || async { Ok(self.now().into_iter().find(|item| wanted(item))) }).await
    }

    pub async fn all(&self, what: &str, count: usize) -> Vec<Value> {
        until_is(what, || self.len() >= count).await;
        self.now()
    }
}

/// `one` serves, `two` calls: so every call goes through the engine.
pub struct Kit {
    pub one: IIIClient,
    pub two: IIIClient,
    /// The trigger type of the checks, and what its first binding brought.
    pub bell: Bell,
    pub rung: Heard,
    pub closed: Closed,
}

impl Kit {
    pub fn connect() -> Self {
        let two = connect("rust-two", None);
        let bell = Bell::new(two.clone());
        Self { one: connect("rust-one", None), two, bell, rung: Heard::default(), closed: Closed::default() }
    }

    pub async fn close(&self) {
        self.two.shutdown_async().await;
        self.one.shutdown_async().await;
    }

    pub async fn call(&self, function: &str, payload: Value) -> Value {
        let answer = self.attempt(function, payload).await;
        answer.unwrap_or_else(|error| panic!("{function}: {error}"))
    }

    pub async fn attempt(&self, function: &str, payload: Value) -> Result<Value, Error> {
        call(&self.two, function, payload).await
    }

    pub async fn request(&self, request: impl Into<TriggerRequestWithMetadata>) -> Result<Value, Error> {
        self.two.trigger(request).await
    }

    pub async fn refused(&self, code: &str, function: &str, payload: Value) -> String {
        refused(code, self.attempt(function, payload).await)
    }

    /// Registers a function and waits until the engine knows it.
    pub async fn serve(&self, id: &str, function: RegisterFunction) -> FunctionRef {
        let function = self.one.register_function(id, function);
        self.known(id).await;
        function
    }

    pub async fn known(&self, id: &str) {
        let info = || async { self.attempt("engine::functions::info", json!({"function_id": id})).await.map(Some) };
        until(id, info).await;
    }

    /// Registers a function that remembers what it gets.
    pub async fn hear(&self, id: &str) -> Heard {
        let heard = Heard::default();
        self.serve(id, heard.function()).await;
        heard
    }

    pub async fn bindings(&self, kind: &str, function: &str) -> Vec<Value> {
        let query = json!({"trigger_type": kind, "function_id": function});
        let listed = self.call("engine::registered-triggers::list", query).await;
        listed["registered_triggers"].as_array().unwrap().clone()
    }

    /// Binds a function and waits until the engine has the binding.
    pub async fn bind(&self, kind: &str, function: &str, config: Value) -> Trigger {
        self.bind_with(RegisterTriggerInput::new(kind, function, config)).await
    }

    pub async fn bind_with(&self, input: RegisterTriggerInput) -> Trigger {
        let (kind, function) = (&input.trigger_type.clone(), &input.function_id.clone());
        let before = self.bindings(kind, function).await.len();
        let trigger = self.one.register_trigger(input).expect("the binding is sent");
        let more = || async { Ok((self.bindings(kind, function).await.len() > before).then_some(())) };
        until(&format!("the {kind} binding"), more).await;
        trigger
    }

    pub async fn unbind(&self, trigger: Trigger, kind: &str, function: &str) {
        trigger.unregister();
        self.unbound(kind, function).await;
    }

    pub async fn unbound(&self, kind: &str, function: &str) {
        let none = || async { Ok(self.bindings(kind, function).await.is_empty().then_some(())) };
        until(&format!("the end of the {kind} binding"), none).await;
    }
}

/// A request before it is sent.
pub fn http(method: &str, path: &str) -> reqwest::RequestBuilder {
    let method: Method = method.parse().unwrap();
    let url = format!("{}{path}", variable("INTEROP_HTTP"));
    reqwest::Client::builder().timeout(DEADLINE).build().unwrap().request(method, url)
}

/// The answer as status, headers and body, which is read as JSON where it is JSON.
pub async fn fetch(request: reqwest::RequestBuilder) -> (u16, HeaderMap, Value) {
    let answer = request.send().await.expect("an answer");
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let text = answer.text().await.expect("a body");
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    (status, headers, body)
}

pub async fn get(path: &str) -> (u16, Value) {
    let (status, _, body) = fetch(http("GET", path)).await;
    (status, body)
}
