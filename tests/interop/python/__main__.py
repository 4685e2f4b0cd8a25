"""Owns the command line: `scenario` runs the checks, `serve` is a server for the mixed run, `mixed NAME` drives that,
for one of its runs."""

import os
import sys
import traceback

from . import traces, functions, routes, triggers, queues, stores, channels, discovery  # noqa: F401: they add their checks
from .kit import CHECKS, Kit, ok


def scenario():
    kit = Kit()
    for name, body in CHECKS:
        try:
            body(kit)
        except BaseException:
            print(f"not ok python {name}", file=sys.stderr)
            raise
        ok("python", name)
    kit.close()
    ok("python", "shutdown")


def serve():
    from . import server
    server.serve()


def mixed():
    from . import mixed
    mixed.run(sys.argv[2])


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
