"""Owns the server for the mixed run: what each of the four workers offers, here in Python."""

import threading

from iii import TriggerAction
from iii.helpers import create_stream

from .channels import PATTERN, texts_of
from .kit import connect
from .stores import Shelf
from .triggers import Bell


def serve():
    worker = connect("python-server")
    heard, lock = [], threading.Lock()

    def hears(function_id, kind, *bindings):
        """A function that remembers what it gets, and what it is bound to."""
        def handler(data):
            with lock:
                heard.append((kind, data))

        worker.register_function(function_id, handler)
        for trigger_type, config in bindings:
            worker.register_trigger({"type": trigger_type, "function_id": function_id, "config": config})

    hears("note::python", "job")
    hears("news::python", "news", ("subscribe", {"topic": "mixed.news"}))
    hears("order::python", "order", ("durable:subscriber", {"topic": "mixed.orders"}))
    hears("changed::python", "state", ("state", {"scope": "mixed"}))
    streams = ["mixed", "shelf-python", "shelf-node", "shelf-rust"]
    hears("item::python", "item", *(("stream", {"stream_name": name}) for name in streams))
    bells = ["bell-python", "bell-node", "bell-rust"]
    hears("rung::python", "rung", *((bell, {"tune": "python"}) for bell in bells))
    worker.register_function("heard::python", lambda wanted: [
        data for kind, data in heard[:] if kind == wanted["kind"]])

    async def relay(data):
        route = data["route"]
        if not route:
            return {"by": ["python"]}
        rest = await worker.trigger_async({"function_id": route[0], "payload": {"route": route[1:]}})
        return {"by": ["python", *rest["by"]]}

    async def errand(data):
        action = TriggerAction.Enqueue(queue=data["queue"]) if data.get("queue") else None
        return await worker.trigger_async({
            "function_id": data["function_id"], "payload": data["payload"], "action": action})

    async def source(data):
        for text in data["texts"]:
            await data["into"].send_message_async(text)
        await data["into"].write(PATTERN)
        await data["into"].close_async()

    async def pipe(data):
        # A text goes on before the bytes that follow it: all texts come first here.
        texts = texts_of(data["from"])
        async for chunk in data["from"]:
            while texts:
                await data["into"].send_message_async(texts.pop(0))
            await data["into"].write(chunk)
        await data["into"].close_async()

    async def sink(data):
        texts = texts_of(data["from"])
        body = await data["from"].read_all()
        return {"intact": body == PATTERN, "texts": texts}

    worker.register_function("relay::python", relay)
    worker.register_function("do::python", errand)
    worker.register_function("echo::python", lambda data: {"text": data["text"]})
    worker.register_function("source::python", source)
    worker.register_function("pipe::python", pipe)
    worker.register_function("sink::python", sink)

    bell = Bell(worker)
    worker.register_trigger_type({"id": "bell-python", "description": "Rings."}, bell)
    worker.register_function("ring::python", lambda data: bell.ring(data["data"]))
    create_stream(worker, "shelf-python", Shelf())
    worker.register_function("alive::python", lambda request: {"status_code": 200, "body": "python"})
    worker.register_trigger({"type": "http", "function_id": "alive::python",
                             "config": {"api_path": "/alive/python"}})
    print("serving python", flush=True)
    threading.Event().wait()
