"""Owns the summary: `summary.py CHECKS RESULTS` prints a table of what passed, and fails if anything is missing."""

import os
import sys


def sections(path):
    """Each section: who must pass, and its checks with those who need not."""
    everybody = None
    for line in open(path):
        name, _, note = line.split("#")[0].strip().partition(" ")
        if name.startswith("["):
            everybody = line.strip("[]\n").split()
            checks = []
            yield everybody, checks
        elif name:
            note = note.strip()
            excused = set(everybody) & {note.partition(":")[0]}
            if note == "traces":
                excused = set() if os.environ["INTEROP_TRACES"] == "on" else set(everybody)
            checks.append((name, excused))


passed = {tuple(line.split()[1:3]) for line in open(sys.argv[2])}
missing = []
# The checks of a section are known when the next one begins.
for everybody, checks in list(sections(sys.argv[1])):
    print("\n" + f"{'':30}" + "".join(f"{who:10}" for who in everybody))
    for name, excused in checks:
        cells = ["ok" if (who, name) in passed else "-" if who in excused else "missing" for who in everybody]
        print(f"{name:30}" + "".join(f"{cell:10}" for cell in cells))
        missing += [f"{who} lacks {name}" for who, cell in zip(everybody, cells) if cell == "missing"]
        passed -= {(who, name) for who in everybody}
missing += [f"{who} passed {name}, which is not in the list" for who, name in sorted(passed)]
print()
if missing:
    sys.exit("\n".join(missing))
