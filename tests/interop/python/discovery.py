"""Owns the checks of what the engine tells of functions, trigger types, bindings and workers, and of logs."""

from .kit import check, same


@check("discovery/functions")
def _(kit):
    schema = {"type": "object"}
    kit.serve("py::described", lambda data: 1, description="Described.", metadata={"team": "py"},
              request_format=schema, response_format={"type": "integer"})
    listed = kit.call("engine::functions::list", {"prefix": "py::described"})["functions"]
    same(listed, [{"function_id": "py::described", "namespace": "default", "worker_name": "python-one",
                   "description": "Described.", "metadata": {"team": "py"}}])
    detail = kit.call("engine::functions::info", {"function_id": "py::described"})
    same((detail["request_schema"], detail["response_schema"], detail["registered_triggers"]),
         (schema, {"type": "integer"}, []))
    both = kit.call("engine::functions::info", {"function_ids": ["py::described", "py::none"]})["functions"]
    same(both[1], {"function_id": "py::none", "error": "not_found"})
    kit.refused("NOT_FOUND", "engine::functions::info", {"function_id": "py::none"})


@check("discovery/trigger-types")
def _(kit):
    types = {one["id"] for one in kit.call("engine::triggers::list", {})["triggers"]}
    wanted = {"http", "cron", "durable:subscriber", "subscribe", "state", "stream", "stream:join", "stream:leave",
              "log", "configuration", "py-bell"}
    assert wanted <= types, wanted - types
    bell = kit.call("engine::triggers::info", {"id": "py-bell"})
    same((bell["worker_name"], bell["description"], bell["instance_count"]), ("python-two", "Rings.", 1))
    assert "properties" in kit.call("engine::triggers::info", {"id": "http"})["configuration_schema"]


@check("discovery/bindings")
def _(kit):
    binding = kit.bindings("py-bell", "py::rung")[0]
    same((binding["worker_name"], binding["config"]), ("python-one", {"tune": "ding"}))
    detail = kit.call("engine::registered-triggers::info", {"id": binding["id"]})
    same((detail["metadata"], detail["trigger"]["id"], detail["function"]["function_id"]),
         ({"who": "py"}, "py-bell", "py::rung"))


@check("discovery/register-trigger")
def _(kit):
    heard = kit.hear("py::by-function")
    binding = kit.call("engine::register_trigger", {
        "trigger_type": "subscribe", "function_id": "py::by-function", "config": {"topic": "py.by-function"}})
    kit.call("publish", {"topic": "py.by-function", "data": 1})
    heard.wait("the message")
    same(kit.call("engine::unregister_trigger", {"id": binding["id"]}), {"removed": True})
    same(kit.call("engine::unregister_trigger", {"id": binding["id"]}), {"removed": False})


@check("discovery/workers")
def _(kit):
    workers = {one["name"]: one for one in kit.call("engine::workers::list", {})["workers"]}
    mine = workers["python-one"]
    same((mine["runtime"], mine["namespace"], mine["status"]), ("python", "default", "connected"))
    assert "interop-worker" in workers, workers.keys()
    info = kit.call("engine::workers::info", {"name": "python-one"})
    assert any(one["function_id"] == "py::sum" for one in info["functions"]), info
    assert any(one["function_id"] == "py::rung" for one in info["registered_triggers"]), info
    same(kit.call("engine::workers::info", {"name": "python-two"})["trigger_types"][0]["id"], "py-bell")


@check("observability/logs")
def _(kit):
    for level in ("trace", "debug", "info", "warn", "error"):
        kit.call(f"engine::log::{level}", {"message": f"py {level}", "service_name": "py-logs"})
    logs = kit.call("engine::logs::list", {"severity_min": 13})["logs"]
    found = {log["body"] for log in logs if log["service_name"] == "py-logs"}
    same(found, {"py warn", "py error"})
