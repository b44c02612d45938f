# SPDX-License-Identifier: Apache-2.0
"""Secrets, signatures and card numbers stay where they belong: in no log line, no answer, no file but the store."""

import json
import os
import re
import shlex

import pytest

import signing
import wire
from conftest import Key, source, wait_for

SECRET = "whsec_CANARY0aSourceSecret0123"
SHARED = "CANARY1-api-key-of-a-source"
REQUIRED = "CANARY2-required-api-key"
FROM_ENVIRONMENT = "whsec_CANARY3FromEnvironment"
BASIC = "CANARY4-basic-credentials"
PAYLOAD = "CANARY5-of-the-payload"
CARD = "4111111111111111"
STORE = re.compile(r"payhook\.db(-wal|-shm|-journal)?")
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def words_of(signature_headers):
    """What makes a signature header worth hiding: its long words."""
    return [word for value in signature_headers.values() for word in re.findall(r"[A-Za-z0-9+/=_-]{20,}", value)]


@pytest.fixture
def server(home):
    config = home.config(
        f'iam {{ require_api_key = true  api_key = "{home.secret("required", REQUIRED)}" }}\n'
        + source("stripe", "stripe", [home.secret("stripe", SECRET), "env:CANARY_SECRET"])
        + source("shop", "api-key", [home.secret("shop", SHARED)])
        + source("std", "standardwebhooks", [home.secret("std", "whsec_Q0FOQVJZNiBvZiBzdGFuZGFyZCB3ZWJob29rcw==")])
        + source("github", "hub-sha256", [home.secret("github", SHARED)])
    )
    return home.serve(config=config, environment={"CANARY_SECRET": FROM_ENVIRONMENT})


def traffic(server):
    """Webhooks of every verdict, all full of what must not come out. Returns the words to look for."""
    body = json.dumps(
        {
            "id": "evt_1",
            "transactionId": "t-1",
            "type": "charge.succeeded",
            "data": {"object": {"id": "ch_1", "number": CARD, "note": PAYLOAD}},
        }
    ).encode()
    stale = signing.stripe(SECRET, body, 1700000000)
    signatures = [
        signing.stripe(SECRET, body),
        signing.stripe(FROM_ENVIRONMENT, body),
        signing.stripe("whsec_CANARY7-a-wrong-one", body),
        stale,
        {"Stripe-Signature": f"t=1700000000,v1={PAYLOAD}{PAYLOAD}"},
        {"Stripe-Signature": f"{PAYLOAD} {CARD}"},
    ]
    for headers in signatures:
        server.post(
            "/hooks/stripe", body, {**headers, "Authorization": f"Basic {BASIC}", "Cookie": PAYLOAD, "X-Card": CARD}
        )
    server.post("/hooks/stripe", b"not json " + body, signing.stripe(SECRET, b"not json " + body))
    for token in (SHARED, "CANARY8-wrong-token", f"{SHARED}, {SHARED}"):
        server.post("/hooks/shop", body, {"x-api-key": token, "Authorization": f"Bearer {BASIC}"})
    signatures.append(signing.standard_webhooks("whsec_Q0FOQVJZNiBvZiBzdGFuZGFyZCB3ZWJob29rcw==", body, "msg_1"))
    signatures.append(signing.github(SHARED, body, "delivery-1"))
    server.post("/hooks/std", body, signatures[-2])
    server.post("/hooks/github", body, signatures[-1])
    for extra in ({"x-api-key": REQUIRED}, {"x-api-key": "CANARY9-wrong"}, {}):
        signed = signing.aws(server.url, body, server.key, extra)
        server.post("/", body, signed)
        server.post("/", body[:-1], signed)
        signatures.append({"Authorization": signed["Authorization"].split("Signature=")[1]})
    server.iam(body.replace(b"transactionId", b"other"), {"x-api-key": REQUIRED})
    server.post("/", body, {"Authorization": f"AWS4-HMAC-SHA256 {BASIC}"})
    server.post(f"/hooks/{PAYLOAD}", body, {"x-api-key": SHARED})
    server.post(f"/hooks/shop?card={CARD}&note={PAYLOAD}", body, {"x-api-key": SHARED})
    server.send(wire.request("/hooks/shop", headers={"x-api-key": SHARED, "X-Card": CARD + "\x01"}))
    server.send(f"BAD{CARD} {PAYLOAD}\r\n\r\n".encode())
    hidden = {"CANARY", CARD, server.key.secret, "Q0FOQVJZNiBvZiBzdGFuZGFyZCB3ZWJob29rcw"}
    for headers in signatures:
        hidden |= set(
            words_of(
                {
                    name: value
                    for name, value in headers.items()
                    if "signature" in name.lower() or name == "Authorization"
                }
            )
        )
    return hidden


def test_no_canary_in_the_log_nor_on_stdout(server):
    hidden = traffic(server)
    assert len(hidden) > 8
    assert server.stop() == 0
    webhooks = server.webhooks()
    assert {"200", "400", "401", "403", "404"} <= {line["status"] for line in webhooks}
    for word in hidden:
        assert word not in server.log(), word
        assert word not in server.welcome(), word


def test_no_canary_in_a_file_but_the_store(server):
    hidden = traffic(server) - {server.key.secret}
    assert (
        server.rows("SELECT count(*) FROM event WHERE payload LIKE '%' || ? || '%'", CARD)[0][0] >= 4
    ), "the canary was never there"
    wait_for(lambda: server.webhook_lines())
    assert server.stop() == 0
    seen = 0
    for path in server.data.rglob("*"):
        if path.is_file() and not STORE.fullmatch(path.name):
            seen += 1
            content = path.read_bytes().decode("latin-1")
            assert not [word for word in hidden if word in content], path
    assert seen >= 2


def test_store_holds_payloads_but_no_credentials(server):
    """What is kept beside the payload: never a secret, an authorization header or a token. The signatures of the row's
    own header may be."""
    traffic(server)
    for row in server.rows(
        "SELECT seq, transaction_id, event_key, event_id, event_type, method, headers, authenticated, unreadable,"
        " repeats FROM event"
    ):
        text = "\n".join(str(column) for column in row)
        for word in (SECRET, SHARED, REQUIRED, FROM_ENVIRONMENT, BASIC, server.key.secret, "Cookie", "cookie"):
            assert word not in text
    rows = server.rows("SELECT headers FROM event WHERE source = 'shop'")
    assert rows and all("matched secret 0" in headers for headers, in rows)
    rows = server.rows("SELECT headers FROM event WHERE source = 'default'")
    assert rows and all("AWS4-HMAC-SHA256" not in headers for headers, in rows)


def test_nothing_in_the_process_list(server):
    traffic(server)
    process = f"/proc/{server.process.pid}"
    with open(f"{process}/cmdline", "rb") as file:
        assert b"CANARY" not in file.read()
    try:
        with open(f"{process}/environ", "rb") as file:
            environment = file.read()
    except PermissionError:
        assert os.geteuid() != 0  # the process is not dumpable: only root may look
    else:
        assert environment.count(b"CANARY") == 2  # CANARY_SECRET=…CANARY3…, as it was given
    with open(f"{process}/limits") as file:
        assert re.search(r"Max core file size\s+0\s+0\s", file.read())


# ---- commands that fail with a secret at hand


@pytest.mark.parametrize(
    "text",
    [
        f'source pay {{ provider = "stripe" secrets = {{ "{SECRET}" }} }}',
        f'source pay {{ provider = "{SECRET}" secrets = {{ "env:A" }} }}',
        f"{SECRET} = 1",
        f'iam {{ api_key = "{SHARED}" require_api_key = true }}',
        f'source pay {{ provider = "stripe" secrets = {{ "file:/absent" "{SECRET}" }} }}',
        f'source "{SECRET}" {{ provider = "stripe" }}',
        f'listen = "{SECRET}"',
        f'source pay {{ {SECRET} = "a" }}',
        f'limits {{ body_size_max = "{SECRET}" }}',
        f'source pay {{ provider = "stripe" secrets = "{SECRET}" }}',
        f'store = "{SECRET}"',
        f'source pay {{ provider = "stripe" tolerance = "{SECRET}" secrets = {{ "env:A" }} }}',
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(home, text):
    config = home.config(text + "\n")
    for command in (
        ("check-config",),
        ("serve", "--data", home.path / "data"),
        ("verify", "--source", "pay", "-d", "{}", "http://localhost/hooks/pay"),
    ):
        done = home.run(*command, "--config", config)
        assert done.returncode in (1, 2)
        assert b"payhook.conf:1" in done.stderr
        assert b"CANARY" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "secret",
    [
        "CANARY",
        "CANARY-too-short",
        " CANARY-with-a-blank-at-its-front",
        "CANARY-with-a-line\nin-it-0123456789\n\n",
        "CANARY\0with-a-nul-0123456789",
        "CANARY" * 1000,
    ],
)
def test_an_unusable_secret_is_not_repeated(home, secret):
    reference = home.secret("odd", secret)
    config = home.config(source("pay", "standardwebhooks", [reference]))
    done = home.run("check-config", "--config", config)
    assert b"CANARY" not in done.stdout + done.stderr
    assert b"odd.secret" in done.stderr
    done = home.run(
        "verify",
        "--provider",
        "standardwebhooks",
        "--secret",
        reference,
        "-H",
        "webhook-id: a",
        "-d",
        "{}",
        "http://localhost/",
    )
    assert done.returncode == 2
    assert b"CANARY" not in done.stdout + done.stderr


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_verify_repeats_neither_secret_nor_signature(home, as_json):
    reference, body = home.secret("stripe", SECRET), PAYLOAD.encode()
    for headers in (
        signing.stripe(SECRET, body, 1),
        signing.stripe("another-secret-01234567", body),
        {"Stripe-Signature": "t=1,v1=" + "ab" * 32},
        {"Stripe-Signature": "ab" * 32},
    ):
        ((name, value),) = headers.items()
        done = home.run(
            "verify",
            "--provider",
            "stripe",
            "--secret",
            reference,
            "-H",
            f"{name}: {value}",
            "-d",
            PAYLOAD,
            *as_json,
            "http://localhost/",
        )
        assert done.returncode == 1
        for word in [SECRET, PAYLOAD, *words_of(headers)]:
            assert word.encode() not in done.stdout + done.stderr


def test_a_literal_secret_on_the_command_line_is_not_taken(home):
    done = home.run("verify", "--provider", "stripe", "--secret", SECRET, "-d", "{}", "http://localhost/")
    assert done.returncode == 2
    assert b"CANARY" not in done.stdout + done.stderr
    assert b"file:" in done.stderr


def test_send_with_a_wrong_key_file(home):
    for content in (f"AKIDEXAMPLE{SECRET}", f"user = {SECRET}", SECRET * 100, f"{SECRET} {SECRET}:x"):
        done = home.run("send", "--transaction", "a", "--key", home.write("key", content), "http://127.0.0.1:9/")
        assert done.returncode in (1, 2)
        assert b"CANARY" not in done.stdout + done.stderr


# ---- the form of the log

FIELDS = ["time", "request", "verdict", "status", "ms"]


def test_one_line_a_webhook(server):
    traffic(server)
    assert server.stop() == 0
    ids = set()
    for line in server.webhook_lines():
        fields = shlex.split(line)
        names = [field.split("=", 1)[0] for field in fields]
        assert all("=" in field for field in fields), line
        assert len(set(names)) == len(names), line
        assert set(FIELDS) <= set(names), line
        values = dict(field.split("=", 1) for field in fields)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", values["time"])
        assert re.fullmatch(r"\d{3}", values["status"])
        assert re.fullmatch(r"\d+(\.\d+)?", values["ms"])
        if values["status"] == "200":
            assert values["source"] and values["event"] and values["transaction"]
        ids.add(values["request"])
    assert len(ids) == len(server.webhook_lines())


def test_log_is_only_such_lines(server):
    traffic(server)
    assert server.stop() == 0
    for line in server.log().split("\n")[:-1]:
        assert line.startswith("time="), line


def test_nothing_from_outside_splits_or_colours_a_line(server):
    nasty = [
        "a\r\nb",
        "\x1b[31mred",
        'a" status=200 verdict="x',
        "a\\",
        'a\\"',
        "tab\tbed",
        "\x85next\u2028line",
        "\x9b31m",
        "é ü",
        "a=b",
        "a b",
        "x\u202ey",
        "\u0000",
        "\x7f",
    ]
    before = len(server.webhook_lines())
    for text in nasty:
        body = json.dumps({"transactionId": text, "id": text, "type": text}).encode()
        assert server.post("/hooks/shop", body, {"x-api-key": SHARED}).status == 200
        assert server.post("/hooks/stripe", body, signing.stripe(SECRET, body)).status == 200
        assert server.iam(body, {"x-api-key": REQUIRED}).status in (200, 400)
    for value in ("k\x80\x85\xa0", "k\x9b31m", 'k" status=500 a="', "k\\", "k\xc2\x85"):
        assert server.iam(b'{"transactionId":"k"}', {"x-api-key": REQUIRED, "Idempotency-Key": value}).status in (
            200,
            400,
            403,
        )
    sent = 3 * len(nasty) + 5
    wait_for(lambda: len(server.webhook_lines()) >= before + sent, what="the log lines")
    assert server.stop() == 0
    assert len(server.webhook_lines()) == before + sent
    log = server.log()
    assert not CONTROL.search(log.replace("\n", "")), CONTROL.search(log.replace("\n", ""))
    for line in server.webhook_lines():
        fields = [field.split("=", 1)[0] for field in shlex.split(line)]
        assert len(set(fields)) == len(fields) and set(FIELDS) <= set(fields), line


def test_raw_control_bytes_in_a_head_are_refused_and_not_logged(server):
    for byte in (b"\x1b", b"\x00", b"\x07", b"\x7f", b"\x0b"):
        with server.connect() as connection:
            connection.send(b"POST /hooks/shop HTTP/1.1\r\nHost: a\r\nX: " + byte + b"\r\nContent-Length: 0\r\n\r\n")
            assert connection.reply().status == 400
    assert server.stop() == 0
    assert not CONTROL.search(server.log().replace("\n", ""))
    assert len(server.webhook_lines()) == 5


def test_stale_clock_is_told(server):
    """Five well-signed but stale events in a row, all on one side."""
    for i in range(6):
        body = b'{"id":"evt_%d"}' % i
        reply = server.post("/hooks/stripe", body, signing.stripe(SECRET, body, 1700000000 + i))
        assert reply.status == 401
    line = wait_for(
        lambda: [line for line in server.log().split("\n") if "clock is probably wrong by" in line], what="the warning"
    )
    assert len(line) == 1 and "level=warning" in line[0]


def test_unknown_key_id_of_a_canary_is_not_logged(server):
    server.iam(b"{}", key=Key("CANARYKEYID", "x" * 40))
    wait_for(server.webhook_lines)
    assert "CANARY" not in server.log()
