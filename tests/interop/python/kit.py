"""Owns what all checks are made of: two workers, calls, functions that remember what they got, bindings, waiting."""

import json
import os
import threading
import time
import urllib.error
import urllib.request

from iii import InitOptions, InvocationError, register_worker

URL = os.environ["III_URL"]
HTTP = os.environ["INTEROP_HTTP"]
STREAMS = os.environ["INTEROP_STREAMS"]
# Checks of traces need an engine that keeps them.
TRACES = os.environ.get("INTEROP_TRACES") == "on"
DEADLINE = 20

# All checks of the scenario, in their order.
CHECKS = []


def check(name, on=True):
    """Adds a check, under its name in checks.txt."""
    def add(body):
        if on:
            CHECKS.append((name, body))
        return body
    return add


def ok(who, name):
    print(f"ok {who} {name}", flush=True)


def same(found, wanted, what=""):
    assert found == wanted, f"{what} {found!r} is not {wanted!r}"


def until(what, condition):
    """Waits for a condition; a function that is not there yet counts as no."""
    end = time.monotonic() + DEADLINE
    while True:
        try:
            found = condition()
            if found:
                return found
        except InvocationError as error:
            if error.code not in ("function_not_found", "NOT_FOUND"):
                raise
        assert time.monotonic() < end, f"waited for {what}"
        time.sleep(0.02)


def refused(code, what):
    """Expects an error with this code."""
    try:
        found = what()
    except InvocationError as error:
        same(error.code, code, error.message)
        return error
    raise AssertionError(f"expected {code}, got {found!r}")


def connect(name, namespace=None, **more):
    options = InitOptions(worker_name=name, namespace=namespace, otel={"enabled": TRACES}, **more)
    return register_worker(URL, options)


def call(worker, function_id, payload, **more):
    return worker.trigger({"function_id": function_id, "payload": payload, **more})


class Heard(list):
    """What a function got, in order, and the metadata that came with each."""

    def __init__(self):
        super().__init__()
        self.metadata = []

    def wait(self, what, wanted=lambda item: True):
        return until(what, lambda: next((item for item in self[:] if wanted(item)), None))

    def all(self, what, count):
        until(what, lambda: len(self) >= count)
        return self[:]


class Kit:
    """`one` serves, `two` calls: so every call goes through the engine."""

    def __init__(self):
        self.one, self.two = connect("python-one"), connect("python-two")

    def close(self):
        self.two.shutdown()
        self.one.shutdown()

    def call(self, function_id, payload, **more):
        return call(self.two, function_id, payload, **more)

    def refused(self, code, function_id, payload, **more):
        return refused(code, lambda: self.call(function_id, payload, **more))

    def serve(self, function_id, handler, **more):
        """Registers a function and waits until the engine knows it."""
        function = self.one.register_function(function_id, handler, **more)
        until(function_id, lambda: self.call("engine::functions::info", {"function_id": function_id}))
        return function

    def hear(self, function_id):
        """Registers a function that remembers what it gets."""
        heard, lock = Heard(), threading.Lock()

        def handler(data, metadata=None):
            with lock:
                heard.metadata.append(metadata)
                heard.append(data)

        self.serve(function_id, handler)
        return heard

    def bindings(self, kind, function_id):
        query = {"trigger_type": kind, "function_id": function_id}
        return self.call("engine::registered-triggers::list", query)["registered_triggers"]

    def bind(self, kind, function_id, config, **more):
        """Binds a function and waits until the engine has the binding."""
        before = len(self.bindings(kind, function_id))
        binding = self.one.register_trigger(
            {"type": kind, "function_id": function_id, "config": config, **more})
        until(f"the {kind} binding", lambda: len(self.bindings(kind, function_id)) > before)
        return binding

    def unbind(self, binding, kind, function_id):
        binding.unregister()
        until(f"the end of the {kind} binding", lambda: not self.bindings(kind, function_id))


def fetch(path, method="GET", body=None, headers=None):
    """A request; the answer as status, headers and body, which is read as JSON where it is JSON."""
    data = json.dumps(body).encode() if body is not None and not isinstance(body, bytes) else body
    headers = dict(headers or {})
    if data is not body:
        headers["content-type"] = "application/json"
    request = urllib.request.Request(HTTP + path, data=data, method=method, headers=headers)
    try:
        answer = urllib.request.urlopen(request, timeout=DEADLINE)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        body = answer.read()
        kind = answer.headers.get("content-type", "")
        body = json.loads(body) if body and kind.startswith("application/json") else body
        return answer.status, answer.headers, body
