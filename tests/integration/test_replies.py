# SPDX-License-Identifier: Apache-2.0
"""What goes out: every reply that the server itself can give, byte for byte, and what becomes of the connection."""

import json
import socket
import time

import pytest

import signing
import wire
from conftest import USER_REPLY, source, wait_for

BAD_REQUEST = b'{"error": "Bad request"}'
UNAUTHORIZED = b'{"error": "Unauthorized"}'
FORBIDDEN = b'{"Message":"Forbidden"}'
UNAVAILABLE = b'{"error": "Service unavailable"}'
TOKEN = "token-of-sixteen-or-more"
KEY = {"x-api-key": TOKEN}
MIB = 1 << 20


@pytest.fixture(scope="module")
def server(module_home):
    config = module_home.config(
        source("shop", "api-key", [module_home.secret("shop", TOKEN)])
        + source("stripe", "stripe", [module_home.secret("stripe", "whsec_0123456789abcdef")])
        + source("empty", "stripe", [f"file:{module_home.path}/absent"])
    )
    return module_home.serve(config=config)


def assert_reply(reply, status, body, closes=False):
    assert (reply.status, reply.body) == (status, body)
    assert reply.header("content-type") == "application/json"
    assert reply.header("content-length") is not None
    assert reply.header("date").endswith(" GMT")
    assert reply.closes == closes
    if status != 200:
        assert reply.header("payhook-duplicate") is None
    assert reply.header("retry-after") == ("1" if status == 503 else None)
    assert reply.header("x-amzn-errortype") == ("AccessDeniedException" if status == 403 else None)


# ---- POST /: the user's replies


def test_stored_and_duplicate(server):
    body = b'{"transactionId": "dup-1", "amount": 1}'
    first, second = server.iam(body), server.iam(body)
    assert_reply(first, 200, USER_REPLY % b"dup-1")
    assert_reply(second, 200, USER_REPLY % b"dup-1")
    assert (first.duplicate, second.duplicate) == (False, True)
    other = server.iam(body + b" ")
    assert (other.status, other.duplicate) == (200, False)


@pytest.mark.parametrize(
    "written, digits",
    [
        (b"7", b"7"),
        (b"0", b"0"),
        (b"-12", b"-12"),
        (b"123456789012345678901234567890", b"123456789012345678901234567890"),
    ],
)
def test_integer_counts_as_its_digits(server, written, digits):
    assert_reply(server.iam(b'{"transactionId": %b, "i": 1}' % written), 200, USER_REPLY % digits)


@pytest.mark.parametrize("text", ["é", "\U0001f600", 'a"b\\c/', "<&>'", " blanks ", "x" * 1024, "é" * 512])
def test_reply_names_the_transaction_as_the_users_program_does(server, text):
    expected = json.dumps({"message": "Webhook processed successfully", "transactionId": text}).encode()
    for ascii_only in (True, False):
        body = json.dumps({"transactionId": text, "ascii": ascii_only}, ensure_ascii=ascii_only).encode()
        assert_reply(server.iam(body), 200, expected)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"transactionid": "a"}',
        b'{"data": {"transactionId": "a"}}',
        b'{"TransactionId": "a"}',
        b' {"a": [1, {}]} ',
    ],
)
def test_missing_transaction(server, body):
    assert_reply(server.iam(body), 400, b'{"error": "Missing transactionId"}')


@pytest.mark.parametrize(
    "value",
    [
        b'""',
        b"1.5",
        b"1.0",
        b"1e3",
        b"true",
        b"false",
        b"[]",
        b'["a"]',
        b"{}",
        b'{"a":1}',
        b'"~a"',
        b'"~~"',
        b'"a\\nb"',
        b'"\\u0000"',
        b'"\\u001b"',
        b'"\\u007f"',
        b'"%b"' % (b"x" * 1025),
        b'"%b"' % ("é" * 513).encode(),
        b"1" * 1025,
        b'"\\ud800"',
        b"null",
    ],
)
def test_invalid_transaction(server, value):
    assert_reply(server.iam(b'{"transactionId": %b}' % value), 400, b'{"error": "Invalid transactionId"}')


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"x",
        b"[]",
        b'"transactionId"',
        b"1",
        b"null",
        b"true",
        b'[{"transactionId":"a"}]',
        b'\xef\xbb\xbf{"transactionId":"a"}',
        b'{"transactionId":"a","b":NaN}',
        b'{"transactionId":"a"}x',
        b'{"transactionId":"a"}{}',
        b'{"transactionId":"a",}',
        b"{'transactionId':'a'}",
        b'{"transactionId":"a","transactionId":"a"}',
        b'{"transactionId":"a","transaction\\u0049d":"b"}',
        b'{"transactionId":"\xff"}',
        b'{"transactionId":"a","b":"\xc3"}',
        b'{"transactionId":"a\nb"}',
        b'{"transactionId":"a"',
        b'{"transactionId":"a","b":01}',
        b'{"transactionId":"a"}\x00',
        b'{"transactionId":"a","deep":' + b"[" * 64 + b"]" * 64 + b"}",
        '{"transactionId":"a"}'.encode("utf-16"),
    ],
)
def test_invalid_json(server, body):
    assert_reply(server.iam(body), 400, b'{"error": "Invalid JSON payload"}')


def test_nesting_of_64_is_taken(server):
    assert server.iam(b'{"transactionId":"deep","a":' + b"[" * 63 + b"]" * 63 + b"}").status == 200


def test_nothing_of_a_refused_body_is_stored(server):
    before = server.rows("SELECT count(*) FROM event")
    for body in (b"{}", b"[]", b'{"transactionId":1.5}', b'{"transactionId":"refused","transactionId":"refused"}'):
        assert server.iam(body).status == 400
    assert server.post(body=b'{"transactionId":"refused"}').status == 403
    assert server.rows("SELECT count(*) FROM event") == before


def test_idempotency_key(server):
    first, other = b'{"transactionId": "idem", "n": 1}', b'{"transactionId": "idem", "n": 2}'
    key = {"Idempotency-Key": "k-1"}
    assert server.iam(first, key).duplicate is False
    again = server.iam(first, key)
    assert_reply(again, 200, USER_REPLY % b"idem")
    assert again.duplicate
    assert_reply(server.iam(other, key), 422, b'{"error": "Idempotency key reused"}')
    assert_reply(server.iam(other, {"Idempotency-Key": "k-2"}), 200, USER_REPLY % b"idem")
    # Its scope is the transaction.
    assert server.iam(b'{"transactionId": "idem-other", "n": 2}', key).status == 200
    keys = server.rows("SELECT event_key FROM event WHERE transaction_id = 'idem' ORDER BY seq")
    assert keys == [("k-1",), ("k-2",)]


def test_idempotency_key_must_be_signed(server):
    signed = signing.aws(server.url, b'{"transactionId":"unsigned"}', server.key)
    reply = server.post("/", b'{"transactionId":"unsigned"}', {**signed, "Idempotency-Key": "k"})
    assert_reply(reply, 403, FORBIDDEN)


# ---- refusals


def test_forbidden(server):
    assert_reply(server.post(body=b'{"transactionId":"a"}'), 403, FORBIDDEN)
    assert_reply(server.post(body=b"x", headers={"Authorization": "Basic dXNlcjpwYXNz"}), 403, FORBIDDEN)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-api-key": "wrong-token-of-any-length"},
        {"x-api-key": ""},
        {"x-api-key": TOKEN + "x"},
        {"x-api-key": TOKEN[:-1]},
        {"authorization": TOKEN},
        [("x-api-key", TOKEN), ("x-api-key", TOKEN)],
        {"x-api-key": f"{TOKEN}, {TOKEN}"},
    ],
)
def test_unauthorized(server, headers):
    assert_reply(server.post("/hooks/shop", b'{"transactionId":"a"}', headers), 401, UNAUTHORIZED)


def test_every_reason_gives_the_same_reply(server):
    body, now = b'{"id":"evt_1"}', int(time.time())
    refused = [
        {},
        {"Stripe-Signature": "x"},
        {"Stripe-Signature": "t=1,v1=00"},
        signing.stripe("whsec_another0123456", body),
        signing.stripe("whsec_0123456789abcdef", body, now - 400),
        signing.stripe("whsec_0123456789abcdef", body, now + 400),
        signing.stripe("whsec_0123456789abcdef", b"other"),
    ]
    replies = [server.post("/hooks/stripe", body, headers).without_date() for headers in refused]
    assert replies[0][0] == 401
    assert all(reply == replies[0] for reply in replies)
    assert server.post("/hooks/stripe", body, signing.stripe("whsec_0123456789abcdef", body)).status == 200


@pytest.mark.parametrize(
    "target",
    [
        "/x",
        "/hooks",
        "/hooks/",
        "/hooks/absent",
        "/hooks/default",
        "/hooks/shop/",
        "/hooks/SHOP",
        "/hooks/sho%70",
        "//",
        "/.",
        "/%2e",
        "/hooks/../",
        "/index.html",
        "/hooks//shop",
        "/metrics",
        "/healthz",
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_not_found(server, target, method):
    reply = server.send(wire.request(target, method=method, headers=KEY))
    assert (reply.status, reply.body) == (404, b'{"error": "Not found"}')
    assert reply.header("content-type") == "application/json"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "post", "X"])
@pytest.mark.parametrize("target", ["/", "/hooks/shop", "/?a=b"])
def test_method_not_allowed(server, method, target):
    reply = server.send(wire.request(target, method=method, headers={**KEY, "Content-Length": "0"}))
    assert_reply(reply, 405, b'{"error": "Method not allowed"}')
    assert reply.header("allow") == "POST"


@pytest.mark.parametrize("target, status", [("/", 405), ("/nowhere", 404)])
def test_head_has_no_content(server, target, status):
    with server.connect() as connection:
        connection.send(wire.request(target, method="HEAD"))
        reply = connection.reply("HEAD")
        assert (reply.status, reply.closes) == (status, False)
        connection.send(server.iam_request(b'{"transactionId":"after-head"}'))
        assert connection.reply().status == 200


def test_no_cross_origin_headers(server):
    reply = server.send(
        wire.request(method="OPTIONS", headers={"Origin": "http://localhost", "Access-Control-Request-Method": "POST"})
    )
    assert not [name for name, _ in reply.headers if name.startswith("access-control")]


def test_source_without_a_good_secret(server):
    assert_reply(server.post("/hooks/empty", b"{}", signing.stripe("", b"{}")), 503, UNAVAILABLE)
    assert server.post("/hooks/shop", b'{"transactionId":"others go on"}', KEY).status == 200


# ---- the connection


def test_connection_goes_on_after_refusals(server):
    good = server.iam_request(b'{"transactionId":"keep"}')
    refused = [
        (400, server.iam_request(b"{}")),
        (400, server.iam_request(b"[")),
        (401, wire.request("/hooks/shop", b"{}")),
        (403, wire.request("/", b'{"transactionId":"a"}')),
        (404, wire.request("/nowhere", method="GET")),
        (405, wire.request("/", method="GET")),
        (200, server.iam_request(b'{"transactionId":"k"}', {"Idempotency-Key": "keep"})),
        (422, server.iam_request(b'{"transactionId":"k" }', {"Idempotency-Key": "keep"})),
        (503, wire.request("/hooks/empty", b"{}")),
    ]
    with server.connect() as connection:
        for status, data in refused:
            connection.send(data)
            assert connection.reply().status == status
            connection.send(good)
            assert connection.reply().status == 200


def test_connection_close_is_obeyed(server):
    with server.connect() as connection:
        connection.send(server.iam_request(b'{"transactionId":"close"}', {"Connection": "close"}))
        reply = connection.reply()
        assert (reply.status, reply.closes) == (200, True)
        assert connection.at_end()


def test_half_closed_client_gets_its_reply(server):
    with server.connect() as connection:
        connection.send(server.iam_request(b'{"transactionId":"half"}'))
        connection.socket.shutdown(socket.SHUT_WR)
        assert connection.reply().status == 200
        assert connection.at_end()


def test_request_in_single_bytes(server):
    with server.connect() as connection:
        for i, byte in enumerate(server.iam_request(b'{"transactionId":"bytes"}')):
            connection.send(bytes([byte]))
            if i % 100 == 0:
                time.sleep(0.005)
        assert connection.reply().status == 200


def test_pipelined_requests_are_answered_in_order(server):
    bodies = [b'{"transactionId":"pipe-%d"}' % i for i in range(20)]
    data = b"".join(wire.request("/hooks/shop", body, KEY) + wire.request("/nowhere", method="GET") for body in bodies)
    with server.connect() as connection:
        connection.send(data)
        for i in range(20):
            assert_reply(connection.reply(), 200, USER_REPLY % b"pipe-%d" % i)
            assert connection.reply().status == 404


@pytest.mark.parametrize(
    "data, status",
    [
        (b"garbage\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", 411),
        (b"GET /" + b"a" * 8192 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 16384 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"a: b\r\n" * 100 + b"\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400),
    ],
)
def test_unreadable_http_is_answered_and_closed(server, data, status):
    with server.connect() as connection:
        connection.send(data)
        assert_reply(connection.reply(), status, BAD_REQUEST, closes=True)
        assert connection.at_end()


def test_nothing_after_unreadable_http_is_read(server):
    before = server.rows("SELECT count(*) FROM event")
    with server.connect() as connection:
        connection.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n"
            + wire.request("/hooks/shop", b'{"transactionId":"smuggled"}', KEY)
        )
        assert connection.reply().status == 400
        assert connection.at_end()
    assert server.rows("SELECT count(*) FROM event") == before


# ---- bodies


def test_body_of_just_the_limit(server):
    body = b'{"transactionId":"limit","pad":"%b"}'
    body %= b"x" * (MIB - len(body) + 2)
    assert len(body) == MIB
    assert server.iam(body).status == 200
    assert server.rows("SELECT payload FROM event WHERE transaction_id = 'limit'") == [(body.decode(),)]


def assert_too_large(connection):
    assert_reply(connection.reply(), 413, b'{"error": "Payload too large"}', closes=True)
    assert connection.at_end()


def test_too_large_announced(server):
    with server.connect() as connection:
        connection.send(wire.request("/hooks/shop", headers={**KEY, "Content-Length": str(MIB + 1)}))
        assert_too_large(connection)


def test_too_large_chunked(server):
    with server.connect() as connection:
        connection.send(wire.request("/hooks/shop", headers={**KEY, "Transfer-Encoding": "chunked"}))
        connection.send(wire.chunked(b"x" * MIB, 65536)[:-5] + b"1\r\n")
        connection.send(b"x")
        assert_too_large(connection)


def test_too_large_expecting_100(server):
    with server.connect() as connection:
        connection.send(
            wire.request("/hooks/shop", headers={**KEY, "Content-Length": str(MIB + 1), "Expect": "100-continue"})
        )
        assert_too_large(connection)


def test_refusal_reaches_a_client_that_goes_on_sending(server):
    """The lingering close: what still comes is dropped for a while, so that no reset overtakes the reply."""
    with server.connect() as connection:
        connection.send(wire.request("/hooks/shop", headers={**KEY, "Content-Length": str(2 * MIB)}))
        for _ in range(15):
            connection.send(b"x" * 4096)
            time.sleep(0.02)
        assert_too_large(connection)


def test_client_that_never_stops_is_cut_off(server):
    with server.connect() as connection:
        connection.send(wire.request("/hooks/shop", headers={**KEY, "Content-Length": str(2 * MIB)}))
        with pytest.raises(OSError):
            for _ in range(1000):
                connection.send(b"x" * 65536)
                time.sleep(0.001)


def test_curl_sees_the_413(server):
    done = server.home.curl(
        "--data-binary",
        f"@{server.home.write('big', b'x' * (2 * MIB))}",
        "-H",
        f"x-api-key: {TOKEN}",
        f"{server.url}hooks/shop",
    )
    assert b"HTTP/1.1 413 " in done.stdout, done


def test_expect_100(server):
    body = b'{"transactionId":"expect"}'
    head, _ = server.iam_request(body, {"Expect": "100-continue"}).split(b"\r\n\r\n")
    with server.connect() as connection:
        connection.send(head + b"\r\n\r\n")
        assert connection.interim() == 100
        connection.send(body)
        assert connection.reply().status == 200
        connection.send(wire.request("/nowhere", headers={"Expect": "100-continue", "Content-Length": "5"}))
        assert connection.reply().status == 404  # at once: the body is not wanted


def test_chunked_body_is_the_body(server):
    body = b'{"transactionId":"chunked","a":"%b"}' % (b"y" * 5000)
    for size in (1, 999, 100000):
        data = wire.request("/hooks/shop", headers={**KEY, "Transfer-Encoding": "chunked"}) + wire.chunked(body, size)
        with server.connect() as connection:
            connection.send(data + data)
            assert [connection.reply().status for _ in range(2)] == [200, 200]
    assert server.rows("SELECT payload FROM event WHERE transaction_id = 'chunked'") == [(body.decode(),)]


def test_empty_body_is_a_refusal(server):
    assert_reply(server.post("/hooks/shop", b"", KEY), 401, UNAUTHORIZED)


# ---- deadlines and budgets, in servers of their own


@pytest.fixture(scope="module")
def hasty(module_home):
    """Every deadline is one second."""
    config = module_home.config(
        "limits { head_deadline_s = 1  body_deadline_s = 1  idle_deadline_s = 1 }\n"
        + source("shop", "api-key", [module_home.secret("hasty", TOKEN)]),
        "hasty.conf",
    )
    return module_home.serve("hasty", config=config)


def assert_timed_out(connection, started):
    assert_reply(connection.reply(), 408, BAD_REQUEST, closes=True)
    assert 0.8 < time.monotonic() - started < 15
    assert connection.at_end()


def test_head_deadline(hasty):
    with hasty.connect() as connection:
        started = time.monotonic()
        connection.send(b"POST / HTTP/1.1\r\nHost: a\r\n")
        assert_timed_out(connection, started)


def test_head_deadline_is_not_moved_by_bytes(hasty):
    with hasty.connect() as connection:
        started = time.monotonic()
        connection.send(b"POST / HTTP/1.1\r\nHost: a\r\nX: ")
        for _ in range(8):
            connection.send(b"x")
            time.sleep(0.1)
        assert_timed_out(connection, started)


@pytest.mark.parametrize("size", [100, 50000])
def test_body_deadline(hasty, size):
    with hasty.connect() as connection:
        started = time.monotonic()
        connection.send(wire.request("/hooks/shop", headers={**KEY, "Content-Length": str(size)}) + b"x")
        assert_timed_out(connection, started)


def test_chunked_body_deadline(hasty):
    with hasty.connect() as connection:
        started = time.monotonic()
        connection.send(wire.request("/hooks/shop", headers={**KEY, "Transfer-Encoding": "chunked"}) + b"5\r\nab")
        assert_timed_out(connection, started)


def test_connection_without_a_byte_is_closed_without_an_answer(hasty):
    with hasty.connect() as connection:
        started = time.monotonic()
        assert connection.at_end()
        assert 0.8 < time.monotonic() - started < 15


def test_idle_connection_is_closed_without_an_answer(hasty):
    with hasty.connect() as connection:
        connection.send(wire.request("/hooks/shop", b'{"transactionId":"idle"}', KEY))
        assert connection.reply().status == 200
        assert connection.at_end()


def test_deadlines_leave_no_log_line_for_silence(hasty):
    before = len(hasty.webhook_lines())
    with hasty.connect() as connection:
        assert connection.at_end()
    assert len(hasty.webhook_lines()) == before


def test_body_budget(home):
    """A body that has claimed the whole budget makes another wait with 503, before that one's body is read."""
    config = home.config(
        "limits { body_size_max = 65536  body_budget_size = 65536 }\n"
        + source("shop", "api-key", [home.secret("shop", TOKEN)])
    )
    server = home.serve(config=config)
    body = b'{"transactionId":"budget","pad":"%b"}' % (b"x" * 40000)
    data = wire.request("/hooks/shop", body, KEY)
    with server.connect() as holder, server.connect() as other:
        holder.send(data[:30000])
        time.sleep(0.3)
        other.send(data[:20000])
        assert_reply(other.reply(), 503, UNAVAILABLE, closes=True)
        assert server.post("/hooks/shop", b'{"transactionId":"small"}', KEY).status == 200
        holder.send(data[30000:])
        assert holder.reply().status == 200
    wait_for(lambda: server.post("/hooks/shop", body, KEY).duplicate, what="the return of the budget")
    assert server.post("/hooks/shop", b"x" * 65537, KEY).status == 413


@pytest.mark.slow
def test_body_rate(server):
    """From its fifth second on a body needs 1 KB/s: two senders side by side, one below, one above."""
    body = b'{"transactionId":"rate","pad":"%b"}' % (b"x" * 14000)
    data = wire.request("/hooks/shop", body, KEY)
    head = len(data) - len(body)
    with server.connect() as slow, server.connect() as quick:
        started = time.monotonic()
        slow.send(data[:head])
        quick.send(data[:head])
        sent = trickled = 0
        while sent < 14000:  # for 7 s, by the clock: 2,000 B/s against 40 B/s
            time.sleep(0.25)
            seconds = time.monotonic() - started
            due = min(14000, int(seconds * 2000))
            quick.send(body[sent:due])
            sent = due
            if seconds < 4.5:
                slow.send(body[trickled : trickled + 10])
                trickled += 10
        quick.send(body[14000:])
        assert quick.reply().status == 200
        assert_reply(slow.reply(), 408, BAD_REQUEST, closes=True)
        assert slow.at_end()
