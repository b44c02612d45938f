# SPDX-License-Identifier: Apache-2.0
"""The wall clock jumps back an hour and forward ten years under a running server (libfaketime; the monotonic clock goes
on). Order stays seq, deadlines stay what they are, nobody is cut off and nothing hangs."""

import glob
import pathlib
import time

import pytest

import wire
from conftest import STOP_S_PROMISED, source
from faults import KEY, TOKEN, post
from load import compare

LIBRARIES = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
HOUR_S, YEAR_S = 3600, 365 * 86400
# In this order, as offsets from the real time.
JUMPS = [0, -HOUR_S, 0, 10 * YEAR_S, -10 * YEAR_S, 0]
HEAD_DEADLINE_S = 2


@pytest.fixture
def clock(home):
    """A server whose wall clock a file says, and set(offset)."""
    if not LIBRARIES:
        pytest.skip("libfaketime is not installed")
    config = home.config(
        f"limits {{ head_deadline_s = {HEAD_DEADLINE_S} }}\n" + source("shop", "api-key", [home.secret("shop", TOKEN)])
    )
    path = home.write("clock", "+0")
    environment = {
        "LD_PRELOAD": LIBRARIES[0],
        "FAKETIME_TIMESTAMP_FILE": str(path),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_NO_CACHE": "1",
    }
    server = home.serve(config=config, environment=environment)

    def jump(offset_s):
        path.write_text(f"{offset_s:+d}")

    yield server, jump
    for name in (f"faketime_shm_{server.process.pid}", f"sem.faketime_sem_{server.process.pid}"):
        pathlib.Path("/dev/shm", name).unlink(missing_ok=True)  # libfaketime leaves them behind


def test_jumps(clock, counts):
    server, jump = clock
    idle = server.connect()
    idle.send(wire.request("/hooks/shop", b'{"transactionId":"idle-0"}', KEY))
    assert idle.reply().status == 200
    names = []
    for number, offset in enumerate(JUMPS):
        jump(offset)
        started = time.monotonic()
        for again in range(5):
            assert post(server, f"j-{number}-{again}").status == 200
            names.append(f"j-{number}-{again}")
        assert time.monotonic() - started < 15
    idle.send(wire.request("/hooks/shop", b'{"transactionId":"idle-1"}', KEY))
    assert idle.reply().status == 200, "a jump is no idleness"
    idle.socket.close()
    rows = server.rows("SELECT transaction_id, timestamp FROM event WHERE transaction_id LIKE 'j-%' ORDER BY seq")
    assert [name for name, _ in rows] == names
    now = time.time()
    for name, timestamp in rows:
        assert abs(timestamp - now - JUMPS[int(name.split("-")[1])]) < 60, "the clock did not jump"
    assert sorted(rows, key=lambda row: row[1]) != rows  # the control: by time the order is another
    missing, doubled = compare(names, [(name,) for name, _ in rows])
    counts("clock jumps", jumps=len(JUMPS), acknowledged=len(names), missing=len(missing), doubled=len(doubled))


@pytest.mark.parametrize("offset", [-HOUR_S, 10 * YEAR_S])
def test_deadlines_do_not_jump(clock, offset):
    server, jump = clock
    with server.connect() as slow:
        slow.send(b"POST /hooks/shop HTTP/1.1\r\nHost: a\r\n")
        started = time.monotonic()
        time.sleep(0.3)
        jump(offset)
        assert post(server, "meanwhile").status == 200  # and whoever is served sees nothing of it
        assert slow.reply().status == 408
        assert HEAD_DEADLINE_S - 0.5 < time.monotonic() - started < HEAD_DEADLINE_S + 15
    started = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - started < STOP_S_PROMISED
