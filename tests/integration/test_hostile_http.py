# SPDX-License-Identifier: Apache-2.0
"""Every request of tests/data/http-hostile over a socket to a running server: the status, what becomes of the
connection, one log line, and that the server goes on. The file's README says what a case means."""

import re
import time

import pytest

import wire
from conftest import ROOT, wait_for

CASES_FILE = ROOT / "tests/data/http-hostile/cases.txt"
READER_STATUSES = {408, 411, 414, 431, 501, 505}
BAD_REQUEST = b'{"error": "Bad request"}'
DEADLINE_S = 1


class Case:
    def __init__(self, name):
        self.name, self.expect, self.keep, self.rest, self.data = name, None, True, b"", b""

    @property
    def method(self):
        return self.data.lstrip(b"\r\n").split(b" ", 1)[0].decode("latin-1")

    @property
    def hangs(self):
        """What follows the first request keeps the server waiting, or is another request."""
        return self.rest != b""


def unescape(text):
    one = {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\"}
    parts = re.split(r"\\(x[0-9a-fA-F]{2}|[rnt\\])", text)
    return b"".join(
        part.encode("ascii") if i % 2 == 0 else one.get(part) or bytes.fromhex(part[1:]) for i, part in enumerate(parts)
    )


def read_cases():
    cases = []
    for line in CASES_FILE.read_text("ascii").splitlines():
        if line.startswith("case: "):
            cases.append(Case(line[6:]))
        elif line.startswith("> "):
            cases[-1].data += unescape(line[2:])
        elif line.startswith("* "):
            count, text = line[2:].split(" ", 1)
            cases[-1].data += int(count) * unescape(text)
        elif line.startswith("expect: "):
            cases[-1].expect = line[8:]
        elif line.startswith("rest: "):
            cases[-1].rest = unescape(line[6:])
        elif line == "keep: no":
            cases[-1].keep = False
        else:
            assert line == "" or line.startswith(("#", "method: ", "target: ", "headers: ", "body: ")), line
    assert all(case.expect is not None and case.data for case in cases)
    return cases


CASES = read_cases()


def test_there_are_enough_cases():
    assert len(CASES) >= 120
    assert len({case.name for case in CASES}) == len(CASES)
    assert sum(case.expect not in ("ok", "more") for case in CASES) >= 100


@pytest.fixture(scope="module")
def server(module_home):
    config = module_home.config(f"limits {{ head_deadline_s = {DEADLINE_S}  body_deadline_s = {DEADLINE_S} }}\n")
    return module_home.serve(config=config)


def assert_serves(server):
    assert server.send(wire.request("/alive", method="GET")).status == 404


def statuses(server, before):
    """Of the log lines since; each I/O thread writes its own, so the order may differ."""
    return [int(line["status"]) for line in server.webhooks(before)]


def send(connection, case):
    """A refusal may come, and the connection end, before all is sent."""
    try:
        connection.send(case.data)
    except (BrokenPipeError, ConnectionResetError):
        pass


def final_reply(connection, method):
    reply = connection.reply(method)
    while reply.status == 100:
        reply = connection.reply(method)
    return reply


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.expect not in ("ok", "more")], ids=lambda case: case.name
)
def test_refused(server, case):
    before = len(server.webhook_lines())
    with server.connect() as connection:
        send(connection, case)
        reply = connection.reply()
        assert (reply.status, reply.body, reply.closes) == (int(case.expect), BAD_REQUEST, True)
        assert reply.header("content-type") == "application/json"
        try:
            assert connection.at_end()
        except ConnectionResetError:
            assert len(case.data) > 16384  # more than was read, and we never stopped sending
    assert_serves(server)
    wait_for(lambda: len(server.webhook_lines()) >= before + 2, what="the log line")
    assert sorted(statuses(server, before)) == sorted([int(case.expect), 404])


@pytest.mark.parametrize("case", [case for case in CASES if case.expect == "ok"], ids=lambda case: case.name)
def test_accepted_by_the_reader(server, case):
    before = len(server.webhook_lines())
    with server.connect() as connection:
        send(connection, case)
        if b"100-continue" in case.data.lower() and connection_peek(connection).startswith(b"HTTP/1.1 100 "):
            assert connection.interim() == 100
        reply = connection.reply(case.method)
        assert reply.status not in READER_STATUSES
        assert reply.body != BAD_REQUEST
        if not case.keep:
            assert reply.closes
        if reply.closes:
            assert connection.at_end()
        elif not case.hangs:
            connection.send(wire.request("/same-connection", method="GET"))
            assert connection.reply().status == 404
    assert_serves(server)
    expected = 2 + (not reply.closes)  # its own, the second request or what became of the rest, and assert_serves
    wait_for(lambda: len(server.webhook_lines()) >= expected + before, what="the log lines")
    assert len(server.webhook_lines()) == before + expected
    assert reply.status in statuses(server, before)


def connection_peek(connection):
    if not connection.pending:
        connection._more()
    return connection.pending


def test_incomplete_requests_wait_for_their_deadline(server):
    """All at once, since each takes a deadline."""
    cases = [case for case in CASES if case.expect == "more"]
    assert cases
    before, connections, started = len(server.webhook_lines()), [], time.monotonic()
    try:
        for case in cases:
            connection = server.connect()
            connections.append(connection)
            connection.send(case.data)
        assert_serves(server)
        for case, connection in zip(cases, connections):
            reply = connection.reply()
            assert (reply.status, reply.body, reply.closes) == (408, BAD_REQUEST, True), case.name
            assert time.monotonic() - started > 0.8 * DEADLINE_S, case.name
            assert connection.at_end()
    finally:
        for connection in connections:
            connection.socket.close()
    wait_for(lambda: len(server.webhook_lines()) >= before + 1 + len(cases), what="the log lines")
    assert statuses(server, before).count(408) == len(cases)


def test_nothing_was_stored(server):
    assert server.rows("SELECT count(*) FROM event") == [(0,)]
