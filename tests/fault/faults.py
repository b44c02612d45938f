# SPDX-License-Identifier: Apache-2.0
"""What the fault harnesses share: how often (a few in `make check`, many in `make faults`), one line of counts each,
and programs made to fail. A pytest plugin beside integration's conftest; tools/check starts both."""

import os
import pathlib
import signal
import sqlite3
import tempfile

import pytest

import wire
from conftest import PROGRAM, WAIT_S_MAX, Home, source

BUILD = pathlib.Path(os.environ.get("PAYHOOK_BUILD") or PROGRAM.parents[2]).resolve()
SHIM, CRASH = BUILD / "tests/fault/shim.so", BUILD / "tests/fault/crash"
TOKEN = "a-static-token-0123456789"
KEY = {"x-api-key": TOKEN}
lines = []


def pytest_addoption(parser):
    parser.addoption("--large", action="store_true", help="the large counts: hours instead of minutes")


def pytest_terminal_summary(terminalreporter):
    for line in lines:
        terminalreporter.write_line(f"fault: {line}")


@pytest.fixture
def scale(request):
    """scale(few, many): the one of the two that this run wants."""
    return lambda few, many: many if request.config.getoption("--large") else few


@pytest.fixture
def counts():
    """counts("harness", points=…, missing=0): a line at the end of the run."""

    def add(harness, **numbers):
        lines.append(f"{harness}: " + ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in numbers.items()))

    return add


@pytest.fixture
def quick_home(tmp_path_factory):
    """A home in memory, where a sync costs nothing: for faults that do not ask the disk."""
    shared = pathlib.Path("/dev/shm")
    path = tmp_path_factory.mktemp("home")
    if os.access(shared, os.W_OK):
        path = pathlib.Path(tempfile.mkdtemp(prefix="payhook-fault-", dir=shared))
    home = Home(path)
    yield home
    home.close()


def shop(home):
    """A configuration with one source, /hooks/shop, that KEY opens."""
    return home.config(source("shop", "api-key", [home.secret("shop", TOKEN)]))


def preload(fault, count=None, library=SHIM):
    """The environment of a program that the shim works in. fault: CALL:NTH:ERROR[:PATH]."""
    assert library.exists(), f"{library} was not built"
    return {"LD_PRELOAD": str(library), "SHIM": fault, **({"SHIM_COUNT": str(count)} if count else {})}


def post(server, name, pad=0, timeout=WAIT_S_MAX):
    """Sends one event; the reply, or None where the connection fails."""
    body = b'{"transactionId":"%b","pad":"%b"}' % (name.encode(), b"x" * pad)
    try:
        with server.connect(timeout) as connection:
            connection.send(wire.request("/hooks/shop", body, KEY))
            return connection.reply()
    except (OSError, wire.Closed):
        return None


def describe(code):
    return signal.Signals(-code).name if code < 0 else f"status {code}"


def integrity(database):
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return connection.execute("PRAGMA integrity_check").fetchone()[0]
    finally:
        connection.close()
