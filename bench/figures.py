# SPDX-License-Identifier: Apache-2.0
"""How the benchmarks say what they measured."""

import os
import pathlib
import re
import statistics

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, CLIENT_CORE = str(CORES[0]), str(CORES[-1])


def pinned(core, command):
    return ["taskset", "-c", core, *map(str, command)]


def status(pid, field):
    """Of /proc/PID/status, in bytes."""
    return 1024 * int(re.search(rf"^{field}:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1])


def three_of(values, digits=0):
    return " / ".join(f"{value:,.{digits}f}" for value in (min(values), statistics.median(values), max(values)))


def verdict(value, goal, at_least):
    good = value >= goal if at_least else value <= goal
    return "met" if good else f"missed: {value / goal:.2f} of it"


def table(*rows):
    head, *rest = ([str(cell) for cell in row] for row in rows)
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rest)]
