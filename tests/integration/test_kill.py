# SPDX-License-Identifier: Apache-2.0
"""kill -9 under load, again and again: what was acknowledged is there, once."""

import random
import time

import pytest

from conftest import source, wait_for
from load import Load, assert_comparison_can_fail, compare

TOKEN = "a-static-token-0123456789"
KILLS = 50


def kill_under_load(home, kills):
    """Kills and starts again, kills times; the events that were acknowledged. Also for tests/fault."""
    server = home.serve(config=home.config(source("shop", "api-key", [home.secret("shop", TOKEN)])))
    port, chance = server.port, random.Random(3)
    with Load(server, 6, {"x-api-key": TOKEN}, pad=500) as load:
        for _ in range(kills):
            before = len(load.acknowledged())
            wait_for(lambda: len(load.acknowledged()) > before + 10, what="an acknowledgement")
            time.sleep(chance.uniform(0.0, 0.1))
            assert server.alive
            server.kill()
            server.start(port)
        before = len(load.acknowledged())
        wait_for(lambda: len(load.acknowledged()) > before + 10, what="an acknowledgement after the last kill")
    acknowledged = load.acknowledged()
    assert len(acknowledged) >= kills * 10 and len(set(acknowledged)) == len(acknowledged)
    assert load.refused() == {}
    assert server.stop() == 0
    assert compare(acknowledged, server.rows("SELECT transaction_id FROM event")) == ([], [])
    assert server.rows("PRAGMA integrity_check") == [("ok",)]
    seqs = [seq for seq, in server.rows("SELECT seq FROM event ORDER BY rowid")]
    assert seqs == sorted(set(seqs))
    assert_comparison_can_fail(server.data / "payhook.db", acknowledged, home.path)
    return acknowledged


@pytest.mark.slow
def test_fifty_kills_under_load(home):
    kill_under_load(home, KILLS)
