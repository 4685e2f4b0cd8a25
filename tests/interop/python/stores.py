"""Owns the checks of state, streams with their WebSocket, and configuration."""

import json

from iii.helpers import create_stream
from iii.stream import IStream
from iii_helpers.stream import StreamDeleteResult, StreamSetResult
from websockets.sync.client import connect as open_socket

from .kit import DEADLINE, STREAMS, check, same, until

# Every operation, on a value with a number, a text, a list and an object; and what becomes of it.
START = {"n": 1, "t": "a", "l": [1], "o": {"x": 1}, "gone": 1}
OPS = [
    {"type": "set", "path": "s", "value": "x"},
    {"type": "increment", "path": "n", "by": 4},
    {"type": "decrement", "path": "n", "by": 2},
    {"type": "append", "path": "t", "value": "b"},
    {"type": "append", "path": ["l"], "value": 2},
    {"type": "merge", "path": ["o", "deep"], "value": {"y": 2}},
    {"type": "merge", "value": {"top": True}},
    {"type": "remove", "path": "gone"},
]
END = {"n": 3, "t": "ab", "l": [1, 2], "o": {"x": 1, "deep": {"y": 2}}, "s": "x", "top": True}
# Operations that cannot be done, around one that can.
BAD_OPS = [
    {"type": "increment", "path": "t", "by": 1},
    {"type": "merge", "path": "o", "value": 7},
    {"type": "set", "path": "fine", "value": 1},
    {"type": "append", "path": "o", "value": 1},
]
ERRORS = [(0, "increment.not_number"), (1, "merge.value.not_an_object"), (3, "append.type_mismatch")]


def check_update(update, start):
    """All operations through one function."""
    start(START)
    result = update(OPS)
    same((result["old_value"], result["new_value"], result.get("errors")), (START, END, None))
    result = update(BAD_OPS)
    same([(error["op_index"], error["code"]) for error in result["errors"]], ERRORS)
    same(result["new_value"], {**END, "fine": 1})


@check("state/values")
def _(kit):
    place = {"scope": "py", "key": "k"}
    same(kit.call("state::get", place), None)
    same(kit.call("state::set", {**place, "value": {"n": 1}}), {"old_value": None, "new_value": {"n": 1}})
    same(kit.call("state::set", {**place, "value": [2]}), {"old_value": {"n": 1}, "new_value": [2]})
    same(kit.call("state::get", place), [2])
    same(kit.call("state::delete", place), [2])
    same(kit.call("state::delete", place), None)


@check("state/lists")
def _(kit):
    for key in "ab":
        kit.call("state::set", {"scope": "py-list", "key": key, "value": key})
    same(kit.call("state::list", {"scope": "py-list"}), ["a", "b"])
    assert "py-list" in kit.call("state::list_groups", {})["groups"]


@check("state/update")
def _(kit):
    place = {"scope": "py", "key": "ops"}
    check_update(lambda ops: kit.call("state::update", {**place, "ops": ops}),
                 lambda value: kit.call("state::set", {**place, "value": value}))
    same(kit.call("state::update", {**place, "key": "new", "ops": [{"type": "increment", "path": "n", "by": 2}]}),
         {"old_value": None, "new_value": {"n": 2}})
    kit.refused("deserialization_error", "state::update", {**place, "ops": [{"type": "twist"}]})


@check("streams/items")
def _(kit):
    place = {"stream_name": "py", "group_id": "g", "item_id": "a"}
    same(kit.call("stream::get", place), None)
    same(kit.call("stream::set", {**place, "data": {"n": 1}}), {"old_value": None, "new_value": {"n": 1}})
    same(kit.call("stream::get", place), {"n": 1})
    same(kit.call("stream::delete", place), {"old_value": {"n": 1}})
    same(kit.call("stream::delete", place), {"old_value": None})


@check("streams/lists")
def _(kit):
    for group, item in (("g", "a"), ("g", "b"), ("h", "a")):
        kit.call("stream::set", {"stream_name": "py-list", "group_id": group, "item_id": item, "data": item})
    same(kit.call("stream::list", {"stream_name": "py-list", "group_id": "g"}), ["a", "b"])
    same(sorted(kit.call("stream::list_groups", {"stream_name": "py-list"})), ["g", "h"])
    everything = kit.call("stream::list_all", {})
    assert {"id": "py-list", "groups": ["g", "h"]} in everything["stream"], everything
    same(everything["count"], len(everything["stream"]))


@check("streams/update")
def _(kit):
    place = {"stream_name": "py", "group_id": "g", "item_id": "ops"}
    check_update(lambda ops: kit.call("stream::update", {**place, "ops": ops}),
                 lambda value: kit.call("stream::set", {**place, "data": value}))


class Subscriber:
    """A client of the stream WebSocket (protocol section 8)."""

    def __init__(self):
        self.socket = open_socket(STREAMS)

    def send(self, kind, subscription, stream, group, item=None):
        data = {"subscriptionId": subscription, "streamName": stream, "groupId": group, "id": item}
        self.socket.send(json.dumps({"type": kind, "data": data}))

    def next(self):
        """The next message: its item and its event."""
        message = json.loads(self.socket.recv(timeout=DEADLINE))
        same(message["type"], "stream")
        return message["id"], message["event"]

    def close(self):
        self.socket.close()


@check("streams/socket")
def _(kit):
    place = {"stream_name": "py-live", "group_id": "g"}
    kit.call("stream::set", {**place, "item_id": "a", "data": {"n": 1}})
    subscriber = Subscriber()
    subscriber.send("join", "s1", "py-live", "g")
    same(subscriber.next(), (None, {"type": "sync", "data": [{"n": 1}]}))
    kit.call("stream::set", {**place, "item_id": "b", "data": {"n": 2}})
    same(subscriber.next(), ("b", {"type": "create", "data": {"n": 2}}))
    kit.call("stream::update", {**place, "item_id": "b", "ops": [{"type": "set", "path": "n", "value": 3}]})
    same(subscriber.next(), ("b", {"type": "update", "data": {"n": 3}}))
    kit.call("stream::delete", {**place, "item_id": "b"})
    same(subscriber.next(), ("b", {"type": "delete", "data": {"n": 3}}))
    kit.call("stream::send", {**place, "id": "a", "type": "typing", "data": {"u": 1}})
    same(subscriber.next(), ("a", {"type": "event", "event": {"type": "typing", "data": {"u": 1}}}))
    # After the end of the subscription only the other one, of a single item, gets anything.
    subscriber.send("leave", "s1", "py-live", "g")
    subscriber.send("join", "s2", "py-live", "g", "a")
    same(subscriber.next(), ("a", {"type": "sync", "data": {"n": 1}}))
    kit.call("stream::set", {**place, "item_id": "b", "data": {"n": 4}})
    kit.call("stream::set", {**place, "item_id": "a", "data": {"n": 5}})
    same(subscriber.next(), ("a", {"type": "update", "data": {"n": 5}}))
    subscriber.close()


@check("triggers/stream-join-leave")
def _(kit):
    def join(data):
        if data["stream_name"] == "py-live":
            joined.append(data)
            return {"unauthorized": data["group_id"] == "secret"}

    joined = []
    kit.serve("py::join", join)
    left = kit.hear("py::leave")
    bindings = [kit.bind("stream:join", "py::join", {}), kit.bind("stream:leave", "py::leave", {})]
    subscriber = Subscriber()
    subscriber.send("join", "s1", "py-live", "secret")
    same(subscriber.next()[1], {"type": "unauthorized"})
    subscriber.send("join", "s2", "py-live", "g", "a")
    same(subscriber.next()[1], {"type": "sync", "data": {"n": 5}})
    same([(one["subscription_id"], one["group_id"], one["id"]) for one in joined],
         [("s1", "secret", None), ("s2", "g", "a")])
    # A socket that closes leaves what it has joined.
    subscriber.close()
    same(left.wait("the leave", lambda one: one["stream_name"] == "py-live")["subscription_id"], "s2")
    for binding, kind, function in zip(bindings, ("stream:join", "stream:leave"), ("py::join", "py::leave")):
        kit.unbind(binding, kind, function)


class Shelf(IStream):
    """A stream that a worker keeps."""

    def __init__(self):
        self.groups = {}

    async def get(self, input):
        return self.groups.get(input.group_id, {}).get(input.item_id)

    async def set(self, input):
        group = self.groups.setdefault(input.group_id, {})
        old = group.get(input.item_id)
        group[input.item_id] = input.data
        return StreamSetResult(old_value=old, new_value=input.data)

    async def delete(self, input):
        return StreamDeleteResult(old_value=self.groups.get(input.group_id, {}).pop(input.item_id, None))

    async def list(self, input):
        return [*self.groups.get(input.group_id, {}).values()]

    async def list_groups(self, input):
        return sorted(self.groups)

    async def update(self, input):
        raise NotImplementedError("the SDK does not register it")


@check("streams/custom-store")
def _(kit):
    shelf = Shelf()
    create_stream(kit.one, "py-shelf", shelf)
    names = ["get", "set", "delete", "list", "list_groups"]
    for name in names:
        until(name, lambda: kit.call("engine::functions::info", {"function_id": f"stream::{name}(py-shelf)"}))
    changes = kit.hear("py::shelf-changed")
    kit.bind("stream", "py::shelf-changed", {"stream_name": "py-shelf"})
    place = {"stream_name": "py-shelf", "group_id": "g", "item_id": "a"}
    same(kit.call("stream::set", {**place, "data": 1}), {"old_value": None, "new_value": 1})
    same(kit.call("stream::set", {**place, "data": 2}), {"old_value": 1, "new_value": 2})
    same(shelf.groups, {"g": {"a": 2}})
    same(kit.call("stream::get", place), 2)
    same(kit.call("stream::list", place), [2])
    same(kit.call("stream::list_groups", place), ["g"])
    same(kit.call("stream::delete", place), {"old_value": 2})
    same(shelf.groups, {"g": {}})
    same([change["event"]["type"] for change in changes.all("the changes", 3)], ["create", "update", "delete"])


@check("configuration/values")
def _(kit):
    schema = {"type": "object", "properties": {"port": {"type": "integer"}}, "required": ["port"]}
    entry = {"id": "py", "name": "Py", "description": "d", "schema": schema, "metadata": {"m": 1}}
    same(kit.call("configuration::register", {**entry, "initial_value": {"port": 1}}),
         {**entry, "value": {"port": 1}})
    raw = {"port": "${INTEROP_UNSET:3111}"}
    same(kit.call("configuration::set", {"id": "py", "value": raw}), {"old_value": {"port": 1}, "new_value": raw})
    same(kit.call("configuration::get", {"id": "py"}), {"id": "py", "value": {"port": 3111}})
    same(kit.call("configuration::get", {"id": "py", "raw": True})["value"], raw)


@check("configuration/lists")
def _(kit):
    entry = kit.call("configuration::schema", {"id": "py"})
    same((entry["id"], entry["schema"]["required"]), ("py", ["port"]))
    assert entry in kit.call("configuration::list", {})["configurations"]


@check("configuration/errors")
def _(kit):
    kit.refused("SCHEMA_INVALID", "configuration::set", {"id": "py", "value": {}})
    kit.refused("NOT_REGISTERED", "configuration::set", {"id": "py-none", "value": {}})
    kit.refused("NOT_FOUND", "configuration::get", {"id": "py-none"})
    kit.refused("INVALID_ID", "configuration::register", {
        "id": "No Id", "name": "n", "description": "d", "schema": {}})
