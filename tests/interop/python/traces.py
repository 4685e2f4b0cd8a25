"""Owns the checks of traces: spans that the SDK sends are kept, and fire `trace` triggers.

They come first: the SDK has one connection for telemetry in a process, and ends it as soon as any worker shuts down."""

from .kit import TRACES, check, until


@check("triggers/trace", on=TRACES)
def _(kit):
    kit.serve("py::seen", lambda data: data)
    traces = kit.hear("py::traced")
    binding = kit.bind("trace", "py::traced", {})
    kit.call("py::seen", {"a": 1})
    assert traces.wait("the trace")["trace_ids"], traces
    kit.unbind(binding, "trace", "py::traced")


@check("observability/traces", on=TRACES)
def _(kit):
    kit.call("py::seen", {"a": 1})

    def recorded():
        spans = kit.call("engine::traces::list", {"name": "execute py::seen", "search_all_spans": True})["spans"]
        return any(span["name"] == "execute py::seen" for span in spans)

    until("the span", recorded)
