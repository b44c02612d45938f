# SPDX-License-Identifier: Apache-2.0
"""`payhook verify` on every signed request of tests/data/vectors whose provider is built."""

import base64
import json

import pytest

from conftest import ROOT

BUILT = ["stripe", "standardwebhooks", "svix", "hub-sha256", "api-key"]
PLACES_GIVEN = [
    "standardwebhooks",
    "svix",
    "hub-sha256",
    "api-key",
]  # these have places of no row: the vector's own count
SECRET_SIZE_MIN = {"api-key": 8}
VECTORS = [
    vector
    for vector in json.loads((ROOT / "tests/data/vectors/providers.json").read_text())["vectors"]
    if vector["provider"] in BUILT
]


def test_there_are_vectors_of_each_provider():
    for provider in BUILT:
        expected = [vector["expect"] for vector in VECTORS if vector["provider"] == provider]
        assert "accept" in expected and len(set(expected)) >= 3


def arguments_of(home, vector):
    arguments = ["--provider", vector["provider"], "--now", vector["now"], "-X", vector["method"], "--json"]
    for i, secret in enumerate(vector["secrets"]):
        arguments += ["--secret", home.secret(f"{i}", secret)]
        if len(secret.encode()) < SECRET_SIZE_MIN.get(vector["provider"], 16):
            arguments.append("--allow-short-secret")
    if vector["provider"] in PLACES_GIVEN:
        for setting in ("event_id", "event_type", "transaction_id"):
            if vector["from"].get(setting):
                arguments += ["--set", f"{setting}={vector['from'][setting]}"]
    for name, value in vector.get("config", {}).items():
        arguments += ["--set", f"{name}={value}"]
    for name, values in vector["headers"].items():
        for value in values if isinstance(values, list) else [values]:
            arguments += ["-H", f"{name}: {value}"]
    body = home.write("body", base64.b64decode(vector["body_base64"]))
    return [*arguments, "-d", f"@{body}", vector["url"]]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_vector(home, vector):
    done = home.run("verify", *arguments_of(home, vector))
    assert done.returncode in (0, 1), done.stderr
    answer = json.loads(done.stdout)
    verdict = answer["verdict"]
    assert verdict in [vector["expect"], *(vector.get("also_ok") or [])], answer
    assert answer["provider"] == vector["provider"]
    assert done.returncode == (0 if verdict == "accept" else 1)
    assert answer["reply"] == {"status": 200 if verdict == "accept" else 401, "body": None}
    if verdict != "accept":
        assert answer["events"] == []
        assert "matched_secret" not in answer
        assert answer["reason"]
        return
    assert 0 <= answer["matched_secret"] < len(vector["secrets"])
    if "second-" in vector["id"] and "of-two" in vector["id"]:
        assert answer["matched_secret"] == 1
    assert len(answer["events"]) == 1
    event = answer["events"][0]
    assert event["event_key"]
    if vector["expect"] != "accept":
        return  # it was not known what such an event says
    assert event["event_id"] == vector["event_id"]
    assert event["event_type"] == vector["event_type"]
    assert event["transaction_id"] == (
        event["event_key"] if vector["transaction_id"] is None else vector["transaction_id"]
    )
    assert ("unreadable" in event) == bool(vector.get("unreadable"))
    if "unreadable" in event:
        assert event["unreadable"] and event["event_id"] is None and event["event_type"] is None


def test_verdict_is_told_in_one_sentence_without_json(home):
    vector = VECTORS[0]
    arguments = [argument for argument in arguments_of(home, vector) if argument != "--json"]
    done = home.run("verify", *arguments)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"\n") == 1 and vector["event_id"].encode() in done.stdout
    done = home.run(
        "verify", *[vector["now"] + 412 if argument == vector["now"] else argument for argument in arguments]
    )
    assert done.returncode == 1
    assert done.stdout.count(b"\n") == 1 and b"412 s" in done.stdout and b"300 s" in done.stdout


def test_stale_reason_as_documented(home):
    vector = VECTORS[0]
    arguments = [
        vector["now"] + 412 if argument == vector["now"] else argument for argument in arguments_of(home, vector)
    ]
    assert json.loads(home.run("verify", *arguments).stdout) == {
        "verdict": "stale",
        "provider": "stripe",
        "reason": "signed 412 s ago; the limit is 300 s",
        "reply": {"status": 401, "body": None},
        "events": [],
    }
