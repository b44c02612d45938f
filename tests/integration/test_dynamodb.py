# SPDX-License-Identifier: Apache-2.0
"""The store of a table, behind `serve --store dynamodb:TABLE`: the contract over emulators, faults at each request in
turn, the server killed between any two, many copies from many servers, and what an event costs however long its
timeline is."""

import collections
import concurrent.futures
import json
import os
import signal
import subprocess
import time

import pytest

import signing
import wire
from conftest import PROGRAM, STOP_S_MAX, source
from dynamodb_stand_in import FAULTS, WRITES, StandIn
from ministack_help import MiniStack

TOKEN = "a-static-token-0123456789"
HUB = "hub-secret-0123456789abcdef"
TABLE = "events"
CONTRACT = PROGRAM.parents[2] / "tests" / "contract" / "store_test"


@pytest.fixture(scope="module")
def aws():
    with StandIn() as stand_in:
        stand_in.allowed["WRITER"] = WRITES  # what the function's role may do
        yield stand_in


@pytest.fixture
def table(aws):
    """Fresh, and no faults."""
    aws.tables[TABLE] = {}
    aws.faults = lambda request: None
    aws.count.clear()
    return aws.tables[TABLE]


def make_server(home, aws, data="data", **how):
    config = home.config(
        source("shop", "api-key", [home.secret("shop", TOKEN)])
        + source("kiosk", "api-key", [home.secret("shop", TOKEN)])
        + source("hub", "hub-sha256", [home.secret("hub", HUB)])
    )
    how.setdefault("environment", aws.environment("WRITER"))
    return home.serve(data, config=config, options=["--store", f"dynamodb:{TABLE}"], **how)


@pytest.fixture(scope="module")
def server(module_home, aws):
    return make_server(module_home, aws)


def body_of(number, transaction="t", pad=0):
    return json.dumps({"transactionId": transaction, "number": number, "pad": "x" * pad}).encode()


def send(server, body, name="shop"):
    return server.post(f"/hooks/{name}", body, {"x-api-key": TOKEN})


def timeline(server, aws, what="shop/t"):
    """As `show` gives it, read with the operator's own credentials."""
    done = server.home.run("show", what, "--json", "--store", f"dynamodb:{TABLE}", environment=aws.environment("OPERATOR"))
    assert done.returncode == 0, done.stderr
    events = json.loads(done.stdout)["events"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert not any(event.get("damaged") for event in events)
    return [event["payload"] for event in events]


# ---- the contract ----


def run_contract(url):
    assert CONTRACT.exists(), f"{CONTRACT} is not built"
    environment = dict(os.environ, PAYHOOK_TEST_DYNAMODB=url, PAYHOOK_TEST_STORE="dynamodb")
    done = subprocess.run([CONTRACT], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-3000:]
    assert b"SKIPPED" not in done.stdout
    return done.stdout


def test_the_contract_over_the_stand_in(aws):
    aws.faults = lambda request: None
    assert b"dynamodb: random_commits_come_out_as_in_the_model" in run_contract(aws.url)


@pytest.mark.slow
def test_the_contract_over_ministack(tmp_path):
    with MiniStack(tmp_path) as stack:
        run_contract(stack.url)


def test_the_contract_over_another_emulator():
    """DynamoDB Local, say: its licence does not let us fetch it."""
    url = os.environ.get("PAYHOOK_TEST_DYNAMODB")
    if not url:
        pytest.skip("PAYHOOK_TEST_DYNAMODB names no emulator (http://127.0.0.1:PORT)")
    run_contract(url)


# ---- the states a transaction can be in when an event comes ----


def foreign_item():
    return {
        "transactionId": {"S": "~shop/t"},
        "timestamp": {"N": "1795460930"},
        "payload": {"S": json.dumps({"transactionId": "t", "number": "old"})},
        "receivedAt": {"S": "2026-11-23T19:08:50.123456"},
        "environment": {"S": "prod"},
        "processedBy": {"S": "older"},
        "more": {"S": "stays"},
    }


def fill(server, count, pad):
    for number in range(count):
        assert send(server, body_of(number, pad=pad)).status == 200


STATES = {
    # name: what is there before, the size of the event, and how many requests it takes
    "new": (lambda server, table: None, 0, 1),
    "open": (lambda server, table: fill(server, 1, 10), 0, 1),
    "large": (lambda server, table: fill(server, 1, 10), 700_000, 1),
    "large and new": (lambda server, table: None, 40_000, 1),
    "closed": (lambda server, table: fill(server, 20, 1000), 0, 2),
    "large and closed": (lambda server, table: fill(server, 20, 1000), 40_000, 2),
    "turn": (lambda server, table: fill(server, 64, 1000), 0, 3),
    "older": (lambda server, table: table.update({"~shop/t": foreign_item()}), 0, 3),
    "large and older": (lambda server, table: table.update({"~shop/t": foreign_item()}), 40_000, 2),
}


class Case:
    """One state, to be put back as often as a test wants to try something."""

    def __init__(self, server, aws, table, name):
        prepare, pad, self.requests = STATES[name]
        self.server, self.aws, self.table = server, aws, table
        prepare(server, table)
        self.before = dict(table)
        self.payloads = timeline(server, aws) if table else []
        self.body = body_of("new", pad=pad)
        aws.count.clear()

    def again(self):
        self.table.clear()
        self.table.update(self.before)
        self.aws.count.clear()

    def check(self):
        """The event is there once, last, and the same event again is a duplicate that changes nothing."""
        self.aws.faults = lambda request: None
        assert timeline(self.server, self.aws) == [*self.payloads, self.body.decode()]
        kept = dict(self.table)
        reply = send(self.server, self.body)
        assert (reply.status, reply.duplicate) == (200, True)
        assert self.table == kept


@pytest.mark.parametrize("name", STATES)
def test_a_fault_at_each_request_in_turn(server, aws, table, name):
    case = Case(server, aws, table, name)
    assert send(server, case.body).status == 200
    assert aws.count["requests"] == case.requests
    assert set(aws.count) <= {"requests", "in", "out", "UpdateItem", "TransactWriteItems"}
    case.check()
    for at in range(1, case.requests + 1):
        for fault in FAULTS:
            if fault.endswith("silence") or fault == "slow":
                continue
            case.again()
            aws.faults = lambda request: fault if request.number == at else None
            reply = send(server, case.body)
            assert (reply.status, reply.duplicate) == (200, False), (fault, at)
            assert aws.count["requests"] > case.requests, (fault, at)
            case.check()


def test_silence_is_not_waited_for_long(server, aws, table):
    """An answer that never comes, before and after the write: each transaction of a run of its own, side by side."""
    rows = [(pad, fault, at) for pad in (0, 40_000) for fault in ("silence", "after-silence") for at in (1, 2)]
    seen = collections.Counter()
    wanted = {f'"shop-{i}"'.encode(): row for i, row in enumerate(rows)}

    def faults(request):
        for name, (_, fault, at) in wanted.items():
            if name.replace(b'"', b'\\"') in request.body or b"~shop/" + name.strip(b'"') in request.body:
                seen[name] += 1
                return fault if seen[name] == at else None
        return None

    bodies = [body_of(1, transaction=f"shop-{i}", pad=pad) for i, (pad, _, _) in enumerate(rows)]
    aws.faults = faults
    with concurrent.futures.ThreadPoolExecutor(len(rows)) as pool:
        replies = list(pool.map(lambda body: send(server, body), bodies))
    assert [reply.status for reply in replies] == [200] * len(rows)
    assert not any(reply.duplicate for reply in replies)
    assert sum(count > 1 for count in seen.values()) >= len(rows) // 2
    aws.faults = lambda request: None
    for i, body in enumerate(bodies):
        assert timeline(server, aws, f"shop/shop-{i}") == [body.decode()]
        assert send(server, body).duplicate


def test_what_never_ends_is_503_and_the_retry_finds_what_landed(home):
    """Each fault at a service of its own, all side by side, since each takes the whole deadline."""

    def run(fault, aws, server):
        with aws:
            table = aws.tables[TABLE] = {}
            server.start()
            bodies = [body_of("small"), body_of("large", transaction="u", pad=40_000)]
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                replies = list(pool.map(lambda body: send(server, body), bodies))
            assert [reply.status for reply in replies] == [503, 503]
            assert all(reply.header("retry-after") == "1" for reply in replies)
            assert f"in the table {TABLE}" in server.log()
            landed = fault.startswith("after")
            assert ("~shop/t" in table) == landed
            aws.faults = lambda request: None
            for body, what in zip(bodies, ("shop/t", "shop/u")):
                reply = send(server, body)
                assert (reply.status, reply.duplicate) == (200, landed)
                assert timeline(server, aws, what) == [body.decode()]
            assert server.stop() == 0

    faults = ["throttle", "reset", "contention", "after-unavailable", "after-garbage"]
    services = [StandIn(lambda request, fault=fault: fault) for fault in faults]
    servers = [make_server(home, aws, data=f"data-{i}", start=False) for i, aws in enumerate(services)]
    with concurrent.futures.ThreadPoolExecutor(len(faults)) as pool:
        list(pool.map(run, faults, services, servers))


@pytest.mark.parametrize("how", ["reset", "after-reset"])
@pytest.mark.parametrize("name", STATES)
def test_a_crash_between_any_two_requests(home, server, aws, table, name, how):
    case = Case(server, aws, table, name)
    victim = make_server(home, aws)
    for at in range(1, case.requests + 1):
        case.again()

        def faults(request):
            if request.number != at:
                return None
            victim.signal(signal.SIGKILL)  # no other request comes of it
            return how

        aws.faults = faults
        with pytest.raises((wire.Closed, OSError)):
            send(victim, case.body)
        victim.process.wait(STOP_S_MAX)
        aws.faults = lambda request: None
        landed = how == "after-reset" and at == case.requests
        if case.table:
            assert timeline(server, aws) == case.payloads + [case.body.decode()] * landed
        victim.start()
        reply = send(victim, case.body)
        assert (reply.status, reply.duplicate) == (200, landed)
        case.check()


# ---- once ----


def test_64_copies_from_8_servers(home, aws, table):
    servers = [make_server(home, aws, data=f"data-{i}") for i in range(8)]
    for round_, pad in enumerate((0, 5000, 40_000)):
        body = body_of(round_, pad=pad)
        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            replies = list(pool.map(lambda i: send(servers[i % 8], body), range(64)))
        assert [reply.status for reply in replies] == [200] * 64
        assert sum(not reply.duplicate for reply in replies) == 1
        assert timeline(servers[0], aws)[-1] == body.decode()
    assert len(timeline(servers[0], aws)) == 3


def test_an_older_item_met_by_many_servers_at_once(home, aws, table):
    servers = [make_server(home, aws, data=f"data-{i}") for i in range(4)]
    old = foreign_item()["payload"]["S"]
    bodies = [old.encode(), *(body_of(i) for i in range(7))]
    for _ in range(10):
        table.clear()
        table["~shop/t"] = foreign_item()
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            replies = list(pool.map(lambda i: send(servers[i % 4], bodies[i // 4]), range(32)))
        assert [reply.status for reply in replies] == [200] * 32
        assert all(reply.duplicate for reply in replies[:4])
        assert sum(not reply.duplicate for reply in replies) == 7
        seen = timeline(servers[0], aws)
        assert seen[0] == old
        assert sorted(seen[1:]) == sorted(body.decode() for body in bodies[1:])


def test_a_key_used_again_with_other_bytes(server, aws, table):
    """At every state of the head, and however large: 422 for other bytes, 200 for the same, and nothing more stored."""

    def post(body):
        return server.iam(body, {"content-type": "application/json", "idempotency-key": "the-key"})

    for pad, before in ((0, 0), (40_000, 0), (0, 20)):
        table.clear()
        for number in range(before):
            assert server.iam(body_of(number, pad=1000)).status == 200
        body = body_of("one", pad=pad)
        assert post(body).status == 200
        kept = dict(table)
        for _ in range(2):
            assert post(body_of("other", pad=pad)).status == 422
            assert post(body).duplicate
        assert table == kept
        assert timeline(server, aws, "t")[-1] == body.decode()


def test_an_older_item_is_event_1_and_its_own_retry_a_duplicate(server, aws, table):
    old = foreign_item()
    table["~shop/t"] = old
    assert timeline(server, aws) == [old["payload"]["S"]]  # as it is
    assert send(server, old["payload"]["S"].encode()).duplicate
    assert timeline(server, aws) == [old["payload"]["S"]]
    assert {name: table["~shop/t"][name] for name in old} == old  # still what its reader knows
    assert send(server, body_of("new")).status == 200
    assert timeline(server, aws) == [old["payload"]["S"], body_of("new").decode()]
    assert table["~shop/t"]["more"] == {"S": "stays"}


@pytest.mark.parametrize(
    "change",
    [
        {"payload": None},
        {"payload": {"N": "1"}},
        {"payload": {"S": ""}},
        {"payload": {"S": "y" * 300_000}},
        {"receivedAt": {"S": "2026-11-23T19:08:50"}},
        {"receivedAt": {"S": "yesterday"}, "timestamp": None},
        {"environment": None, "processedBy": {"N": "1"}},
    ],
)
def test_whatever_an_older_program_left_is_kept(server, aws, table, change):
    old = {name: value for name, value in {**foreign_item(), **change}.items() if value is not None}
    table["~shop/t"] = old
    before = timeline(server, aws)
    assert send(server, body_of("new")).status == 200
    after = timeline(server, aws)
    assert after == [*before, body_of("new").decode()]
    wanted = old.get("payload", {}).get("S", "" if "payload" not in old else '{"N":"1"}')
    assert before == [wanted]


def test_the_same_content_under_another_id_is_told(server, aws, table):
    body = b'{"transactionId":"t","action":"x"}'
    for delivery in ("d1", "d2", "d1", "d3"):
        assert server.post("/hooks/hub", body, signing.github(HUB, body, delivery)).status == 200
    done = server.home.run("events", "--json", "--store", f"dynamodb:{TABLE}", environment=aws.environment())
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(events) == 3
    assert "repeats" not in events[0]
    assert [event["repeats"] for event in events[1:]] == [events[0]["event_key"]] * 2
    assert b"reading the whole table for the newest 1000 events" in done.stderr


# ---- how much, how fast ----


@pytest.mark.slow
def test_ten_thousand_events_of_one_transaction(server, aws, table):
    total, size = 10_000, 300
    requests, moved = [], []
    with server.connect(60) as connection:
        for number in range(total):
            aws.count.clear()
            connection.send(wire.request("/hooks/shop", body_of(number, pad=size), {"x-api-key": TOKEN}))
            reply = connection.reply()
            assert (reply.status, reply.duplicate) == (200, False)
            requests.append(aws.count["requests"])
            moved.append(aws.count["in"] + aws.count["out"])
    assert max(requests) == 3
    assert collections.Counter(requests)[3] == -(-(total - 64) // 64)  # where a page is turned
    assert sorted(moved[64:])[len(moved) // 2] <= 8000
    assert max(moved) <= 100_000  # the head comes back where a page is turned
    early, late = sum(moved[640:1280]), sum(moved[-640:])
    assert late <= 1.05 * early
    assert len(json.dumps(table["~shop/t"])) < 60_000
    assert [json.loads(payload)["number"] for payload in timeline(server, aws)] == list(range(total))


def test_many_writers_of_one_transaction_keep_each_ones_order(server, aws, table):
    total, connections = 2000, 16

    def run(first):
        with server.connect(60) as connection:
            for number in range(first, total, connections):
                connection.send(wire.request("/hooks/shop", body_of(number), {"x-api-key": TOKEN}))
                reply = connection.reply()
                assert (reply.status, reply.duplicate) == (200, False)

    with concurrent.futures.ThreadPoolExecutor(connections) as pool:
        list(pool.map(run, range(connections)))
    assert aws.count["requests"] <= 3 * total  # also where they turn a page at once
    numbers = [json.loads(payload)["number"] for payload in timeline(server, aws)]
    assert sorted(numbers) == list(range(total))
    for first in range(connections):  # what was sent after an acknowledgement comes after it
        mine = [number for number in numbers if number % connections == first]
        assert mine == sorted(mine)


def test_a_slow_service_is_asked_by_many_at_once(server, aws, table):
    aws.faults = lambda request: "slow"
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        replies = list(pool.map(lambda i: send(server, body_of(i, transaction=f"t{i}")), range(64)))
    assert [reply.status for reply in replies] == [200] * 64
    assert time.monotonic() - started < 20  # one after the other would be 32 s


# ---- looking, and being told ----


def test_show_finds_the_sources_that_are_configured(server, aws, table):
    assert send(server, body_of(1)).status == 200
    assert send(server, body_of(2), "kiosk").status == 200
    assert server.iam(body_of(3)).status == 200
    look = ["--store", f"dynamodb:{TABLE}", "--config", server.home.path / "payhook.conf"]

    def run(*words):
        return server.home.run(*words, *look, environment=aws.environment())

    done = run("show", "t")
    assert done.returncode == 1
    assert done.stdout == b"default/t\nkiosk/t\nshop/t\n"
    assert run("show", "shop/t").returncode == 0
    assert run("show", "nothing").returncode == 1
    assert run("events", "--follow").returncode == 2
    listed = run("events", "--limit", "2", "--json")
    assert [json.loads(line)["source"] for line in listed.stdout.splitlines()] == ["kiosk", "default"]


def test_the_users_index_sees_transactions_only(server, aws, table):
    fill(server, 70, 1000)
    assert send(server, body_of("large", pad=700_000)).status == 200
    assert [key for key, item in table.items() if "timestamp" in item] == ["~shop/t"]
    assert {key.split("/")[0] for key in table} == {"~shop", "~~event", "~~order", "~~part"}
    head = table["~shop/t"]
    assert "payload" not in head and "payloadBase64" not in head
    parts = [table[key["S"]]["bytes"] for key in head["payloadAt"]["L"]]
    assert len(parts) == 2
    assert send(server, b'{"transactionId":"t","x":"\xc3\xa9"}').status == 200
    assert table["~shop/t"]["payload"] == {"S": '{"transactionId":"t","x":"é"}'}
    assert "payloadAt" not in table["~shop/t"]


@pytest.mark.parametrize(
    "table_name, key, reader, wanted",
    [
        ("no-such-table", "WRITER", "OPERATOR", "ResourceNotFoundException"),
        (TABLE, "NOBODY", "NOBODY", "AccessDeniedException"),
    ],
)
def test_what_is_wrong_is_said_in_the_log(home, aws, table, table_name, key, reader, wanted):
    aws.allowed["NOBODY"] = set()
    config = home.config(source("shop", "api-key", [home.secret("shop", TOKEN)]))
    server = home.serve(config=config, options=["--store", f"dynamodb:{table_name}"], environment=aws.environment(key))
    assert send(server, body_of(1)).status == 503
    assert wanted in server.log()
    assert TOKEN not in server.log()
    done = home.run("show", "shop/t", "--store", f"dynamodb:{table_name}", environment=aws.environment(reader))
    assert done.returncode == 1
    assert wanted.encode() in done.stderr


def test_a_tampered_item_is_shown_as_damaged(server, aws, table):
    assert send(server, body_of(1, pad=40_000)).status == 200
    part = next(key for key in table if key.startswith("~~part/"))
    kept = table.pop(part)
    look = ["show", "shop/t", "--json", "--store", f"dynamodb:{TABLE}"]
    done = server.home.run(*look, environment=aws.environment())
    assert done.returncode == 1
    assert json.loads(done.stdout)["events"][0]["damaged"] is True
    table[part] = {**kept, "bytes": {"B": "eHh4"}}
    assert server.home.run(*look, environment=aws.environment()).returncode == 1
    table[part] = kept
    assert server.home.run(*look, environment=aws.environment()).returncode == 0
    table["~shop/t"] = {**table["~shop/t"], "eventCount": {"N": "2"}}
    assert b"it is damaged" in server.home.run(*look, environment=aws.environment()).stderr
