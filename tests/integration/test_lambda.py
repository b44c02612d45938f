# SPDX-License-Identifier: Apache-2.0
"""`payhook lambda` between a Runtime API and a Secrets Manager of ours: every event form, what each of the two may
answer, and the same webhooks at both doors."""

import base64
import hashlib
import hmac
import json
import os
import random
import re
import socket
import time

import pytest

import signing
from conftest import PROGRAM, source, wait_for
from function import EVENTS, PLACEHOLDER, SECRET_ID, TRACE, Function, SecretsManager, file_event, url_event

JSON = {"content-type": "application/json"}
SHARED = "an-invented-secret-of-32-bytes-!"
WHSEC = "whsec_" + base64.b64encode(SHARED.encode()).decode()
SECRET = json.dumps({"api_key": "an-invented-api-key", "sources": {"github": {"provider": "hub-sha256", "secrets": [SHARED]}}})
STORED = '{"message": "Webhook processed successfully", "transactionId": "%s"}'
UNAVAILABLE = (503, '{"error": "Service unavailable"}')
FORBIDDEN = (403, '{"Message":"Forbidden"}')
NO_JSON = (400, '{"error": "Invalid JSON payload"}')
BAD = (400, '{"error": "Bad request"}')
NOT_FOUND = (404, '{"error": "Not found"}')
UNAUTHORIZED = (401, '{"error": "Unauthorized"}')


@pytest.fixture
def function(home):
    """Makes functions; all are ended with the test."""
    made = []

    def make(**how):
        made.append(Function(home, **how))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture(scope="module")
def shared(module_home):
    one = Function(module_home, secret=SECRET)
    yield one
    one.stop()


ANSWERS = {
    "url-post": (200, STORED % "url-1"),
    "url-base64": (200, STORED % "caf\\u00e9"),
    "url-not-base64": BAD,
    "url-no-body": NO_JSON,
    "url-no-iam": FORBIDDEN,
    "url-iam-null": FORBIDDEN,
    "url-get": (405, '{"error": "Method not allowed"}'),
    "url-unknown-path": NOT_FOUND,
    "url-query-and-cookies": (200, STORED % "url-1"),
    "url-hook": (200, STORED % "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
    "url-hook-forged": UNAUTHORIZED,
    "url-hook-unknown": NOT_FOUND,
    "url-escaped-body": (200, STORED % "url-e"),
    "url-half-a-character": BAD,
    "url-header-no-text": BAD,
    "url-header-two-lines": BAD,
    "url-wrong-types": BAD,
    "url-body-object": BAD,
    "invoke-string": (200, STORED % "invoke-1"),
    "invoke-object": (200, STORED % "invoke-2"),
    "invoke-bare": (200, STORED % "invoke-3"),
    "invoke-number-body": NO_JSON,
    "invoke-null-body": NO_JSON,
    "invoke-no-object": NO_JSON,
    "invoke-no-transaction": (400, '{"error": "Missing transactionId"}'),
    "invoke-not-json": NO_JSON,
    "rest-api": FORBIDDEN,
    "load-balancer": FORBIDDEN,
    "http-method-alone": FORBIDDEN,
    "context-null": FORBIDDEN,
}


def test_every_event_file_has_its_answer():
    assert sorted(ANSWERS) == sorted(path.stem for path in EVENTS.glob("*.json"))


@pytest.mark.parametrize("name", ANSWERS)
def test_event_file(shared, name):
    status, body = shared.answer(file_event(name))
    if name == "url-hook":  # what a hub's event is about depends on the row
        assert (status, json.loads(body)["message"]) == (200, "Webhook processed successfully")
    else:
        assert (status, body) == ANSWERS[name]


def test_headers_of_answers(shared):
    first, again = shared.invoke({"transactionId": "twice"}), shared.invoke({"transactionId": "twice"})
    assert first["headers"] == {"content-type": "application/json"}
    assert again["headers"] == {"content-type": "application/json", "payhook-duplicate": "true"}
    assert shared.invoke(file_event("url-get"))["headers"]["allow"] == "POST"
    assert shared.invoke(file_event("url-no-iam"))["headers"]["x-amzn-errortype"] == "AccessDeniedException"


def test_what_is_kept(function):
    f = function(environment={"ENVIRONMENT": "staging"})
    text = '{ "transactionId" : "t-1", "amount": 1.50 }'
    before = int(time.time())
    for event in (
        {"body": text},
        json.dumps({"body": "@"}).replace('"@"', text.replace("t-1", "t-2")).encode(),
        (" " + text.replace("t-1", "t-3") + "\n").encode(),
        url_event(text.replace("t-1", "t-4").encode(), headers={**JSON, "user-agent": "till/1", "x-other": "no"}),
        url_event(text.replace("t-1", "t-5").encode(), headers={"content-type": "application/octet-stream"}),
    ):
        assert f.answer(event)[0] == 200
    rows = f.rows(
        "SELECT transaction_id, payload, payload_sha256, timestamp, received_at, environment, processed_by, source,"
        " authenticated, method, target, headers FROM event ORDER BY seq"
    )
    assert [row[0] for row in rows] == [f"t-{i}" for i in range(1, 6)]
    for i, row in enumerate(rows):
        payload = text.replace("t-1", f"t-{i + 1}")
        assert row[1] == payload  # the exact bytes of the value, blanks and number as they came
        assert row[2] == hashlib.sha256(payload.encode()).digest()
        assert before <= row[3] <= time.time()
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", row[4])
        assert row[5:8] == ("staging", "envmig-webhook-test", "default")
        assert row[8] == ("invoke" if i < 3 else "iam")
    assert rows[3][9:] == ("POST", "/", "content-type: application/json\nuser-agent: till/1\n")


def test_called_bootstrap(home, function):
    link = home.path / "bootstrap"
    link.symlink_to(PROGRAM)
    f = function(command=[str(link)], environment={"ENVIRONMENT": None, "AWS_LAMBDA_FUNCTION_NAME": None})
    assert f.answer({"transactionId": "t-1"})[0] == 200
    assert f.rows("SELECT environment, processed_by FROM event") == [("prod", "payhook")]


def test_one_connection_and_a_thaw(function):
    f = function()
    for i in range(20):
        assert f.answer({"transactionId": f"t-{i}"})[0] == 200
    assert f.api.connections == 1
    f.api.drop_connections()  # while it waits for the next event
    assert f.answer({"transactionId": "thawed"})[0] == 200
    assert f.api.connections == 2
    f.api.lose_next = True
    wait_for(lambda: not f.api.lose_next, what="the hanging up")
    assert f.answer({"transactionId": "thawed again"})[0] == 200
    assert f.alive and f.api.connections == 3


@pytest.mark.parametrize("status", [400, 403, 413])
def test_a_refused_response_is_no_end(function, status):
    f = function()
    f.api.override = [status]
    assert f.api.invoke({"transactionId": "t-1"}) is None
    assert f.answer({"transactionId": "t-1"})[0] == 200  # it was stored all the same
    assert len(f.rows()) == 1
    assert f"the Runtime API refuses the response with {status}" in f.messages()


@pytest.mark.parametrize("status", [500, 404, 302])
def test_a_broken_runtime_api_is_the_end(function, status):
    f = function()
    f.api.override = [status]
    assert f.api.invoke({"transactionId": "t-1"}) is None
    assert f.wait() == 1
    assert f.messages()[-1] == f"the Runtime API answers a response with {status}"


@pytest.mark.parametrize(
    "answer, sentence",
    [
        ((500, [], b"{}"), "answers next with 500"),
        ((403, [], b"{}"), "answers next with 403"),
        ((200, [], b"{}"), "answers next without a request id"),
        ((200, [("Lambda-Runtime-Aws-Request-Id", "a/../b")], b"{}"), "answers next without a request id"),
        ((200, [("Lambda-Runtime-Aws-Request-Id", "x" * 200)], b"{}"), "answers next without a request id"),
        ((200, [("Lambda-Runtime-Aws-Request-Id", "1")], b" " * (8 << 20)), "answers next with an event over its limit"),
    ],
)
def test_a_broken_next_is_the_end(function, answer, sentence):
    f = function(start=False)
    f.api.next_override = [answer]
    assert f.start().wait() == 1
    assert sentence in f.messages()[-1]
    assert f.lines()[-1]["level"] == "ERROR"


@pytest.mark.parametrize(
    "how, kind, sentence",
    [
        ({"store": None, "environment": {"DYNAMODB_TABLE_NAME": None}}, "Configuration", "DYNAMODB_TABLE_NAME is not set"),
        ({"store": None, "environment": {"DYNAMODB_TABLE_NAME": ""}}, "Configuration", "DYNAMODB_TABLE_NAME is not set"),
        ({"store": "paper"}, "Store", "there is no store of the kind"),
        ({"environment": {"PAYHOOK_DATA": "/proc/nowhere"}}, "Store", ""),
    ],
)
def test_init_error(function, how, kind, sentence):
    f = function(**how)
    assert f.wait() == 1
    [(header, body)] = f.api.init_errors
    assert header == body["errorType"] == f"payhook.{kind}"
    assert sentence in body["errorMessage"] and body["errorMessage"] == f.messages()[-1]
    assert body["stackTrace"] == []
    assert f.api.next_at is None


def test_without_a_runtime_api(home):
    done = home.run("lambda", "--store", "memory")
    assert done.returncode == 1 and b"run by AWS Lambda" in done.stderr
    closed = socket.socket()
    closed.bind(("127.0.0.1", 0))
    address = f"127.0.0.1:{closed.getsockname()[1]}"
    for value in ("", "x:y", ":80", "x:0", "x:70000", address):
        done = home.run("lambda", "--store", "memory", environment={"AWS_LAMBDA_RUNTIME_API": value})
        assert done.returncode == 1 and b"AWS_LAMBDA_RUNTIME_API" in done.stderr or b"does not answer" in done.stderr
    closed.close()


@pytest.mark.parametrize("value, status", [(None, 403), ("0", 403), ("yes", 403), ("1", 200)])
def test_trust_door(function, value, status):
    f = function(environment={"PAYHOOK_TRUST_DOOR": value})
    assert f.answer(url_event(b'{"transactionId":"t-1"}', headers=JSON, iam=False))[0] == status
    assert f.answer(file_event("rest-api")) == FORBIDDEN  # no door of ours, trusted or not
    assert any("PAYHOOK_TRUST_DOOR is set" in message for message in f.messages()) == (status == 200)


def hook(secret=SHARED, name="github", body=b'{"action":"opened"}', **headers):
    return url_event(body, f"/hooks/{name}", iam=False, headers={**JSON, **signing_of(secret, body), **headers})


def signing_of(secret, body):
    return {"X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


POST = url_event(b'{"transactionId":"t-1"}', headers=JSON)


@pytest.mark.parametrize(
    "secret, status, post, known, unknown, warning",
    [
        # The placeholder: nothing is configured yet.
        (PLACEHOLDER, None, 200, 404, 404, None),
        (SECRET, None, 200, 200, 404, None),
        # It cannot be read: POST / goes on, IAM has said who calls; the others come again.
        (None, None, 200, 503, 503, "allow secretsmanager:GetSecretValue"),
        ("x", 500, 200, 503, 503, "Secrets Manager answers 500"),
        ("{", None, 200, 503, 503, "it is no JSON object"),
        ('"text"', None, 200, 503, 503, "it is no JSON object"),
        ('{"sources": []}', None, 200, 503, 503, '"sources" is no object'),
        # A source that is wrong: that one only.
        ('{"sources": {"github": {"provider": "hub-sha256", "secrets": []}}}', None, 200, 503, 404, "no usable secret"),
        ('{"sources": {"github": {"provider": "nobody"}}}', None, 200, 503, 404, 'it needs "provider"'),
    ],
)
def test_open_and_closed(function, secret, status, post, known, unknown, warning):
    f = function(secret=secret)
    f.secrets.status = status
    assert f.answer(POST)[0] == post
    asked = f.secrets.requests
    assert f.answer(hook())[0] == known
    assert f.answer(hook(name="nobody"))[0] == unknown
    assert f.answer({"transactionId": "t-2"})[0] == 200
    warned = [line for line in f.lines() if line["level"] == "WARN" and "message" in line]
    assert bool(warned) == (warning is not None)
    if warning is not None:
        assert warning in warned[0]["message"]
    assert f.secrets.requests == asked  # not once for every event


@pytest.mark.parametrize(
    "secret, sent, answer",
    [
        (SECRET, "an-invented-api-key", 200),
        (SECRET, "an-invented-api-kez", 401),
        (SECRET, None, 401),
        ('{"api_key": ["an-invented-api-key", "another-api-key"]}', "another-api-key", 200),
        (PLACEHOLDER, "placeholder_value_replace_in_production", 503),
        ("{}", "an-invented-api-key", 503),
        (None, "an-invented-api-key", 503),
        (None, None, 503),
    ],
)
def test_required_api_key(function, secret, sent, answer):
    f = function(secret=secret, environment={"PAYHOOK_REQUIRE_API_KEY": "1"})
    headers = {**JSON, **({} if sent is None else {"x-api-key": sent})}
    event = url_event(b'{"transactionId":"t-1"}', headers=headers)
    assert f.answer(event)[0] == answer
    assert len(f.rows()) == (answer == 200)


def test_api_key_is_not_looked_at_unless_asked_for(function):
    for value in (None, "0", ""):
        f = function(environment={"PAYHOOK_REQUIRE_API_KEY": value})
        event = url_event(b'{"transactionId":"t-1"}', headers={**JSON, "x-api-key": "wrong"})
        assert f.answer(event)[0] == 200


def test_no_secret_is_named(function):
    f = function(environment={"SECRETS_MANAGER_ARN": None})
    assert f.answer(POST)[0] == 200
    assert f.answer(hook()) == UNAVAILABLE
    assert f.secrets.requests == 0
    assert "SECRETS_MANAGER_ARN is not set" in f.messages()[0]


def test_a_slow_secret_takes_no_more_than_its_time(function):
    f = function(secret=SECRET)
    f.secrets.wait = 20
    before = time.monotonic()
    assert f.answer(POST)[0] == 200
    assert time.monotonic() - before < 15
    assert f.answer(POST)[0] == 200  # at once: it is not asked for again so soon
    assert f.secrets.requests <= 2


def test_forgeries_do_not_ask_again_each_time(function):
    f = function(secret=SECRET)
    for _ in range(50):
        assert f.answer(hook("a-wrong-secret-of-some-length")) == UNAUTHORIZED
        assert f.answer(hook(name="nobody")) == NOT_FOUND
    assert f.secrets.requests == 1


def test_deadline(function):
    """A store that does not answer: 503 before Lambda's own end of time, and the next event is served."""
    silent = socket.create_server(("127.0.0.1", 0))
    f = function(
        store=None, environment={"AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{silent.getsockname()[1]}"}
    )
    took = []
    while len(took) < 2 or (min(took) >= 3 and len(took) < 5):
        before = time.monotonic()
        assert f.answer(POST, deadline_ms=3000) == UNAVAILABLE
        took.append(time.monotonic() - before)
    assert min(took) < 3
    line = f.lines()[-1]
    assert line["verdict"] == "unavailable" and line["reason"]
    silent.close()


def test_logs(function):
    canary = "CANARY-of-a-payload"
    f = function(secret=SECRET)
    events = [
        url_event(json.dumps({"transactionId": "t\n\x1b[2J", "card": canary}).encode(), headers={**JSON, "x-a": canary}),
        hook(body=json.dumps({"id": 1, "card": canary}).encode()),
        hook("a-wrong-secret-of-some-length", body=canary.encode()),
        {"transactionId": "t-2", "card": canary},
        canary.encode(),
        url_event(canary.encode(), headers=JSON),
        file_event("rest-api"),
    ]
    ids = []
    for event in events:
        ids.append(f.api.put(event, trace=TRACE))
        assert ids[-1].answered.wait(30)
    f.api.invoke({"transactionId": "t-3"})
    lines = f.lines()
    text = f.err.read_text()
    assert len(lines) == len(events) + 1  # one each, and nothing else
    for line, invocation in zip(lines, ids):
        assert line["requestId"] == invocation.id
        assert line["traceId"] == "1-5e1b4151-5ac6c58f5ac6c58f5ac6c58f"
        assert {"timestamp", "level", "verdict", "status", "ms", "door"} <= set(line)
    assert "traceId" not in lines[-1]
    verdicts = [line["verdict"] for line in lines]
    assert verdicts[:2] == ["invalid_transaction", "stored"] and verdicts[2] == "bad_signature"
    assert lines[1]["source"] == "github" and lines[1]["event"] and lines[3]["transaction"] == "t-2"
    signature = signing_of(SHARED, json.dumps({"id": 1, "card": canary}).encode())["X-Hub-Signature-256"][7:]
    for word in (canary, SHARED, "an-invented-api-key", signature, "an-invented-secret"):
        assert word not in text


def test_sizes(function):
    f = function()
    whole = 1 << 20
    frame = len(b'{"transactionId":"t-1","x":""}')
    body = b'{"transactionId":"t-1","x":"%s"}'
    assert f.answer(url_event(body % (b"y" * (whole - frame)), headers=JSON))[0] == 200
    assert f.answer(url_event(body % (b"y" * (whole - frame)), headers={}))[0] == 200  # in base64: the same
    large = (413, '{"error": "Payload too large"}')
    assert f.answer(url_event(body % (b"y" * (whole - frame + 1)), headers=JSON)) == large
    assert f.answer(url_event(body % (b"y" * (whole - frame + 1)), headers={})) == large
    assert f.answer(b'{"body":"' + b"y" * (6 << 20) + b'"}') == large
    assert f.answer(b" " * (6 << 20) + b'{"transactionId":"t-2"}')[0] == 200
    assert len(f.rows("SELECT seq FROM event")) == 2


def test_no_event_ends_the_process(function):
    """Good events with bytes changed, cut out and put in, by a generator whose seed the failure shows."""
    f = function(secret=SECRET)
    seed = int.from_bytes(os.urandom(4), "big")
    numbers = random.Random(seed)
    files = [path.read_bytes() for path in sorted(EVENTS.glob("*.json"))]
    f.invoke({"transactionId": "first"})
    pid = f.process.pid
    for _ in range(400):
        event = bytearray(numbers.choice(files))
        for _ in range(numbers.randint(1, 8)):
            at = numbers.randrange(len(event))
            change = numbers.randrange(3)
            if change == 0:
                event[at] = numbers.randrange(256)
            elif change == 1:
                del event[at : at + numbers.randint(1, 30)]
            else:
                event[at:at] = numbers.choice([b'"', b"{", b"[", b"\\u", b"\0", b"\xff", b"9" * 400, b"[" * 70])
            if not event:
                event = bytearray(b" ")
        status, _ = f.answer(bytes(event))
        assert 200 <= status < 500, seed
    assert f.alive and f.process.pid == pid
    assert f.answer({"transactionId": "last"})[0] == 200


@pytest.mark.parametrize("sampled", [True, False])
def test_traces(function, sampled):
    """The calls of an invocation are its subsegments, sent before the response, where it is sampled."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(5)
        f = function(
            secret=SECRET, environment={"AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{daemon.getsockname()[1]}"}
        )
        assert f.answer(POST, trace=TRACE if sampled else TRACE.replace("Sampled=1", "Sampled=0"))[0] == 200
        daemon.setblocking(False)
        if not sampled:
            with pytest.raises(BlockingIOError):
                daemon.recv(65536)
            return
        head, segment = daemon.recv(65536).split(b"\n", 1)
        segment = json.loads(segment)
        assert json.loads(head) == {"format": "json", "version": 1}
        assert segment["trace_id"] == "1-5e1b4151-5ac6c58f5ac6c58f5ac6c58f"
        assert segment["parent_id"] == "53995c3f42cd8ad8"
        assert segment["name"] == "secretsmanager" and segment["aws"]["operation"] == "GetSecretValue"


# ---- one corpus at both doors


def corpus():
    """(path, headers, body): what senders of every built provider send, right and wrong."""
    stripe = b'{"id":"evt_1","type":"charge.succeeded","data":{"object":{"id":"ch_1"}}}'
    svix = b'{"type":"user.created"}'
    agent = {"user-agent": "Sender/1.0"}
    for body in (
        b'{"transactionId":"t-1","amount":100}',
        b'{"transactionId":"t-1","amount":100}',
        b'{"transactionId":"t-1","amount":101}',
        b' {"transactionId": 12345678901234567890 } \n',
        '{"transactionId":"caf\u00e9 \U0001f4b6"}'.encode(),
        b'{"transactionId":"\\u0074-2"}',
        b'{"transactionId":"~t"}',
        b'{"transactionId":""}',
        b'{"transactionId":1.5}',
        b'{"transactionId":"a","transactionId":"b"}',
        b'{"transaction":"t"}',
        b"[]",
        b"",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b'{"transactionId":"deep","a":' + b"[" * 63 + b"]" * 63 + b"}",
        b'{"transactionId":"deep","a":' + b"[" * 64 + b"]" * 64 + b"}",
    ):
        yield "/", {**JSON, **agent}, body
    yield "/", {**JSON, "idempotency-key": "k-1"}, b'{"transactionId":"t-9","n":1}'
    yield "/", {**JSON, "idempotency-key": "k-1"}, b'{"transactionId":"t-9","n":1}'
    yield "/", {**JSON, "idempotency-key": "k-1"}, b'{"transactionId":"t-9","n":2}'
    yield "/", {**JSON, "idempotency-key": "k-1"}, b'{"transactionId":"t-10","n":2}'
    for body in (stripe, stripe, b'{"id":"evt_2"}', b"no JSON", b"\xff\xfe", b'{"id":"' + b"x" * 300 + b'"}'):
        yield "/hooks/stripe", {**JSON, **agent, **signing.stripe(SHARED, body)}, body
    yield "/hooks/stripe", {**JSON, **signing.stripe(SHARED, stripe, 1700000000)}, stripe
    yield "/hooks/stripe", {**JSON, **signing.stripe("another-secret-of-32-bytes-here!", stripe)}, stripe
    yield "/hooks/stripe", JSON, stripe
    yield "/hooks/stripe", {**JSON, "stripe-signature": "t=1,v1="}, stripe
    yield "/hooks/stripe", [*JSON.items(), *signing.stripe(SHARED, stripe).items() , *signing.stripe(SHARED, stripe).items()], stripe
    yield "/hooks/standard", {**JSON, **signing.standard_webhooks(WHSEC, svix, "msg_1")}, svix
    yield "/hooks/standard", {**signing.standard_webhooks(WHSEC, svix, "msg_2")}, svix
    yield "/hooks/standard", {**JSON, **signing.standard_webhooks(WHSEC, svix, "msg_3"), "webhook-id": "msg_4"}, svix
    yield "/hooks/svix", {**JSON, **signing.standard_webhooks(WHSEC, svix, "msg_1", prefix="svix")}, svix
    for body in (svix, b"", b"text"):
        yield "/hooks/github", {**JSON, **signing_of(SHARED, body), "x-github-event": "push", "x-github-delivery": "d-1"}, body
    yield "/hooks/github", {"content-type": "application/x-www-form-urlencoded", **signing_of(SHARED, b"payload=%7B%7D")}, b"payload=%7B%7D"
    for key in (SHARED, "wrong-token"):
        yield "/hooks/shop", {**JSON, "x-api-key": key}, b'{"id":"1","payment":"p-1"}'
    yield "/hooks/shop", [*JSON.items(), ("x-api-key", SHARED), ("x-api-key", SHARED)], b'{"id":"2"}'
    yield "/hooks/own", {**JSON, "x-sig": signing_of(SHARED, b'{"n":1}')["X-Hub-Signature-256"][7:]}, b'{"n":1}'
    yield "/hooks/nobody", JSON, b"{}"
    yield "/hooks/", JSON, b"{}"
    yield "/hooks/default", JSON, b"{}"
    yield "/other", JSON, b"{}"


SOURCES = {
    "stripe": {"provider": "stripe", "secrets": [SHARED]},
    "standard": {"provider": "standardwebhooks", "secrets": [WHSEC]},
    "svix": {"provider": "svix", "secrets": [WHSEC]},
    "github": {"provider": "hub-sha256", "secrets": [SHARED]},
    "shop": {"provider": "api-key", "secrets": ["old-token-of-length", SHARED], "transaction_id": "json:/payment"},
    "own": {"provider": "hmac", "secrets": [SHARED], "header": "x-sig"},
}
# At the function AWS has looked at the signature, so that there is no key pair of ours that matched.
COLUMNS = (
    "source, transaction_id, event_key, event_id, event_type, environment, method, target, authenticated,"
    " replace(headers, 'authorization: present, matched secret 0', 'authorization: present'),"
    " unreadable, repeats, payload_sha256, payload, request_body, CASE source WHEN 'default' THEN 0 ELSE matched_secret END"
)


def test_the_same_at_both_doors(home, function):
    text = "".join(
        source(
            name,
            row["provider"],
            [home.secret(f"{name}-{i}", secret) for i, secret in enumerate(row["secrets"])],
            **{key: value for key, value in row.items() if key not in ("provider", "secrets")},
        )
        for name, row in SOURCES.items()
    )
    server = home.serve(config=home.config(text))
    f = function(secret=json.dumps({"sources": SOURCES}))
    count = 0
    for path, headers, body in corpus():
        count += 1
        pairs = list(headers.items()) if isinstance(headers, dict) else headers
        if path == "/":
            pairs = list(signing.aws(server.url, body, server.key, headers).items())
        there = server.post(path, body, pairs)
        here = f.invoke(url_event(body, path, headers=pairs, iam=path == "/"))
        assert (here["statusCode"], here["body"].encode()) == (there.status, there.body), (path, pairs, body)
        for name in ("payhook-duplicate", "retry-after", "allow", "content-type", "x-amzn-errortype"):
            assert here["headers"].get(name) == there.header(name), (path, name)
    assert count > 45
    sql = f"SELECT {COLUMNS} FROM event ORDER BY seq"
    rows = f.rows(sql)
    assert rows == server.rows(sql)
    assert len(rows) > 20
    assert {row[0] for row in rows} == {"default", *SOURCES}


# ---- aws: references at the server


def test_server_reads_aws_references(home):
    manager = SecretsManager(json.dumps({"sources": {"github": {"secrets": ["old-secret-of-some-length", SHARED]}}}))
    environment = {
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": manager.url,
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "an-invented-secret",
    }
    config = home.config(
        source("github", "hub-sha256", [f"aws:{SECRET_ID}#/sources/github/secrets"])
        + source("second", "hub-sha256", [f"aws:{SECRET_ID}#/sources/github/secrets/1"])
        + source("third", "hub-sha256", [f"aws:{SECRET_ID}#/sources/nobody"])
    )
    try:
        server = home.serve(config=config, environment=environment)
        body = b'{"action":"opened"}'
        headers = {**JSON, **signing_of(SHARED, body)}
        assert server.post("/hooks/github", body, headers).status == 200
        assert server.post("/hooks/second", body, headers).status == 200
        assert server.post("/hooks/third", body, headers).status == 503
        assert manager.requests == 1 and manager.faults == []
        assert "the secret has nothing where the pointer points" in server.log()
        manager.text = None
        done = home.run("check-config", "--config", config, environment=environment)
        assert done.returncode == 1 and b"allow secretsmanager:GetSecretValue" in done.stderr
        assert SHARED.encode() not in done.stderr + done.stdout
    finally:
        manager.stop()
