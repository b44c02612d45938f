# SPDX-License-Identifier: Apache-2.0
"""Too few descriptors, and two servers for one folder or one address."""

import os
import time

from conftest import wait_for
from faults import KEY, post, shop
from load import Load, compare

LIMIT, CLIENTS = 64, 100


def cpu_s(server):
    fields = open(f"/proc/{server.process.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_descriptors_run_out(home, counts):
    """More clients than descriptors: it does not spin, and serves again when they have gone."""
    server = home.serve(config=shop(home), wrap=["prlimit", f"--nofile={LIMIT}:{LIMIT}", "--"])
    assert post(server, "before").status == 200
    clients, acknowledged = [], ["before"]
    for _ in range(CLIENTS):
        try:
            clients.append(server.connect(2))
        except OSError:
            break  # the queue is full as well
    time.sleep(0.5)
    used = cpu_s(server)
    time.sleep(3)
    used = cpu_s(server) - used
    open_count = len(os.listdir(f"/proc/{server.process.pid}/fd"))
    assert open_count > LIMIT - 6, "the descriptors did not run out: this shows nothing"
    assert used < 1, f"it spins: {used} s of CPU in 3 s"
    for client in clients:
        client.socket.close()

    def is_served():
        reply = post(server, "after", timeout=2)
        return reply is not None and reply.status == 200

    wait_for(is_served, what="the resuming")
    for number in range(CLIENTS):
        assert post(server, f"later-{number}").status == 200
        acknowledged.append(f"later-{number}")
    assert server.stop() == 0
    missing, doubled = compare(acknowledged, server.rows("SELECT transaction_id FROM event"))
    counts(
        f"{LIMIT} descriptors",
        clients=len(clients),
        acknowledged=len(acknowledged),
        missing=len(missing),
        doubled=len(doubled),
    )
    assert (missing, doubled) == ([], [])


def test_second_server_is_refused(home, scale, counts):
    """By the lock of the folder, and by the address, while the first goes on."""
    server, tries = home.serve(config=shop(home)), scale(3, 100)
    with Load(server, 4, KEY) as load:
        for _ in range(tries):
            before = len(load.acknowledged())
            done = home.run(*server.command[1:], "--listen", "127.0.0.1:0")
            assert done.returncode == 1 and b"another payhook serves" in done.stderr, done
            done = home.run("serve", "--data", "other", "--listen", server.host, "--admin", "127.0.0.1:0")
            assert done.returncode == 1 and b"in use by another program" in done.stderr, done
            wait_for(lambda: len(load.acknowledged()) > before + 10, what="an acknowledgement")
    assert load.refused() == {}
    assert server.stop() == 0
    missing, doubled = compare(load.acknowledged(), server.rows("SELECT transaction_id FROM event"))
    acknowledged = len(load.acknowledged())
    counts("second server", tries=2 * tries, acknowledged=acknowledged, missing=len(missing), doubled=len(doubled))
    assert (missing, doubled) == ([], [])
