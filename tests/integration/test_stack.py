# SPDX-License-Identifier: Apache-2.0
"""`payhook stack` from nothing to a stack and back, and over every state that CloudFormation leaves a stack in. What is
asserted: how it ends, what it says, what AWS was asked to do, and what is left."""

import json
import re

import pytest

from cloudformation_model import NO_CHANGES, Bucket, Stack
from cloudformation_stand_in import AwsStandIn
from stack_help import (
    BUCKET,
    BUCKET_STACK,
    FIXED_TAGS,
    FUNCTION,
    LOG_GROUP,
    OUTPUTS,
    PLACEHOLDER,
    RESOURCES,
    ROLE,
    SECRET,
    STACK,
    TABLE,
    TEMPLATE,
    ZIP,
    Command,
    deployed,
    key_of,
    left_behind,
    made,
    make_zip,
    stored,
    users_own,
)

THEIRS = """Description: theirs
Parameters: {EnvironmentSuffix: {Type: String}}
Resources: {A: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: a}}}
"""
STRIPE = '{"api_key":"placeholder_value_replace_in_production","sources":{"stripe":{"provider":"stripe","secrets":["%s"]}}}'


@pytest.fixture
def aws():
    with AwsStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def stack(home, aws):
    return Command(home, aws)


def url_auth(aws):
    return aws.world.functions[FUNCTION]["url"]["auth"]


# ---- from nothing, and back


def test_up_makes_it_all(stack, aws):
    done = stack.ok("up", "--yes", "--tag", "Owner=me", "--tag", "Environment=mine")
    assert set(aws.world.stacks) == {STACK, BUCKET_STACK} and aws.world.stacks[STACK].status == "CREATE_COMPLETE"
    [asked] = [one for one in aws.parameters("CreateChangeSet") if one["StackName"] == STACK]
    assert (asked["ChangeSetType"], asked["TemplateBody"]) == ("CREATE", TEMPLATE)
    assert aws.world.stacks[STACK].values == {
        "EnvironmentSuffix": "dev",
        "ArtifactBucket": BUCKET,
        "ArtifactKey": key_of(ZIP),
        "Architecture": "x86_64",
        "UrlAuthType": "AWS_IAM",
        "CorsOrigins": "*",
    }
    assert aws.world.stacks[STACK].tags == {"Owner": "me", **FIXED_TAGS}
    assert aws.world.buckets[BUCKET].objects == {key_of(ZIP): ZIP}
    assert aws.uploads == [key_of(ZIP)] and aws.count("ExecuteChangeSet") == 2 and not left_behind(aws)
    owners = {one.parameters["Owner"] for one in aws.asked if one.service == "s3"}
    assert owners == {aws.world.account}
    for name in RESOURCES:
        assert re.search(rf"\+.*\b{name}\b", done.out), done.out  # the plan
        assert re.search(rf"\b{name}\b", done.err), done.err  # how it went
    values = dict(re.findall(r"^(\w+) *= *(\S+)$", done.out, re.M))
    assert list(values) == OUTPUTS
    assert values["lambda_function_url"] == aws.world.functions[FUNCTION]["url"]["address"]
    assert aws.world.secrets[SECRET].text == PLACEHOLDER


def test_up_again_has_nothing_to_do(stack, aws):
    stack.ok("up", "--yes")
    aws.asked.clear()
    done = stack.ok("up", "--yes")
    assert re.search("nothing to do|up to date|no change", done.out + done.err, re.I), done
    assert aws.count("PutObject") == 0 and aws.count("ExecuteChangeSet") == 0 and not left_behind(aws)
    assert aws.world.secrets[SECRET].text == PLACEHOLDER


def test_code_that_is_there_is_not_uploaded_again(stack, aws):
    stack.ok("up", "--yes")
    stack.ok("up", "--yes", "--tag", "Owner=me")
    assert aws.world.stacks[STACK].tags["Owner"] == "me" and aws.uploads == [key_of(ZIP)]
    assert aws.count("HeadObject") >= 2 and aws.world.buckets[BUCKET].objects == {key_of(ZIP): ZIP}


@pytest.mark.parametrize("wording", NO_CHANGES)
@pytest.mark.parametrize("command", [["up", "--yes"], ["preview"]])
def test_no_changes_in_either_wording(stack, aws, wording, command):
    deployed(aws)
    aws.world.no_changes = wording
    assert stack.ok(*command).code == 0
    assert not left_behind(aws) and aws.count("ExecuteChangeSet") == 0


def test_new_code_is_uploaded_and_old_code_goes_one_up_later(stack, aws):
    zips = [ZIP, make_zip(extra=b"2"), make_zip(extra=b"3"), make_zip(extra=b"4")]
    keys = [key_of(one) for one in zips]
    stack.ok("up", "--yes")
    aws.world.buckets[BUCKET].objects["payhook/other/x86_64/" + "0" * 64 + ".zip"] = b"another suffix's"
    aws.page_size = 1
    for number, left in ((1, keys[0:2]), (2, keys[1:3]), (3, keys[2:4])):
        stack.zip.write_bytes(zips[number])
        done = stack.ok("up", "--yes")
        assert re.search(r"~.*\bFunction\b", done.out) and "S3Key" in done.out, done.out
        assert {key for key in aws.world.buckets[BUCKET].objects if "/dev/" in key} == set(left)
        assert aws.world.stacks[STACK].values["ArtifactKey"] == keys[number]
    assert any("/other/" in key for key in aws.world.buckets[BUCKET].objects)
    assert aws.uploads == keys and not left_behind(aws)


def test_preview_of_nothing_leaves_nothing(stack, aws):
    done = stack.ok("preview")
    assert all(re.search(rf"\+.*\b{name}\b", done.out) for name in RESOURCES), done.out
    assert not aws.world.stacks and not aws.world.buckets and aws.count("ExecuteChangeSet") == 0
    assert set(aws.changed()) <= {"CreateChangeSet", "DeleteChangeSet", "DeleteStack"}


def test_preview_of_a_change_leaves_nothing(stack, aws):
    one = deployed(aws)
    before = [*one.events]
    stack.zip.write_bytes(make_zip(extra=b"2"))
    done = stack.ok("preview", "--arch", "x86_64", "--tag", "Owner=me")
    assert "S3Key" in done.out and "Owner" in done.out, done.out
    assert set(aws.changed()) == {"CreateChangeSet", "DeleteChangeSet"}
    assert one.events == before and not left_behind(aws)
    assert list(aws.world.buckets[BUCKET].objects) == [key_of(ZIP)]


def test_large_plans_come_in_pages(stack, aws):
    aws.page_size = 2
    stack.zip.write_bytes(make_zip(extra=b"2"))
    deployed(aws)
    plan = json.loads(stack.ok("preview", "--json", "--tag", "Owner=me", "--cors-origin", "https://a.example").out)
    assert {change["logical_id"] for change in plan["changes"]} == RESOURCES
    stack.ok("up", "--yes", "--tag", "Owner=me")
    assert aws.world.stacks[STACK].tags["Owner"] == "me"


def test_outputs(stack, aws):
    deployed(aws)
    done = stack.ok("outputs")
    assert re.findall(r"^(\w+)", done.out, re.M) == OUTPUTS
    values = json.loads(stack.ok("outputs", "--json").out)
    assert list(values) == OUTPUTS
    for name in OUTPUTS:
        assert stack.ok("outputs", name) == (0, values[name] + "\n", "")
    assert values["dynamodb_table_name"] == TABLE and values["lambda_function_name"] == FUNCTION
    for name in ("lambda_function_ur", "LambdaFunctionUrl", ""):
        done = stack.run("outputs", name)
        assert done.code in (1, 2) and done.out == "" and "lambda_function_url" in done.err, done


def test_outputs_of_nothing(stack):
    assert "up" in stack.fails("outputs").err
    assert stack.fails("outputs", "lambda_function_url").out == ""


def test_destroy(stack, aws):
    deployed(aws)
    aws.world.tables[TABLE] = 1234
    aws.world.secrets[SECRET].versions = dict.fromkeys(aws.world.secrets[SECRET].versions, STRIPE % "whsec_abcdefghijkl")
    done = stack.ok("destroy", "--yes")
    told = done.out + done.err
    assert re.search(r"1,?234", told) and "stripe" in told and "whsec" not in told, done
    world = aws.world
    assert not (world.stacks or world.tables or world.secrets or world.roles or world.functions or world.log_groups)
    assert not world.buckets


def test_destroy_keeps_what_another_suffix_uses(stack, aws):
    deployed(aws, "stage")
    deployed(aws)
    assert stack.ok("destroy", "--yes")
    assert set(aws.world.stacks) == {"TapStack-stage", BUCKET_STACK}
    assert list(aws.world.buckets[BUCKET].objects) == [key_of(ZIP, "stage")]
    assert stack.ok("destroy", "--yes", "--suffix", "stage")
    assert not aws.world.stacks and not aws.world.buckets


def test_destroy_of_nothing(stack, aws):
    assert stack.ok("destroy", "--yes")
    assert not [one for one in aws.changed() if one not in ("DeleteObject", "DeleteObjects")]


def test_a_bucket_of_ones_own(stack, aws):
    aws.world.buckets["zips"] = Bucket(aws.world.account)
    aws.world.buckets["zips"].objects["payhook/notes.txt"] = b"mine"
    stack.ok("up", "--yes", "--bucket", "zips")
    assert set(aws.world.stacks) == {STACK} and set(aws.world.buckets) == {"zips"}
    assert aws.world.stacks[STACK].values["ArtifactBucket"] == "zips"
    stack.zip.write_bytes(make_zip(extra=b"2"))
    stack.ok("up", "--yes")  # the bucket is kept
    assert set(aws.world.stacks) == {STACK} and aws.world.stacks[STACK].values["ArtifactBucket"] == "zips"
    stack.ok("destroy", "--yes")
    assert aws.world.buckets["zips"].objects == {"payhook/notes.txt": b"mine"}


@pytest.mark.parametrize("owner, sentence", [(None, "no such bucket"), ("999999999999", "does not belong")])
def test_a_bucket_that_is_not_ones_own(stack, aws, owner, sentence):
    if owner:
        aws.world.buckets["zips"] = Bucket(owner)
    assert sentence in stack.fails("up", "--yes", "--bucket", "zips").err
    assert not left_behind(aws) and aws.count("ExecuteChangeSet") == 0 and not aws.world.stacks


def test_template_prints_it(stack, aws):
    assert stack.ok("template").out == TEMPLATE
    assert not aws.asked


# ---- what is kept from one up to the next


def test_what_is_not_given_stays(stack, aws):
    deployed(aws, CorsOrigins="https://a.example,https://b.example", tags={"Owner": "me", **FIXED_TAGS})
    aws.world.secrets[SECRET].versions = dict.fromkeys(aws.world.secrets[SECRET].versions, STRIPE % "whsec_abcdefghijkl")
    stack.ok("up", "--yes", "--auth", "NONE")
    assert url_auth(aws) == "NONE" and aws.world.functions[FUNCTION]["permissions"] == 2
    stack.zip.write_bytes(make_zip(extra=b"2"))
    stack.ok("up", "--yes")
    one = aws.world.stacks[STACK]
    assert one.values["UrlAuthType"] == "NONE" and one.values["CorsOrigins"] == "https://a.example,https://b.example"
    assert one.tags == {"Owner": "me", **FIXED_TAGS}
    assert aws.world.functions[FUNCTION]["url"]["cors"]["AllowOrigins"] == ["https://a.example", "https://b.example"]
    stack.ok("up", "--yes", "--auth", "AWS_IAM", "--cors-origin", "https://c.example", "--tag", "Team=b")
    assert url_auth(aws) == "AWS_IAM" and one.values["CorsOrigins"] == "https://c.example"
    assert one.tags == {"Team": "b", **FIXED_TAGS} and set(one.resources) == RESOURCES


def test_another_architecture(stack, aws):
    deployed(aws)
    stack.zip.write_bytes(make_zip("arm64"))
    assert "--arch" in stack.fails("up", "--yes").err
    stack.ok("up", "--yes", "--arch", "arm64")
    assert aws.world.stacks[STACK].values["Architecture"] == "arm64"
    assert aws.world.stacks[STACK].values["ArtifactKey"] == key_of(make_zip("arm64"), arch="arm64")
    stack.zip.write_bytes(make_zip("arm64", b"2"))
    stack.ok("up", "--yes")
    assert aws.world.stacks[STACK].values["Architecture"] == "arm64"


def test_an_open_url_needs_a_source_with_a_secret(stack, aws):
    done = stack.fails("up", "--yes", "--auth", "NONE")
    assert "secret set" in done.err and not aws.world.stacks and aws.count("ExecuteChangeSet") == 0
    deployed(aws)
    assert "secret set" in stack.fails("up", "--yes", "--auth", "NONE").err
    assert url_auth(aws) == "AWS_IAM" and not left_behind(aws)


# ---- questions without anybody to ask


@pytest.mark.parametrize("command", ["up", "destroy"])
def test_without_a_terminal_it_does_not_guess(stack, aws, command):
    deployed(aws)
    stack.zip.write_bytes(make_zip(extra=b"2"))
    done = stack.fails(command)
    assert "--yes" in done.err and STACK in aws.world.stacks and TABLE in aws.world.tables, done
    assert aws.count("ExecuteChangeSet") == 0 and aws.count("DeleteStack") == 0 and not left_behind(aws)
    assert aws.count("PutObject") == 0


def test_without_a_terminal_nothing_is_left_of_a_first_one(stack, aws):
    assert "--yes" in stack.fails("up").err
    assert not aws.world.stacks and not aws.world.buckets


# ---- operations that fail


@pytest.mark.parametrize("cancelled_first", [False, True])
def test_a_first_creation_that_fails(stack, aws, cancelled_first):
    aws.world.cancelled_first = cancelled_first
    reason = "Subscriber limit exceeded: <256> tables & more (Service: DynamoDb, Status Code: 400)"
    aws.world.failures["CREATE", "Table"] = reason
    done = stack.fails("up", "--yes")
    assert reason in done.err and "Table" in done.err and "ROLLBACK_COMPLETE" in done.err, done.err
    _, _, cause = done.err.partition("The first failure: ")
    assert cause.startswith("Table (AWS::DynamoDB::Table), CREATE_FAILED:") and reason in cause, done.err
    assert "cancelled" not in cause and "payhook stack up" in cause
    assert aws.world.stacks[STACK].status == "ROLLBACK_COMPLETE" and not aws.world.tables
    del aws.world.failures["CREATE", "Table"]
    assert stack.ok("up", "--yes").code == 0
    assert aws.world.stacks[STACK].status == "CREATE_COMPLETE"


def test_preview_over_a_creation_that_failed(stack, aws):
    aws.world.failures["CREATE", "Role"] = "no"
    deployed(aws)
    done = stack.ok("preview")
    assert all(re.search(rf"\+.*\b{name}\b", done.out) for name in RESOURCES), done.out
    assert set(aws.world.stacks) == {STACK, BUCKET_STACK} and aws.world.stacks[STACK].status == "ROLLBACK_COMPLETE"
    assert not left_behind(aws)


@pytest.mark.parametrize(
    "reason, count",
    [
        ("Encountered a permissions error\nperforming a tagging\x1b[2J operation", 1),
        ("Resource handler returned message: \"It's \u00fcber\" <b>&amp;</b>", 1),
        ("x" * 1900, 1),
    ],
)
def test_reasons_are_foreign_text(stack, aws, reason, count):
    aws.world.failures["CREATE", "Role"] = reason.replace("\x1b", "&#27;")  # XML 1.0 knows no escape character
    done = stack.fails("up", "--yes")
    assert "\x1b" not in done.err and done.err.count("Role") >= count
    assert reason.split("\n")[0][:300] in done.err, done.err


def test_an_update_that_fails(stack, aws):
    deployed(aws)
    stack.zip.write_bytes(make_zip(extra=b"2"))
    aws.world.failures["UPDATE", "Function"] = "The runtime is deprecated"
    done = stack.fails("up", "--yes")
    assert "The runtime is deprecated" in done.err and "UPDATE_ROLLBACK_COMPLETE" in done.err, done.err
    assert aws.world.stacks[STACK].status == "UPDATE_ROLLBACK_COMPLETE"
    assert aws.world.stacks[STACK].values["ArtifactKey"] == key_of(ZIP)
    assert key_of(ZIP) in aws.world.buckets[BUCKET].objects  # the rollback needed it
    aws.world.failures["UPDATE", "Function"] = "The zip is too large"
    done = stack.fails("up", "--yes")
    assert "The zip is too large" in done.err and "deprecated" not in done.err, done.err  # not what was before
    aws.world.failures.clear()
    assert stack.ok("up", "--yes").code == 0
    assert aws.world.stacks[STACK].status == "UPDATE_COMPLETE"


def test_a_rollback_that_fails(stack, aws):
    deployed(aws)
    stack.zip.write_bytes(make_zip(extra=b"2"))
    aws.world.failures.update({("UPDATE", "Function"): "no", ("ROLLBACK", "Function"): "no, again"})
    done = stack.fails("up", "--yes")
    assert "continue-update-rollback" in done.err and "UPDATE_ROLLBACK_FAILED" in done.err
    for command in (["up", "--yes"], ["preview"]):
        done = stack.fails(*command)
        assert "continue-update-rollback" in done.err and STACK in done.err
    assert aws.world.stacks[STACK].status == "UPDATE_ROLLBACK_FAILED" and not left_behind(aws)


def test_a_deletion_that_fails(stack, aws):
    deployed(aws)
    aws.world.failures["DELETE", "Table"] = "Deletion protection is enabled for this table"
    done = stack.fails("destroy", "--yes")
    assert "Deletion protection" in done.err and "Table" in done.err and "DELETE_FAILED" in done.err
    assert aws.world.stacks[STACK].status == "DELETE_FAILED" and BUCKET in aws.world.buckets
    for command in (["up", "--yes"], ["preview"]):
        done = stack.fails(*command)
        assert "payhook stack destroy" in done.err and "Deletion protection" in done.err
    aws.world.failures.clear()
    stack.ok("destroy", "--yes")
    assert not aws.world.stacks and not aws.world.buckets


def test_a_change_set_that_fails(stack, aws):
    reason = (
        "The following hook(s)/validation failed: [AWS::EarlyValidation::ResourceExistenceCheck]. To troubleshoot Early "
        "Validation errors, use the DescribeEvents API for detailed failure information."
    )
    aws.world.change_set_failure = reason
    for command in (["up", "--yes"], ["preview"]):
        assert "AWS::EarlyValidation::ResourceExistenceCheck" in stack.fails(*command).err
        assert STACK not in aws.world.stacks and not left_behind(aws)


def test_a_bucket_that_cannot_be_made(stack, aws):
    aws.world.buckets[BUCKET] = Bucket("999999999999")
    done = stack.fails("up", "--yes")
    assert BUCKET in done.err and STACK not in aws.world.stacks and not left_behind(aws), done.err


def test_protected_stacks_stay(stack, aws):
    deployed(aws).protected = True
    assert "TerminationProtection" in stack.fails("destroy", "--yes").err
    assert TABLE in aws.world.tables and key_of(ZIP) in aws.world.buckets[BUCKET].objects


# ---- states that others leave


def test_an_empty_stack_that_was_only_reviewed(stack, aws):
    Stack(aws.world, STACK)
    stack.ok("preview")
    assert stack.ok("up", "--yes").code == 0
    assert aws.world.stacks[STACK].status == "CREATE_COMPLETE" and not left_behind(aws)


def test_destroy_of_a_stack_that_was_only_reviewed(stack, aws):
    Stack(aws.world, STACK)
    stack.ok("destroy", "--yes")
    assert not aws.world.stacks


@pytest.mark.parametrize("command", ["up", "preview", "destroy"])
def test_somebody_elses_update_is_waited_for(stack, aws, command):
    deployed(aws)
    aws.world.pace = 1
    deployed(aws, zip_bytes=make_zip(extra=b"theirs"), kind="UPDATE", finish=False)
    assert aws.world.stacks[STACK].status == "UPDATE_IN_PROGRESS"
    done = stack.ok(command, *(["--yes"] if command != "preview" else []))
    assert "UPDATE_IN_PROGRESS" in done.err and "wait" in done.err.lower(), done.err
    assert not left_behind(aws)
    if command == "up":
        assert aws.world.stacks[STACK].values["ArtifactKey"] == key_of(ZIP)
        statuses = [event["ResourceStatus"] for event in aws.world.stacks[STACK].events if event["LogicalResourceId"] == STACK]
        assert statuses.count("UPDATE_COMPLETE") == 2
    assert (STACK in aws.world.stacks) == (command != "destroy")


def test_somebody_elses_update_that_changes_what_is_kept(stack, aws):
    """What `up` keeps, it takes from after that update and not from before."""
    deployed(aws)
    aws.world.pace = 1
    theirs = "https://theirs.example"
    deployed(aws, kind="UPDATE", finish=False, CorsOrigins=theirs)
    stack.ok("up", "--yes")
    assert aws.world.stacks[STACK].values["CorsOrigins"] == theirs


@pytest.mark.parametrize("command", ["up", "destroy"])
def test_somebody_elses_deletion_is_waited_for(stack, aws, command):
    one = deployed(aws)
    aws.world.pace = 1
    one.start(one.deleting())
    stack.ok(command, "--yes")
    assert (STACK in aws.world.stacks) == (command == "up")
    if command == "up":
        assert aws.count("DeleteStack") == 0


def test_a_stack_of_another_make_is_not_touched(stack, aws):
    made(aws, STACK, THEIRS, {"EnvironmentSuffix": "dev"})
    for command in (["up", "--yes"], ["preview"], ["destroy", "--yes"], ["up", "--yes", "--import"]):
        done = stack.fails(*command)
        assert STACK in done.err, done.err
    assert not aws.changed() and "a" in aws.world.log_groups


def test_a_secret_that_is_still_being_deleted(stack, aws):
    users_own(aws)
    world = aws.world
    world.tables, world.roles, world.functions, world.log_groups = {}, {}, {}, set()
    world.secrets[SECRET].leaving = 4
    done = stack.ok("up", "--yes")
    assert re.search("delet.*secret|secret.*delet", done.err, re.I), done.err
    assert world.secrets[SECRET].text == PLACEHOLDER and world.stacks[STACK].status == "CREATE_COMPLETE"


def test_a_secret_that_does_not_go(stack, aws):
    users_own(aws)
    world = aws.world
    world.tables, world.roles, world.functions, world.log_groups = {}, {}, {}, set()
    world.secrets[SECRET].leaving = 1000000
    done = stack.fails("up", "--yes")
    assert "restore-secret" in done.err and "force-delete-without-recovery" in done.err and not world.stacks
    assert stack.ok("preview").code == 0


# The status, whether up and preview go on; else a word of what they say to do.
STATES = [
    ("UPDATE_ROLLBACK_COMPLETE", True),
    ("IMPORT_COMPLETE", True),
    ("IMPORT_ROLLBACK_COMPLETE", True),
    ("CREATE_FAILED", "rollback-stack"),
    ("ROLLBACK_FAILED", "payhook stack destroy"),
    ("UPDATE_FAILED", "rollback-stack"),
    ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback"),
    ("IMPORT_ROLLBACK_FAILED", "describe-stack-events"),
    ("DELETE_FAILED", "payhook stack destroy"),
    ("SOMETHING_NEW", "describe-stack-events"),
]


@pytest.mark.parametrize("status, goes_on", STATES)
@pytest.mark.parametrize("command", ["up", "preview", "destroy"])
def test_states(stack, aws, status, goes_on, command):
    one = deployed(aws)
    one.event(None, status, "It was so")
    stack.zip.write_bytes(make_zip(extra=b"2"))
    words = [command, *(["--yes"] if command != "preview" else [])]
    if command == "destroy":
        stack.ok(*words)
        assert not aws.world.stacks
        return
    if goes_on is True:
        stack.ok(*words)
        assert one.status == ("UPDATE_COMPLETE" if command == "up" else status) and not left_behind(aws)
        return
    done = stack.fails(*words)
    assert goes_on in done.err and STACK in done.err and "us-east-1" in done.err and done.out == "", done
    assert one.status == status and not left_behind(aws) and not aws.changed()
    assert list(aws.world.buckets[BUCKET].objects) == [key_of(ZIP)]


def test_a_first_creation_whose_rollback_fails(stack, aws):
    aws.world.failures.update({("CREATE", "Function"): "no function", ("DELETE", "Table"): "it is in use"})
    done = stack.fails("up", "--yes")
    assert "no function" in done.err and "payhook stack destroy" in done.err and "ROLLBACK_FAILED" in done.err
    assert aws.world.stacks[STACK].status == "ROLLBACK_FAILED"
    assert "no function" in stack.fails("up", "--yes").err  # the cause is still told
    aws.world.failures.clear()
    stack.ok("destroy", "--yes")
    stack.ok("up", "--yes")
    assert aws.world.stacks[STACK].status == "CREATE_COMPLETE"


# ---- what would lose data


RENAMED = TEMPLATE.replace('TableName: !Sub "envmig-transactions-$', 'TableName: !Sub "old-transactions-$')
SECOND = TEMPLATE.replace(
    "  LogGroup:\n",
    "  Second:\n    Type: AWS::DynamoDB::Table\n    Properties: {TableName: second, KeySchema: []}\n  LogGroup:\n",
    1,
)
OTHER_SECRET = TEMPLATE.replace('Name: !Sub "envmig-apikeys-$', 'Name: !Sub "old-apikeys-$')


@pytest.mark.parametrize(
    "text, lost", [(RENAMED, "old-transactions-dev"), (SECOND, "second"), (OTHER_SECRET, "old-apikeys-dev")]
)
def test_losing_a_table_or_a_secret_is_refused(stack, aws, text, lost):
    deployed(aws, text=text)
    held = {**aws.world.tables}, {**aws.world.secrets}
    done = stack.ok("preview")
    assert lost in done.out and re.search("replace|delete|lost|lose", done.out, re.I), done.out
    done = stack.fails("up", "--yes")
    assert "--allow-replace" in done.err, done.err
    assert ({**aws.world.tables}, {**aws.world.secrets}) == held
    assert not left_behind(aws) and aws.count("ExecuteChangeSet") == 0 and aws.count("PutObject") == 0
    stack.ok("up", "--yes", "--allow-replace")
    assert list(aws.world.tables) == [TABLE] and list(aws.world.secrets) == [SECRET]


def test_a_named_table_cannot_be_replaced_even_so(stack, aws):
    deployed(aws, text=TEMPLATE.replace("AttributeName: transactionId, KeyType", "AttributeName: timestamp, KeyType"))
    done = stack.fails("up", "--yes", "--allow-replace")
    assert "custom-named resource" in done.err and aws.world.stacks[STACK].status == "UPDATE_ROLLBACK_COMPLETE"
    assert TABLE in aws.world.tables


# ---- what runs already


def test_names_that_exist_stop_it(stack, aws):
    users_own(aws)
    for command in (["up", "--yes"], ["preview"]):
        done = stack.run(*command)
        told = done.out + done.err
        assert done.code == (1 if command[0] == "up" else done.code) and "--import" in told, done
        assert all(name in told for name in (SECRET, TABLE, LOG_GROUP, ROLE, FUNCTION)), told
    assert not aws.world.stacks and aws.count("ExecuteChangeSet") == 0 and not aws.world.buckets


def test_one_name_that_exists_stops_it(stack, aws):
    aws.world.log_groups.add(LOG_GROUP)
    aws.world.log_groups.add(LOG_GROUP + "-of-another")
    done = stack.fails("up", "--yes")
    assert LOG_GROUP in done.err and TABLE not in done.err.replace(LOG_GROUP, "") and not aws.world.stacks


def test_import_takes_over_what_runs(stack, aws):
    users_own(aws)
    url = aws.world.functions[FUNCTION]["url"]["address"]
    stack.ok("up", "--yes", "--import")
    one = aws.world.stacks[STACK]
    assert one.status == "UPDATE_COMPLETE" and set(one.resources) == RESOURCES and not left_behind(aws)
    assert aws.world.tables == {TABLE: 5} and aws.world.secrets[SECRET].text == '{"api_key": "a-real-key"}'
    assert aws.world.functions[FUNCTION]["runtime"] == "provided.al2023"
    assert aws.world.roles[ROLE] == ["envmig-webhook-custom-policy-dev"]
    assert stack.ok("outputs", "lambda_function_url").out == url + "\n"
    assert [asked.get("ChangeSetType") for asked in aws.parameters("CreateChangeSet") if asked["StackName"] == STACK] == [
        "IMPORT",
        "UPDATE",
    ]
    assert stack.ok("up", "--yes").code == 0
    stack.ok("destroy", "--yes")
    assert not aws.world.tables and not aws.world.secrets  # it is the stack's own now


def test_import_of_some(stack, aws):
    users_own(aws)
    aws.world.functions, aws.world.roles = {}, {}
    stack.ok("up", "--yes", "--import")
    assert set(aws.world.stacks[STACK].resources) == RESOURCES and aws.world.tables == {TABLE: 5}
    assert aws.world.secrets[SECRET].text == '{"api_key": "a-real-key"}'


def test_import_that_fails(stack, aws):
    users_own(aws)
    aws.world.failures["IMPORT", "Table"] = "Table is in a state that cannot be imported"
    done = stack.fails("up", "--yes", "--import")
    assert "cannot be imported" in done.err, done.err
    assert aws.world.tables == {TABLE: 5} and FUNCTION in aws.world.functions
    aws.world.failures.clear()
    stack.ok("up", "--yes", "--import")
    assert aws.world.tables == {TABLE: 5} and aws.world.stacks[STACK].status == "UPDATE_COMPLETE"


def test_import_with_nothing_there(stack, aws):
    stack.ok("up", "--yes", "--import")
    assert aws.world.stacks[STACK].status == "CREATE_COMPLETE"


def test_an_import_whose_second_step_failed_goes_on_with_up(stack, aws):
    users_own(aws)
    aws.world.failures["UPDATE", "Function"] = "not now"
    assert "not now" in stack.fails("up", "--yes", "--import").err
    assert aws.world.tables == {TABLE: 5} and aws.world.secrets[SECRET].text == '{"api_key": "a-real-key"}'
    aws.world.failures.clear()
    stack.ok("up", "--yes")
    assert set(aws.world.stacks[STACK].resources) == RESOURCES and stack.ok("outputs").out


def test_prune_never_takes_what_is_not_ours(stack, aws):
    stack.ok("up", "--yes")
    objects = aws.world.buckets[BUCKET].objects
    others = ["payhook/dev/x86_64/notes.zip", "payhook/dev/readme", "payhook/dev-2/x86_64/" + "a" * 64 + ".zip"]
    objects.update(dict.fromkeys(others, b"mine"))
    for extra in (b"2", b"3"):
        stack.zip.write_bytes(make_zip(extra=extra))
        stack.ok("up", "--yes")
    assert set(others) < set(objects) and len(objects) == len(others) + 2
    assert stored(aws) in objects
