# SPDX-License-Identifier: Apache-2.0
"""`payhook stack` while calls go wrong, with bad input, and interrupted: one sentence, the right exit status, nothing
done twice and nothing left behind."""

import json
import re
import socket

import pytest

from cloudformation_stand_in import KEY, SECRETS, TEMPORARY_KEY, AwsStandIn
from conftest import PROGRAM
from stack_help import (
    BUCKET,
    BUCKET_STACK,
    PLACEHOLDER,
    RESOURCES,
    SECRET,
    STACK,
    TABLE,
    TEMPLATE,
    ZIP,
    Command,
    change_set_of,
    deployed,
    key_of,
    left_behind,
    make_zip,
    stored,
)

READS = ["DescribeStacks", "DescribeChangeSet", "DescribeStackEvents", "GetCallerIdentity"]
CHANGES = ["CreateChangeSet", "ExecuteChangeSet"]
GIVEN = {"EnvironmentSuffix": "dev", "ArtifactBucket": "theirs", "ArtifactKey": "theirs.zip"}


@pytest.fixture
def aws():
    with AwsStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def stack(home, aws):
    return Command(home, aws)


@pytest.fixture
def updated(stack, aws):
    """A stack that is there, and new code for it."""
    deployed(aws)
    stack.zip.write_bytes(make_zip(extra=b"2"))
    return stack


def operations(aws, status="UPDATE_IN_PROGRESS"):
    """How often something was begun."""
    return sum(
        1 for one in aws.world.stacks[STACK].events if (one["LogicalResourceId"], one["ResourceStatus"]) == (STACK, status)
    )


# ---- calls that another try cures


@pytest.mark.parametrize(
    "action, fault",
    [
        (action, fault)
        for action in [*READS, *CHANGES, "DescribeSecret", "DescribeTable", "HeadObject", "PutObject"]
        for fault in ("throttle*3", "unavailable*2", "internal", "reset", "cut", "after-reset")
        if (action, fault) != ("HeadObject", "cut")  # it has no body
    ],
)
def test_passing_faults(stack, aws, action, fault):
    aws.script(action, fault)
    assert stack.ok("up", "--yes").code == 0
    assert aws.world.stacks[STACK].status == "CREATE_COMPLETE" and operations(aws, "CREATE_IN_PROGRESS") == 1
    assert aws.world.buckets[BUCKET].objects == {key_of(ZIP): ZIP} and not left_behind(aws)


@pytest.mark.parametrize("action", READS[:3] + ["CreateChangeSet"])
@pytest.mark.parametrize("fault", ["truncated", "garbage"])
def test_answers_that_are_none(updated, aws, action, fault):
    aws.script(action, fault)
    assert updated.ok("up", "--yes").code == 0
    assert aws.world.stacks[STACK].status == "UPDATE_COMPLETE" and operations(aws) == 1 and not left_behind(aws)


@pytest.mark.parametrize("action", READS)
@pytest.mark.parametrize("fault", ["truncated", "garbage", "doctype"])
def test_answers_that_are_none_without_end(updated, aws, action, fault):
    aws.always(action, fault)
    done = updated.fails("up", "--yes", timeout=120)
    assert "read" in done.err or "answer" in done.err, done.err
    assert operations(aws) == (1 if action == "DescribeStackEvents" and aws.count("ExecuteChangeSet") else 0)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("fault", ["after-reset", "cut", "truncated"])
def test_an_execution_whose_answer_was_lost_is_watched(updated, aws, known, fault):
    """A second try must not be taken for a failure, whether the service knows the token or says it is too late."""
    aws.token_is_known = known
    aws.script("ExecuteChangeSet", fault)
    assert updated.ok("up", "--yes").code == 0
    assert operations(aws) == 1 and aws.world.stacks[STACK].status == "UPDATE_COMPLETE"
    tokens = {one["ClientRequestToken"] for one in aws.parameters("ExecuteChangeSet")}
    assert len(tokens) == 1


@pytest.mark.parametrize("fault", ["after-reset", "cut", "truncated"])
def test_a_change_set_whose_answer_was_lost_is_found(updated, aws, fault):
    aws.script("CreateChangeSet", fault)
    assert updated.ok("up", "--yes").code == 0
    assert operations(aws) == 1 and not left_behind(aws)
    names = {one["ChangeSetName"] for one in aws.parameters("CreateChangeSet")}
    assert len(names) == 1


@pytest.mark.parametrize("fault", ["after-reset", "throttle*2", "unavailable"])
def test_a_deletion_whose_answer_was_lost(stack, aws, fault):
    deployed(aws)
    aws.script("DeleteStack", fault)
    stack.ok("destroy", "--yes")
    assert not aws.world.stacks


@pytest.mark.parametrize("fault", ["throttle*2", "after-reset"])
def test_a_preview_cleans_up_however_often_it_takes(stack, aws, fault):
    aws.script("DeleteStack", fault)
    stack.ok("preview")
    assert not aws.world.stacks
    deployed(aws)
    aws.script("DeleteChangeSet", fault)
    stack.ok("preview", "--tag", "Owner=me")
    assert not left_behind(aws)


def test_an_expired_token_is_asked_for_once_more(stack, aws):
    aws.script("DescribeStacks", "expired")
    stack.ok("up", "--yes", key=TEMPORARY_KEY)
    assert aws.world.stacks[STACK].status == "CREATE_COMPLETE"


@pytest.mark.parametrize("there", [True, False])
def test_somebody_else_was_quicker(stack, aws, there):
    """Between our plan and our yes the stack was changed: nothing is done on an old plan."""
    if there:
        deployed(aws)
    stack.zip.write_bytes(make_zip(extra=b"2"))

    def on_call(asked):
        if asked.action == "ExecuteChangeSet" and STACK in asked.parameters["ChangeSetName"] + aws_stack_of(aws, asked):
            aws.on_call = None
            deployed(aws, zip_bytes=make_zip(extra=b"theirs"), kind="UPDATE" if there else "CREATE", finish=True)

    aws.on_call = on_call
    done = stack.fails("up", "--yes")
    assert "payhook stack up" in done.err and "plan" in done.err, done.err
    assert not left_behind(aws) and aws.world.stacks[STACK].values["ArtifactKey"] == key_of(make_zip(extra=b"theirs"))
    assert stack.ok("up", "--yes").code == 0


def aws_stack_of(aws, asked):
    """The name of the stack to which the change set of a call belongs."""
    return aws.change_set(asked.parameters).stack.name


def test_a_preview_takes_back_its_own_alone(stack, aws):
    """Another's change set, on a stack that only that one has made, stays."""
    theirs = change_set_of(aws, STACK, TEMPLATE, GIVEN, {}, "CREATE")
    theirs.stack.change_sets[theirs.name] = theirs
    stack.ok("preview")
    assert left_behind(aws) == [STACK, f"{STACK}/{theirs.name}"]


# ---- calls that nothing cures


@pytest.mark.parametrize(
    "action",
    [
        "cloudformation:DescribeStacks",
        "cloudformation:CreateChangeSet",
        "cloudformation:DescribeChangeSet",
        "cloudformation:ExecuteChangeSet",
        "cloudformation:DescribeStackEvents",
        "dynamodb:DescribeTable",
        "secretsmanager:DescribeSecret",
        "logs:DescribeLogGroups",
        "iam:GetRole",
        "lambda:GetFunction",
        "s3:PutObject",
    ],
)
def test_denied_actions_are_named(stack, aws, action):
    if action.startswith("s3"):
        stored(aws, b"another")
        aws.asked.clear()
    asked = {"lambda:GetFunction": ["GetFunction", "GetFunctionConfiguration"]}.get(action, [action.split(":")[1]])
    for one in asked:
        aws.always(one, "denied")
    done = stack.fails("up", "--yes")
    assert any(f"{action.split(':')[0]}:{one}" in done.err for one in asked), done.err
    assert STACK not in aws.world.stacks or not left_behind(aws)
    assert STACK not in aws.world.stacks or aws.count("ExecuteChangeSet") > 0


def test_denied_cleaning_is_told(stack, aws):
    aws.always("DeleteChangeSet", "denied")
    aws.always("DeleteStack", "denied")
    done = stack.fails("preview")
    assert "cloudformation:Delete" in done.err


@pytest.mark.parametrize(
    "fault, word", [("expired", "expired"), ("unknown-key", "AWS_ACCESS_KEY_ID"), ("denied", "GetCallerIdentity")]
)
@pytest.mark.parametrize("command", [["up", "--yes"], ["preview"], ["destroy", "--yes"]])
def test_credentials_that_are_none(stack, aws, fault, word, command):
    aws.always("GetCallerIdentity", fault)
    done = stack.fails(*command)
    assert word in done.err and done.err.count("\n") == 1 and done.out == "", done
    assert not aws.changed()


@pytest.mark.parametrize("command", [["up", "--yes"], ["preview"], ["outputs"], ["destroy", "--yes"]])
def test_no_credentials(stack, aws, command):
    missing = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
    done = stack.fails(*command, environment=missing)
    assert "AWS_ACCESS_KEY_ID" in done.err and done.err.count("\n") == 1 and done.out == "", done
    assert not aws.asked


def test_a_wrong_secret_key(stack, aws):
    done = stack.fails("preview", environment={"AWS_SECRET_ACCESS_KEY": "wrong"})
    assert "signature" in done.err and "AWS_SECRET" not in aws.faults
    aws.faults.clear()


def test_temporary_credentials(stack, aws):
    stack.ok("up", "--yes", key=TEMPORARY_KEY)
    assert aws.world.stacks[STACK].status == "CREATE_COMPLETE"


def test_a_profile(stack, aws, home):
    (home.path / ".aws").mkdir()
    secret, _ = SECRETS[KEY]
    text = f"[work]\naws_access_key_id = {KEY}\naws_secret_access_key = {secret}\nregion = eu-west-3\n"
    home.write(".aws/credentials", text)
    aws.world.region = "eu-west-3"
    none = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_REGION": None}
    stack.ok("up", "--yes", "--profile", "work", environment=none)
    assert f"payhook-artifacts-{aws.world.account}-eu-west-3" in aws.world.buckets
    assert stack.ok("outputs", "lambda_function_url", environment={**none, "AWS_PROFILE": "work"}).out.startswith("https://")
    assert "nobody" in stack.fails("outputs", "--profile", "nobody", environment=none).err


def test_each_service_by_its_own_variable(stack, aws):
    names = ["CLOUDFORMATION", "S3", "STS", "SECRETS_MANAGER", "DYNAMODB", "LAMBDA", "IAM", "CLOUDWATCH_LOGS"]
    environment = {f"AWS_ENDPOINT_URL_{name}": aws.url for name in names}
    stack.ok("up", "--yes", environment={"AWS_ENDPOINT_URL": "http://127.0.0.1:9", **environment})
    assert {one.service for one in aws.asked} >= {"cloudformation", "s3", "sts", "secretsmanager", "dynamodb", "lambda", "iam", "logs"}


def test_old_zips_that_cannot_be_deleted(updated, aws):
    """That is said, and is no failure of the deployment."""
    updated.ok("up", "--yes")
    updated.zip.write_bytes(make_zip(extra=b"3"))
    for action in ("DeleteObject", "DeleteObjects"):
        aws.always(action, "denied")
    done = updated.ok("up", "--yes")
    assert "s3:DeleteObject" in done.err and aws.world.stacks[STACK].status == "UPDATE_COMPLETE", done.err
    aws.constant.clear()
    updated.zip.write_bytes(make_zip(extra=b"4"))
    updated.ok("up", "--yes")
    assert len(aws.world.buckets[BUCKET].objects) == 2


def test_a_full_disk(stack, aws):
    deployed(aws)
    done = stack.home.sh(f"{PROGRAM} stack outputs >/dev/full", environment=stack.environment())
    assert done.returncode == 1 and done.stderr, done


def test_whoever_watched_has_gone(updated, aws):
    """`payhook stack up --yes 2>&1 | head -1`: the deployment is not ours to break off half told."""
    words = " ".join(updated.line("up", "--yes"))
    updated.home.sh(f"{PROGRAM} {words} 2>&1 | head -1", environment=updated.environment())
    updated.ok("up", "--yes")
    assert aws.world.stacks[STACK].status == "UPDATE_COMPLETE" and operations(aws) == 1 and not left_behind(aws)


def test_nobody_answers(stack):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        done = stack.fails("preview", environment={"AWS_ENDPOINT_URL": url}, timeout=120)
    assert done.err.count("\n") == 1 and "reach" in done.err, done.err


def test_credentials_that_expire_on_the_way(updated, aws):
    """CloudFormation goes on without us, and that is said."""
    aws.on_call = lambda asked: asked.action == "ExecuteChangeSet" and aws.always("*", "expired")
    done = updated.fails("up", "--yes")
    assert "expired" in done.err and "goes on" in done.err and "payhook stack up" in done.err, done.err
    aws.constant.clear()
    aws.on_call = None
    assert aws.world.stacks[STACK].status.startswith("UPDATE")
    updated.ok("up", "--yes")
    assert operations(aws) == 1


# ---- bad input


@pytest.mark.parametrize("suffix", ["Dev", "a_b", "x" * 31, "ä", "a/b", "a b", "a.b"])
@pytest.mark.parametrize("how", ["option", "environment"])
def test_bad_suffixes(stack, aws, suffix, how):
    given = {"environment": {"ENVIRONMENT_SUFFIX": suffix}} if how == "environment" else {}
    done = stack.run("preview", *(["--suffix", suffix] if how == "option" else []), **given)
    assert done.code == 2 and done.err.count("\n") == 1 and "lower-case letters" in done.err and not aws.asked, done


def test_where_a_suffix_comes_from(stack, aws):
    stack.ok("preview", environment={"ENVIRONMENT_SUFFIX": ""})
    stack.ok("preview", environment={"ENVIRONMENT_SUFFIX": "of-env"})
    stack.ok("preview", "--suffix", "x" * 30, environment={"ENVIRONMENT_SUFFIX": "of-env"})
    asked = [one["StackName"] for one in aws.parameters("CreateChangeSet")]
    assert asked == ["TapStack-dev", "TapStack-of-env", "TapStack-" + "x" * 30]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["frobnicate"],
        ["upp"],
        ["up", "extra"],
        ["up", "--arch", "mips"],
        ["up", "--auth", "none"],
        ["up", "--tag", "novalue"],
        ["up", "--tag", "=x"],
        ["up", "--nothing-like-it"],
        ["up", "--cors-origin", "not an origin"],
        ["up", "--cors-origin", "https://a.example,https://b.example/path"],
        ["outputs", "a", "b"],
        ["secret"],
        ["secret", "set"],
        ["secret", "set", "stripe"],
        ["secret", "set", "Not A Source", "--from", "env:KEY"],
        ["secret", "get", "stripe"],
        ["destroy", "--auth"],
    ],
)
def test_usage(stack, aws, words):
    done = stack.run(*words)
    assert done.code == 2 and done.err and not aws.changed(), done
    assert done.err.count("\n") == 1 or "usage" in done.err.lower() or "stack" in done.err, done


@pytest.mark.parametrize("region", ["US East", "us_east_1", "x" * 64, "us-east-1.example"])
def test_a_region_that_cannot_be_one(stack, aws, region):
    done = stack.run("preview", "--region", region)
    assert done.code in (1, 2) and "region" in done.err and done.err.count("\n") == 1 and not aws.asked, done


def test_tags_that_aws_keeps_for_itself(stack, aws):
    done = stack.run("up", "--yes", "--tag", "aws:x=1")
    assert done.code in (1, 2) and "aws:" in done.err and not aws.world.stacks, done


@pytest.mark.parametrize(
    "content, word",
    [
        (b"", "zip"),
        (b"not a zip at all", "zip"),
        (make_zip(name="bootstrap.sh"), "bootstrap"),
        (make_zip(mode=0o100644), "0755"),
        (make_zip("arm64"), "arm64"),
        (make_zip(head=b"#!/bin/sh\n" + bytes(60)), "program"),
        (ZIP[:-30], "zip"),
        (None, "make lambda"),
    ],
)
def test_bad_zips(stack, aws, content, word):
    if content is None:
        stack.zip.unlink()
    else:
        stack.zip.write_bytes(content)
    done = stack.fails("up", "--yes")
    assert word in done.err and str(stack.zip) in done.err and done.err.count("\n") == 1, done.err
    assert not aws.world.stacks and not left_behind(aws)


# ---- interrupted


@pytest.mark.parametrize("action", ["GetCallerIdentity", "DescribeStacks", "DescribeTable", "CreateChangeSet", "DescribeChangeSet"])
@pytest.mark.parametrize("command", ["up", "preview"])
def test_interrupted_before_anything_was_begun(stack, aws, action, command):
    done = stack.interrupted_at(action, command, *(["--yes"] if command == "up" else []))
    assert done.code == 1 and "stopped" in done.err, done
    assert not left_behind(aws) and STACK not in aws.world.stacks and aws.count("ExecuteChangeSet") == 0


@pytest.mark.parametrize("action", ["CreateChangeSet", "DescribeChangeSet"])
def test_interrupted_before_an_update_was_begun(updated, aws, action):
    aws.world.change_set_pace = 3
    done = updated.interrupted_at(action, "up", "--yes")
    assert done.code == 1 and "stopped" in done.err, done
    assert not left_behind(aws) and operations(aws) == 0


@pytest.mark.parametrize("action, times", [("ExecuteChangeSet", 1), ("DescribeStackEvents", 3)])
def test_interrupted_while_it_goes_on(updated, aws, action, times):
    aws.world.pace = 1
    done = updated.interrupted_at(action, "up", "--yes", times=times)
    assert done.code == 1 and "goes on" in done.err and "payhook stack up" in done.err, done
    assert operations(aws) == 1
    done = updated.ok("up", "--yes")  # waits for it, and finds that all is done
    assert operations(aws) == 1 and aws.world.stacks[STACK].status == "UPDATE_COMPLETE"


def test_interrupted_while_it_is_being_deleted(stack, aws):
    deployed(aws)
    aws.world.pace = 1
    done = stack.interrupted_at("DescribeStackEvents", "destroy", "--yes", times=3)
    assert done.code == 1 and "goes on" in done.err and "payhook stack destroy" in done.err, done
    stack.ok("destroy", "--yes")
    assert not aws.world.stacks and not aws.world.buckets and not aws.world.tables


def test_interrupted_while_it_waits_for_somebody_else(stack, aws):
    deployed(aws)
    aws.world.pace = 0
    deployed(aws, zip_bytes=make_zip(extra=b"2"), kind="UPDATE", finish=False)
    aws.asked.clear()
    done = stack.interrupted_at("DescribeStacks", "up", "--yes", times=4)
    assert done.code == 1 and "stopped" in done.err and not left_behind(aws), done
    assert aws.count("CreateChangeSet") == 0


# ---- as JSON


def test_plans_as_json(updated, aws):
    done = updated.ok("preview", "--json", "--tag", "Owner=m\"e")
    plan = json.loads(done.out)
    changes = {change["logical_id"]: change for change in plan["changes"]}
    assert plan["stack"] == STACK and set(changes) == RESOURCES - {"Url"}  # which takes no tags
    assert any(TABLE in str(change.values()) for change in changes.values())
    assert key_of(make_zip(extra=b"2")) in done.out and 'm\\"e' in done.out
    stack = updated
    stack.zip.write_bytes(ZIP)
    assert json.loads(stack.ok("preview", "--json").out)["changes"] == []


def test_all_of_it_as_json(stack, aws):
    """One object is all that is on standard output."""
    first = json.loads(stack.ok("up", "--yes", "--json").out)
    assert first["result"] == "done" and first["outputs"]["dynamodb_table_name"] == TABLE and first["failure"] is None
    assert {change["logical_id"] for change in first["plan"]["changes"]} == RESOURCES
    again = json.loads(stack.ok("up", "--yes", "--json").out)
    assert again["result"] == "nothing" and again["outputs"] == first["outputs"]
    assert json.loads(stack.ok("outputs", "--json").out) == first["outputs"]
    assert json.loads(stack.ok("destroy", "--yes", "--json").out) and not aws.world.stacks


def test_a_failure_as_json(stack, aws):
    aws.world.failures["CREATE", "Role"] = 'no "role"'
    done = stack.fails("up", "--yes", "--json")
    told = json.loads(done.out)
    assert told["result"] == "failed" and BUCKET_STACK in aws.world.stacks
    assert told["failure"] == {"logical_id": "Role", "type": "AWS::IAM::Role", "status": "CREATE_FAILED", "reason": 'no "role"'}


# ---- the secret


def document(aws):
    return json.loads(aws.world.secrets[SECRET].text)


def test_secrets_are_merged(stack, aws, home):
    deployed(aws)
    one, two = "whsec_" + "a" * 24, "ghs-" + "b" * 24
    done = stack.ok("secret", "set", "stripe", "--from", home.secret("stripe", one))
    assert one not in done.out + done.err
    words = ["secret", "set", "github", "--provider", "hub-sha256", "--from", "env:HOOK"]
    assert two not in "".join(map(str, stack.ok(*words, environment={"HOOK": two})))
    assert document(aws)["api_key"] == json.loads(PLACEHOLDER)["api_key"]
    assert document(aws)["sources"]["stripe"] == {"provider": "stripe", "secrets": [one]}
    assert document(aws)["sources"]["github"] == {"provider": "hub-sha256", "secrets": [two]}
    new = "whsec_" + "c" * 24
    stack.ok("secret", "set", "stripe", "--from", "env:NEW", "--from", "env:OLD", environment={"NEW": new, "OLD": one})
    assert document(aws)["sources"]["stripe"]["secrets"] == [new, one]
    stack.ok("secret", "set", "api_key", "--from", "env:KEY", environment={"KEY": "the-real-key"})
    assert document(aws)["api_key"] == "the-real-key" and set(document(aws)["sources"]) == {"stripe", "github"}
    held = aws.world.secrets[SECRET]
    before = held.text
    stack.zip.write_bytes(make_zip(extra=b"2"))
    stack.ok("up", "--yes")
    assert aws.world.secrets[SECRET] is held and held.text == before


def test_a_secret_of_another_name(stack, aws):
    deployed(aws)
    done = stack.run("secret", "set", "shop", "--from", "env:HOOK", environment={"HOOK": "x" * 24})
    assert done.code in (1, 2) and "--provider" in done.err and aws.world.secrets[SECRET].text == PLACEHOLDER
    words = ["secret", "set", "shop", "--provider", "stripe", "--from", "env:HOOK", "--set", "tolerance=10m"]
    stack.ok(*words, environment={"HOOK": "whsec_" + "x" * 24})
    assert document(aws)["sources"]["shop"]["provider"] == "stripe"
    done = stack.run(*words[:-1], "tolerence=10m", environment={"HOOK": "whsec_" + "x" * 24})
    assert done.code in (1, 2) and "--set" in done.err


def test_somebody_else_writes_at_the_same_time(stack, aws):
    deployed(aws)
    secret = aws.world.secrets[SECRET]
    theirs = {"api_key": "theirs", "sources": {"github": {"provider": "hub-sha256", "secrets": ["g" * 24]}}}

    def write(asked):
        if asked.action == "PutSecretValue" and "theirs" not in secret.text:
            secret.versions["theirs"] = json.dumps(theirs)
            secret.stages["AWSCURRENT"] = "theirs"

    aws.on_call = write
    stack.ok("secret", "set", "stripe", "--from", "env:HOOK", environment={"HOOK": "whsec_" + "a" * 24})
    assert document(aws)["api_key"] == "theirs" and set(document(aws)["sources"]) == {"stripe", "github"}
    assert set(secret.stages) <= {"AWSCURRENT", "AWSPREVIOUS"}


@pytest.mark.parametrize("fault", ["throttle*2", "after-reset", "unavailable", "cut"])
@pytest.mark.parametrize("action", ["GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"])
def test_a_secret_is_written_once(stack, aws, action, fault):
    deployed(aws)
    aws.script(action, fault)
    stack.ok("secret", "set", "stripe", "--from", "env:HOOK", environment={"HOOK": "whsec_" + "a" * 24})
    assert document(aws)["sources"]["stripe"]["secrets"] == ["whsec_" + "a" * 24]
    assert set(aws.world.secrets[SECRET].stages) <= {"AWSCURRENT", "AWSPREVIOUS"}


@pytest.mark.parametrize(
    "environment, text, word",
    [
        ({"HOOK": ""}, None, "HOOK"),
        ({}, None, "HOOK"),
        ({"HOOK": "whsec_" + "a" * 24}, "[]", "JSON"),
        ({"HOOK": "whsec_" + "a" * 24}, "not json", "JSON"),
        ({"HOOK": "whsec_" + "a" * 24}, '{"api_key":"k","sources":[]}', "source"),
    ],
)
def test_secrets_that_cannot_be_set(stack, aws, environment, text, word):
    deployed(aws)
    secret = aws.world.secrets[SECRET]
    if text is not None:
        secret.versions[secret.stages["AWSCURRENT"]] = text
    before = secret.text
    done = stack.run("secret", "set", "stripe", "--from", "env:HOOK", environment=environment)
    assert done.code in (1, 2) and word in done.err and "whsec_" not in done.err and secret.text == before, done
    assert aws.count("PutSecretValue") == 0


def test_a_secret_that_is_not_there(stack, aws):
    done = stack.fails("secret", "set", "stripe", "--from", "env:HOOK", environment={"HOOK": "whsec_" + "a" * 24})
    assert SECRET in done.err and "stack up" in done.err


def test_nothing_secret_is_told(stack, aws):
    """Whatever the service answers with, its words about a secret are not repeated."""
    deployed(aws)
    value = "whsec_" + "a" * 24
    aws.always("PutSecretValue", "denied")
    done = stack.fails("secret", "set", "stripe", "--from", "env:HOOK", environment={"HOOK": value})
    assert "secretsmanager:PutSecretValue" in done.err and value not in done.err + done.out
    assert re.search(r"\bwhsec_", done.err) is None
