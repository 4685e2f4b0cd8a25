"""Owns the checks of durable topics: copies, order, retries, letters that were given up, and what lists tell."""

from .kit import check, same, until


def publish(kit, topic, data):
    kit.call("iii::durable::publish", {"topic": topic, "data": data})


@check("queues/durable")
def _(kit):
    first, second = kit.hear("py::durable"), kit.hear("py::durable-too")
    for function in ("py::durable", "py::durable-too"):
        kit.bind("durable:subscriber", function, {"topic": "py.orders"})
    for n in range(50):
        publish(kit, "py.orders", {"n": n})
    for heard in (first, second):
        same(sorted(item["n"] for item in heard.all("all copies", 50)), list(range(50)))


@check("queues/fifo")
def _(kit):
    done, tried = [], []

    def handler(data):
        tried.append(data["n"])
        if data["n"] == 3 and tried.count(3) == 1:
            raise ValueError("again")
        done.append(data["n"])

    kit.serve("py::in-order", handler)
    kit.bind("durable:subscriber", "py::in-order", {
        "topic": "py.order", "queue_config": {"type": "fifo", "maxRetries": 2, "backoffDelayMs": 20}})
    for n in range(20):
        publish(kit, "py.order", {"n": n})
    until("all of them", lambda: len(done) == 20)
    same(done, list(range(20)))
    same(tried.count(3), 2)


@check("queues/dead-letter")
def _(kit):
    kit.tried, kit.open = [], False

    def handler(data):
        kit.tried.append(data["n"])
        if not kit.open:
            raise ValueError("closed")

    kit.serve("py::closed", handler)
    kit.bind("durable:subscriber", "py::closed", {
        "topic": "py.closed", "queue_config": {"maxRetries": 1, "backoffDelayMs": 10}})
    for n in range(3):
        publish(kit, "py.closed", {"n": n})
    stats = {"topic": "py.closed"}
    until("the dead letters", lambda: kit.call("engine::queue::topic_stats", stats)["dlq_depth"] == 3)
    same(sorted(kit.tried), [0, 0, 1, 1, 2, 2])
    kit.letters = kit.call("engine::queue::dlq_messages", stats)
    same(sorted(letter["payload"]["n"] for letter in kit.letters), [0, 1, 2])
    assert "invocation_failed" in kit.letters[0]["error"], kit.letters


@check("queues/redrive")
def _(kit):
    kit.open = True
    one, other, _ = [{"queue": "py.closed", "message_id": letter["id"]} for letter in kit.letters]
    same(kit.call("iii::queue::discard_message", one)["redriven"], 1)
    same(kit.call("iii::queue::redrive_message", other)["redriven"], 1)
    same(kit.call("iii::queue::redrive", {"queue": "py.closed"}), {"queue": "py.closed", "redriven": 1})
    until("the redriven", lambda: len(kit.tried) == 8)
    same(kit.call("engine::queue::dlq_messages", {"topic": "py.closed"}), [])


@check("queues/condition")
def _(kit):
    kit.serve("py::wanted", lambda data: data["n"] > 1)
    heard = kit.hear("py::if-wanted")
    kit.bind("durable:subscriber", "py::if-wanted", {
        "topic": "py.if", "condition_function_id": "py::wanted", "queue_config": {"type": "fifo"}})
    for n in (1, 2):
        publish(kit, "py.if", {"n": n})
    same(heard.all("the wanted one", 1), [{"n": 2}])


@check("queues/lists")
def _(kit):
    topics = {topic["name"]: topic for topic in kit.call("engine::queue::list_topics", {})}
    same(topics["py.orders"]["subscriber_count"], 2)
    assert {"default", "jobs", "lanes"} <= topics.keys(), topics
    same(kit.call("engine::queue::topic_stats", {"topic": "py.orders"})["depth"], 0)
    kit.refused("topic_not_set", "iii::durable::publish", {"topic": "", "data": 1})
