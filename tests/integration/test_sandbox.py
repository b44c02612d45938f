# SPDX-License-Identifier: Apache-2.0
"""The sandbox of a running server: that it is on, what a reload meets, that a kernel without it is said and served on,
and what the service manager is told. What it denies from within is tests/unit/sandbox_test.c."""

import os
import platform
import re
import signal
import socket
import sys

import pytest

import wire
from conftest import PROGRAM, source, wait_for

TOKEN = "a-static-token-0123456789"
OTHER = "another-token-9876543210"
LANDLOCK, SECCOMP = 444, 317 if platform.machine() == "x86_64" else 277
# The words of sandbox_none.c: sanitizers and coverage need what the sandbox denies.
INSTRUMENTED = b"an instrumented build" in PROGRAM.read_bytes()
needs_sandbox = pytest.mark.skipif(INSTRUMENTED, reason="an instrumented build has no sandbox")

# A kernel without one system call: a filter that answers ENOSYS to it, and then the program.
WITHOUT = """
import ctypes, os, struct, sys
libc, number = ctypes.CDLL(None, use_errno=True), int(sys.argv[1])
rows = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050026), (0x06, 0, 0, 0x7fff0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *row) for row in rows))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(rows), ctypes.addressof(code)))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0, ctypes.get_errno()
os.execv(sys.argv[2], sys.argv[2:])
"""


def status(server):
    text = open(f"/proc/{server.process.pid}/status").read()
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def has_landlock(home):
    """What this machine's kernel offers; the server says so itself."""
    server = home.serve("probe")
    return "no landlock" not in server.log()


def posts(server, token=TOKEN):
    return server.post("/hooks/shop", b'{"transactionId":"a"}', {"x-api-key": token}).status


def reload(server):
    before = server.log().count("SIGHUP")
    server.signal(signal.SIGHUP)
    wait_for(lambda: server.log().count("SIGHUP") > before, what="the reload")
    return [line for line in server.log().splitlines() if "SIGHUP" in line][-1]


@needs_sandbox
def test_it_is_on(home):
    server = home.serve()
    assert status(server)["NoNewPrivs"].strip() == "1"
    assert status(server)["Seccomp"].strip() == "2"
    assert server.log().count("sandbox: ") == 1
    tasks = os.listdir(f"/proc/{server.process.pid}/task")
    assert len(tasks) > 2
    for task in tasks:
        assert re.search(r"^Seccomp:\t2$", open(f"/proc/{server.process.pid}/task/{task}/status").read(), re.M)


@needs_sandbox
@pytest.mark.parametrize("number, word", [(LANDLOCK, "no landlock"), (SECCOMP, "no seccomp filter")])
def test_a_kernel_without_it(home, number, word):
    server = home.serve(wrap=[sys.executable, "-c", WITHOUT, str(number)])
    lines = [line for line in server.log().splitlines() if "sandbox" in line]
    assert len(lines) == 1 and word in lines[0] and "level=warning" in lines[0]
    assert server.iam(b'{"transactionId":"a"}').status == 200


@needs_sandbox
def test_reload_of_a_file_elsewhere_keeps_the_old_one(home):
    if not has_landlock(home):
        pytest.skip("this kernel has no landlock")
    for folder in ("conf", "elsewhere"):
        (home.path / folder).mkdir()
    config = home.write("conf/payhook.conf", source("shop", "api-key", [home.secret("conf/one", TOKEN)]))
    elsewhere = home.secret("elsewhere/two", OTHER)
    server = home.serve(config=config)
    assert posts(server) == 200

    home.write("conf/payhook.conf", source("shop", "api-key", [elsewhere]))
    line = reload(server)
    assert "kept" in line and "restart" in line and elsewhere in line and "level=error" in line
    assert (posts(server), posts(server, OTHER)) == (200, 401)

    home.write("conf/payhook.conf", source("shop", "api-key", ["file:" + str(home.path / "elsewhere/absent")]))
    assert "kept" not in reload(server)  # a secret that is not there is only left out, as at start
    assert posts(server) == 503

    home.write("conf/payhook.conf", source("shop", "api-key", [elsewhere]))
    assert server.stop() == 0
    server.start()
    assert posts(server, OTHER) == 200


@needs_sandbox
def test_reload_beside_what_was_named(home):
    """A renewed secret, a new one in the same folder, and one behind a link that is changed as Kubernetes does it."""
    for folder in ("conf", "mount/1", "mount/2"):
        (home.path / folder).mkdir(parents=True)
    home.write("mount/1/key", TOKEN)
    home.write("mount/2/key", OTHER)
    current = home.path / "mount/current"
    current.symlink_to("1")
    (home.path / "mount/key").symlink_to("current/key")
    config = home.write("conf/payhook.conf", source("shop", "api-key", [f"file:{home.path}/mount/key"]))
    server = home.serve(config=config)
    assert (posts(server), posts(server, OTHER)) == (200, 401)
    (home.path / "mount/next").symlink_to("2")
    os.replace(home.path / "mount/next", current)
    assert "kept" not in reload(server)
    assert (posts(server), posts(server, OTHER)) == (401, 200)
    home.write("conf/payhook.conf", source("shop", "api-key", [home.secret("conf/new", TOKEN)]))
    assert "kept" not in reload(server)
    assert (posts(server), posts(server, OTHER)) == (200, 401)


@needs_sandbox
def test_a_secret_behind_a_link(home):
    (home.path / "real").mkdir()
    home.write("real/key", TOKEN)
    (home.path / "link").symlink_to("real/key")
    server = home.serve(config=home.config(source("shop", "api-key", [f"file:{home.path}/link"])))
    assert posts(server) == 200
    home.write("real/key", OTHER)
    assert "kept" not in reload(server)
    assert posts(server, OTHER) == 200


def test_key_add_beside_it(home):
    server = home.serve()
    done = home.run("key", "add", "second", "--data", server.data)
    assert done.returncode == 0
    wait_for(lambda: "2 keys" in server.log(), what="the new key")


@needs_sandbox
def test_the_store_grows_and_is_copied(home):
    """More than a checkpoint's worth of pages: every file operation of the store, within the sandbox."""
    server = home.serve(config=home.config(source("shop", "api-key", [home.secret("one", TOKEN)])))
    body = b'{"transactionId":"%d","pad":"' + b"x" * 900_000 + b'"}'
    with server.connect() as connection:
        for number in range(90):
            connection.send(wire.request("/hooks/shop", body % number, {"x-api-key": TOKEN}))
            assert connection.reply().status == 200
    assert (server.data / "payhook.db").stat().st_size > 50_000_000
    assert server.stop() == 0
    assert not (server.data / "payhook.db-wal").exists()


# ---- the service manager


class Manager:
    """Receives what sd_notify(3) would send."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(name)
        self.socket.settimeout(10)

    def next(self):
        return self.socket.recv(4096).decode()

    def nothing(self):
        self.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            self.socket.recv(4096)
        self.socket.settimeout(10)


@pytest.mark.parametrize("abstract", [False, True])
def test_the_manager_is_told(home, abstract):
    name = f"payhook-test-{os.getpid()}-{id(home)}"
    path = str(home.path / "notify")
    manager = Manager("\0" + name if abstract else path)
    server = home.serve(environment={"NOTIFY_SOCKET": "@" + name if abstract else path})
    assert manager.next() == "READY=1"
    manager.nothing()
    server.signal(signal.SIGHUP)
    fields = dict(line.split("=", 1) for line in manager.next().splitlines())
    assert fields["RELOADING"] == "1" and int(fields["MONOTONIC_USEC"]) > 0
    assert manager.next() == "READY=1"
    assert server.stop() == 0
    assert manager.next() == "STOPPING=1"
    manager.nothing()


def test_ready_only_when_it_serves(home):
    path = str(home.path / "notify")
    manager = Manager(path)
    taken = socket.create_server(("127.0.0.1", 0))
    server = home.serve(start=False, environment={"NOTIFY_SOCKET": path})
    with pytest.raises(AssertionError):
        server.start(taken.getsockname()[1])
    manager.nothing()


@pytest.mark.parametrize("name", ["/nowhere/at-all", "relative", "@", "/" + "x" * 200])
def test_a_manager_that_is_not_there(home, name):
    server = home.serve(environment={"NOTIFY_SOCKET": name})
    assert "service manager is not told" in server.log()
    assert server.stop() == 0
