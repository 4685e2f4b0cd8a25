"""The official Python SDK against the embedded engine: `worker.py scenario` or `worker.py serve`."""

import asyncio
import json
import os
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request

from iii import InitOptions, InvocationError, register_worker
from iii.triggers import TriggerHandler

URL = os.environ["III_URL"]
HTTP = os.environ["INTEROP_HTTP"]
DEADLINE = 20


def connect(name, namespace=None):
    options = InitOptions(worker_name=name, namespace=namespace, otel={"enabled": False})
    return register_worker(URL, options)


def call(worker, function_id, payload, **more):
    return worker.trigger({"function_id": function_id, "payload": payload, **more})


def ok(name):
    print(f"ok python {name}", flush=True)


def same(found, wanted, what=""):
    assert found == wanted, f"{what}: {found!r} is not {wanted!r}"


def until(what, condition):
    """Waits for a condition; a function that is not there yet counts as no."""
    end = time.monotonic() + DEADLINE
    while True:
        try:
            found = condition()
            if found:
                return found
        except InvocationError as error:
            if error.code != "function_not_found":
                raise
        assert time.monotonic() < end, f"waited for {what}"
        time.sleep(0.02)


def refused(code, what):
    try:
        found = what()
    except InvocationError as error:
        same(error.code, code)
        return error
    raise AssertionError(f"expected {code}, got {found!r}")


def get(path):
    with urllib.request.urlopen(f"{HTTP}{path}", timeout=DEADLINE) as answer:
        return answer.status, json.loads(answer.read())


class Heard(list):
    """What handlers got, in order."""

    def first(self, what, condition=lambda item: True):
        return until(what, lambda: next((item for item in self if condition(item)), None))


class Bell(TriggerHandler):
    """A trigger type of our own: it keeps its bindings and rings when it is told to."""

    def __init__(self):
        self.bindings = {}

    async def register_trigger(self, config):
        if config.config.get("tune") is None:
            raise ValueError("a bell needs a tune")
        self.bindings[config.id] = config

    async def unregister_trigger(self, config):
        self.bindings.pop(config.id, None)


def scenario():
    one, two = connect("python-one"), connect("python-two")
    heard, ticks, changes = Heard(), Heard(), Heard()

    def plain(data):
        return {"sum": data["a"] + data["b"]}

    async def later(data):
        await asyncio.sleep(0.01)
        answer = await one.trigger_async({"function_id": "py::twice", "payload": {"n": data["n"]}})
        return {"later": answer["n"]}

    def fails(data):
        raise ValueError("no such thing")

    def item(request):
        body = {"id": request["path_params"]["id"], "q": request["query_params"].get("q")}
        return {"status_code": 201, "headers": {"x-from": "python"}, "body": body}

    one.register_function("py::plain", plain, description="Adds.")
    one.register_function("py::later", later)
    one.register_function("py::fails", fails)
    one.register_function("py::item", item)
    one.register_function("py::heard", lambda data: heard.append(data))
    one.register_function("py::tick", lambda data: ticks.append(data))
    one.register_function("py::changed", lambda data: changes.append(data))
    two.register_function("py::twice", lambda data: {"n": 2 * data["n"]})

    same(until("the function", lambda: call(two, "py::plain", {"a": 1, "b": 2})), {"sum": 3})
    ok("a plain function")
    until("the other function", lambda: call(one, "py::twice", {"n": 0}))
    same(call(two, "py::later", {"n": 21}), {"later": 42})
    ok("an async function that calls back")

    order = call(two, "orders::create", {"sku": "tea", "quantity": 2})
    same((order["sku"], order["quantity"]), ("tea", 2))
    same(call(two, "orders::get", {"id": order["id"]}), order)
    refused("orders/not-found", lambda: call(two, "orders::get", {"id": 999999}))
    refused("invalid_payload", lambda: call(two, "orders::create", {"sku": "tea"}))
    refused("function_not_found", lambda: call(two, "py::nothing", {}))
    ok("functions of the quickstart and their error codes")

    error = refused("invocation_failed", lambda: call(two, "py::fails", {}))
    assert "no such thing" in error.message, error
    ok("an error of a handler")

    one.register_trigger({"type": "http", "function_id": "py::item",
                          "config": {"api_path": "/py/items/:id", "http_method": "GET"}})

    def served():
        try:
            return get("/py/items/7?q=x")
        except urllib.error.HTTPError as error:
            assert error.code == 404, error
            return None

    same(until("the route", served), (201, {"id": "7", "q": "x"}))
    ok("an http trigger with a path parameter")

    one.register_trigger({"type": "subscribe", "function_id": "py::heard", "config": {"topic": "py.news"}})

    def published():
        call(two, "publish", {"topic": "py.news", "data": {"n": 1}})
        return heard[:]

    same(until("the message", published)[0], {"n": 1})
    ok("subscribe and publish")

    one.register_trigger({"type": "state", "function_id": "py::changed", "config": {"scope": "py"}})

    def changed():
        call(two, "state::set", {"scope": "py", "key": "probe", "value": time.monotonic()})
        return changes[:]

    until("the binding", changed)
    place = {"scope": "py", "key": "k"}
    same(call(two, "state::get", place), None)
    same(call(two, "state::set", {**place, "value": {"n": 1}}), {"old_value": None, "new_value": {"n": 1}})
    ops = [{"type": "increment", "path": "n", "by": 4}, {"type": "set", "path": "s", "value": "x"}]
    same(call(two, "state::update", {**place, "ops": ops})["new_value"], {"n": 5, "s": "x"})
    same(call(two, "state::get", place), {"n": 5, "s": "x"})
    same(call(two, "state::delete", place), {"n": 5, "s": "x"})
    for kind in ("created", "updated", "deleted"):
        event = changes.first(kind, lambda e: e["key"] == "k" and e["event_type"] == f"state:{kind}")
        same(event["scope"], "py")
    ok("state and its trigger")

    tick = one.register_trigger({"type": "cron", "function_id": "py::tick",
                                 "config": {"expression": "* * * * * *"}, "metadata": {"k": 1}})
    same(ticks.first("a tick")["trigger"], "cron")
    tick.unregister()
    ok("cron")

    bell = Bell()
    two.register_trigger({"type": "py-bell", "function_id": "py::heard", "config": {"tune": "ding"}})
    one.register_trigger_type({"id": "py-bell", "description": "Rings."}, bell)
    bound = until("the binding", lambda: list(bell.bindings.values()))[0]
    same((bound.function_id, bound.config), ("py::heard", {"tune": "ding"}))
    call(one, bound.function_id, {"rang": 1}, dispatch="remote")
    heard.first("the ring", lambda item: item.get("rang") == 1)
    second = two.register_trigger({"type": "py-bell", "function_id": "py::heard", "config": {"tune": "dong"}})
    until("a second binding", lambda: len(bell.bindings) == 2)
    second.unregister()
    until("its end", lambda: len(bell.bindings) == 1)
    ok("a trigger type of its own")

    apart = connect("python-apart", namespace="apart")
    apart.register_function("py::where", lambda data: "apart")
    there = {"namespace": "apart"}
    same(until("the namespace", lambda: call(two, "py::where", {}, **there)), "apart")
    refused("function_not_found", lambda: call(two, "py::where", {}))
    same(call(apart, "py::plain", {"a": 2, "b": 3}, namespace="default"), {"sum": 5})
    ok("a namespace")

    for worker in (apart, two, one):
        worker.shutdown()
    ok("a proper end")


def serve():
    worker = connect("python-server")

    async def relay(data):
        rest = data["route"]
        if not rest:
            order = await worker.trigger_async({"function_id": "orders::create",
                                                "payload": {"sku": "python", "quantity": 1}})
            return {"by": ["python"], "order": order}
        answer = await worker.trigger_async({"function_id": rest[0], "payload": {"route": rest[1:]}})
        return {"by": ["python", *answer["by"]], "order": answer["order"]}

    worker.register_function("relay::python", relay)
    worker.register_function("alive::python", lambda request: {"status_code": 200, "body": "python"})
    worker.register_trigger({"type": "http", "function_id": "alive::python",
                             "config": {"api_path": "/alive/python"}})
    print("serving python", flush=True)
    threading.Event().wait()


def mixed():
    """Calls the three servers in all orders, each through the next."""
    worker = connect("mixed-driver")
    names = ["python", "node", "rust"]
    routes = [[a, b, c] for a in names for b in names for c in names if len({a, b, c}) == 3]
    for route in routes:
        ids = [f"relay::{name}" for name in route]
        answer = until("the servers", lambda: call(worker, ids[0], {"route": ids[1:]}))
        same(answer["by"], route)
        same(call(worker, "orders::get", {"id": answer["order"]["id"]}), answer["order"])
        same(answer["order"]["sku"], route[-1])
    worker.shutdown()
    print("ok mixed python, node, rust and the quickstart call each other", flush=True)


if __name__ == "__main__":
    status = 0
    try:
        {"scenario": scenario, "serve": serve, "mixed": mixed}[sys.argv[1]]()
    except BaseException:
        traceback.print_exc()
        status = 1
    # The threads of the SDK must not keep the process.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
