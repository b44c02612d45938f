# SPDX-License-Identifier: Apache-2.0
"""Exactly once: however many copies of an event arrive at once, one row; however many events, all of them."""

import collections
import concurrent.futures
import sqlite3
import threading

import pytest

import signing
import wire
from conftest import source

TOKEN = "a-static-token-0123456789"
CONNECTIONS = 64


@pytest.fixture
def server(home):
    config = home.config(
        source("shop", "api-key", [home.secret("shop", TOKEN)])
        + source("stripe", "stripe", [home.secret("stripe", "whsec_0123456789abcdef")])
    )
    return home.serve(config=config)


def side_by_side(server, plans):
    """Sends each plan (a list of requests) on a connection of its own, all at once, and returns the replies plan by
    plan."""
    barrier = threading.Barrier(len(plans))

    def run(plan):
        with server.connect(60) as connection:
            barrier.wait(60)
            replies = []
            for data in plan:
                connection.send(data)
                replies.append(connection.reply())
            return replies

    with concurrent.futures.ThreadPoolExecutor(len(plans)) as pool:
        return list(pool.map(run, plans))


def test_one_event_a_thousand_times(server):
    body = b'{"id":"evt_same","type":"charge.succeeded","data":{"object":{"id":"ch_1"}}}'
    data = wire.request("/hooks/stripe", body, signing.stripe("whsec_0123456789abcdef", body))
    plans = [[data] * (1000 // CONNECTIONS + (i < 1000 % CONNECTIONS)) for i in range(CONNECTIONS)]
    replies = [reply for replies in side_by_side(server, plans) for reply in replies]
    assert len(replies) == 1000
    assert collections.Counter(reply.status for reply in replies) == {200: 1000}
    assert sum(reply.duplicate for reply in replies) == 999
    assert len({reply.body for reply in replies}) == 1
    assert server.rows("SELECT event_id, payload FROM event") == [("evt_same", body.decode())]


def test_distinct_events_are_all_there_in_order(server):
    each = 20
    plans = [
        [
            wire.request("/hooks/shop", b'{"transactionId":"t-%d-%d"}' % (i, n), {"x-api-key": TOKEN})
            for n in range(each)
        ]
        for i in range(CONNECTIONS)
    ]
    replies = [reply for replies in side_by_side(server, plans) for reply in replies]
    assert all(reply.status == 200 and not reply.duplicate for reply in replies)
    rows = server.rows("SELECT seq, transaction_id FROM event ORDER BY rowid")
    assert sorted(name for _, name in rows) == sorted(f"t-{i}-{n}" for i in range(CONNECTIONS) for n in range(each))
    assert all(before < after for (before, _), (after, _) in zip(rows, rows[1:]))
    seq = {name: number for number, name in rows}
    for i in range(CONNECTIONS):  # what was sent after an acknowledgement comes after it
        numbers = [seq[f"t-{i}-{n}"] for n in range(each)]
        assert numbers == sorted(numbers)


def test_one_event_in_a_pipelined_burst(server):
    data = wire.request("/hooks/shop", b'{"transactionId":"burst"}', {"x-api-key": TOKEN})
    with server.connect() as connection:
        connection.send(data * 50)
        replies = [connection.reply() for _ in range(50)]
    assert [(reply.status, reply.duplicate) for reply in replies] == [(200, False)] + [(200, True)] * 49
    assert server.rows("SELECT count(*) FROM event") == [(1,)]


def test_one_idempotency_key_for_many_bodies(server):
    """One of them wins, its copies are duplicates, all others are told."""
    bodies = [b'{"transactionId":"race","n":%d}' % (i % 8) for i in range(CONNECTIONS)]
    plans = [[server.iam_request(body, {"Idempotency-Key": "one"})] * 2 for body in bodies]
    replies = side_by_side(server, plans)
    payloads = server.rows("SELECT payload FROM event")
    assert len(payloads) == 1
    winner = payloads[0][0].encode()
    for body, pair in zip(bodies, replies):
        assert [reply.status for reply in pair] == ([200, 200] if body == winner else [422, 422])
    assert sum(reply.status == 200 and not reply.duplicate for pair in replies for reply in pair) == 1


def test_same_ids_in_other_sources_are_other_events(server):
    body = b'{"transactionId":"shared","id":"shared","data":{"object":{"id":"shared"}}}'
    assert server.post("/hooks/shop", body, {"x-api-key": TOKEN}).duplicate is False
    assert server.post("/hooks/stripe", body, signing.stripe("whsec_0123456789abcdef", body)).duplicate is False
    assert server.iam(body).duplicate is False
    assert server.rows("SELECT source, transaction_id FROM event ORDER BY seq") == [
        ("shop", "shared"),
        ("stripe", "shared"),
        ("default", "shared"),
    ]


def test_reader_beside_a_writer_changes_nothing(server):
    """A reader in the middle of a long transaction never makes the server wait."""
    database = sqlite3.connect(f"file:{server.data}/payhook.db?mode=ro", uri=True)
    assert server.post("/hooks/shop", b'{"transactionId":"r-0"}', {"x-api-key": TOKEN}).status == 200
    database.execute("BEGIN")
    assert database.execute("SELECT count(*) FROM event").fetchall() == [(1,)]
    for i in range(1, 20):
        assert server.post("/hooks/shop", b'{"transactionId":"r-%d"}' % i, {"x-api-key": TOKEN}).status == 200
    assert database.execute("SELECT count(*) FROM event").fetchall() == [(1,)]
    database.close()
    assert server.rows("SELECT count(*) FROM event") == [(20,)]
