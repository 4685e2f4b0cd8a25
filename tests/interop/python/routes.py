"""Owns the checks of the http trigger: methods, parts of a request, answers, conditions, middleware, streaming."""

import asyncio
import http.client

from iii_helpers.http import http as streaming

from .kit import HTTP, check, fetch, same


@check("http/methods")
def _(kit):
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
    kit.serve("py::method", lambda request: {"headers": {"x-method": request["method"]}, "body": None})
    for method in methods:
        kit.bind("http", "py::method", {"api_path": "/py/methods", "http_method": method})
    for method in methods:
        status, headers, _ = fetch("/py/methods", method)
        same((status, headers["x-method"]), (200, method))


@check("http/parts")
def _(kit):
    kit.serve("py::parts", lambda request: {"body": {
        "id": request["path_params"]["id"], "q": request["query_params"]["q"], "x": request["headers"]["x-one"],
        "path": request["path"], "trigger": request["trigger"]["type"], "body": request["body"]}})
    kit.bind("http", "py::parts", {"api_path": "py/parts/:id", "http_method": "post"})
    status, _, body = fetch("/py/parts/7?q=a%20b", "POST", {"n": [1]}, {"X-One": "1"})
    same((status, body), (200, {"id": "7", "q": "a b", "x": "1", "path": "py/parts/:id", "trigger": "http",
                                "body": {"n": [1]}}))


@check("http/answer")
def _(kit):
    kit.serve("py::answer", lambda request: {
        "status_code": 201, "headers": {"x-from": "python", "content-type": "text/plain"}, "body": "made"})
    binding = kit.bind("http", "py::answer", {"api_path": "/py/answer"})
    status, headers, body = fetch("/py/answer")
    same((status, headers["x-from"], headers["content-type"], body), (201, "python", "text/plain", b"made"))
    kit.serve("py::no-answer", lambda request: None)
    kit.bind("http", "py::no-answer", {"api_path": "/py/no-answer"})
    same(fetch("/py/no-answer")[0], 204)
    same(fetch("/py/answer", "POST")[0], 405)
    kit.unbind(binding, "http", "py::answer")
    same(fetch("/py/answer")[0], 404)


@check("http/error")
def _(kit):
    def fails(request):
        raise ValueError("no such thing")

    kit.serve("py::http-fails", fails)
    kit.bind("http", "py::http-fails", {"api_path": "/py/fails"})
    status, _, body = fetch("/py/fails")
    same((status, body["error"]["code"]), (500, "invocation_failed"))
    assert "no such thing" in body["error"]["message"], body


@check("http/condition")
def _(kit):
    kit.serve("py::http-open", lambda request: request["query_params"].get("open") == "1")
    kit.serve("py::http-door", lambda request: {"body": "in"})
    kit.bind("http", "py::http-door", {"api_path": "/py/door", "condition_function_id": "py::http-open"})
    same(fetch("/py/door?open=1")[::2], (200, "in"))
    status, _, body = fetch("/py/door")
    same((status, body["error"]["code"]), (422, "CONDITION_NOT_MET"))


@check("http/middleware")
def _(kit):
    seen = kit.hear("py::audit")

    def auth(data):
        if data["request"]["headers"].get("authorization") == "yes":
            return {"action": "continue"}
        return {"action": "respond", "response": {
            "status_code": 401, "body": {"error": "who?"}, "headers": {"x-auth": "py"}}}

    kit.serve("py::auth", auth)
    kit.serve("py::inner", lambda request: {"body": "inner"})
    kit.bind("http", "py::inner", {
        "api_path": "/py/inner", "middleware_function_ids": ["py::auth", "py::audit"]})
    status, headers, body = fetch("/py/inner")
    same((status, headers["x-auth"], body), (401, "py", {"error": "who?"}))
    same(seen, [])
    same(fetch("/py/inner", headers={"authorization": "yes"})[::2], (200, "inner"))
    same((seen[0]["phase"], seen[0]["request"]["method"]), ("preHandler", "GET"))


@check("http/upload")
def _(kit):
    async def upload(request):
        body = await request["request_body"].read_all()
        return {"body": {"bytes": len(body), "first": body[0], "last": body[-1]}}

    kit.serve("py::upload", upload)
    kit.bind("http", "py::upload", {"api_path": "/py/upload", "http_method": "PUT"})
    body = bytes(n % 251 for n in range(300_000))
    answer = fetch("/py/upload", "PUT", body, {"content-type": "application/octet-stream"})
    same(answer[::2], (200, {"bytes": 300_000, "first": 0, "last": body[-1]}))
    # JSON comes twice: as the body, and through the channel, which takes no messages above 1 MiB in this SDK.
    answer = fetch("/py/upload", "PUT", "x" * 2_000_000)
    same(answer[::2], (200, {"bytes": 2_000_002, "first": 34, "last": 34}))


@check("http/stream")
def _(kit):
    async def stream(request, response):
        await response.status(206)
        await response.headers({"content-type": "application/octet-stream", "x-from": "python"})
        for n in range(4):
            await response.writer.write(bytes([n]) * 100_000)
        await response.writer.close_async()

    kit.serve("py::stream", streaming(stream))
    kit.bind("http", "py::stream", {"api_path": "/py/stream"})
    status, headers, body = fetch("/py/stream")
    same((status, headers["x-from"]), (206, "python"))
    same(body == b"".join(bytes([n]) * 100_000 for n in range(4)), True)


@check("http/sse")
def _(kit):
    read = asyncio.Event()

    async def events(request, response):
        await response.headers({"content-type": "text/event-stream"})
        await response.writer.write(b"event: first\ndata: 1\n\n")
        # The second is not written before the client has read the first.
        await asyncio.wait_for(read.wait(), 20)
        await response.writer.write(b"event: second\ndata: 2\n\n")
        await response.writer.close_async()

    kit.serve("py::events", streaming(events))
    kit.bind("http", "py::events", {"api_path": "/py/events"})
    connection = http_connection()
    connection.request("GET", "/py/events")
    answer = connection.getresponse()
    same((answer.status, answer.headers["content-type"]), (200, "text/event-stream"))
    lines = [answer.readline() for _ in range(3)]
    kit.one._loop.call_soon_threadsafe(read.set)
    lines += [answer.readline() for _ in range(3)]
    same(b"".join(lines), b"event: first\ndata: 1\n\nevent: second\ndata: 2\n\n")
    connection.close()


@check("http/metadata")
def _(kit):
    kit.serve("py::tagged", lambda request, metadata=None: {"body": metadata})
    kit.bind("http", "py::tagged", {"api_path": "/py/tagged"}, metadata={"tag": "py"})
    same(fetch("/py/tagged")[2], {"tag": "py"})


def http_connection():
    host, port = HTTP.removeprefix("http://").split(":")
    return http.client.HTTPConnection(host, int(port), timeout=20)
