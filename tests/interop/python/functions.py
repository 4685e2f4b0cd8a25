"""Owns the checks of functions: the kinds of call, metadata, namespaces, and what callers see of errors."""

import asyncio

from iii import InitOptions, InvocationError, RegistrationRejectedError, TriggerAction, register_worker

from .kit import URL, call, check, connect, refused, same, until


@check("functions/call")
def _(kit):
    kit.serve("py::sum", lambda data: {"sum": data["a"] + data["b"]}, description="Adds.")
    same(kit.call("py::sum", {"a": 1, "b": 2}), {"sum": 3})


@check("functions/call-back")
def _(kit):
    two = kit.two
    two.register_function("py::twice", lambda data: {"n": 2 * data["n"]})
    until("the other worker", lambda: call(kit.one, "py::twice", {"n": 0}))

    async def later(data):
        await asyncio.sleep(0.01)
        answer = await kit.one.trigger_async({"function_id": "py::twice", "payload": {"n": data["n"]}})
        return {"later": answer["n"]}

    kit.serve("py::later", later)
    same(kit.call("py::later", {"n": 21}), {"later": 42})


@check("functions/void")
def _(kit):
    heard = kit.hear("py::void")
    same(kit.call("py::void", {"n": 1}, action=TriggerAction.Void()), None)
    same(heard.wait("the call")["n"], 1)
    same(kit.call("py::nobody", {}, action=TriggerAction.Void()), None)


@check("functions/enqueue")
def _(kit):
    heard = kit.hear("py::job")
    action = TriggerAction.Enqueue(queue="jobs")
    receipts = {kit.call("py::job", {"n": n}, action=action)["messageReceiptId"] for n in range(20)}
    same(len(receipts), 20)
    jobs = heard.all("the jobs", 20)
    same(sorted(job["n"] for job in jobs), list(range(20)))
    error = kit.refused("enqueue_error", "py::job", {}, action=TriggerAction.Enqueue(queue="py-none"))
    assert "py-none" in error.message, error


@check("functions/enqueue-fifo")
def _(kit):
    done, tried = [], []

    def lane(data):
        tried.append(data)
        # The first attempt of one in the middle fails; those behind it must wait.
        if data == {"lane": "a", "n": 5} and tried.count(data) == 1:
            raise ValueError("again")
        done.append(data)

    kit.serve("py::lane", lane)
    for n in range(10):
        for name in "ab":
            kit.call("py::lane", {"lane": name, "n": n}, action=TriggerAction.Enqueue(queue="lanes"))
    until("the lanes", lambda: len(done) == 20)
    for name in "ab":
        same([job["n"] for job in done if job["lane"] == name], list(range(10)))
    same(tried.count({"lane": "a", "n": 5}), 2)


@check("functions/metadata")
def _(kit):
    kit.serve("py::aside", lambda data, metadata=None: {"aside": metadata})
    same(kit.call("py::aside", {}, metadata={"tenant": 7}), {"aside": {"tenant": 7}})
    same(kit.call("py::aside", {}), {"aside": None})


@check("functions/no-payload")
def _(kit):
    # The field is missing on the wire.
    kit.serve("py::got", lambda data: {"got": data})
    same(kit.call("py::got", None), {"got": None})
    same(kit.call("py::got", [1, "a", None]), {"got": [1, "a", None]})


@check("functions/large")
def _(kit):
    kit.serve("py::echo", lambda data: {"text": data["text"]})
    text = "ü" * 9_000_000
    same(kit.call("py::echo", {"text": text})["text"] == text, True)


@check("functions/namespace")
def _(kit):
    apart = connect("python-apart", namespace="apart")
    apart.register_function("py::where", lambda data: "apart")
    same(until("the namespace", lambda: kit.call("py::where", {}, namespace="apart")), "apart")
    kit.refused("function_not_found", "py::where", {})
    same(call(apart, "py::sum", {"a": 2, "b": 3}, namespace="default"), {"sum": 5})
    # Functions of the engine are found from every namespace.
    place = {"scope": "py-apart", "key": "k"}
    call(apart, "state::set", {**place, "value": 1})
    same(call(apart, "state::get", place), 1)
    apart.shutdown()


@check("functions/unregister")
def _(kit):
    function = kit.serve("py::brief", lambda data: 1)
    same(kit.call("py::brief", {}), 1)
    function.unregister()

    def gone():
        try:
            kit.call("py::brief", {})
        except InvocationError as error:
            same(error.code, "function_not_found")
            return True

    until("its end", gone)


@check("functions/ours")
def _(kit):
    same(kit.call("ours::add", {"a": 2, "b": 3}), {"sum": 5})
    same(kit.call("ours::aside", {"n": 1}, metadata={"tenant": "py"}), {"n": 1, "aside": {"tenant": "py"}})
    heard = kit.hear("py::from-ours")
    same(kit.call("do::ours", {"function_id": "py::from-ours", "payload": {"n": 4}}), None)
    same(heard.wait("the call")["n"], 4)


@check("errors/handler")
def _(kit):
    def fails(data):
        raise ValueError("no such thing")

    kit.serve("py::fails", fails)
    error = kit.refused("invocation_failed", "py::fails", {})
    assert "no such thing" in error.message, error
    assert "ValueError" in error.stacktrace, error.stacktrace
    same(error.function_id, "py::fails")


@check("errors/not-found")
def _(kit):
    error = kit.refused("function_not_found", "py::nothing", {})
    assert "py::nothing" in error.message, error


@check("errors/payload")
def _(kit):
    error = kit.refused("deserialization_error", "state::get", {"scope": "s"})
    assert "key" in error.message, error
    kit.refused("deserialization_error", "publish", 7)


@check("errors/ours")
def _(kit):
    error = kit.refused("ours/refused", "ours::refuse", {"why": "closed"})
    assert "closed" in error.message, error
    kit.refused("invalid_payload", "ours::add", {"a": 1})


@check("errors/timeout")
def _(kit):
    async def slow(data):
        await asyncio.sleep(0.5)

    kit.serve("py::slow", slow)
    kit.refused("TIMEOUT", "py::slow", {}, timeout_ms=50)


@check("errors/stopped")
def _(kit):
    brief = connect("python-brief")
    begun = []

    async def hang(data):
        begun.append(data)
        await asyncio.sleep(60)

    brief.register_function("py::hang", hang)
    until("the function", lambda: kit.call("engine::functions::info", {"function_id": "py::hang"}))
    answer = asyncio.run_coroutine_threadsafe(
        kit.two.trigger_async({"function_id": "py::hang", "payload": {}}), kit.two._loop)
    until("the call", lambda: begun)
    brief.shutdown()
    refused("invocation_stopped", lambda: answer.result(20))


@check("errors/id-taken")
def _(kit):
    same(kit.call("py::sum", {"a": 1, "b": 1}), {"sum": 2})
    kit.two.register_function("py::sum", lambda data: {"sum": "mine"})
    # The answer to a later call comes after the refusal.
    kit.call("engine::workers::list", {})
    same(call(kit.one, "py::sum", {"a": 1, "b": 1}, dispatch="remote"), {"sum": 2})


@check("errors/name-taken")
def _(kit):
    second = register_worker(URL, InitOptions(worker_name="python-two", otel={"enabled": False}))

    def rejected():
        try:
            call(second, "engine::workers::list", {}, timeout_ms=100)
        except RegistrationRejectedError as error:
            same((error.code, error.worker_name), ("WORKER_NAMESPACE_CONFLICT", "python-two"))
            return True
        except InvocationError as error:
            # What was under way when the refusal came.
            assert error.code in ("TIMEOUT", "WORKER_NAMESPACE_CONFLICT"), error.code
        return False

    until("the refusal", rejected)
    second.shutdown()
    same(kit.call("py::sum", {"a": 1, "b": 2}), {"sum": 3})
