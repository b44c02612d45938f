# SPDX-License-Identifier: Apache-2.0
"""`payhook stack` from nothing to a stored webhook and back to nothing, as README tells it, on an emulator of AWS:
MiniStack makes what the templates say, and runs the function. What it made is looked at through boto3, against the table
that the templates are held to (tests/data/stack/resources.json), as far as the emulator keeps it: it has no
point-in-time recovery, and its events have no IAM block, hence PAYHOOK_TRUST_DOOR."""

import json
import re
import urllib.parse

import pytest

from conftest import ROOT, wait_for

pytestmark = pytest.mark.slow
boto3 = pytest.importorskip("boto3")
pytest.importorskip("ministack")

from ministack_help import MiniStack  # noqa: E402
from test_lambda_package import package  # noqa: E402, F401: a fixture

SUFFIX, STACK = "e2e", "TapStack-e2e"
WANTED = json.loads((ROOT / "tests/data/stack/resources.json").read_text().replace("{s}", SUFFIX))
TAGS = {**WANTED["tags"], "Owner": "me"}
STRIPE = "whsec_" + "k" * 24


class Aws:
    """The emulator, its clients, and the command run against it."""

    def __init__(self, home, stack, zip_path):
        self.home, self.stack, self.zip, self.clients = home, stack, zip_path, {}
        self.environment = {
            "AWS_ENDPOINT_URL": stack.url,
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "an-invented-secret",
            "AWS_REGION": "us-east-1",
            "ENVIRONMENT_SUFFIX": SUFFIX,
            "PAYHOOK_STACK_POLL_MS": "50",
        }

    def client(self, name):
        if name not in self.clients:
            self.clients[name] = boto3.client(
                name,
                region_name="us-east-1",
                endpoint_url=self.stack.url,
                aws_access_key_id="AKIDEXAMPLE",
                aws_secret_access_key="an-invented-secret",
            )
        return self.clients[name]

    def run(self, *words, code=0, **environment):
        done = self.home.run(*words, environment={**self.environment, **environment}, timeout=120)
        assert done.returncode == code, (done, self.stack.log())
        return done.stdout.decode()

    def everything(self):
        """Whatever any of the services has, by name."""
        stacks = self.client("cloudformation").list_stacks()["StackSummaries"]
        functions = [function["FunctionName"] for function in self.client("lambda").list_functions()["Functions"]]
        return {
            "stacks": [one["StackName"] for one in stacks if one["StackStatus"] != "DELETE_COMPLETE"],
            "buckets": [bucket["Name"] for bucket in self.client("s3").list_buckets()["Buckets"]],
            "tables": self.client("dynamodb").list_tables()["TableNames"],
            "secrets": [
                secret["Name"]
                for secret in self.client("secretsmanager").list_secrets(IncludePlannedDeletion=True)["SecretList"]
            ],
            "logs": [group["logGroupName"] for group in self.client("logs").describe_log_groups()["logGroups"]],
            "roles": [role["RoleName"] for role in self.client("iam").list_roles()["Roles"]],
            "policies": [policy["Arn"] for policy in self.client("iam").list_policies(Scope="Local")["Policies"]],
            "functions": functions,
        }

    def set_environment(self, more):
        """The function's variables as the stack made them, and more."""
        name = WANTED["resources"]["function"]["name"]
        functions = self.client("lambda")
        variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        kept = {key: value for key, value in variables.items() if key not in ("PAYHOOK_TRUST_DOOR", "AWS_ENDPOINT_URL")}
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": {**kept, **more}})

    def address(self, url):
        """Where the emulator serves a function URL: its own host, in whose place *.localhost is known to every client."""
        parts = urllib.parse.urlsplit(url)
        assert re.fullmatch(r"[a-z0-9]+\.lambda-url\.us-east-1\.on\.aws", parts.netloc) and parts.scheme == "https"
        return f"http://{parts.netloc.removesuffix('.on.aws')}.localhost:{urllib.parse.urlsplit(self.stack.url).port}/"


@pytest.fixture
def aws(home, package, tmp_path):  # noqa: F811
    folder = tmp_path / "ministack"
    folder.mkdir()
    with MiniStack(folder) as stack:
        yield Aws(home, stack, package)


def tags_of(rows, key="Key", value="Value"):
    return {row[key]: row[value] for row in rows if not row[key].startswith("aws:")}


def check_secret(aws, wanted, settings):
    secrets = aws.client("secretsmanager")
    described = secrets.describe_secret(SecretId=wanted["name"])
    assert described["Description"] == settings["description"] and tags_of(described["Tags"]) == TAGS
    return secrets.get_secret_value(SecretId=wanted["name"])["SecretString"]


def check_table(aws, wanted, settings):
    dynamodb = aws.client("dynamodb")
    table = dynamodb.describe_table(TableName=wanted["name"])["Table"]
    assert table["BillingModeSummary"]["BillingMode"] == settings["billing"]
    attributes = {row["AttributeName"]: row["AttributeType"] for row in table["AttributeDefinitions"]}
    assert attributes == settings["attributes"] and not table.get("DeletionProtectionEnabled", False)
    assert table["KeySchema"] == [{"AttributeName": settings["hash_key"], "KeyType": "HASH"}]
    [index] = table["GlobalSecondaryIndexes"]
    [(name, how)] = settings["indexes"].items()
    assert index["IndexName"] == name and index["KeySchema"] == [{"AttributeName": how["hash_key"], "KeyType": "HASH"}]
    assert index["Projection"]["ProjectionType"] == how["projection"]
    assert tags_of(dynamodb.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]) == TAGS
    return table["TableArn"]


def check_logs(aws, wanted, settings):
    [group] = aws.client("logs").describe_log_groups(logGroupNamePrefix=wanted["name"])["logGroups"]
    assert group["retentionInDays"] == settings["retention_days"]


def check_role(aws, wanted, settings, arns):
    iam = aws.client("iam")
    role = iam.get_role(RoleName=wanted["name"])["Role"]
    [trust] = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "lambda.amazonaws.com"} and trust["Action"] in ("sts:AssumeRole", ["sts:AssumeRole"])
    attached = iam.list_attached_role_policies(RoleName=wanted["name"])["AttachedPolicies"]
    assert sorted(policy["PolicyArn"] for policy in attached) == settings["managed_policies"]
    [name] = iam.list_role_policies(RoleName=wanted["name"])["PolicyNames"]
    document = iam.get_role_policy(RoleName=wanted["name"], PolicyName=name)["PolicyDocument"]
    text = json.dumps(settings["policies"][name])
    for key, arn in arns.items():
        text = text.replace(key, arn)
    assert document == json.loads(text)
    return role["Arn"]


def check_function(aws, wanted, settings, arns):
    functions = aws.client("lambda")
    function = functions.get_function_configuration(FunctionName=wanted["name"])
    assert (function["Runtime"], function["Handler"]) == (settings["runtime"], settings["handler"])
    assert (function["MemorySize"], function["Timeout"]) == (settings["memory_mb"], settings["timeout_s"])
    assert function["Architectures"] == settings["architectures"] and function["TracingConfig"]["Mode"] == "Active"
    assert function["Role"] == arns["<role.arn>"] and function["CodeSize"] == aws.zip.stat().st_size
    text = json.dumps(settings["environment"])
    for key, value in arns.items():
        text = text.replace(key, value)
    assert function["Environment"]["Variables"] == json.loads(text)
    return function["FunctionArn"]


def check_url(aws, wanted, auth="AWS_IAM"):
    url = aws.client("lambda").get_function_url_config(FunctionName=WANTED["resources"]["function"]["name"])
    cors, said = url["Cors"], wanted["settings"]["cors"]
    assert url["AuthType"] == auth and (cors["AllowCredentials"], cors["MaxAge"]) == (said["credentials"], said["max_age_s"])
    assert (cors["AllowOrigins"], cors["AllowMethods"], cors["AllowHeaders"]) == (said["origins"], said["methods"], said["headers"])


def check_all(aws, outputs):
    """Every resource; gives the secret's text."""
    resources = WANTED["resources"]
    secret_text = check_secret(aws, resources["secret"], resources["secret"]["settings"])
    arns = {
        "<secret.arn>": aws.client("secretsmanager").describe_secret(SecretId=resources["secret"]["name"])["ARN"],
        "<table.arn>": check_table(aws, resources["table"], resources["table"]["settings"]),
        "<table.name>": resources["table"]["name"],
    }
    check_logs(aws, resources["log_group"], resources["log_group"]["settings"])
    arns["<role.arn>"] = check_role(aws, resources["role"], resources["role"]["settings"], arns)
    arns["<function.arn>"] = check_function(aws, resources["function"], resources["function"]["settings"], arns)
    arns["<function.name>"] = resources["function"]["name"]
    check_url(aws, resources["url"])
    told = {name: arns.get(value) for name, value in WANTED["outputs"].items() if value in arns}
    assert {**told, "lambda_function_url": outputs["lambda_function_url"]} == outputs
    return secret_text


def check_bucket(aws, bucket):
    s3 = aws.client("s3")
    [rule] = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    [statement] = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    assert statement["Effect"] == "Deny" and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    [item] = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert re.fullmatch(rf"payhook/{SUFFIX}/x86_64/[0-9a-f]{{64}}\.zip", item["Key"]) and item["Size"] == aws.zip.stat().st_size


def test_from_nothing_to_a_webhook_and_back(aws, home):
    before = aws.everything()
    up = ["stack", "up", "--yes", "--zip", aws.zip, "--tag", "Owner=me"]

    plan = aws.run("stack", "preview", "--zip", aws.zip)
    assert all(name in plan for name in ("Secret", "Table", "LogGroup", "Role", "Function", "Url")), plan
    assert aws.everything() == before

    text = aws.run(*up)
    outputs = json.loads(aws.run("stack", "outputs", "--json"))
    assert list(outputs) == list(WANTED["outputs"]) and all(value in text for value in outputs.values())
    first_secret = check_all(aws, outputs)
    assert first_secret == WANTED["resources"]["secret"]["settings"]["first_value"]
    [bucket] = aws.everything()["buckets"]
    check_bucket(aws, bucket)
    url = aws.run("stack", "outputs", "lambda_function_url").rstrip("\n")
    assert url == outputs["lambda_function_url"]

    # A webhook, stored and shown.
    table = outputs["dynamodb_table_name"]
    address = aws.address(url)
    aws.set_environment({"PAYHOOK_TRUST_DOOR": "1", "AWS_ENDPOINT_URL": aws.stack.url})
    answer = aws.run("send", "--transaction", "test-123", address)
    assert answer.startswith("200\n") and "test-123" in answer
    shown = json.loads(aws.run("show", "test-123", "--json", "--store", f"dynamodb:{table}"))
    assert shown["transaction_id"] == "test-123" and len(shown["events"]) == 1
    aws.set_environment({"AWS_ENDPOINT_URL": aws.stack.url})
    refused = aws.home.run("send", "--transaction", "test-124", address, environment=aws.environment)
    assert refused.stdout.startswith(b"403\n"), refused  # the door is what the emulator leaves out

    # A provider's secret; an up later leaves it alone.
    aws.run("stack", "secret", "set", "stripe", "--from", "env:STRIPE_SECRET", STRIPE_SECRET=STRIPE)
    secrets = aws.client("secretsmanager")
    held = secrets.get_secret_value(SecretId=outputs["secrets_manager_arn"])
    document = json.loads(held["SecretString"])
    assert document == {**json.loads(first_secret), "sources": {"stripe": {"provider": "stripe", "secrets": [STRIPE]}}}
    before_up = aws.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    aws.run(*up)
    after_up = aws.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    assert before_up.get("LastUpdatedTime") == after_up.get("LastUpdatedTime")  # there was nothing to do
    assert secrets.get_secret_value(SecretId=outputs["secrets_manager_arn"])["VersionId"] == held["VersionId"]

    # The URL opened: the provider itself may call, and its secret is what lets it in.
    aws.run(*up, "--auth", "NONE")
    check_url(aws, WANTED["resources"]["url"], "NONE")
    policy = json.loads(aws.client("lambda").get_policy(FunctionName=outputs["lambda_function_name"])["Policy"])
    assert {row["Action"] for row in policy["Statement"]} == {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"}
    assert aws.run("stack", "outputs", "lambda_function_url") == url + "\n"
    body = '{"id":"evt_1","type":"charge.succeeded","data":{"object":{"id":"ch_1"}}}'
    hook = ["send", "--as", "stripe", "--secret", "env:STRIPE_SECRET", "-d", body, address + "hooks/stripe"]
    answer = aws.run(*hook, STRIPE_SECRET=STRIPE)
    assert answer.startswith("200\n") and '"transactionId": "ch_1"' in answer
    wrong = aws.home.run(*hook, environment={**aws.environment, "STRIPE_SECRET": "whsec_" + "n" * 24})
    assert wrong.stdout[:3] in (b"400", b"401"), wrong
    assert len(aws.client("dynamodb").scan(TableName=table)["Items"]) >= 2
    assert secrets.get_secret_value(SecretId=outputs["secrets_manager_arn"])["VersionId"] == held["VersionId"]

    aws.run("stack", "destroy", "--yes")
    wait_for(lambda: aws.everything() == before, what=f"an end with nothing left: {aws.everything()}")
    aws.run("stack", "outputs", code=1)


def test_taking_over_what_runs(aws):
    """The parts that the emulator can import: not the secret, not the URL."""
    before = aws.everything()
    resources = WANTED["resources"]
    aws.client("dynamodb").create_table(
        TableName=resources["table"]["name"],
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "transactionId", "AttributeType": "S"},
            {"AttributeName": "timestamp", "AttributeType": "N"},
        ],
        KeySchema=[{"AttributeName": "transactionId", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "timestamp-index",
                "KeySchema": [{"AttributeName": "timestamp", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    item = {"transactionId": {"S": "an-old-one"}, "timestamp": {"N": "1"}, "payload": {"S": "{}"}}
    aws.client("dynamodb").put_item(TableName=resources["table"]["name"], Item=item)
    aws.client("logs").create_log_group(logGroupName=resources["log_group"]["name"])
    up = ["stack", "up", "--yes", "--zip", aws.zip, "--tag", "Owner=me"]
    aws.run(*up, code=1)
    assert STACK not in aws.everything()["stacks"]
    aws.run(*up, "--import")
    check_all(aws, json.loads(aws.run("stack", "outputs", "--json")))
    assert aws.client("dynamodb").scan(TableName=resources["table"]["name"])["Items"] == [item]
    aws.run("stack", "destroy", "--yes")
    wait_for(lambda: aws.everything() == before, what=f"an end with nothing left: {aws.everything()}")
