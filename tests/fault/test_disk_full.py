# SPDX-License-Identifier: Apache-2.0
"""The disk fills in the middle of a load and is freed again, several times, with a kill while it is full: 503 as long
as it is, healed by itself, nothing acknowledged lost."""

import collections
import shutil

from conftest import wait_for
from faults import KEY, shop
from load import Load, compare
from test_stop import disk  # noqa: F401 (a fixture)

CYCLES = 3  # on one folder; the last one is killed while the disk is full
LOG_SIZE_MAX = 32 << 20  # then a restart empties it, so that all cycles have room


def one_folder(disk, home, config):
    server = home.serve(data="small/data", config=config, wrap=disk.wrap)
    port = server.port
    with Load(server, 8, KEY, pad=2000) as load:
        for cycle in range(CYCLES):
            before = load.refused()[503]
            disk.fill()
            wait_for(lambda: load.refused()[503] > before + 20, what="a refusal")
            assert server.alive, server.log()[-2000:]
            if cycle == CYCLES - 1:
                server.kill()
                disk.free()
                server.start(port)
            else:
                disk.free()
            acknowledged = len(load.acknowledged())
            wait_for(lambda: len(load.acknowledged()) > acknowledged + 20, what="the healing")
            if (disk.inside / "data/payhook.db-wal").stat().st_size > LOG_SIZE_MAX:
                assert server.stop() == 0
                server.start(port)
    assert set(load.refused()) == {503}
    assert server.stop() == 0
    missing, doubled = compare(load.acknowledged(), disk.rows("SELECT transaction_id FROM event", home.path))
    assert (missing, doubled) == ([], [])
    shutil.rmtree(disk.inside / "data")
    return collections.Counter(
        cycles=CYCLES, acknowledged=len(load.acknowledged()), refused=load.refused().total()
    )


def test_full_and_freed_under_load(disk, home, scale, counts):  # noqa: F811
    config, total = shop(home), collections.Counter()
    for _ in range(scale(1, 30)):
        total += one_folder(disk, home, config)
    counts("disk full and freed", **total, missing=0, doubled=0)
