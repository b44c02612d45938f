# SPDX-License-Identifier: Apache-2.0
"""kill -9 and SIGTERM under load, over and over. They show what the kernel's page cache keeps, not the disk."""

import concurrent.futures
import multiprocessing
import os
import random
import time

from conftest import STOP_S_PROMISED, Home, wait_for
from faults import KEY, shop
from load import Load, compare
from test_kill import kill_under_load

KILLS_AT_ONCE = 250  # on one folder, so that it stays small


def kills_in(path, kills):
    """The count of what was acknowledged."""
    path.mkdir()
    home = Home(path)
    try:
        return len(kill_under_load(home, kills))
    finally:
        home.close()


def test_kills(scale, counts, tmp_path):
    """The fifty of the small run are in tests/integration; these are some more, a server and its senders on each core."""
    kills = scale(10, 10000)
    parts = [min(KILLS_AT_ONCE, kills - at) for at in range(0, kills, KILLS_AT_ONCE)]
    folders = [tmp_path / str(i) for i in range(len(parts))]
    workers = min(len(parts), os.cpu_count() or 1)
    with concurrent.futures.ProcessPoolExecutor(workers, multiprocessing.get_context("fork")) as pool:
        acknowledged = sum(pool.map(kills_in, folders, parts))
    counts("kill -9 under load", kills=sum(parts), acknowledged=acknowledged, missing=0, doubled=0)


def test_stops(home, scale, counts):
    """Each stop is in order and soon, whenever it comes; senders see a reply, 503 or a closed connection."""
    server = home.serve(config=shop(home))
    port, chance, stops, slowest = server.port, random.Random(5), scale(10, 500), 0.0
    with Load(server, 8, KEY, pad=500) as load:
        for _ in range(stops):
            before = len(load.acknowledged())
            wait_for(lambda: len(load.acknowledged()) > before + 10, what="an acknowledgement")
            time.sleep(chance.uniform(0.0, 0.05))
            started = time.monotonic()
            assert server.stop() == 0, server.log()[-2000:]
            slowest = max(slowest, time.monotonic() - started)
            server.start(port)
    assert slowest < STOP_S_PROMISED
    assert set(load.refused()) <= {503}
    assert server.stop() == 0
    acknowledged = load.acknowledged()
    missing, doubled = compare(acknowledged, server.rows("SELECT transaction_id FROM event"))
    told = {"stops": stops, "acknowledged": len(acknowledged), "missing": len(missing), "doubled": len(doubled)}
    counts("SIGTERM under load", **told)
    assert (missing, doubled) == ([], [])
