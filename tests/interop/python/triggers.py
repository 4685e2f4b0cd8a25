"""Owns the checks of the built-in trigger types except http and those of queues, and of trigger types of a worker."""

from iii.triggers import TriggerHandler

from .kit import call, check, connect, same, until


@check("triggers/cron")
def _(kit):
    ticks = kit.hear("py::tick")
    binding = kit.bind("cron", "py::tick", {"expression": "* * * * * *"}, metadata={"k": 1})
    tick = ticks.wait("a tick")
    same((tick["trigger"], ticks.metadata[0]), ("cron", {"k": 1}))
    assert tick["scheduled_time"].endswith("+00:00"), tick
    kit.unbind(binding, "cron", "py::tick")


@check("triggers/subscribe")
def _(kit):
    first, second = kit.hear("py::news"), kit.hear("py::news-too")
    binding = kit.bind("subscribe", "py::news", {"topic": "py.news"})
    kit.bind("subscribe", "py::news-too", {"topic": "py.news"})
    kit.call("publish", {"topic": "py.news", "data": {"n": 1}})
    same([first.wait("the news"), second.wait("the news")], [{"n": 1}, {"n": 1}])
    kit.unbind(binding, "subscribe", "py::news")
    kit.call("publish", {"topic": "py.news", "data": {"n": 2}})
    second.wait("more news", lambda item: item == {"n": 2})
    same(first, [{"n": 1}])
    kit.refused("topic_not_set", "publish", {"topic": "", "data": 1})


@check("triggers/state")
def _(kit):
    changes, one_key = kit.hear("py::changed"), kit.hear("py::changed-key")
    kit.serve("py::even", lambda event: (event["new_value"] or 0) % 2 == 0)
    evens = kit.hear("py::evens")
    kit.bind("state", "py::changed", {"scope": "py-t"}, metadata={"m": 1})
    kit.bind("state", "py::changed-key", {"scope": "py-t", "key": "b"})
    kit.bind("state", "py::evens", {"scope": "py-t", "condition_function_id": "py::even"})
    for key, value in (("a", 1), ("a", 2), ("b", 3)):
        kit.call("state::set", {"scope": "py-t", "key": key, "value": value})
    kit.call("state::delete", {"scope": "py-t", "key": "a"})
    events = [(e["event_type"], e["key"], e["old_value"], e["new_value"])
              for e in changes.all("the changes", 4) if e["key"] == "a"]
    same(events, [("state:created", "a", None, 1), ("state:updated", "a", 1, 2), ("state:deleted", "a", 2, None)])
    same((changes[0]["type"], changes[0]["scope"], changes.metadata[0]), ("state", "py-t", {"m": 1}))
    same(one_key.wait("the key")["new_value"], 3)
    same([e["new_value"] for e in evens.all("the even ones", 2)], [2, None])
    same(len(one_key), 1)


@check("triggers/stream")
def _(kit):
    changes, one_item = kit.hear("py::item"), kit.hear("py::item-one")
    kit.bind("stream", "py::item", {"stream_name": "py-ts", "group_id": "g"}, metadata={"m": 2})
    kit.bind("stream", "py::item-one", {"stream_name": "py-ts", "item_id": "b"})
    place = {"stream_name": "py-ts", "group_id": "g"}
    kit.call("stream::set", {**place, "item_id": "a", "data": {"n": 1}})
    kit.call("stream::update", {**place, "item_id": "a", "ops": [{"type": "increment", "path": "n", "by": 1}]})
    kit.call("stream::set", {**place, "group_id": "h", "item_id": "a", "data": {}})
    kit.call("stream::delete", {**place, "item_id": "a"})
    kit.call("stream::send", {**place, "type": "typing", "data": {"u": 1}})
    kit.call("stream::set", {**place, "item_id": "b", "data": {"n": 9}})
    events = changes.all("the changes", 5)
    same([(e["event"]["type"], e["event"].get("data")) for e in events[:3]],
         [("create", {"n": 1}), ("update", {"n": 2}), ("delete", {"n": 2})])
    same(events[3]["event"], {"type": "event", "event": {"type": "typing", "data": {"u": 1}}})
    same((events[0]["streamName"], events[0]["groupId"], events[0]["id"], changes.metadata[0]),
         ("py-ts", "g", "a", {"m": 2}))
    same(one_item.wait("the item")["id"], "b")


@check("triggers/log")
def _(kit):
    warnings = kit.hear("py::warned")
    binding = kit.bind("log", "py::warned", {"level": "warn"})
    kit.call("engine::log::info", {"message": "quiet", "service_name": "py"})
    kit.call("engine::log::warn", {"message": "loud", "data": {"a": 1}, "service_name": "py"})
    record = warnings.wait("the record", lambda record: record["service_name"] == "py")
    same((record["body"], record["severity_text"], record["attributes"]), ("loud", "WARN", {"a": 1}))
    kit.unbind(binding, "log", "py::warned")


@check("triggers/configuration")
def _(kit):
    events = kit.hear("py::configured")
    kit.bind("configuration", "py::configured", {
        "configuration_id": "py-t", "event_types": ["configuration:updated"]})
    entry = {"id": "py-t", "name": "Py", "description": "d", "schema": {"type": "object"}}
    kit.call("configuration::register", {**entry, "initial_value": {"a": 1}})
    kit.call("configuration::set", {"id": "py-t", "value": {"a": 2}})
    event = events.wait("the event", lambda event: event["new_value"] == {"a": 2})
    same((event["type"], event["event_type"], event["id"], event["old_value"]),
         ("configuration", "configuration:updated", "py-t", {"a": 1}))


@check("triggers/functions-available")
def _(kit):
    changes = kit.hear("py::functions")
    kit.bind("engine::functions-available", "py::functions", {})
    kit.serve("py::brand-new", lambda data: 1)
    change = changes.wait("the function", lambda change: any(
        one["function_id"] == "py::brand-new" for one in change["functions"]))
    same(change["event"], "functions_changed")


@check("triggers/workers-available")
def _(kit):
    events = kit.hear("py::workers")
    kit.bind("engine::workers-available", "py::workers", {})
    third = connect("python-third")
    came = events.wait("a worker", lambda event: event["event"] == "worker_metadata_updated")
    third.shutdown()
    events.wait("its end", lambda event: event == {"event": "worker_disconnected", "worker_id": came["worker_id"]})


class Bell(TriggerHandler):
    """A trigger type of a worker: it keeps its bindings and fires them, if their condition allows."""

    def __init__(self, worker):
        self.worker, self.bindings = worker, {}

    async def register_trigger(self, config):
        if (config.config or {}).get("tune") is None:
            raise ValueError("a bell needs a tune")
        self.bindings[config.id] = config

    async def unregister_trigger(self, config):
        self.bindings.pop(config.id, None)

    def ring(self, data):
        for binding in list(self.bindings.values()):
            condition = binding.config.get("condition_function_id")
            if condition and call(self.worker, condition, data) is False:
                continue
            call(self.worker, binding.function_id, data, metadata=binding.metadata, namespace=binding.namespace)


@check("types/bind")
def _(kit):
    kit.bell = Bell(kit.two)
    kit.two.register_trigger_type({"id": "py-bell", "description": "Rings."}, kit.bell)
    until("the type", lambda: kit.call("engine::triggers::info", {"id": "py-bell"}))
    kit.rung = kit.hear("py::rung")
    kit.bind("py-bell", "py::rung", {"tune": "ding"}, metadata={"who": "py"})
    bound = until("the binding", lambda: list(kit.bell.bindings.values()))[0]
    same((bound.function_id, bound.config, bound.metadata), ("py::rung", {"tune": "ding"}, {"who": "py"}))
    kit.bell.ring({"rang": 1})
    same((kit.rung.wait("the ring")["rang"], kit.rung.metadata[0]), (1, {"who": "py"}))


@check("types/unbind")
def _(kit):
    function = kit.hear("py::rung-briefly")
    binding = kit.bind("py-bell", "py::rung-briefly", {"tune": "dong"})
    until("the binding", lambda: len(kit.bell.bindings) == 2)
    kit.unbind(binding, "py-bell", "py::rung-briefly")
    until("its end", lambda: len(kit.bell.bindings) == 1)
    kit.bell.ring({"rang": 2})
    kit.rung.wait("the ring", lambda item: item["rang"] == 2)
    same(function, [])


@check("types/condition")
def _(kit):
    kit.serve("py::loud", lambda data: data["rang"] > 10)
    loud = kit.hear("py::rung-loudly")
    binding = kit.bind("py-bell", "py::rung-loudly", {"tune": "dong", "condition_function_id": "py::loud"})
    until("the binding", lambda: len(kit.bell.bindings) == 2)
    for rang in (3, 30):
        kit.bell.ring({"rang": rang})
    same([item["rang"] for item in loud.all("the loud ring", 1)], [30])
    kit.unbind(binding, "py-bell", "py::rung-loudly")


@check("types/refuse")
def _(kit):
    # `engine::register_trigger` tells what the provider said; the SDK only logs it.
    error = kit.refused("trigger_registration_failed", "engine::register_trigger", {
        "trigger_type": "py-bell", "function_id": "py::rung", "config": {"volume": 1}})
    assert "a bell needs a tune" in error.message, error


@check("types/park")
def _(kit):
    # Bound before the type is there; its worker comes, goes, and comes back.
    heard = kit.hear("py::parked")
    kit.one.register_trigger({"type": "py-gong", "function_id": "py::parked", "config": {"tune": "gong"}})
    for rang in (1, 2):
        provider = connect("python-provider")
        gong = Bell(provider)
        provider.register_trigger_type({"id": "py-gong", "description": "Rings."}, gong)
        until("the parked binding", lambda: gong.bindings)
        gong.ring({"rang": rang})
        heard.wait("the ring", lambda item: item["rang"] == rang)
        provider.shutdown()
        until("the end of the provider", lambda: not kit.bindings("py-gong", "py::parked"))
