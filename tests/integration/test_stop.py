# SPDX-License-Identifier: Apache-2.0
"""Stopping, a full disk, and a database that must not be used: nothing acknowledged is lost, and a sentence says what
to do."""

import os
import shutil
import signal
import sqlite3
import subprocess
import time

import pytest

import wire
from conftest import STOP_S_PROMISED, database_rows, source, wait_for
from load import Load, compare

TOKEN = "a-static-token-0123456789"
KEY = {"x-api-key": TOKEN}
AT_ONCE_S = 4  # well below the 5 s that unfinished requests are waited for


def serve(home, **how):
    return home.serve(config=home.config(source("shop", "api-key", [home.secret("shop", TOKEN)])), **how)


@pytest.fixture
def server(home):
    return serve(home)


def timed_stop(server):
    started = time.monotonic()
    code = server.stop()
    return code, time.monotonic() - started


# ---- SIGTERM


def test_idle_server_stops_at_once(server):
    with server.connect() as idle:
        idle.send(wire.request("/hooks/shop", b'{"transactionId":"a"}', KEY))
        assert idle.reply().status == 200
        code, seconds = timed_stop(server)
        assert code == 0 and seconds < AT_ONCE_S
        assert idle.at_end()


def test_interrupt_stops_as_well(server):
    server.signal(signal.SIGINT)
    assert server.wait() == 0


def test_stop_right_after_the_welcome(server):
    """Whoever was told where it serves may stop it."""
    for _ in range(10):
        assert server.stop() == 0
        server.start()


def test_stop_under_load(server):
    with Load(server, 16, KEY) as load:
        wait_for(lambda: len(load.acknowledged()) > 200)
        code, seconds = timed_stop(server)
    assert code == 0 and seconds < STOP_S_PROMISED
    acknowledged = load.acknowledged()
    assert compare(acknowledged, server.rows("SELECT transaction_id FROM event")) == ([], [])
    assert set(load.refused()) <= {503}
    server.start()
    assert server.post("/hooks/shop", load.senders[0].event(0), KEY).duplicate


def test_what_is_in_flight_is_finished(server):
    body = b'{"transactionId":"slow","pad":"%b"}' % (b"x" * 2000)
    data = wire.request("/hooks/shop", body, KEY)
    with server.connect() as connection:
        connection.send(data[:300])
        time.sleep(0.2)
        server.signal(signal.SIGTERM)
        time.sleep(0.3)
        server.signal(signal.SIGTERM)  # a second one changes nothing
        time.sleep(0.3)
        assert server.alive
        connection.send(data[300:])
        reply = connection.reply()
        assert (reply.status, reply.closes) == (200, True)
        assert connection.at_end()
    assert server.wait() == 0
    assert server.rows("SELECT payload FROM event") == [(body.decode(),)]


def test_nobody_is_let_in_while_others_are_finished(server):
    """Not even into the kernel's queue, where they would wait unheard and be reset."""
    with server.connect() as connection:
        connection.send(b"POST /hooks/shop HTTP/1.1\r\nHost: a\r\n")
        time.sleep(0.2)
        server.signal(signal.SIGTERM)
        wait_for(lambda: refused(server), 4, "the end of accepting")
        assert server.alive


def refused(server):
    try:
        server.connect(1).socket.close()
    except OSError:
        return True
    return False


def test_one_that_never_finishes_is_not_waited_for(server):
    with server.connect() as body, server.connect() as head, server.connect() as silent:
        body.send(wire.request("/hooks/shop", headers={**KEY, "Content-Length": "1000"}) + b"x")
        head.send(b"POST /hooks/shop HTTP/1.1\r\nHost: a\r\n")
        time.sleep(0.2)
        code, seconds = timed_stop(server)
        assert code == 0 and seconds < STOP_S_PROMISED
        assert silent.at_end()


def test_second_stop_under_load_is_harmless(server):
    with Load(server, 8, KEY) as load:
        wait_for(lambda: len(load.acknowledged()) > 100)
        for _ in range(3):
            server.signal(signal.SIGTERM)
        assert server.wait(STOP_S_PROMISED) == 0
    assert compare(load.acknowledged(), server.rows("SELECT transaction_id FROM event")) == ([], [])


def test_stops_come_until_the_end(server):
    """The last ones meet a server that is closing its store."""
    with Load(server, 8, KEY, pad=2000) as load:
        wait_for(lambda: len(load.acknowledged()) > 500)
        end = time.monotonic() + STOP_S_PROMISED
        while server.alive and time.monotonic() < end:
            server.signal(signal.SIGTERM)
            time.sleep(0.0005)
    assert server.wait() == 0
    assert compare(load.acknowledged(), server.rows("SELECT transaction_id FROM event")) == ([], [])


# ---- a full disk


class SmallDisk:
    """A tmpfs in a mount namespace of its own, which vanishes with the process that holds it."""

    def __init__(self, folder, size):
        self.folder = folder
        folder.mkdir()
        script = 'mount -t tmpfs -o size="$1",mode=0700 tmpfs "$2" && echo mounted && exec cat'
        self.holder = subprocess.Popen(
            ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", str(size), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        if self.holder.stdout.readline() != b"mounted\n":
            pytest.skip(f"no mount namespace here: {self.holder.communicate()[1].decode().strip()}")

    @property
    def inside(self):
        """The folder as seen from outside."""
        return self.holder_root() / self.folder.relative_to("/")

    def holder_root(self):
        return type(self.folder)(f"/proc/{self.holder.pid}/root")

    @property
    def wrap(self):
        return ["nsenter", "-t", str(self.holder.pid), "-m", "--"]

    def fill(self):
        with open(self.inside / "ballast", "wb", buffering=0) as ballast:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        ballast.write(b"x" * size)
                except OSError:
                    pass

    def free(self):
        (self.inside / "ballast").unlink()

    def rows(self, sql, folder):
        """Reads the store from a copy: SQLite follows /proc/PID/root to our own root."""
        for name in ("payhook.db", "payhook.db-wal"):
            if (self.inside / "data" / name).exists():
                shutil.copy(self.inside / "data" / name, folder / name)
        return database_rows(folder / "payhook.db", sql)

    def close(self):
        self.holder.stdin.close()
        self.holder.wait(30)


@pytest.fixture
def disk(tmp_path):
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("nsenter"):
        pytest.skip("a private mount namespace needs root, unshare and nsenter")
    disk = SmallDisk(tmp_path / "small", 96 << 20)
    yield disk
    disk.close()


def test_full_disk_answers_503_and_heals(disk, home):
    server = serve(home, data="small/data", wrap=disk.wrap)
    acknowledged, number = [], 0

    def post(pad):
        nonlocal number
        number += 1
        reply = server.post("/hooks/shop", b'{"transactionId":"d-%d","pad":"%b"}' % (number, b"x" * pad), KEY)
        if reply.status == 200:
            acknowledged.append(f"d-{number}")
        return reply

    for _ in range(20):
        assert post(100000).status == 200
    for _ in range(2):  # it heals more than once
        disk.fill()
        replies = [post(300000) for _ in range(60)]
        refused = [reply for reply in replies if reply.status != 200]
        assert refused, "the disk was not full"
        for reply in refused:
            assert (reply.status, reply.body, reply.header("retry-after")) == (
                503,
                b'{"error": "Service unavailable"}',
                "1",
            )
        assert server.alive
        disk.free()
        wait_for(lambda: post(1000).status == 200, what="the healing")
        assert post(100000).status == 200
    code = server.stop()
    assert code == 0, server.log()[-2000:]
    assert len(acknowledged) > 22
    rows = disk.rows("SELECT transaction_id FROM event", home.path)
    assert compare(acknowledged, rows) == ([], [])
    assert sorted(name for name, in rows) == sorted(acknowledged), "what was refused is not there either"


def test_full_disk_under_load_and_a_kill(disk, home):
    server = serve(home, data="small/data", wrap=disk.wrap)
    with Load(server, 8, KEY, pad=2000) as load:
        wait_for(lambda: len(load.acknowledged()) > 50)
        disk.fill()
        wait_for(lambda: load.refused()[503] > 20, what="a refusal")
        disk.free()
        before = len(load.acknowledged())
        wait_for(lambda: len(load.acknowledged()) > before + 20, what="the healing")
        assert set(load.refused()) == {503}
        load.stop()
    server.kill()
    server.start()
    assert server.stop() == 0
    rows = disk.rows("SELECT transaction_id FROM event", home.path)
    assert compare(load.acknowledged(), rows) == ([], [])


# ---- a database that must not be used


def refuse_to_serve(home, server):
    done = home.run(*server.command[1:], "--listen", "127.0.0.1:0")
    assert done.returncode == 1, done
    assert done.stdout == b""
    sentence = done.stderr.decode()
    assert "payhook.db" in sentence, sentence
    return sentence


@pytest.fixture
def stopped(home):
    """A server that stored some events and was stopped."""
    server = serve(home)
    for i in range(50):
        assert server.post("/hooks/shop", b'{"transactionId":"x-%d","pad":"%b"}' % (i, b"y" * 3000), KEY).status == 200
    assert server.stop() == 0
    return server


def damage(path, at, data):
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(data)


@pytest.mark.parametrize("how", ["header", "schema", "page", "cut", "empty", "text"])
def test_damaged_database_is_refused(home, stopped, how):
    path = stopped.data / "payhook.db"
    size, before = path.stat().st_size, None
    assert size > 65536
    if how == "header":
        damage(path, 0, b"\0" * 100)
    elif how == "schema":
        damage(path, 100, b"\xff" * 2000)
    elif how == "page":
        for page in range(16384, size, 16384):
            damage(path, page, b"\xa5" * 64)
    elif how == "cut":
        os.truncate(path, size // 2 - 5000)
    elif how == "empty":
        os.truncate(path, 0)
    else:
        path.write_bytes(b"this is no database\n" * 1000)
    before = path.read_bytes()
    sentence = refuse_to_serve(home, stopped)
    assert len(sentence) > 40  # it says what to do
    assert path.read_bytes() == before, "what is left is the operator's to rescue"


def test_newer_schema_is_refused(home, stopped):
    path = stopped.data / "payhook.db"
    database = sqlite3.connect(path)
    version = database.execute("PRAGMA user_version").fetchone()[0]
    database.execute(f"PRAGMA user_version = {version + 1}")
    database.commit()
    database.close()
    sentence = refuse_to_serve(home, stopped)
    assert "newer" in sentence
    shown = home.run("show", "x-1", "--data", stopped.data)
    assert shown.returncode == 1 and b"newer" in shown.stderr


def test_database_of_another_program_is_refused(home, stopped):
    path = stopped.data / "payhook.db"
    path.unlink()
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE event(id)")
    database.commit()
    database.close()
    path.chmod(0o600)
    refuse_to_serve(home, stopped)


def test_flipped_bit_in_a_body_is_told(home, stopped):
    """The checksum of every body is looked at when it is read; the database itself does not notice."""
    path = stopped.data / "payhook.db"
    content = path.read_bytes()
    at = content.index(b'"x-7","pad":"yyyy') + 14
    damage(path, at, b"z")
    done = home.run("show", "x-7", "--data", stopped.data)
    assert done.returncode == 1
    assert b"damaged" in done.stderr.lower()
    assert home.run("show", "x-8", "--data", stopped.data).returncode == 0
