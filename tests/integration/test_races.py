# SPDX-License-Identifier: Apache-2.0
"""Everything that two threads share, used at once: several I/O threads under load while the configuration is reloaded,
keys are added, readers look at the store, the numbers are asked for, and the server is stopped. Under the thread
sanitizer (tools/check tsan) this is where a race is found; without it, that nobody was refused and nothing is lost."""

import re
import signal
import time
import urllib.request

from conftest import source, wait_for
from load import Load, compare

ROUNDS = 15
KEY = {"x-api-key": "a-static-token-0123456789"}


def stanzas(secrets, extra):
    text = "limits { io_threads = 4 }\n" + source("shop", "api-key", secrets)
    return text + (source("more", "hub-sha256", secrets[:1]) if extra else "")


def ask_for_numbers(server):
    """The admin listener's address is in the welcome, where it has one of its own."""
    for url in set(re.findall(r"http://127\.0\.0\.1:\d+/", server.welcome())) - {server.url}:
        with urllib.request.urlopen(url + "metrics", timeout=30) as reply:
            assert b"payhook_connections" in reply.read()


def test_reload_keys_readers_and_stop_under_load(home):
    secrets = [home.secret("one", KEY["x-api-key"]), home.secret("two", "another-token-9876543210")]
    server = home.serve(config=home.config(stanzas(secrets, False)))
    with Load(server, 8, KEY, pad=3000) as load:
        for number in range(ROUNDS):
            before = len(load.acknowledged())
            home.config(stanzas(secrets[:: 1 if number % 2 else -1], number % 3 == 0))
            lines = server.log().count("SIGHUP")
            server.signal(signal.SIGHUP)
            assert home.run("key", "add", f"k{number}", "--data", server.data).returncode == 0
            assert home.run("show", "shop/s0-0", "--data", server.data).returncode == 0
            ask_for_numbers(server)
            wait_for(lambda: server.log().count("SIGHUP") > lines, what="the reload")
            wait_for(lambda: len(load.acknowledged()) > before + 20, what="going on")
        time.sleep(0.1)
        assert load.refused() == {}
        assert server.stop() == 0
    assert compare(load.acknowledged(), server.rows("SELECT transaction_id FROM event")) == ([], [])
