# SPDX-License-Identifier: Apache-2.0
"""The admin listener: health, readiness, and metrics read by a parser as strict as Prometheus' own rules (promtool is
not in the packages that are installed here)."""

import math
import re
import signal
import socket
import time

import pytest

import signing
import wire
from conftest import source, wait_for
from test_stop import disk  # noqa: F401  a fixture

TOKEN = "a-static-token-0123456789"
KEY = {"x-api-key": TOKEN}
STRIPE = "whsec_0123456789abcdef0123456789"
DEADLINE_S = 5
ADMIN_CONNECTIONS_MAX = 16

# spec: the names, their types and labels. Nothing else may come out.
METRICS = {
    "payhook_requests_total": ("counter", ["source", "verdict"]),
    "payhook_duplicates_total": ("counter", ["source"]),
    "payhook_unreadable_total": ("counter", ["source"]),
    "payhook_clock_suspect_seconds": ("gauge", ["source"]),
    "payhook_commit_seconds": ("histogram", []),
    "payhook_request_seconds": ("histogram", []),
    "payhook_batch_events": ("histogram", []),
    "payhook_mailbox_depth": ("gauge", []),
    "payhook_connections": ("gauge", []),
}
SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="[^"\\\n]*",?)*)\})? (\d+(?:\.\d+)?)')


def parse(text):
    """{name: {labels: value}}. As the exposition format 0.0.4 says: HELP and TYPE once and first, samples of one name
    together, none twice, a histogram's buckets rising to +Inf, which is its count."""
    assert text.endswith("\n") and "\n\n" not in text
    samples, family, seen = {}, None, []
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, help_text = line[7:].split(" ", 1)
            assert name not in seen and help_text.endswith(".")
            seen.append(name)
            family, kind = name, None
            continue
        if line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert name == family and kind == METRICS[name][0]
            assert name.endswith("_total") == (kind == "counter")
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        name, labels, value = match[1], match[2] or "", float(match[3])
        assert kind is not None
        pairs = re.findall(r'([a-z]+)="([^"]*)"', labels)
        expected = list(METRICS[family][1])
        if kind == "histogram":
            assert name in (f"{family}_bucket", f"{family}_sum", f"{family}_count"), line
            expected += ["le"] if name.endswith("_bucket") else []
        else:
            assert name == family, line
        assert [label for label, _ in pairs] == expected, line
        key = tuple(value for _, value in pairs)
        assert key not in samples.setdefault(name, {}), line
        samples[name][key] = value
    assert set(seen) == set(METRICS)
    for name, (kind, _) in METRICS.items():
        if kind != "histogram":
            continue
        bounds = [math.inf if le == "+Inf" else float(le) for (le,) in samples[f"{name}_bucket"]]
        counts = list(samples[f"{name}_bucket"].values())
        assert bounds == sorted(set(bounds)) and bounds[-1] == math.inf and len(bounds) > 5
        assert counts == sorted(counts) and counts[-1] == samples[f"{name}_count"][()]
        assert (samples[f"{name}_sum"][()] > 0) <= (counts[-1] > 0)
    return samples


class Admin:
    def __init__(self, home, **how):
        self.home = home
        self.config = source("shop", "api-key", [home.secret("shop", TOKEN)])
        self.config += source("stripe", "stripe", [home.secret("stripe", STRIPE)])
        self.server = home.serve(config=home.config(self.config), **how)

    @property
    def address(self):
        return "127.0.0.1", int(re.search(r"admin +http://127\.0\.0\.1:(\d+)/metrics", self.server.welcome())[1])

    def ask(self, data, method="GET"):
        with wire.Connection(self.address) as connection:
            connection.send(data)
            reply = connection.reply(method)
            assert reply.closes and connection.at_end()
            return reply

    def get(self, path, method="GET", headers=()):
        return self.ask(wire.request(path, method=method, headers=headers), method)

    def metrics(self):
        reply = self.get("/metrics")
        assert reply.status == 200
        assert reply.header("content-type") == "text/plain; version=0.0.4; charset=utf-8"
        return parse(reply.body.decode("ascii"))

    def requests(self, samples=None):
        """What is not zero of payhook_requests_total."""
        samples = samples or self.metrics()
        return {key: int(value) for key, value in samples["payhook_requests_total"].items() if value}


@pytest.fixture(scope="module")
def shared(module_home):
    return Admin(module_home)


@pytest.fixture
def admin(home):
    return Admin(home)


def event(name, pad=0):
    return b'{"transactionId":"%b","pad":"%b"}' % (name.encode(), b"x" * pad)


# ---- pages


@pytest.mark.parametrize("path, body", [("/healthz", b"ok\n"), ("/readyz", b"ready\n"), ("/readyz?a=b", b"ready\n")])
def test_health(shared, path, body):
    reply = shared.get(path)
    assert (reply.status, reply.body) == (200, body)
    head = shared.get(path, "HEAD")
    assert (head.status, head.body, head.header("content-length")) == (200, b"", str(len(body)))


@pytest.mark.parametrize(
    "request_bytes, status",
    [
        (wire.request("/", method="GET"), 404),
        (wire.request("/metrics/", method="GET"), 404),
        (wire.request("/hooks/shop", event("a"), KEY), 404),
        (wire.request("/%6detrics", method="GET"), 404),
        (wire.request("/metrics", b"x", method="POST"), 405),
        (wire.request("/healthz", method="DELETE"), 405),
        (wire.request("/healthz", method="get"), 405),
        (wire.request("/healthz", method="OPTIONS"), 405),
        (b"GET /healthz\r\n\r\n", 400),
        (b"GET /healthz HTTP/2.0\r\nHost: a\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\nHost: a\n\n", 400),
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20000 + b"\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"\0" * 100, 400),
    ],
)
def test_what_is_not_served(shared, request_bytes, status):
    reply = shared.ask(request_bytes)
    assert reply.status == status
    assert reply.header("allow") == ("GET, HEAD" if status == 405 else None)


def test_a_client_that_stalls_is_closed(shared):
    with wire.Connection(shared.address) as silent, wire.Connection(shared.address) as slow:
        started = time.monotonic()
        slow.send(b"GET /healthz HTTP/1.1\r\n")
        for _ in range(3):
            time.sleep(1)
            slow.send(b"X: y\r\n")
        assert silent.at_end() and slow.at_end()
        assert DEADLINE_S - 1 < time.monotonic() - started < DEADLINE_S + 15


def test_a_client_that_does_not_read_is_closed(shared):
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        raw.settimeout(30)
        raw.connect(shared.address)
        raw.sendall(wire.request("/metrics", method="GET"))
        time.sleep(DEADLINE_S + 1)
        assert shared.get("/healthz").status == 200
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            for _ in range(100):  # it may come a little later
                raw.sendall(b"x" * 1000)
                time.sleep(0.1)


def test_held_connections_do_not_keep_a_health_check_out(shared):
    held = [wire.Connection(shared.address) for _ in range(3 * ADMIN_CONNECTIONS_MAX)]
    try:
        for _ in range(5):
            assert shared.get("/healthz").status == 200
        assert held[0].at_end()  # the oldest
    finally:
        for connection in held:
            connection.socket.close()


# ---- metrics


def test_nothing_has_happened_yet(admin):
    samples = admin.metrics()
    assert admin.requests(samples) == {}
    words = {verdict for _, verdict in samples["payhook_requests_total"]}
    assert {name for name, _ in samples["payhook_requests_total"]} == {"", "default", "shop", "stripe"}
    assert {"stored", "duplicate", "bad_signature", "unavailable", "bad_request"} < words and "accept" not in words
    assert set(samples["payhook_clock_suspect_seconds"]) == {("",), ("default",), ("shop",), ("stripe",)}
    for name in ("payhook_commit_seconds_count", "payhook_mailbox_depth", "payhook_connections"):
        assert samples[name] == {(): 0}


def test_counts(admin):
    server = admin.server
    for number in range(5):
        assert server.post("/hooks/shop", event(f"m-{number}"), KEY).status == 200
    for _ in range(3):
        assert server.post("/hooks/shop", event("m-0"), KEY).duplicate
    assert server.post("/hooks/shop", event("m-9"), {"x-api-key": "wrong-token-0123456789"}).status == 401
    assert server.post("/hooks/shop", b"no json", KEY).status == 200
    assert server.iam(event("iam")).status == 200
    assert server.post("/", event("unsigned")).status == 403
    assert server.post("/hooks/evil", event("x"), KEY).status == 404
    assert server.post('/hooks/a"b}', event("x"), KEY).status in (400, 404)
    assert server.send(b"GET / HTTP/1.1\r\n\r\n").status == 400
    samples = admin.metrics()
    counted = admin.requests(samples)
    unknown = sum(counted.pop(("", verdict), 0) for verdict in ("not_found", "bad_request"))
    assert unknown == 3
    assert counted == {
        ("shop", "stored"): 6,
        ("shop", "duplicate"): 3,
        ("shop", "bad_signature"): 1,
        ("default", "stored"): 1,
        ("default", "forbidden"): 1,
    }
    assert samples["payhook_duplicates_total"][("shop",)] == 3
    assert samples["payhook_unreadable_total"][("shop",)] == 1
    assert samples["payhook_request_seconds_count"][()] == 15
    assert samples["payhook_commit_seconds_count"][()] == samples["payhook_batch_events_count"][()] == 10
    assert samples["payhook_batch_events_sum"][()] == 10
    assert 0 < samples["payhook_commit_seconds_sum"][()] <= samples["payhook_request_seconds_sum"][()] < 60
    assert "evil" not in admin.get("/metrics").body.decode()


def test_connections(admin):
    held = [admin.server.connect() for _ in range(7)]
    try:
        wait_for(lambda: admin.metrics()["payhook_connections"][()] == 7)
    finally:
        for connection in held:
            connection.socket.close()
    wait_for(lambda: admin.metrics()["payhook_connections"][()] == 0)


def test_clock_suspect(admin):
    for number in range(6):
        body = b'{"id":"evt_%d","type":"a"}' % number
        at = int(time.time()) - 5000
        assert admin.server.post("/hooks/stripe", body, signing.stripe(STRIPE, body, at)).status == 401
    suspects = wait_for(lambda: (s := admin.metrics()["payhook_clock_suspect_seconds"])[("stripe",)] and s)
    assert 4990 <= suspects[("stripe",)] <= 5100 and suspects[("shop",)] == 0
    body = b'{"id":"evt_now","type":"a"}'
    assert admin.server.post("/hooks/stripe", body, signing.stripe(STRIPE, body)).status == 200
    wait_for(lambda: admin.metrics()["payhook_clock_suspect_seconds"][("stripe",)] == 0)


def test_counts_survive_a_reload(admin):
    """Also those of a source that is no longer configured: a counter that fell would look like a restart."""
    assert admin.server.post("/hooks/shop", event("r"), KEY).status == 200
    admin.home.config(admin.config.replace("source shop ", "source market "))
    admin.server.signal(signal.SIGHUP)
    wait_for(lambda: ("market", "stored") in admin.metrics()["payhook_requests_total"])
    assert admin.server.post("/hooks/market", event("r"), KEY).status == 200
    assert admin.server.post("/hooks/shop", event("r"), KEY).status == 404
    assert admin.requests() == {("shop", "stored"): 1, ("market", "stored"): 1, ("", "not_found"): 1}


def test_many_sources(home):
    """The largest text there can be, near enough: whole, and well-formed."""
    secret = home.secret("shop", TOKEN)
    names = ["s" * 50 + f"-{i}" for i in range(600)]
    admin = Admin.__new__(Admin)
    config = home.config("".join(source(name, "api-key", [secret]) for name in names))
    admin.home, admin.server = home, home.serve(config=config)
    assert admin.server.post(f"/hooks/{names[7]}", event("a"), KEY).status == 200
    reply = admin.get("/metrics")
    assert len(reply.body) > 1 << 20
    samples = parse(reply.body.decode())
    assert {name for name, _ in samples["payhook_requests_total"]} == {"", "default", *names}
    assert admin.requests(samples) == {(names[7], "stored"): 1}


# ---- readiness


def test_not_ready_while_stopping(admin):
    with admin.server.connect() as connection:
        data = wire.request("/hooks/shop", event("slow", 2000), KEY)
        connection.send(data[:300])
        time.sleep(0.2)
        admin.server.signal(signal.SIGTERM)
        reply = wait_for(lambda: (r := admin.get("/readyz")).status == 503 and r, 4)
        assert (reply.body, reply.header("retry-after")) == (b"stopping\n", "1")
        assert admin.get("/healthz").status == 200
        assert admin.requests() == {}
        admin.server.signal(signal.SIGHUP)  # too late for that
        connection.send(data[300:])
        assert connection.reply().status == 200
    assert admin.server.wait() == 0


def test_not_ready_while_the_disk_is_full(disk, home):  # noqa: F811
    admin = Admin(home, data="small/data", wrap=disk.wrap)
    assert admin.server.post("/hooks/shop", event("a", 1000), KEY).status == 200
    assert admin.get("/readyz").status == 200
    disk.fill()
    reply = admin.get("/readyz")
    assert (reply.status, reply.body) == (503, b"nothing can be stored: the disk is full\n")
    numbers = iter(range(200))  # the log that is there already may take some
    while admin.server.post("/hooks/shop", event(f"b-{next(numbers)}", 300_000), KEY).status == 200:
        pass
    assert admin.get("/readyz").status == 503
    assert admin.get("/healthz").status == 200
    assert admin.requests()[("shop", "unavailable")] >= 1
    disk.free()
    assert admin.get("/readyz").status == 503  # the last commit failed
    wait_for(lambda: admin.server.post("/hooks/shop", event("d"), KEY).status == 200)
    assert admin.get("/readyz").status == 200


# ---- where it listens


@pytest.mark.parametrize("none", ["", "none"])
def test_none(home, none):
    server = home.serve(options=["--admin", none])
    assert "admin" not in server.welcome()
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table][1:]
    listening = {row[9] for row in rows if row[3] == "0A"}
    own = re.findall(r"socket:\[(\d+)\]", home.sh(f"ls -l /proc/{server.process.pid}/fd").stdout.decode())
    assert len(listening & set(own)) == 1


def test_none_in_the_configuration(home):
    done = home.run("check-config", "--config", home.config('admin = "none"\n'), "--data", home.path / "data")
    assert done.returncode == 0 and re.search(rb"admin +none", done.stdout)


def test_an_address_in_use(home):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = home.run("serve", "--data", home.path / "data", "--listen", "127.0.0.1:0", "--admin", address)
        assert done.returncode == 1 and b"choose another --admin, or none" in done.stderr
