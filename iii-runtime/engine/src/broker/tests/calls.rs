//! Calls between workers ([protocol 4](iii_wire::protocol#s4)).

use std::sync::Arc;
use std::time::Duration;

use super::super::testing::{Worker, broker, json, until, with_provider};
use super::super::{Broker, Request};
use crate::provider::{BuiltIn, Provider};
use iii_wire::clock::Clock;
use iii_wire::code;
use iii_wire::protocol::{
    Action, ErrorBody, InvocationResult, InvokeFunction, Message, Payload, WorkerId,
};
use iii_wire::transport::OutboxLimits;

async fn two(broker: &Broker) -> (Worker, Worker) {
    let callee = Worker::named(broker, "callee").await;
    callee.function("t::f");
    let mut callee = callee;
    callee.nothing_else().await;
    (Worker::named(broker, "caller").await, callee)
}

#[tokio::test]
async fn call_is_delivered_and_its_result_returned() {
    let broker = broker();
    let (mut caller, mut callee) = two(&broker).await;
    let id = caller.start_with(InvokeFunction {
        traceparent: Some("00-a-b-01".into()),
        baggage: Some("tenant=7".into()),
        metadata: Some(json("[1]")),
        ..Worker::invocation("t::f", r#"{"b":1.50,"a":2}"#)
    });
    let call = callee.called().await;
    assert_eq!(call.invocation_id, Some(id));
    assert_eq!(call.data.as_str(), r#"{"b":1.50,"a":2}"#);
    assert_eq!(call.caller, Some(caller.id));
    assert_eq!(call.traceparent.as_deref(), Some("00-a-b-01"));
    assert_eq!(call.baggage.as_deref(), Some("iii.function.id=t::f,tenant=7"));
    assert_eq!((call.action.clone(), call.namespace.clone()), (None, None));
    assert_eq!(call.metadata, Some(json("[1]")));
    callee.answer(&call, Ok(Some(json("{\"x\" : 1}"))));
    let Message::InvocationResult(answer) = caller.next().await else { panic!() };
    assert_eq!(answer.result.unwrap().unwrap().as_str(), "{\"x\" : 1}");
    assert_eq!(answer.traceparent.as_deref(), Some("00-a-b-01"));
    assert_eq!(answer.baggage.as_deref(), Some("tenant=7"));
}

#[tokio::test]
async fn errors_are_forwarded_unchanged_and_null_is_no_result() {
    let broker = broker();
    let (mut caller, mut callee) = two(&broker).await;
    let error = ErrorBody {
        stacktrace: Some("at 1".into()),
        status: Some(409),
        details: Some(json("{}")),
        ..ErrorBody::new("a/b", "m")
    };
    let id = caller.start("t::f", "{}");
    let call = callee.called().await;
    callee.answer(&call, Err(error.clone()));
    assert_eq!(caller.answer_to(id).await, Err(error));
    let id = caller.start("t::f", "null");
    let call = callee.called().await;
    callee.answer(&call, Ok(Some(Payload::null())));
    assert_eq!(caller.answer_to(id).await, Ok(None));
}

#[tokio::test]
async fn void_call_is_not_answered() {
    let broker = broker();
    let (mut caller, mut callee) = two(&broker).await;
    caller.void("nobody::has", "{}");
    let sent = Worker::invocation("t::f", "{}");
    caller.start_with(InvokeFunction { action: Some(Action::Void), ..sent.clone() });
    let call = callee.called().await;
    assert!(call.invocation_id.is_some() && call.invocation_id != sent.invocation_id);
    assert_eq!(call.caller, Some(caller.id));
    callee.answer(&call, Ok(Some(json("1"))));
    callee.nothing_else().await;
    caller.nothing_else().await;
}

#[tokio::test]
async fn only_the_callee_can_complete_a_call() {
    let broker = broker();
    let (mut caller, mut callee) = two(&broker).await;
    let mut stranger = Worker::named(&broker, "stranger").await;
    let id = caller.start("t::f", "{}");
    let call = callee.called().await;
    stranger.answer(&call, Ok(Some(json("\"forged\""))));
    stranger.nothing_else().await;
    callee.answer(&call, Ok(Some(json("\"true\""))));
    assert_eq!(caller.answer_to(id).await, Ok(Some(json("\"true\""))));
}

#[tokio::test]
async fn caller_id_cannot_be_forged() {
    let broker = broker();
    let (caller, mut callee) = two(&broker).await;
    let forged = Some(WorkerId::random());
    caller.start_with(InvokeFunction { caller: forged, ..Worker::invocation("t::f", "{}") });
    assert_eq!(callee.called().await.caller, Some(caller.id));
}

#[tokio::test]
async fn same_invocation_id_of_two_callers_is_disambiguated() {
    let broker = broker();
    let (mut first, mut callee) = two(&broker).await;
    let mut second = Worker::named(&broker, "second").await;
    let m = Worker::invocation("t::f", "{}");
    let id = first.start_with(m.clone());
    let one = callee.called().await;
    second.start_with(m);
    let two = callee.called().await;
    assert_ne!(one.invocation_id, two.invocation_id);
    callee.answer(&two, Ok(Some(json("2"))));
    callee.answer(&one, Ok(Some(json("1"))));
    assert_eq!(second.answer_to(id).await, Ok(Some(json("2"))));
    assert_eq!(first.answer_to(id).await, Ok(Some(json("1"))));
}

#[tokio::test]
async fn calls_of_a_disconnected_callee_fail_immediately() {
    let broker = broker();
    let (mut caller, mut callee) = two(&broker).await;
    let id = caller.start("t::f", "{}");
    callee.called().await;
    drop(callee);
    assert_eq!(caller.answer_to(id).await.unwrap_err().code, "invocation_stopped");
    let error = caller.call("t::f", "{}").await.unwrap_err();
    assert_eq!(error.code, "function_not_found");
}

#[tokio::test]
async fn calls_of_a_disconnected_caller_are_dropped() {
    let broker = broker();
    let (caller, mut callee) = two(&broker).await;
    caller.start("t::f", "{}");
    let call = callee.called().await;
    let active = || broker.workers().iter().map(|worker| worker.active_invocations).sum::<usize>();
    assert_eq!(active(), 1);
    drop(caller);
    until("dropped", || active() == 0).await;
    callee.answer(&call, Ok(None));
    callee.nothing_else().await;
}

#[tokio::test]
async fn error_of_a_missing_function_names_its_namespaces() {
    let broker = broker();
    let mut here = Worker::named(&broker, "here").await;
    let mut there = Worker::in_namespace(&broker, "there", "billing").await;
    there.function("n::only");
    there.nothing_else().await;
    let error = here.call("n::only", "{}").await.unwrap_err();
    assert_eq!(error.code, "function_not_found");
    for fact in ["n::only", "default", "billing"] {
        assert!(error.message.contains(fact), "{}", error.message);
    }
    let m = Worker::invocation("n::only", "{}");
    let id = here.start_with(InvokeFunction { namespace: Some(" ".into()), ..m.clone() });
    assert_eq!(here.answer_to(id).await.unwrap_err().code, "INVALID_NAMESPACE");
    here.start_with(InvokeFunction { namespace: Some("billing".into()), ..m });
    assert_eq!(there.called().await.function_id, "n::only");
}

struct Built;

impl Provider for Built {
    fn name(&self) -> &'static str {
        "iii-test"
    }

    fn description(&self) -> &'static str {
        "For a test."
    }

    fn functions(self: Arc<Self>) -> Vec<BuiltIn> {
        vec![
            BuiltIn::sync("test::caller", "Who calls.", |_: serde_json::Value, call| {
                Ok(Some(call.caller.map(|id| id.to_string())))
            }),
            BuiltIn::typed("test::panic", "Panics.", |wait: bool, _| async move {
                if wait {
                    tokio::task::yield_now().await;
                }
                panic!("on purpose");
                #[allow(unreachable_code)]
                Ok(None::<()>)
            }),
        ]
    }
}

#[tokio::test]
async fn built_in_functions_are_visible_in_all_namespaces_and_panics_are_caught() {
    let broker = broker();
    with_provider(&broker, Built);
    let mut worker = Worker::in_namespace(&broker, "w", "shop").await;
    let m = Worker::invocation("test::caller", "{}");
    let id = worker.start_with(InvokeFunction { namespace: Some("shop".into()), ..m });
    let caller = worker.answer_to(id).await.unwrap().unwrap();
    assert_eq!(caller, json(&format!("\"{}\"", worker.id)));
    for wait in ["true", "false"] {
        let error = worker.call("test::panic", wait).await.unwrap_err();
        assert_eq!(error.code, code::PANIC);
    }
    let error = worker.call("test::panic", "{}").await.unwrap_err();
    assert_eq!(error.code, "deserialization_error");
}

#[tokio::test]
async fn enqueue_requires_a_queue_function() {
    let broker = broker();
    let mut caller = Worker::named(&broker, "caller").await;
    let m = InvokeFunction {
        action: Some(Action::Enqueue { queue: "jobs".into() }),
        metadata: Some(json("5")),
        ..Worker::invocation("orders::bill", r#"{"id":17}"#)
    };
    let id = caller.start_with(m.clone());
    let error = caller.answer_to(id).await.unwrap_err();
    assert_eq!(error.code, "enqueue_error");
    assert!(error.message.contains("engine::queue::enqueue"), "{}", error.message);

    let mut queue = Worker::named(&broker, "queue").await;
    queue.function("engine::queue::enqueue");
    queue.nothing_else().await;
    let id = caller.start_with(m.clone());
    let call = queue.called().await;
    let data: serde_json::Value = call.data.parse().unwrap();
    assert_eq!(call.caller, None);
    assert_eq!(data["queue"], "jobs");
    assert_eq!(data["function_id"], "orders::bill");
    assert_eq!(data["data"]["id"], 17);
    assert_eq!(data["metadata"], 5);
    assert!(data["traceparent"].is_null() && data.get("namespace").is_none());
    queue.answer(&call, Ok(Some(json("\"ignored\""))));
    let receipt: serde_json::Value = caller.answer_to(id).await.unwrap().unwrap().parse().unwrap();
    assert_eq!(receipt["messageReceiptId"], data["messageReceiptId"]);

    let id = caller.start_with(m);
    let call = queue.called().await;
    queue.answer(&call, Err(ErrorBody::new("full", "no capacity")));
    let error = caller.answer_to(id).await.unwrap_err();
    assert!(error.code == "enqueue_error" && error.message.contains("no capacity"));
}

#[tokio::test]
async fn engine_invocations_can_be_awaited_or_cancelled() {
    let broker = broker();
    let (_caller, mut callee) = two(&broker).await;
    let request = Request {
        namespace: "default".into(),
        function_id: "t::f".into(),
        data: json("1"),
        metadata: None,
        traceparent: None,
        baggage: None,
    };
    let answer = broker.invoke(request.clone());
    let call = callee.called().await;
    assert_eq!((call.caller, call.baggage.clone()), (None, None));
    callee.answer(&call, Ok(Some(json("2"))));
    assert_eq!(answer.await, Ok(Some(json("2"))));
    let active = || broker.workers().iter().map(|worker| worker.active_invocations).sum::<usize>();
    drop(broker.invoke(request.clone()));
    assert_eq!(active(), 0);
    let answer = broker.invoke(request);
    drop(callee);
    assert_eq!(answer.await.unwrap_err().code, "invocation_stopped");
}

#[tokio::test(start_paused = true)]
async fn call_of_a_slow_callee_is_overloaded_after_a_bounded_delay() {
    let broker = broker();
    let limits = OutboxLimits { soft: 1_000, hard: 2_000, ..OutboxLimits::default() };
    let slow = Worker::connect_with(&broker, limits).await;
    slow.void("engine::workers::register", r#"{"name":"slow"}"#);
    slow.function("t::slow");
    let mut caller = Worker::named(&broker, "caller").await;
    until("registered", || broker.functions().iter().any(|f| f.id == "t::slow")).await;
    let begin = tokio::time::Instant::now();
    let ids: Vec<_> = (0..20).map(|_| caller.start("t::slow", "{}")).collect();
    let Message::InvocationResult(answer) = caller.next().await else { panic!("an answer") };
    let error = answer.result.unwrap_err();
    assert_eq!(error.code, code::OVERLOADED);
    assert!(begin.elapsed().as_secs() <= ids.len() as u64);
}

#[tokio::test]
async fn worker_that_does_not_read_its_results_is_disconnected() {
    let broker = broker();
    with_provider(&broker, Built);
    let glutton = Worker::connect_with(
        &broker,
        OutboxLimits { soft: 500, hard: 1_000, ..OutboxLimits::default() },
    )
    .await;
    for _ in 0..50 {
        let m = Message::InvokeFunction(Box::new(Worker::invocation("test::caller", "{}")));
        let _ = glutton.connection.outbox.send(m);
        tokio::task::yield_now().await;
    }
    until("gone", || broker.workers().iter().all(|worker| worker.connection.is_none())).await;
}

#[tokio::test]
async fn pending_calls_of_a_callee_are_limited() {
    let mut limits = crate::limits::Limits::default();
    limits.workers.serving = 2;
    let broker = Broker::with_limits(Clock::system(), Duration::from_secs(5), limits);
    let (mut caller, mut callee) = two(&broker).await;
    for data in ["1", "2"] {
        // Calls of triggers count as well, although nothing awaits them.
        broker.fire(Request {
            namespace: "default".into(),
            function_id: "t::f".into(),
            data: json(data),
            metadata: None,
            traceparent: None,
            baggage: None,
        });
    }
    let error = caller.call("t::f", "3").await.unwrap_err();
    assert_eq!((error.code.as_str(), error.retryable), (code::OVERLOADED, Some(true)));
    let one = callee.called().await;
    callee.answer(&one, Ok(None));
    callee.called().await;
    callee.nothing_else().await;
    let id = caller.start("t::f", "4");
    let four = callee.called().await;
    assert_eq!(four.data.as_str(), "4");
    callee.answer(&four, Ok(Some(json("5"))));
    assert_eq!(caller.answer_to(id).await, Ok(Some(json("5"))));
}

#[tokio::test]
async fn unexpected_result_is_ignored() {
    let broker = broker();
    let mut worker = Worker::named(&broker, "w").await;
    worker.send(Message::InvocationResult(Box::new(InvocationResult {
        invocation_id: iii_wire::protocol::InvocationId::random(),
        function_id: "x".into(),
        result: Ok(None),
        traceparent: None,
        baggage: None,
    })));
    worker.nothing_else().await;
}
