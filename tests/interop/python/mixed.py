"""Owns the driver of the mixed run: the three SDKs and a worker of ours call and trigger each other."""

import asyncio
import itertools
import uuid

from iii.helpers import create_channel_async

from .kit import call, connect, fetch, ok, refused, same, until

ALL = ["python", "node", "rust", "ours"]
SDKS = ALL[:3]
# The names of the runs, in their order.
RUNS = ["first", "again", "at-last"]


class Mixed:
    """One run. What it sends carries its name, so that what earlier runs left is told apart."""

    def __init__(self, name):
        self.name, self.run = name, uuid.uuid4().hex
        self.worker = connect(f"mixed-{name}")

    def call(self, function_id, payload):
        return call(self.worker, function_id, payload)

    def bindings(self, function_id):
        query = {"function_id": function_id}
        return self.call("engine::registered-triggers::list", query)["registered_triggers"]

    def errand(self, name, function_id, payload, **more):
        """Lets a worker call something."""
        return self.call(f"do::{name}", {"function_id": function_id, "payload": payload, **more})

    def heard(self, name, kind, part=lambda data: data):
        """What a worker heard in this run."""
        parts = [part(data) for data in self.call(f"heard::{name}", {"kind": kind})]
        return [one for one in parts if isinstance(one, dict) and one.get("run") == self.run]

    def everybody_hears(self, kind, wanted, key, part=lambda data: data):
        """Each worker hears exactly this, in any order."""
        for name in ALL:
            until(f"what {name} hears of {kind}", lambda: len(self.heard(name, kind, part)) >= len(wanted))
            same(sorted(key(one) for one in self.heard(name, kind, part)), sorted(wanted), name)

    def ready(self):
        """Waits until all workers are there, with all that they are bound to."""
        bound = {"subscribe": "news", "durable:subscriber": "order", "state": "changed", "http": "alive"}
        wanted = {(kind, f"{function}::{name}"): 1 for kind, function in bound.items() for name in ALL}
        wanted |= {("stream", f"item::{name}"): 4 for name in ALL}
        wanted |= {(f"bell-{sdk}", f"rung::{name}"): 1 for sdk in SDKS for name in ALL}

        def complete():
            found = {}
            for one in self.call("engine::registered-triggers::list", {})["registered_triggers"]:
                key = (one["trigger_type"], one["function_id"])
                found[key] = found.get(key, 0) + 1
            return all(found.get(key) == count for key, count in wanted.items())

        until("all bindings", complete)
        for name in SDKS:
            until(name, lambda: self.call("engine::functions::info", {"function_id": f"stream::list(shelf-{name})"}))


def alive(mixed):
    for name in ALL:
        same(fetch(f"/alive/{name}")[::2], (200, name))
    workers = {one["name"]: one["runtime"] for one in mixed.call("engine::workers::list", {})["workers"]}
    same([workers[name] for name in ("python-server", "node-server", "rust-server", "interop-worker")],
         ["python", "node", "rust", "rust"])


def calls(mixed):
    for route in itertools.permutations(ALL):
        ids = [f"relay::{name}" for name in route]
        same(mixed.call(ids[0], {"route": ids[1:]})["by"], [*route])


def errors(mixed):
    # SDKs for Python and Node give every error of a handler the same code; the others keep that of the call.
    for name, code in zip(ALL, ["invocation_failed", "invocation_failed", "ours/refused", "ours/refused"]):
        error = refused(code, lambda: mixed.errand(name, "ours::refuse", {"why": "closed"}))
        assert "closed" in error.message, error


def enqueue(mixed):
    receipts = set()
    for sender, receiver in itertools.product(ALL, ALL):
        payload = {"run": mixed.run, "from": sender}
        receipts.add(mixed.errand(sender, f"note::{receiver}", payload, queue="jobs")["messageReceiptId"])
    same(len(receipts), 16)
    mixed.everybody_hears("job", ALL, lambda one: one["from"])


def from_each(function_id, topic):
    def body(mixed):
        for name in ALL:
            mixed.errand(name, function_id, {"topic": topic, "data": {"run": mixed.run, "from": name}})
        mixed.everybody_hears("order" if topic == "mixed.orders" else "news", ALL, lambda one: one["from"])
    return body


def state(mixed):
    place = {"scope": "mixed", "key": mixed.run}
    for name in ALL:
        mixed.errand(name, "state::set", {**place, "value": {"run": mixed.run, "from": name}})
        for other in ALL:
            same(mixed.errand(other, "state::get", place)["from"], name)
    mixed.everybody_hears("state", ALL, lambda one: one["from"], lambda event: event["new_value"])


def stream(mixed):
    for name in ALL:
        mixed.errand(name, "stream::set", {"stream_name": "mixed", "group_id": mixed.run, "item_id": name,
                                           "data": {"run": mixed.run, "from": name}})
    mixed.everybody_hears("item", ALL, lambda one: one["from"], lambda message: message["event"]["data"])


def stores(mixed):
    wanted = []
    for shelf, name in itertools.product(SDKS, ALL):
        data = {"run": mixed.run, "from": f"{name} to {shelf}"}
        group = {"stream_name": f"shelf-{shelf}", "group_id": mixed.run}
        mixed.errand(name, "stream::set", {**group, "item_id": name, "data": data})
        same(mixed.errand(ALL[ALL.index(name) - 1], "stream::get", {**group, "item_id": name}), data)
        wanted.append(data["from"])
    for shelf in SDKS:
        items = mixed.call("stream::list", {"stream_name": f"shelf-{shelf}", "group_id": mixed.run})
        same(sorted(one["from"] for one in items), sorted(f"{name} to {shelf}" for name in ALL))
    # The items of the engine's own store, of the check before, are there as well.
    mixed.everybody_hears("item", wanted + ALL, lambda one: one["from"], lambda message: message["event"]["data"])


def types(mixed):
    for name in SDKS:
        mixed.call(f"ring::{name}", {"data": {"run": mixed.run, "from": name}})
    mixed.everybody_hears("rung", SDKS, lambda one: one["from"])


def channels(mixed):
    async def through(source, pipe, sink):
        first, second = [await create_channel_async(mixed.worker) for _ in range(2)]
        payloads = {
            f"source::{source}": {"into": first.writer_ref.model_dump(), "texts": ["one", "zwei", "ü"]},
            f"pipe::{pipe}": {"from": first.reader_ref.model_dump(), "into": second.writer_ref.model_dump()},
            f"sink::{sink}": {"from": second.reader_ref.model_dump()},
        }
        # Our worker passes the refs on.
        return await asyncio.gather(*(mixed.worker.trigger_async({
            "function_id": "do::ours", "payload": {"function_id": function_id, "payload": payload},
        }) for function_id, payload in payloads.items()))

    for route in itertools.permutations(ALL, 3):
        same(asyncio.run(through(*route))[2], {"intact": True, "texts": ["one", "zwei", "ü"]}, route)


def large(mixed):
    # Longer than what many take in one frame; through our worker both ways.
    text = "x" * 17_000_000
    for name in SDKS:
        same(mixed.errand("ours", f"echo::{name}", {"text": text}) == {"text": text}, True, name)


def kept(mixed):
    # What was stored before the engine went away is there.
    before = RUNS[:RUNS.index(mixed.name)]
    state = {"scope": "mixed-kept", "key": "runs"}
    items = {"stream_name": "mixed-kept", "group_id": "runs"}
    same(mixed.call("state::get", state), before or None)
    same(mixed.call("stream::list", items), before)
    mixed.call("state::set", {**state, "value": [*before, mixed.name]})
    mixed.call("stream::set", {**items, "item_id": mixed.name, "data": mixed.name})
    # So are messages for a subscriber that was away with its worker.
    keeper, heard = connect("mixed-keeper"), []
    keeper.register_function("mixed::kept", heard.append)
    keeper.register_trigger({"type": "durable:subscriber", "function_id": "mixed::kept",
                             "config": {"topic": "mixed.kept"}})
    until("the kept message", lambda: heard == before[-1:] and mixed.bindings("mixed::kept"))
    keeper.shutdown()
    until("the end of the keeper", lambda: not mixed.bindings("mixed::kept"))
    mixed.call("iii::durable::publish", {"topic": "mixed.kept", "data": mixed.name})


CHECKS = {
    "mixed/alive": alive,
    "mixed/calls": calls,
    "mixed/errors": errors,
    "mixed/enqueue": enqueue,
    "mixed/durable": from_each("iii::durable::publish", "mixed.orders"),
    "mixed/publish": from_each("publish", "mixed.news"),
    "mixed/state": state,
    "mixed/stream": stream,
    "mixed/stores": stores,
    "mixed/types": types,
    "mixed/channels": channels,
    "mixed/large": large,
    "mixed/kept": kept,
}


def run(name):
    mixed = Mixed(name)
    mixed.ready()
    for check, body in CHECKS.items():
        body(mixed)
        ok(name, check)
    mixed.worker.shutdown()
