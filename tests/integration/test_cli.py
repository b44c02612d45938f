# SPDX-License-Identifier: Apache-2.0
"""The commands: what they print, for people and as JSON, and how they end."""

import base64
import hashlib
import http.server
import json
import re
import signal
import ssl
import subprocess
import threading
import time

import pytest

import signing
from conftest import PROGRAM, STOP_S_MAX, USER_REPLY, Key, source, wait_for

COMMANDS = ["serve", "show", "events", "verify", "send", "key", "check-config", "check-store", "stack", "version"]
TOKEN = "a-static-token-0123456789"
STRIPE = "whsec_stripe0123456789abcdef"
EVENT_KEYS = {
    "seq",
    "source",
    "event_key",
    "event_id",
    "event_type",
    "transaction_id",
    "timestamp",
    "received_at",
    "matched_secret",
    "authenticated",
    "body_sha256",
}


def sentence(done, code):
    """The one sentence of a command that did not do it."""
    assert done.returncode == code, done
    text = done.stderr.decode()
    assert text.count("\n") == 1 and text.endswith("\n") and len(text) > 20, text
    return text


# ---- help, and mistyped words


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(home, command):
    done = home.run(command, "--help")
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    assert f"payhook {command}" in text
    assert re.search(rf"^example.*:\n.*payhook {command}\b", text, re.M | re.S), text
    for option in {
        "serve": ["--listen", "--data", "--config", "--admin"],
        "show": ["--json", "--no-payload"],
        "events": ["--source", "--since", "--limit", "--follow", "--payload"],
        "verify": ["--provider", "--secret", "--set", "--now", "-X", "-H", "-d", "--data-binary"],
        "send": ["--key", "--as", "--transaction"],
        "key": ["--json"],
        "stack": ["--suffix", "--region", "--profile", "--yes", "--json", "--import", "--from"],
    }.get(command, []):
        assert re.search(rf"^\s+{option}\b", text, re.M), option


def test_help_lists_every_command(home):
    for arguments in (["--help"], ["help"]):
        done = home.run(*arguments)
        assert done.returncode == 0
        assert all(re.search(rf"^\s+{command}\s", done.stdout.decode(), re.M) for command in COMMANDS)
    assert home.run().returncode == 2


def test_version(home):
    done = home.run("version")
    assert (done.returncode, done.stderr) == (0, b"")
    assert re.match(r"payhook \d+\.\d+\.\d+\n", done.stdout.decode())
    for library in (b"libevent", b"OpenSSL", b"SQLite"):
        assert library in done.stdout


@pytest.mark.parametrize(
    "arguments, nearest",
    [
        (["sohw", "a"], "show"),
        (["event"], "events"),
        (["serv"], "serve"),
        (["veriffy", "x"], "verify"),
        (["chek-config"], "check-config"),
        (["shwo", "--json"], "show"),
        (["show", "a", "--jsno"], "--json"),
        (["events", "--folow"], "--follow"),
        (["serve", "--lisen", "127.0.0.1:0"], "--listen"),
        (["verify", "--provder", "stripe", "http://a/"], "--provider"),
        (["verify", "--provider", "strpe", "--secret", "env:A", "http://a/"], "stripe"),
        (["verify", "--provider", "standard-webhooks", "--secret", "env:A", "http://a/"], "standardwebhooks"),
        (["send", "--as", "svx", "--secret", "env:A", "-d", "{}", "http://127.0.0.1:9/"], "svix"),
        (["verify", "--provider", "stripe", "--set", "tolerence=5s", "--secret", "env:A", "http://a/"], "tolerance"),
        (["key", "ad", "x"], "add"),
    ],
)
def test_mistyped_word(home, arguments, nearest):
    assert nearest in sentence(home.run(*arguments, environment={"A": "secret-of-sixteen"}), 2)


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["show"],
        ["show", "a", "b"],
        ["show", "a", "--nothing-like-it"],
        ["events", "--since"],
        ["events", "--since", "yesterday"],
        ["events", "--limit", "0"],
        ["events", "--limit", "-1"],
        ["events", "--limit", "ten"],
        ["events", "extra"],
        ["show", "a", "--json=yes"],
        ["verify", "http://a/"],
        ["verify", "--provider", "stripe"],
        ["verify", "--provider", "stripe", "http://a/"],
        ["verify", "--provider", "stripe", "--secret", "file:/absent", "http://a/"],
        ["verify", "--provider", "stripe", "--secret", "env:ABSENT", "http://a/"],
        ["verify", "--provider", "stripe", "--secret", "env:A", "ftp://a/"],
        ["verify", "--provider", "stripe", "--secret", "env:A", "--now", "soon", "http://a/"],
        ["verify", "--provider", "stripe", "--secret", "env:A", "-H", "no colon", "http://a/"],
        ["verify", "--provider", "stripe", "--secret", "env:A", "-d", "@absent", "http://a/"],
        ["verify", "--provider", "stripe", "--secret", "env:SHORT", "http://a/"],
        ["verify", "--provider", "stripe", "--secret", "env:A", "--set", "tolerance=none", "http://a/"],
        ["verify", "--provider", "stripe", "--secret", "env:A", "--set", "header=x", "http://a/"],
        ["verify", "--provider", "stripe", "--secret", "env:A", "--set", "tolerance", "http://a/"],
        ["verify", "--provider", "stripe", "--source", "pay", "--secret", "env:A", "http://a/"],
        ["verify", "--source", "absent", "http://a/"],
        ["key"],
        ["key", "add"],
        ["key", "list", "x"],
        ["key", "remove"],
        ["send", "http://127.0.0.1:9/"],
        ["send", "-d", "{}", "http://127.0.0.1:9/"],
        ["send", "--key", "k", "--as", "stripe", "-d", "{}", "http://127.0.0.1:9/"],
        ["version", "x"],
        ["check-config", "x"],
        ["serve", "x"],
    ],
)
def test_usage_is_exit_2_and_one_sentence(home, arguments):
    sentence(home.run(*arguments, environment={"A": "secret-of-sixteen", "SHORT": "short"}), 2)


@pytest.mark.parametrize(
    "text, nearest, line",
    [
        ('lisen = "127.0.0.1:0"', "listen", 1),
        ('\n\nsource pay { provider = "strpe" secrets = { "env:A" } }', "stripe", 3),
        ('source pay { provder = "stripe" }', "provider", 1),
        ("limits { head_deadlin_s = 1 }", "head_deadline_s", 1),
        ('iam { regin = "a" }', "region", 1),
        ('\nstore = "sqlit"', "sqlite", 2),
        ("sorce pay { }", "source", 1),
        ('source pay { provider = "stripe" secrets = { "env:A" } tolerence = "5s" }', "tolerance", 1),
    ],
)
def test_mistyped_word_in_the_configuration(home, text, nearest, line):
    done = home.run("check-config", "--config", home.config(text + "\n"), environment={"A": "secret-of-sixteen"})
    told = sentence(done, 1)
    assert f"payhook.conf:{line}: " in told and nearest in told


# ---- show and events


@pytest.fixture(scope="module")
def server(module_home):
    home = module_home
    config = home.config(
        source("stripe", "stripe", [home.secret("stripe", STRIPE)])
        + source("shop", "api-key", [home.secret("shop", TOKEN)])
        + source("other", "api-key", [home.secret("other", TOKEN)])
        + source("github", "hub-sha256", [home.secret("github", TOKEN)])
    )
    server = home.serve(config=config, environment={"ENVIRONMENT": "staging"})
    for status in ("authorized", "captured"):
        body = json.dumps(
            {"id": f"evt_{status}", "type": f"payment.{status}", "data": {"object": {"id": "pi_1"}}}, indent=1
        ).encode()
        assert server.post("/hooks/stripe", body, signing.stripe(STRIPE, body)).status == 200
    assert server.iam(b'{"transactionId":"test-1","amount":1.10}').status == 200
    for name in ("shop", "other"):
        assert server.post(f"/hooks/{name}", b'{"transactionId":"both"}', {"x-api-key": TOKEN}).status == 200
    assert server.post("/hooks/shop", b'{"transactionId":"a/b c\\u00e9"}', {"x-api-key": TOKEN}).status == 200
    body = b'\xff\xfe{"transactionId":"not text"}\x00'
    assert server.post("/hooks/stripe", body, signing.stripe(STRIPE, body)).status == 200
    for delivery in ("one", "two"):
        assert server.post("/hooks/github", b'{"a":1}', signing.github(TOKEN, b'{"a":1}', delivery)).status == 200
    return server


def run_json(server, *arguments):
    done = server.home.run(*arguments, "--json", "--data", server.data)
    assert (done.returncode, done.stderr) == (0, b""), done
    return done.stdout.decode()


def events(server, *arguments):
    return [json.loads(line) for line in run_json(server, "events", *arguments).splitlines()]


def test_show_for_people(server):
    done = server.home.run("show", "pi_1", "--data", server.data)
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    assert text.index("payment.authorized") < text.index("payment.captured")
    for word in ("pi_1", "stripe", "evt_authorized", '"id": "evt_captured"', "staging"):
        assert word in text
    assert (
        '"id": "evt_captured"'
        not in server.home.run("show", "pi_1", "--no-payload", "--data", server.data).stdout.decode()
    )


def test_show_json(server):
    shown = json.loads(run_json(server, "show", "pi_1"))
    assert set(shown) == {"source", "transaction_id", "events"}
    assert (shown["source"], shown["transaction_id"], len(shown["events"])) == ("stripe", "pi_1", 2)
    first, second = shown["events"]
    for event in (first, second):
        assert set(event) == EVENT_KEYS | {"payload"}
        assert event["source"] == "stripe" and event["transaction_id"] == "pi_1"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", event["received_at"])
        assert abs(event["timestamp"] - time.time()) < 600 and isinstance(event["timestamp"], int)
        assert event["body_sha256"] == hashlib.sha256(event["payload"].encode()).hexdigest()
        assert (event["matched_secret"], event["authenticated"]) == (0, "body")
        assert event["event_key"] == event["event_id"]
        assert json.loads(event["payload"])["id"] == event["event_id"]
    assert first["seq"] < second["seq"]
    assert [event["event_type"] for event in (first, second)] == ["payment.authorized", "payment.captured"]
    bare = json.loads(run_json(server, "show", "stripe/pi_1", "--no-payload"))
    assert [set(event) for event in bare["events"]] == [EVENT_KEYS] * 2


def test_show_of_post_root(server):
    shown = json.loads(run_json(server, "show", "test-1"))
    assert shown["source"] == "default"
    event = shown["events"][0]
    assert event["authenticated"] == "iam" and event["payload"] == '{"transactionId":"test-1","amount":1.10}'
    assert event["event_id"] is None and hashlib.sha256(event["payload"].encode()).hexdigest() in event["event_key"]
    assert json.loads(run_json(server, "show", "default/test-1")) == shown


def test_show_lists_the_candidates(server):
    done = server.home.run("show", "both", "--data", server.data)
    assert done.returncode == 1
    assert sorted(done.stdout.decode().split()) == ["other/both", "shop/both"]
    sentence(done, 1)
    for name in ("shop", "other"):
        assert json.loads(run_json(server, "show", f"{name}/both"))["source"] == name


def test_show_of_an_id_with_a_slash(server):
    for word in ("a/b cé", "shop/a/b cé"):
        shown = json.loads(run_json(server, "show", word))
        assert (shown["source"], shown["transaction_id"]) == ("shop", "a/b cé")


def test_show_of_what_is_not_there(server):
    for word in ("absent", "stripe/absent", "shop/pi_1", "", "/", "pi_"):
        assert sentence(server.home.run("show", word, "--data", server.data), 1)


def test_body_that_is_no_text(server):
    found = [event for event in events(server, "--payload") if "payload_base64" in event]
    assert len(found) == 1
    body = base64.b64decode(found[0]["payload_base64"])
    assert body == b'\xff\xfe{"transactionId":"not text"}\x00'
    assert set(found[0]) == EVENT_KEYS | {"payload_base64", "unreadable"}
    assert found[0]["unreadable"] and found[0]["event_type"] is None and found[0]["event_id"] is None
    assert found[0]["transaction_id"] == found[0]["event_key"]
    assert hashlib.sha256(body).hexdigest() == found[0]["body_sha256"]
    done = server.home.run("show", found[0]["transaction_id"], "--data", server.data)
    assert done.returncode == 0 and b"\xff" not in done.stdout and b"\x00" not in done.stdout


def test_repeats(server):
    first, second = events(server, "--source", "github")
    assert "repeats" not in first and second["repeats"] == first["event_key"]
    assert [first["event_id"], second["event_id"]] == ["one", "two"]


def test_events_in_order(server):
    listed = events(server)
    assert len(listed) == len(server.rows())
    assert [event["seq"] for event in listed] == sorted(event["seq"] for event in listed)
    assert all(EVENT_KEYS <= set(event) <= EVENT_KEYS | {"repeats", "unreadable"} for event in listed)
    with_payload = events(server, "--payload")
    assert all("payload" in event or "payload_base64" in event for event in with_payload)


def test_events_for_people(server):
    done = server.home.run("events", "--data", server.data)
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode().splitlines()
    assert len(lines) == len(events(server))
    assert "payment.authorized" in lines[0] and "pi_1" in lines[0] and "stripe" in lines[0]
    assert b'{"a":1}' not in done.stdout
    assert b'{"a":1}' in server.home.run("events", "--payload", "--data", server.data).stdout


def test_events_filters(server):
    listed = events(server)
    assert events(server, "--limit", "2") == listed[-2:]
    assert events(server, "--limit", "1000000") == listed
    assert events(server, "--source", "shop") == [event for event in listed if event["source"] == "shop"]
    assert (
        events(server, "--source", "stripe", "--limit", "1")
        == [event for event in listed if event["source"] == "stripe"][-1:]
    )
    assert events(server, "--source", "absent") == []
    for since in ("1h", "90m", "7d", "7200s", "0", str(listed[0]["timestamp"])):
        assert events(server, "--since", since) == listed
    assert events(server, "--since", str(listed[-1]["timestamp"] + 1)) == []


def test_events_since(home):
    server = home.serve()
    assert server.iam(b'{"transactionId":"first"}').status == 200
    time.sleep(1.1)
    assert server.iam(b'{"transactionId":"second"}').status == 200
    second = events(server)[1]
    assert events(server, "--since", str(second["timestamp"])) == [second]


def test_follow(home):
    server = home.serve()
    assert server.iam(b'{"transactionId":"before"}').status == 200
    process = subprocess.Popen(
        [str(PROGRAM), "events", "--follow", "--json", "--data", str(server.data)],
        stdout=subprocess.PIPE,
        cwd=home.path,
        env=home.environment(),
    )
    try:
        assert json.loads(process.stdout.readline())["transaction_id"] == "before"
        for i in range(3):
            assert server.iam(b'{"transactionId":"follow-%d"}' % i).status == 200
            started = time.monotonic()
            assert json.loads(process.stdout.readline())["transaction_id"] == f"follow-{i}"
            assert time.monotonic() - started < 10
        process.send_signal(signal.SIGINT)
        assert process.wait(STOP_S_MAX) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_closed_pipe_ends_a_command_quietly(server):
    done = server.home.sh(f"'{PROGRAM}' events --payload --data '{server.data}' | head -c 10 >/dev/null")
    assert done.returncode == 0


@pytest.mark.parametrize("command", [["events"], ["show", "a"], ["events", "--json"], ["show", "a", "--json"]])
def test_reading_where_there_is_nothing(home, command):
    (home.path / "empty").mkdir(mode=0o700)
    for folder in ("empty", "missing", "missing/deeper"):
        done = home.run(*command, "--data", home.path / folder)
        assert folder in sentence(done, 1)
        assert done.stdout == b""
    assert not (home.path / "missing").exists(), "a reader makes nothing"


# ---- keys


def test_keys(home):
    server = home.serve()
    added = home.run("key", "add", "checkout", "--data", server.data, "--json")
    assert (added.returncode, added.stderr) == (0, b"")
    pair = json.loads(added.stdout)
    assert list(pair) == ["name", "access_key_id", "secret_access_key"]
    key = Key(pair["access_key_id"], pair["secret_access_key"])
    wait_for(
        lambda: server.iam(b'{"transactionId":"keyed"}', key=key).status == 200, 10, "the server's notice of a new key"
    )

    plain = home.run("key", "add", "second", "--data", server.data)
    assert plain.returncode == 0 and plain.stderr == b""
    for command in (["key", "list"], ["key", "list", "--json"]):
        listed = home.run(*command, "--data", server.data)
        assert listed.returncode == 0
        assert all(word in listed.stdout for word in (b"first", b"checkout", b"second", key.id.encode()))
        assert key.secret.encode() not in listed.stdout and server.key.secret.encode() not in listed.stdout
    rows = [json.loads(line) for line in home.run("key", "list", "--json", "--data", server.data).stdout.splitlines()]
    assert [row["name"] for row in rows] == ["first", "checkout", "second"]
    assert rows[1]["access_key_id"] == key.id

    assert home.run("key", "remove", "checkout", "--data", server.data).returncode == 0
    wait_for(
        lambda: server.iam(b'{"transactionId":"keyed"}', key=key).status == 403,
        10,
        "the server's notice of a removed key",
    )
    assert server.iam(b'{"transactionId":"keyed"}').status == 200
    assert b"checkout" not in home.run("key", "list", "--data", server.data).stdout
    assert key.secret not in server.log() and key.secret not in server.welcome()


def test_key_names(home):
    data = home.path / "data"
    assert home.run("key", "add", "a", "--data", data).returncode == 0
    assert "a" in sentence(home.run("key", "add", "a", "--data", data), 1)
    sentence(home.run("key", "remove", "absent", "--data", data), 1)
    for name in ("", "a b", "a\nb", "ü", "-x" * 40, "x" * 100):
        assert home.run("key", "add", "--data", data, "--", name).returncode in (1, 2)
    assert home.run("key", "list", "--data", data).stdout.count(b"\n") == 1


def test_many_adds_at_once_lose_nothing(home):
    processes = [
        subprocess.Popen(
            [str(PROGRAM), "key", "add", f"k{i}", "--json", "--data", "data"],
            stdout=subprocess.PIPE,
            cwd=home.path,
            env=home.environment(),
        )
        for i in range(12)
    ]
    pairs = [json.loads(process.communicate(timeout=30)[0]) for process in processes]
    listed = [json.loads(line) for line in home.run("key", "list", "--json", "--data", "data").stdout.splitlines()]
    assert {row["access_key_id"] for row in listed} == {pair["access_key_id"] for pair in pairs}


# ---- send


def test_send_with_a_key(home):
    server = home.serve()
    pair = json.loads(home.run("key", "add", "sender", "--data", server.data, "--json").stdout)
    key = home.write("sender.key", f"{pair['access_key_id']}:{pair['secret_access_key']}\n")
    wait_for(lambda: home.run("send", "--transaction", "sent", "--key", key, server.url).returncode == 0)
    done = home.run("send", "--transaction", "sent", "--key", key, server.url)
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    assert text.startswith("200") and "payhook-duplicate: true" in text and "content-type: application/json" in text
    assert (USER_REPLY % b"sent").decode() in text
    body = home.write("body", '{"transactionId":"file"}')
    assert home.run("send", "-d", f"@{body}", "--key", key, f"http://localhost:{server.port}/?a=b&c").returncode == 0
    assert server.rows("SELECT payload, target FROM event ORDER BY seq") == [
        ('{"transactionId":"sent"}', "/"),
        ('{"transactionId":"file"}', "/?a=b&c"),
    ]
    refused = home.run("send", "-d", "{}", "--key", key, server.url)
    assert refused.returncode == 1 and b"Missing transactionId" in refused.stdout


@pytest.mark.parametrize(
    "provider, secret",
    [
        ("stripe", STRIPE),
        ("standardwebhooks", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("svix", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("hub-sha256", TOKEN),
        ("api-key", TOKEN),
    ],
)
def test_send_as_a_provider(home, provider, secret):
    reference = home.secret("one", secret)
    server = home.serve(config=home.config(source("pay", provider, [reference])))
    body = '{"id":"evt_1","transactionId":"t-1","data":{"object":{"id":"t-1"}}}'
    done = home.run("send", "--as", provider, "--secret", reference, "-d", body, f"{server.url}hooks/pay")
    assert (done.returncode, done.stderr) == (0, b""), done
    assert done.stdout.startswith(b"200")
    assert server.rows("SELECT payload, source, matched_secret FROM event") == [(body, "pay", 0)]
    assert secret.encode() not in done.stdout
    other = home.secret("other", "whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB")
    refused = home.run("send", "--as", provider, "--secret", other, "-d", body, f"{server.url}hooks/pay")
    assert refused.returncode == 1 and refused.stdout.startswith(b"401")


def test_send_to_nobody(home):
    server = home.serve()
    key = server.data / "first-key.curl"
    assert server.stop() == 0
    assert str(server.port) in sentence(home.run("send", "--transaction", "a", "--key", key, server.url), 1)
    sentence(home.run("send", "--transaction", "a", "--key", home.path / "absent", server.url), 1)
    secure = server.url.replace("http:", "https:")
    assert str(server.port) in sentence(home.run("send", "--transaction", "a", "--key", key, secure), 1)
    for url in "http://:80/", "http://127.0.0.1:0/", "http://127.0.0.1:99999/", "http://[::1/", "http://[]/":
        assert "host" in sentence(home.run("send", "--transaction", "a", "--key", key, url), 2)


def test_send_with_aws_credentials(home):
    server = home.serve()
    pair = json.loads(home.run("key", "add", "sender", "--data", server.data, "--json").stdout)
    names = {"AWS_ACCESS_KEY_ID": pair["access_key_id"], "AWS_SECRET_ACCESS_KEY": pair["secret_access_key"]}
    send = ["send", "--transaction", "a", server.url]
    wait_for(lambda: home.run(*send, environment=names).returncode == 0)
    profile = "".join(f"{name.lower()} = {value}\n" for name, value in names.items())
    (home.path / ".aws").mkdir()
    home.write(".aws/credentials", f"[default]\naws_access_key_id = other\naws_secret_access_key = x\n[shop]\n{profile}")
    home.write(".aws/config", "[profile shop]\nregion = us-east-1\n[profile abroad]\nregion = eu-west-1\n[profile sso]\nsso_session = x\n")
    for how, environment in (
        (["--profile", "shop"], {}),
        (["--profile", "shop"], {"AWS_ACCESS_KEY_ID": "other", "AWS_SECRET_ACCESS_KEY": "x"}),
        ([], {"AWS_PROFILE": "shop"}),
        ([], {"AWS_PROFILE": "absent", **names}),
    ):
        done = home.run(*send, *how, environment=environment)
        assert (done.returncode, done.stderr) == (0, b""), done
        assert done.stdout.startswith(b"200") and b"payhook-duplicate: true" in done.stdout
        assert pair["secret_access_key"].encode() not in done.stdout
    refused = home.run(*send, environment={**names, "AWS_REGION": "eu-west-1"})
    assert refused.returncode == 1 and refused.stdout.startswith(b"403")
    refused = home.run(*send, environment={"AWS_PROFILE": "default"})
    assert refused.returncode == 1 and refused.stdout.startswith(b"403")
    no_machine = {"AWS_EC2_METADATA_DISABLED": "true"}
    for how, environment, words in (
        (["--profile", "absent"], names, "no profile absent"),
        (["--profile", "sso"], names, "export-credentials --profile sso"),
        (["--profile", "abroad"], no_machine, "no AWS credentials"),
        ([], {"AWS_ACCESS_KEY_ID": "a"}, "AWS_SECRET_ACCESS_KEY"),
        ([], {**names, "AWS_REGION": "a b"}, "region"),
    ):
        assert words in sentence(home.run(*send, *how, environment=environment), 1)
    key = server.data / "first-key.curl"
    assert "--profile" in sentence(home.run(*send, "--profile", "shop", "--key", key), 2)
    assert "--profile" in sentence(home.run(*send), 2)


def test_send_over_tls(home):
    """The peer must be known to the bundle, by the name it was asked for."""
    made = home.path / "server.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        + ["-addext", "subjectAltName=DNS:localhost", "-keyout", made, "-out", home.path / "cert.pem"],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(home.path / "cert.pem", made)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    class Quiet(http.server.ThreadingHTTPServer):
        def handle_error(self, *arguments):
            pass

    server = Quiet(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        port = server.server_address[1]
        names = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
        send = ["send", "--transaction", "over-tls"]
        known = {**names, "SSL_CERT_FILE": str(home.path / "cert.pem")}
        done = home.run(*send, f"https://localhost:{port}/", environment=known)
        assert (done.returncode, done.stderr) == (0, b"") and b'{"transactionId":"over-tls"}' in done.stdout
        assert "certificate" in sentence(home.run(*send, f"https://127.0.0.1:{port}/", environment=known), 1)
        assert "certificate" in sentence(home.run(*send, f"https://localhost:{port}/", environment=names), 1)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# ---- verify with a configured source


def test_verify_a_configured_source(home):
    config = home.config(source("pay", "stripe", [home.secret("one", STRIPE)], tolerance="5s"))
    body = home.write("body", '{"id":"evt_1","type":"a"}\n')
    ((name, value),) = signing.stripe(STRIPE, b'{"id":"evt_1","type":"a"}\n', 1700000000).items()
    base = [
        "verify",
        "--config",
        config,
        "--source",
        "pay",
        "-H",
        f"{name}: {value}",
        "-d",
        f"@{body}",
        "http://localhost/hooks/pay",
        "--json",
    ]
    for now, verdict in (
        (1700000000, "accept"),
        (1700000005, "accept"),
        (1700000006, "stale"),
        (1699999995, "accept"),
        (1699999994, "stale"),
    ):
        done = home.run(*base, "--now", now)
        assert json.loads(done.stdout)["verdict"] == verdict
        assert done.returncode == (0 if verdict == "accept" else 1)
    assert json.loads(home.run(*base).stdout)["verdict"] == "stale"  # --now is the present
    assert "absent" in sentence(home.run("verify", "--config", config, "--source", "absent", "http://localhost/"), 2)


def test_verify_reads_bytes_as_they_are(home):
    body = b'\r\n{"id": "evt_1"}\r\n\x00\xff'
    value = signing.github(TOKEN, body, "d")["X-Hub-Signature-256"]
    base = [
        "verify",
        "--provider",
        "hub-sha256",
        "--secret",
        home.secret("one", TOKEN),
        "-H",
        f"X-Hub-Signature-256: {value}",
        "http://localhost/",
    ]
    same, other = home.write("same", body), home.write("other", body.replace(b"\r", b""))
    for option in ("-d", "--data-binary"):
        assert home.run(*base, option, f"@{same}").returncode == 0
        assert home.run(*base, option, f"@{other}").returncode == 1


def test_verify_sends_a_header_twice_twice(home):
    value = signing.stripe(STRIPE, b"{}", 1700000000)["Stripe-Signature"]
    done = home.run(
        "verify",
        "--provider",
        "stripe",
        "--secret",
        home.secret("one", STRIPE),
        "--now",
        "1700000000",
        "-d",
        "{}",
        "-H",
        f"Stripe-Signature: {value}",
        "-H",
        f"stripe-signature: {value}",
        "--json",
        "http://localhost/",
    )
    assert done.returncode == 1 and json.loads(done.stdout)["verdict"] == "malformed"


def test_verify_iam(home):
    key = Key("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    reference = home.secret("pair", f"{key.id}:{key.secret}\n")
    body = '{"transactionId":"iam-1"}'
    headers = signing.aws("http://localhost/", body.encode(), key)
    arguments = ["verify", "--provider", "iam", "--secret", reference, "-d", body, "--json", "http://localhost/"]
    for name, value in headers.items():
        arguments += ["-H", f"{name}: {value}"]
    done = home.run(*arguments)
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["verdict"], answer["events"][0]["transaction_id"]) == (0, "accept", "iam-1")
    assert home.run(*arguments, "--now", int(time.time()) + 400).returncode == 1
    assert home.run(*[argument if argument != body else body + " " for argument in arguments]).returncode == 1


# ---- check-config


def test_check_config_good(home):
    config = home.config(
        'listen = "127.0.0.1:0" # a comment\n'
        + source("stripe", "stripe", [home.secret("one", STRIPE), "env:TWO"])
        + source("shop", "api-key", ["env:THREE"], header="x-shop-key")
        + 'iam { region = "eu-west-1" service = "lambda" require_api_key = true api_key = "env:TWO" }\n'
        + "limits { body_size_max = 65536 }\n"
    )
    done = home.run(
        "check-config",
        "--config",
        config,
        "--data",
        "data",
        environment={"TWO": "second-secret-0123", "THREE": "eight-by"},
    )
    assert (done.returncode, done.stderr) == (0, b""), done
    assert b"stripe" in done.stdout and b"shop" in done.stdout
    assert not (home.path / "data").exists(), "a look changes nothing"


def test_check_config_names_what_is_left_out(home):
    config = home.config(
        source("one", "stripe", ["env:SHORT", "env:ABSENT", "env:GOOD"])
        + source("two", "stripe", ["env:BLANK"])
        + source("three", "stripe", ["env:PLACEHOLDER"])
        + source("four", "standardwebhooks", ["env:GOOD2"])
        + source("five", "api-key", ["env:SHORT"])
    )
    environment = {
        "SHORT": "short-7",
        "GOOD": "a-good-secret-0123",
        "BLANK": "blank-at-the-end-0123 ",
        "PLACEHOLDER": "placeholder_value_replace_in_production",
        "GOOD2": "not base64 at all !!",
    }
    done = home.run("check-config", "--config", config, environment=environment)
    assert done.returncode == 1
    text = done.stderr.decode()
    for name in ("env:SHORT", "env:ABSENT", "env:BLANK", "env:PLACEHOLDER", "env:GOOD2"):
        assert name in text
    for name in ("one", "two", "three", "four", "five"):
        assert name in text
    assert "env:GOOD " not in text and "a-good-secret" not in text


@pytest.mark.parametrize(
    "text",
    [
        "source pay {",
        'source Pay { provider = "stripe" secrets = { "env:A" } }',
        'source default { provider = "stripe" secrets = { "env:A" } }',
        'source pay { secrets = { "env:A" } }',
        'source pay { provider = "stripe" secrets = { "literal-secret-012345" } }',
        'source a { provider = "stripe" secrets = { "env:A" } } source a { provider = "stripe" secrets = { "env:A" } }',
        'listen = "localhost:8080"',
        'listen = "127.0.0.1"',
        'listen = "127.0.0.1:99999"',
        "limits { head_deadline_s = 0 }",
        "limits { head_deadline_s = many }",
        "iam { require_api_key = true }",
        "iam { require_api_key = perhaps }",
        'source pay { provider = "stripe" secrets = { "env:A" } header = "x" }',
        'source pay { provider = "hmac" secrets = { "env:A" } }',
        'source pay { provider = "stripe" secrets = { "env:A" } tolerance = "none" }',
        'source pay { provider = "svix" secrets = { "env:A" } transaction_id = "json:no-slash" }',
        'source pay { provider = "stripe" secrets = { ' + ", ".join(['"env:A"'] * 9) + " } }",
        "\x01",
        'data = ""',
        'store = "postgres"',
    ],
)
def test_check_config_bad(home, text):
    done = home.run("check-config", "--config", home.config(text + "\n"), environment={"A": "secret-of-sixteen"})
    assert "payhook.conf:1: " in sentence(done, 1)
    if text.startswith("data"):
        return  # --data, which keeps a server that should not be out of the usual folder, would be taken instead
    served = home.run(
        "serve",
        "--config",
        home.path / "payhook.conf",
        "--data",
        "data",
        environment={"A": "secret-of-sixteen"},
    )
    assert served.returncode in (1, 2) and b"payhook.conf:1: " in served.stderr


def test_check_config_of_an_absent_file(home):
    assert "absent.conf" in sentence(home.run("check-config", "--config", home.path / "absent.conf"), 1)


def test_dollar_is_literal_in_the_configuration(home):
    folder = home.path / "a$HOME ${HOME}"
    done = home.run("check-config", "--config", home.config(f'data = "{folder}"\n'))
    assert done.returncode == 0 and str(folder).encode() in done.stdout


# ---- options from the environment


def test_options_from_the_environment(server):
    done = server.home.run(
        "events", "--limit", "1", environment={"PAYHOOK_DATA": str(server.data), "PAYHOOK_JSON": "1"}
    )
    assert done.returncode == 0 and json.loads(done.stdout)["seq"]
    done = server.home.run(
        "events", "--data", server.data, "--limit", "1", environment={"PAYHOOK_DATA": "/absent", "PAYHOOK_LIMIT": "3"}
    )
    assert done.returncode == 0 and done.stdout.count(b"\n") == 1
