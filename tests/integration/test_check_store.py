# SPDX-License-Identifier: Apache-2.0
"""payhook check-store: every checksum, every signature again, and the database as a whole; and what was changed."""

import datetime
import hashlib
import json
import sqlite3
import time

import pytest

import signing
from conftest import source
from load import Load

STRIPE, HUB, HUB_NEW = "whsec_stripe0123456789abcdef", "hub-secret-0123456789", "hub-secret-9876543210"
STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOKEN = "a-static-token-0123456789"
FINDINGS = ("verified", "secret_unknown", "not_checkable", "damaged", "failed")


def configure(home, hub=(HUB,), extra=""):
    return home.config(
        source("stripe", "stripe", [home.secret("stripe", STRIPE)])
        + source("standard", "standardwebhooks", [home.secret("standard", STANDARD)])
        + source("hub", "hub-sha256", [home.secret(f"hub{n}", secret) for n, secret in enumerate(hub)])
        + source("custom", "hmac", [home.secret("custom", HUB)], header="x-sign", signed="{timestamp}.{id}.{body}",
                 timestamp_header="x-time", id_header="x-id", encoding="base64")
        + source("bearer", "hmac", [home.secret("custom", HUB)], header="authorization", signed="{body}")
        + source("shop", "api-key", [home.secret("shop", TOKEN)])
        + extra
    )


def post(server, name, body, headers):
    reply = server.post(f"/hooks/{name}", body, headers)
    assert reply.status == 200, (name, reply)


def custom(body, at, identity):
    import base64
    import hmac

    digest = hmac.new(HUB.encode(), f"{at}.{identity}.".encode() + body, hashlib.sha256).digest()
    return {"X-Sign": base64.b64encode(digest).decode(), "X-Time": str(at), "X-Id": identity}


def bearer(body):
    import hmac

    return {"Authorization": hmac.new(HUB.encode(), body, hashlib.sha256).hexdigest()}


def fill(server):
    """One event of every kind of proof."""
    now = int(time.time())
    post(server, "stripe", b'{"id":"evt_1","type":"a"}', signing.stripe(STRIPE, b'{"id":"evt_1","type":"a"}'))
    post(server, "standard", b'{"type":"b"}', signing.standard_webhooks(STANDARD, b'{"type":"b"}', "msg_1"))
    post(server, "hub", b"\x00\xff not json", signing.github(HUB, b"\x00\xff not json", "d-1"))
    post(server, "hub?a=b%20c", b'{"n":2}', signing.github(HUB, b'{"n":2}', "d-2"))
    post(server, "custom", b'{"n":3}', custom(b'{"n":3}', now, "x-3"))
    post(server, "bearer", b'{"n":4}', bearer(b'{"n":4}'))
    post(server, "shop", b'{"transactionId":"t"}', {"x-api-key": TOKEN})
    assert server.iam(b'{"transactionId":"root-1"}').status == 200


def check(home, config, data="data"):
    """The exit status, the counts of each source, and the whole answer. Both forms must agree."""
    arguments = ["check-store", "--data", home.path / data, "--config", config]
    done, text = home.run(*arguments, "--json"), home.run(*arguments)
    answer = json.loads(done.stdout)
    assert done.returncode == text.returncode and done.stderr == text.stderr
    for fault in answer["faults"]:
        assert f"event {fault['seq']}, {fault['source']}/" in text.stdout.decode(errors="replace")
    counts = {}
    for row in answer["sources"]:
        assert sum(row[finding] for finding in FINDINGS) == row["events"]
        counts[row["source"]] = {finding: row[finding] for finding in FINDINGS if row[finding]}
    assert answer["events"] == sum(row["events"] for row in answer["sources"])
    return done.returncode, counts, answer


def change(home, sql, *parameters, data="data"):
    """As somebody with sqlite3 and the rights to the file."""
    database = sqlite3.connect(home.path / data / "payhook.db")
    with database:
        assert database.execute(sql, parameters).rowcount > 0
    database.close()


ALL = {
    "bearer": {"not_checkable": 1},
    "custom": {"verified": 1},
    "default": {"not_checkable": 1},
    "hub": {"verified": 2},
    "shop": {"not_checkable": 1},
    "standard": {"verified": 1},
    "stripe": {"verified": 1},
}


def test_every_kind_of_proof_beside_the_server(home):
    config = configure(home)
    server = home.serve(config=config)
    fill(server)
    code, counts, answer = check(home, config)
    assert (code, counts, answer["faults"], answer["database"]) == (0, ALL, [], "ok")
    assert server.post("/hooks/shop", b'{"transactionId":"u"}', {"x-api-key": TOKEN}).status == 200


def test_under_load_the_writer_does_not_wait(home):
    config = configure(home)
    server = home.serve(config=config)
    with Load(server, 4, {"x-api-key": TOKEN}) as load:
        for _ in range(3):
            for _ in range(10):  # the senders may have stood still for another reason
                before = len(load.acknowledged())
                assert check(home, config)[0] == 0
                if len(load.acknowledged()) > before:
                    break
            assert len(load.acknowledged()) > before
    assert set(load.refused()) == set()


def test_time_does_not_matter(home):
    """A time-stamped signature is checked at the time it was received."""
    secret = home.secret("stripe", STRIPE)
    server = home.serve(config=home.config(source("stripe", "stripe", [secret], tolerance="2h")))
    at, body = int(time.time()) - 3600, b'{"id":"evt_1","type":"a"}'
    post(server, "stripe", body, signing.stripe(STRIPE, body, at))
    assert server.stop() == 0
    strict = home.config(source("stripe", "stripe", [secret], tolerance="30s"), name="other.conf")
    assert check(home, strict)[1]["stripe"] == {"not_checkable": 1}  # it came an hour late
    move(home, "evt_1", datetime.datetime.fromtimestamp(at, datetime.timezone.utc))
    assert check(home, strict)[1]["stripe"] == {"verified": 1}


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE event SET payload = payload || ' ' WHERE source = 'stripe'",
        "UPDATE event SET payload = CAST('x' AS BLOB) WHERE source = 'stripe'",
        "UPDATE event SET payload_sha256 = zeroblob(32) WHERE source = 'stripe'",
        "UPDATE event SET authenticated = 'nobody' WHERE source = 'stripe'",
        "UPDATE event SET matched_secret = -3 WHERE source = 'stripe'",
    ],
)
def test_damage_is_named(home, sql):
    config = configure(home)
    server = home.serve(config=config)
    fill(server)
    assert server.stop() == 0
    change(home, sql)
    code, counts, answer = check(home, config)
    assert code == 1 and counts == {**ALL, "stripe": {"damaged": 1}}
    (fault,) = answer["faults"]
    assert (fault["fault"], fault["seq"], fault["source"], fault["transaction_id"]) == ("damaged", 1, "stripe", "evt_1")


def test_damaged_database(home):
    config = configure(home)
    server = home.serve(config=config)
    fill(server)
    assert server.stop() == 0
    assert check(home, config)[0] == 0
    database = sqlite3.connect(home.path / "data/payhook.db")
    database.execute("PRAGMA writable_schema = ON")
    root = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'event_timestamp'").fetchone()[0]
    size = database.execute("PRAGMA page_size").fetchone()[0]
    database.close()
    with open(home.path / "data/payhook.db", "r+b") as file:
        file.seek((root - 1) * size + size - 8)
        file.write(b"\x55" * 8)
    code, counts, answer = check(home, config)
    assert code == 1 and counts == ALL and answer["database"] != "ok"


# ---- secrets that went


def move(home, event_id, at):
    """Has the event been received at another time."""
    change(
        home,
        "UPDATE event SET timestamp = ?, received_at = ? WHERE event_id = ?",
        int(at.timestamp()),
        at.strftime("%Y-%m-%dT%H:%M:%S.000000"),
        event_id,
    )


def store_at(home, config, events, hub=HUB):
    """Stores events of the source hub, and moves each to the time it is to have been received, in minutes."""
    server = home.serve(config=config)
    for name in events:
        body = b'{"n":"%b"}' % name.encode()
        post(server, "hub", body, signing.github(hub, body, name))
    assert server.stop() == 0
    for name, minute in events.items():
        start = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
        move(home, name, start + datetime.timedelta(minutes=minute))


def forge(home, name):
    """Another body under a right checksum: only the signature tells."""
    body = b'{"n":"forged"}'
    change(
        home,
        "UPDATE event SET payload = ?, payload_sha256 = ? WHERE event_id = ?",
        body,
        hashlib.sha256(body).digest(),
        name,
    )


def test_a_replaced_secret_is_no_fault(home):
    store_at(home, configure(home), {"a": 0, "b": 10})
    rolled = configure(home, hub=(HUB_NEW, HUB))
    assert check(home, rolled)[:2] == (0, {"hub": {"verified": 2}})
    store_at(home, rolled, {"c": 20, "d": 30}, hub=HUB_NEW)
    assert check(home, rolled)[:2] == (0, {"hub": {"verified": 4}})
    only_new = configure(home, hub=(HUB_NEW,))
    assert check(home, only_new)[:2] == (0, {"hub": {"verified": 2, "secret_unknown": 2}})
    only_old = configure(home, hub=(HUB,))
    assert check(home, only_old)[:2] == (0, {"hub": {"verified": 2, "secret_unknown": 2}})
    none = home.config(source("other", "hub-sha256", ["env:ABSENT"]))
    code, counts, answer = check(home, none)
    assert (code, counts) == (0, {"hub": {"secret_unknown": 4}})
    assert answer["sources"][0]["configured"] is False


def test_a_forged_body_among_good_ones(home):
    config = configure(home)
    store_at(home, config, {"a": 0, "b": 10, "c": 20})
    forge(home, "b")
    code, counts, answer = check(home, config)
    assert code == 1 and counts == {"hub": {"verified": 2, "failed": 1}}
    assert [(fault["fault"], fault["seq"]) for fault in answer["faults"]] == [("failed", 2)]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE event SET headers = replace(headers, 'sha256=', 'sha256=0') WHERE event_id = 'b'",
        "UPDATE event SET headers = replace(headers, 'sha256=', 'sha512=') WHERE event_id = 'b'",
    ],
)
def test_a_changed_signature_among_good_ones(home, sql):
    config = configure(home)
    store_at(home, config, {"a": 0, "b": 10, "c": 20})
    change(home, sql)
    assert check(home, config)[:2] == (1, {"hub": {"verified": 2, "failed": 1}})


@pytest.mark.parametrize("minutes", [(0, 1, 20), (0, 19, 20), (0, 1, 2)])
def test_near_a_change_of_secrets_nothing_is_accused(home, minutes):
    """Requests that began under the configuration before may be stored among those of the next."""
    config = configure(home)
    store_at(home, config, dict(zip("abc", minutes)))
    forge(home, "b")
    assert check(home, config)[:2] == (0, {"hub": {"verified": 2, "secret_unknown": 1}})


@pytest.mark.parametrize("name", ["a", "c"])
def test_at_the_edge_of_what_is_known_nothing_is_accused(home, name):
    config = configure(home)
    store_at(home, config, {"a": 0, "b": 10, "c": 20})
    forge(home, name)
    assert check(home, config)[:2] == (0, {"hub": {"verified": 2, "secret_unknown": 1}})


def test_another_secret_between_two_others(home):
    """old, then one that is gone, then new: the same place of the list each time, and no fault."""
    store_at(home, configure(home, hub=(HUB,)), {"a": 0})
    store_at(home, configure(home, hub=("gone-0123456789abcdef",)), {"b": 10}, hub="gone-0123456789abcdef")
    store_at(home, configure(home, hub=(HUB_NEW,)), {"c": 20}, hub=HUB_NEW)
    config = configure(home, hub=(HUB_NEW, HUB))
    assert check(home, config)[:2] == (0, {"hub": {"verified": 2, "secret_unknown": 1}})


# ---- words


def test_nothing_there(home):
    done = home.run("check-store", "--data", "absent")
    assert done.returncode == 1 and b"no events" in done.stderr and done.stdout == b""


def test_a_configuration_that_is_wrong(home):
    done = home.run("check-store", "--config", home.config("source {"))
    assert done.returncode == 1 and b"payhook.conf:1: " in done.stderr


def test_empty_store(home):
    assert home.serve().stop() == 0
    code, counts, answer = check(home, home.config(""))
    assert (code, counts, answer["events"], answer["database"]) == (0, {}, 0, "ok")


def test_it_changes_nothing(home):
    config = configure(home)
    server = home.serve(config=config)
    fill(server)
    assert server.stop() == 0
    before = (home.path / "data/payhook.db").read_bytes()
    assert check(home, config)[0] == 0
    assert (home.path / "data/payhook.db").read_bytes() == before


def test_names_reach_a_terminal_escaped(home):
    config = configure(home)
    server = home.serve(config=config)
    body = b'{"id":"evt_\\u2028","type":"a","data":{"object":{"id":"t\x7f"}}}'
    post(server, "stripe", body, signing.stripe(STRIPE, body))
    assert server.stop() == 0
    change(home, "UPDATE event SET payload = 'x', transaction_id = char(27) || '[2J'")
    done = home.run("check-store", "--data", "data", "--config", config)
    assert done.returncode == 1 and b"\x1b" not in done.stdout and b"DAMAGED" in done.stdout
