# SPDX-License-Identifier: Apache-2.0
"""Power cuts at every I/O of the store, in one process (crash_test.c), and the controls that must lose something."""

import os
import re
import subprocess

import pytest

from faults import CRASH

CONTROL_POINTS = 2000


def start(points, seed, control="full"):
    return subprocess.Popen([str(CRASH), str(points), str(seed), control], stdout=subprocess.PIPE, text=True)


def finish(process):
    """The status, and the last line's numbers by what they count."""
    out = process.communicate()[0]
    found = {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", out.splitlines()[-1] if out else "")}
    return process.returncode, found, out


def test_no_cut_loses_anything(scale, counts):
    processes = os.cpu_count() or 1
    points = scale(10000, 1000000) // processes
    runs = [start(points, 1 + i * 1000000) for i in range(processes)]
    total = {"points": 0, "acknowledged": 0, "missing": 0, "doubled": 0, "damaged": 0, "part": 0, "refused": 0}
    failures = []
    for run in runs:
        code, found, out = finish(run)
        total = {word: number + found.get(word, 0) for word, number in total.items()}
        if code != 0:
            failures.append(out)
    counts("crash vfs, full", **total)
    assert not failures, "\n".join(failures)
    assert total["points"] == points * processes and total["acknowledged"] > 0


@pytest.mark.parametrize("control", ["normal", "off", "lying"])
def test_control_loses(counts, control):
    code, found, out = finish(start(CONTROL_POINTS, 1, control))
    counts(f"crash vfs, control: {control}", points=found["points"], missing=found["missing"])
    assert code == 1 and found["missing"] > 0, out
