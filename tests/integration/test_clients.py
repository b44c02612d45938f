# SPDX-License-Identifier: Apache-2.0
"""Real senders: curl and botocore sign POST /, and signatures made after the providers' own pages sign POST
/hooks/NAME."""

import base64
import hashlib
import hmac
import http.client
import json
import re
import signal
import time
from urllib.parse import urlsplit

import pytest

import signing
import wire
from conftest import USER_REPLY, Key, source, wait_for

FORBIDDEN = b'{"Message":"Forbidden"}'
UNAUTHORIZED = b'{"error": "Unauthorized"}'
STRIPE = "whsec_stripe0123456789abcdef"
STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SVIX = "whsec_plJ3nmyCDGBKInavdOK15jsl0123456789ab"
GITHUB = "It's a Secret to Everybody"
TOKEN = "a-static-token-0123456789"
PLACEHOLDER = "placeholder_value_replace_in_production"


@pytest.fixture(scope="module")
def server(module_home):
    home = module_home
    config = home.config(
        source("stripe", "stripe", [home.secret("stripe", STRIPE + "\n")])
        + source(
            "standard", "standardwebhooks", [home.secret("standard", STANDARD)], transaction_id="json:/data/payment_id"
        )
        + source("svix", "svix", ["env:SVIX_SECRET"])
        + source("github", "hub-sha256", [home.secret("github", GITHUB)])
        + source("shop", "api-key", [home.secret("shop", TOKEN)])
        + source(
            "rolled",
            "stripe",
            [home.secret("old", "whsec_old_0123456789abcdef"), home.secret("new", "whsec_new_0123456789abcdef")],
        )
    )
    return home.serve(config=config, environment={"SVIX_SECRET": SVIX})


# ---- curl


def curl(server, *arguments, stdin=None, url=None):
    """curl with the first key: (status, body)."""
    done = server.home.curl("-K", server.data / "first-key.curl", *arguments, url or server.url, stdin=stdin)
    assert done.returncode == 0, done.stderr
    head, body = done.stdout.split(b"\r\n\r\n")[-2:]
    return int(head.split(b" ")[1]), body


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("plain", []),
        ("content-type", ["-H", "content-type: application/json; charset=utf-8"]),
        (
            "headers",
            ["-H", "X-Custom: a  b ", "-H", "x-another: ü", "-H", "X-Amz-Meta: z", "-H", "Accept: application/json"],
        ),
        ("idempotency-key", ["-H", "Idempotency-Key: c-1"]),
        ("chunked", ["-H", "Transfer-Encoding: chunked"]),
        ("compressed", ["--compressed"]),
        ("expect", ["-H", "Expect: 100-continue"]),
        ("http10", ["--http1.0"]),
    ],
)
def test_curl(server, name, arguments):
    body = '{"transactionId":"curl-%s"}' % name
    status, reply = curl(server, *arguments, "-d", body)
    assert (status, reply) == (200, USER_REPLY % b"curl-%b" % name.encode())
    assert server.rows("SELECT payload FROM event WHERE transaction_id = ?", f"curl-{name}") == [(body,)]


@pytest.mark.parametrize("query", ["?a=1", "?a=1&b=two&c=", "?A=1&a=2&b=", "?x=%20%2F&y=%C3%A9", "?q=a-b_c.d~e"])
def test_curl_with_a_query(server, query):
    status, reply = curl(server, "-d", '{"transactionId":"curl%s"}' % query.replace("%", "-"), url=server.url + query)
    assert status == 200, reply


def test_curl_uploads_from_a_pipe(server):
    body = json.dumps({"transactionId": "curl-pipe", "pad": "x" * 30000}).encode()
    digest = hashlib.sha256(body).hexdigest()
    status, _ = curl(
        server,
        "-X",
        "POST",
        "-T",
        "-",
        "-H",
        "content-type: application/json",
        "-H",
        f"x-amz-content-sha256: {digest}",
        stdin=body,
    )
    assert status == 200
    assert server.rows("SELECT payload FROM event WHERE transaction_id = 'curl-pipe'") == [(body.decode(),)]


def test_curl_with_a_large_body(server):
    body = json.dumps({"transactionId": "curl-large", "pad": "é" * 300000}, ensure_ascii=False).encode()
    path = server.home.write("large.json", body)
    for arguments in ([], ["-H", "Transfer-Encoding: chunked"]):
        status, _ = curl(server, *arguments, "--data-binary", f"@{path}")
        assert status == 200
    assert server.rows("SELECT payload FROM event WHERE transaction_id = 'curl-large'") == [(body.decode(),)]


def test_curl_with_another_secret(server):
    status, reply = curl(server, "-d", '{"transactionId":"x"}', "--user", f"{server.key.id}:{server.key.secret[::-1]}")
    assert (status, reply) == (403, FORBIDDEN)


@pytest.mark.parametrize("scope", ["aws:amz:eu-west-1:lambda", "aws:amz:us-east-1:s3", "aws:amz:us-east-1:execute-api"])
def test_curl_with_another_scope(server, scope):
    status, reply = curl(server, "-d", '{"transactionId":"x"}', "--aws-sigv4", scope)
    assert (status, reply) == (403, FORBIDDEN)


# ---- botocore


def test_botocore_over_http_client(server):
    body = b'{"transactionId":"boto","amount":1.10}'
    headers = signing.aws(
        server.url, body, server.key, {"Content-Type": "application/json", "User-Agent": "Boto3/1 test"}
    )
    connection = http.client.HTTPConnection(*server.address, timeout=30)
    connection.request("POST", "/", body, headers)
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, USER_REPLY % b"boto")
    connection.close()
    row = server.rows(
        "SELECT payload, authenticated, method, target, headers FROM event WHERE transaction_id = 'boto'"
    )[0]
    assert row[:4] == (body.decode(), "iam", "POST", "/")
    assert "application/json" in row[4] and "Boto3/1 test" in row[4]
    assert headers["Authorization"].rsplit("=", 1)[1] not in row[4]


@pytest.mark.parametrize("target", ["/?a=1", "/?b=2&a=1&a=0", "/?x=%2F%20&y=a%2Bb", "/?empty="])
def test_botocore_with_a_query(server, target):
    assert server.iam(b'{"transactionId":"boto-query"}', target=target).status == 200


def aws_cases(server):
    body = b'{"transactionId":"a","n":1}'
    key, url = server.key, server.url
    digest = hashlib.sha256(body).hexdigest()
    good = signing.aws(url, body, key)
    yield "as it is", 200, body, good
    yield "with the hash", 200, body, signing.aws(url, body, key, {"x-amz-content-sha256": digest})
    yield "temporary credentials", 403, body, signing.aws(url, body, key, token="session")
    yield "unsigned payload", 403, body, signing.aws(url, body, key, {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
    yield "streaming payload", 403, body, signing.aws(
        url, body, key, {"x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}
    )
    yield "another hash, signed", 403, body, signing.aws(
        url, body, key, {"x-amz-content-sha256": hashlib.sha256(b"").hexdigest()}
    )
    yield "another body", 403, body + b" ", good
    yield "an x-amz header more", 403, body, {**good, "X-Amz-Extra": "1"}
    yield "a signed header less", 403, body, {
        name: value for name, value in signing.aws(url, body, key, {"X-Extra": "1"}).items() if name != "X-Extra"
    }
    yield "no date", 403, body, {name: value for name, value in good.items() if name != "X-Amz-Date"}
    yield "authorization twice", 403, body, [*good.items(), ("authorization", good["Authorization"])]
    yield "x-amz-date twice", 403, body, [*good.items(), ("x-amz-date", good["X-Amz-Date"])]
    yield "another host", 403, body, {**good, "Host": "localhost"}
    for flip in range(1, 65, 9):
        signature = good["Authorization"]
        digit = "0" if signature[-flip] != "0" else "1"
        yield f"digit {flip} of the signature", 403, body, {
            **good,
            "Authorization": signature[: len(signature) - flip] + digit + signature[len(signature) - flip + 1 :],
        }


def test_what_a_signature_must_cover(server):
    for name, status, body, headers in aws_cases(server):
        reply = server.send(wire.request("/", body, headers, host=server.host))
        assert reply.status == status, name
        assert status == 200 or reply.body == FORBIDDEN, name


def test_another_target_or_method_is_another_request(server):
    body = b'{"transactionId":"a"}'
    headers = signing.aws(server.url, body, server.key)
    assert server.post("/?a=1", body, headers).status == 403
    got = signing.aws(server.url, body, server.key, method="GET")
    assert server.post("/", body, got).status == 403


def test_presigned_form_is_refused(server):
    body = b'{"transactionId":"presigned"}'
    url = urlsplit(signing.aws(server.url, body, server.key, query=True))
    target = f"{url.path}?{url.query}"
    assert "X-Amz-Signature" in target
    assert server.post(target, body).status == 403
    assert server.iam(body, target=target).status == 403  # beside a good header as well
    assert server.rows("SELECT count(*) FROM event WHERE transaction_id = 'presigned'") == [(0,)]


@pytest.mark.parametrize(
    "skew, status", [(-301, 403), (-295, 200), (295, 200), (301, 403), (-86400, 403), (86400, 403)]
)
def test_date_of_the_signature(server, skew, status):
    # A second may pass between signing and judging: then 301 s ahead would be 300.
    skew += 2 if skew in (301,) else 0
    assert server.iam(b'{"transactionId":"date%d"}' % skew, skew=skew).status == status


def test_unknown_key_and_wrong_secret_look_the_same(server):
    body, key = b'{"transactionId":"a"}', server.key
    replies = [
        server.iam(body, key=other).without_date()
        for other in (Key("AKIDAAAAAAAAAAAAAAAA", key.secret), Key(key.id, "x" * len(key.secret)), Key("x", "y"))
    ]
    assert replies[0][0] == 403
    assert replies[1] == replies[0] and replies[2] == replies[0]


# ---- providers


def stripe_event(name):
    return json.dumps(
        {"id": f"evt_{name}", "type": "payment_intent.succeeded", "data": {"object": {"id": f"pi_{name}", "amount": 1}}}
    ).encode()


SIGNED = {
    "stripe": (
        stripe_event("one"),
        lambda body, secret=STRIPE: signing.stripe(secret, body),
        "evt_one",
        "payment_intent.succeeded",
        "pi_one",
    ),
    "standard": (
        b'{"type":"payment.done","data":{"payment_id":"pay_1"}}',
        lambda body, secret=STANDARD: signing.standard_webhooks(secret, body, "msg_1"),
        "msg_1",
        "payment.done",
        "pay_1",
    ),
    "svix": (
        b'{"type":"invoice.paid"}',
        lambda body, secret=SVIX: signing.svix(secret, body, "msg_svix"),
        "msg_svix",
        "invoice.paid",
        "msg_svix",
    ),
    "github": (
        b'{"zen":"Keep it logically awesome."}',
        lambda body, secret=GITHUB: signing.github(secret, body, "72d3162e-cc78"),
        "72d3162e-cc78",
        "ping",
        None,
    ),
    "shop": (b'{"transactionId":"shop-1"}', lambda body, secret=TOKEN: {"x-api-key": secret}, None, None, "shop-1"),
}


@pytest.mark.parametrize("name", SIGNED)
def test_provider(server, name):
    body, sign, event_id, event_type, transaction = SIGNED[name]
    first, second = (
        server.post(f"/hooks/{name}", body, {"Content-Type": "application/json", **sign(body)}) for _ in range(2)
    )
    assert (first.status, first.duplicate, second.status, second.duplicate) == (200, False, 200, True)
    assert first.body == second.body
    rows = server.rows(
        "SELECT event_id, event_type, transaction_id, event_key, payload, matched_secret, authenticated, headers"
        " FROM event WHERE source = ?",
        name,
    )
    assert len(rows) == 1
    assert rows[0][:3] == (event_id, event_type, transaction or rows[0][3])
    assert rows[0][4:7] == (body.decode(), 0, "token" if name == "shop" else "body")
    assert first.body == USER_REPLY % rows[0][2].encode()
    assert TOKEN not in rows[0][7]


@pytest.mark.parametrize("name", SIGNED)
def test_provider_refused(server, name):
    body, sign = SIGNED[name][:2]
    wrong = {"shop": "another-token-0123456789", "github": "It's another to Everybody"}.get(
        name, "whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"
    )
    refused = [({}, body), (sign(body, wrong), body)]
    if name != "shop":
        refused += [
            (sign(body), body + b" "),
            (sign(body), body[:-1]),
            ({key: value[:-1] for key, value in sign(body).items()}, body),
        ]
    before = server.rows("SELECT count(*) FROM event")
    for headers, sent in refused:
        reply = server.post(f"/hooks/{name}", sent, headers)
        assert (reply.status, reply.body) == (401, UNAUTHORIZED)
    assert server.rows("SELECT count(*) FROM event") == before


@pytest.mark.parametrize("skew, status", [(-310, 401), (-270, 200), (270, 200), (330, 401)])
def test_signed_time(server, skew, status):
    at, body = int(time.time()) + skew, stripe_event(f"time{skew}")
    assert server.post("/hooks/stripe", body, signing.stripe(STRIPE, body, at)).status == status
    assert (
        server.post("/hooks/svix", b'{"a":%d}' % skew, signing.svix(SVIX, b'{"a":%d}' % skew, f"m{skew}", at)).status
        == status
    )


def test_any_of_several_secrets(server):
    for index, secret in enumerate(("whsec_old_0123456789abcdef", "whsec_new_0123456789abcdef")):
        body = stripe_event(f"rolled{index}")
        assert server.post("/hooks/rolled", body, signing.stripe(secret, body)).status == 200
        assert server.rows("SELECT matched_secret FROM event WHERE event_id = ?", f"evt_rolled{index}") == [(index,)]
    body = stripe_event("both")
    good, bad = signing.stripe("whsec_new_0123456789abcdef", body), signing.stripe(STRIPE, body)
    both = bad["Stripe-Signature"] + "," + good["Stripe-Signature"].split(",")[1]
    assert server.post("/hooks/rolled", body, {"Stripe-Signature": both}).status == 200


def test_same_content_under_another_delivery_is_kept_and_says_so(server):
    body = b'{"action":"repeated"}'
    for delivery in ("d-1", "d-2"):
        reply = server.post("/hooks/github", body, signing.github(GITHUB, body, delivery, "issues"))
        assert (reply.status, reply.duplicate) == (200, False)
    rows = server.rows(
        "SELECT event_key, repeats FROM event WHERE source = 'github' AND payload = ? ORDER BY seq", body.decode()
    )
    assert [row[1] for row in rows] == [None, rows[0][0]]


@pytest.mark.parametrize(
    "body", [b"not json", b"[1,2]", b"\xff\xfe", b'{"id":', b"[" * 100 + b"]" * 100, b'{"type":"no id"}']
)
def test_what_verifies_is_never_refused_for_its_content(server, body):
    reply = server.post("/hooks/stripe", body, signing.stripe(STRIPE, body))
    assert (reply.status, reply.duplicate) == (200, False)
    rows = server.rows(
        "SELECT event_type, event_id, unreadable, event_key FROM event WHERE payload_sha256 = ?",
        hashlib.sha256(body).digest(),
    )
    assert len(rows) == 1 and rows[0][0] is None and rows[0][1] is None
    assert rows[0][2], "it says why it is unreadable"
    assert hashlib.sha256(body).hexdigest() in rows[0][3]
    assert (
        wait_for(
            lambda: [line for line in server.webhooks() if line.get("unreadable") and line["event"] == rows[0][3]]
        )[0]["level"]
        == "warning"
    )
    assert server.post("/hooks/stripe", body, signing.stripe(STRIPE, body)).duplicate


HMACS = {
    "body in hex": ({"header": "x-signature"}, hashlib.sha256, lambda body, at: body, lambda digest: digest.hex()),
    "sha512 in base64 after a prefix": (
        {"header": "X-Sig", "prefix": "hmac ", "encoding": "base64", "digest": "sha512"},
        hashlib.sha512,
        lambda body, at: body,
        lambda digest: "hmac " + base64.b64encode(digest).decode(),
    ),
    "with a time": (
        {"header": "x-sig", "signed": "{timestamp}.{body}", "timestamp_header": "x-time"},
        hashlib.sha256,
        lambda body, at: b"%d." % at + body,
        lambda digest: digest.hex(),
    ),
}


@pytest.mark.parametrize("name", HMACS)
def test_hmac_by_settings(home, name):
    settings, digest, signed, written = HMACS[name]
    server = home.serve(
        config=home.config(
            source("own", "hmac", [home.secret("own", GITHUB)], transaction_id="json:/order", **settings)
        )
    )
    body, now = b'{"order":"o-1","\xc3\xa9":1.10}', int(time.time())

    def post(at, key=GITHUB, sent=body):
        value = written(hmac.new(key.encode(), signed(body, at), digest).digest())
        return server.post("/hooks/own", sent, {settings["header"]: value, "X-Time": str(at)}).status

    assert post(now) == 200
    assert post(now, key=GITHUB + "x") == 401
    assert post(now, sent=body + b" ") == 401
    assert post(now - 400) == (401 if "signed" in settings else 200)
    assert server.rows("SELECT transaction_id, payload FROM event") == [("o-1", body.decode())]


# ---- x-api-key at POST /


@pytest.mark.parametrize(
    "secret, sent, status",
    [
        (TOKEN, None, 401),
        (TOKEN, "wrong", 401),
        (TOKEN, "", 401),
        (TOKEN, PLACEHOLDER, 401),
        (TOKEN, TOKEN, 200),
        (None, TOKEN, 503),
        (None, None, 503),
    ],
)
def test_required_api_key(home, secret, sent, status):
    reference = home.secret("api-key", secret) if secret else f"file:{home.path}/absent"
    server = home.serve(config=home.config(f'iam {{ require_api_key = true  api_key = "{reference}" }}\n'))
    reply = server.iam(b'{"transactionId":"a"}', {} if sent is None else {"x-api-key": sent})
    assert reply.status == status
    assert reply.body == {200: USER_REPLY % b"a", 401: UNAUTHORIZED, 503: b'{"error": "Service unavailable"}'}[status]
    # A stranger, whose request is not signed, learns nothing of it.
    assert server.post("/", b'{"transactionId":"a"}', {"x-api-key": sent or "x"}).status == 403


def test_placeholder_as_the_secret_opens_nothing(home):
    server = home.serve(
        config=home.config(f'iam {{ require_api_key = true  api_key = "{home.secret("api-key", PLACEHOLDER)}" }}\n')
    )
    assert server.iam(b'{"transactionId":"a"}', {"x-api-key": PLACEHOLDER}).status in (401, 503)
    assert PLACEHOLDER not in server.log()


def test_api_key_not_required_is_not_looked_at(server):
    assert server.iam(b'{"transactionId":"no key needed"}', {"x-api-key": "whatever"}).status == 200


# ---- reloading


def reloaded(server):
    """SIGHUP, and the log line that follows."""
    before = len(server.log())
    server.signal(signal.SIGHUP)
    return wait_for(
        lambda: [line for line in server.log()[before:].split("\n")[:-1] if "SIGHUP" in line], what="the reload"
    )[0]


def status_of(server, secret, name="pay"):
    body = b'{"id":"evt_%d"}' % time.monotonic_ns()
    return server.post(f"/hooks/{name}", body, signing.stripe(secret, body)).status


def test_reload(home):
    old, new = "whsec_before_0123456789", "whsec_after_0123456789"
    one = source("pay", "stripe", [home.secret("old", old)])
    server = home.serve(config=home.config(one))
    assert (status_of(server, old), status_of(server, new), status_of(server, old, "more")) == (200, 401, 404)

    home.config(
        source("pay", "stripe", [f"file:{home.path}/old.secret", home.secret("new", new)])
        + source("more", "stripe", [f"file:{home.path}/old.secret"])
    )
    assert status_of(server, new) == 401  # not before it is told
    reloaded(server)
    assert (status_of(server, old), status_of(server, new), status_of(server, old, "more")) == (200, 200, 200)

    home.config(source("pay", "stripe", [f"file:{home.path}/new.secret"]))  # what is removed is refused
    reloaded(server)
    assert (status_of(server, old), status_of(server, new), status_of(server, old, "more")) == (401, 200, 404)

    home.secret("new", old)  # the contents of a file count anew as well
    reloaded(server)
    assert (status_of(server, old), status_of(server, new)) == (200, 401)


def test_reload_reaches_open_connections(home):
    old, new = "whsec_before_0123456789", "whsec_after_0123456789"
    server = home.serve(config=home.config(source("pay", "stripe", [home.secret("old", old)])))
    body = b'{"id":"evt_1"}'
    connections = [server.connect() for _ in range(8)]
    try:
        for connection in connections:
            connection.send(wire.request("/hooks/pay", body, signing.stripe(old, body)))
            assert connection.reply().status == 200
        home.secret("old", new)
        reloaded(server)
        for connection in connections:
            connection.send(wire.request("/hooks/pay", body, signing.stripe(old, body)))
            assert connection.reply().status == 401
    finally:
        for connection in connections:
            connection.socket.close()


@pytest.mark.parametrize(
    "bad",
    [
        "source pay {",
        'listne = "127.0.0.1:1"',
        source("pay", "strpe", ["env:X"]),
        source("Pay", "stripe", ["env:X"]),
        'source pay { provider = "stripe" secrets = { "whsec_literal_0123456789" } }',
    ],
)
def test_bad_new_configuration_keeps_the_old_one(home, bad):
    secret = "whsec_kept_0123456789"
    server = home.serve(config=home.config(source("pay", "stripe", [home.secret("pay", secret)])))
    home.config(bad)
    line = reloaded(server)
    assert "level=error" in line and "kept" in line and re.search(r"payhook\.conf:\d", line)
    assert "whsec_literal" not in server.log()
    assert status_of(server, secret) == 200
    home.config(
        source("pay", "stripe", [f"file:{home.path}/pay.secret"])
        + source("again", "stripe", [f"file:{home.path}/pay.secret"])
    )
    reloaded(server)
    assert status_of(server, secret, "again") == 200
