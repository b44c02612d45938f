# SPDX-License-Identifier: Apache-2.0
"""The stand-in for AWS, asked by botocore: what botocore reads without complaint has the services' shape."""

import boto3
import botocore.config
import botocore.exceptions
import botocore.parsers
import pytest

from cloudformation_model import Bucket, Secret
from cloudformation_stand_in import KEY, SECRETS, TEMPORARY_KEY, AwsStandIn
from cloudformation_template import KNOWN_LATER
from conftest import ROOT, wait_for

TEMPLATE = (ROOT / "deploy/template.yaml").read_text()
STACK, SUFFIX = "TapStack-dev", "dev"


@pytest.fixture
def aws():
    with AwsStandIn() as stand_in:
        stand_in.world.buckets = {}
        yield stand_in


def client(aws, name, key=KEY, secret=None, **config):
    right, token = SECRETS.get(key, ("none", None))
    return boto3.client(
        name,
        region_name=aws.world.region,
        endpoint_url=aws.url,
        aws_access_key_id=key,
        aws_secret_access_key=secret or right,
        aws_session_token=token,
        config=botocore.config.Config(
            retries={"total_max_attempts": 1, "mode": "standard"},
            request_checksum_calculation="when_required",
            parameter_validation=True,
            **config,
        ),
    )


def parameters(**more):
    given = {"EnvironmentSuffix": SUFFIX, "ArtifactBucket": "zips", "ArtifactKey": "payhook/1.zip", **more}
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]


def code(aws):
    s3 = client(aws, "s3", s3={"addressing_style": "path"})
    aws.world.buckets.setdefault("zips", Bucket(aws.world.account))
    for number in (1, 2):
        s3.put_object(Bucket="zips", Key=f"payhook/{number}.zip", Body=b"PK", ExpectedBucketOwner=aws.world.account)
    return s3


def change_set(aws, kind, name="c1", template=TEMPLATE, tags=None, **more):
    cloudformation = client(aws, "cloudformation")
    made = cloudformation.create_change_set(
        StackName=STACK,
        ChangeSetName=name,
        ChangeSetType=kind,
        TemplateBody=template,
        Parameters=parameters(**more),
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Tags=[{"Key": key, "Value": value} for key, value in (tags or {"Environment": "prod"}).items()],
    )

    def done():
        rows, told = [], None
        for page in cloudformation.get_paginator("describe_change_set").paginate(
            ChangeSetName=made["Id"], IncludePropertyValues=True
        ):
            rows += page["Changes"]
            told = page
        return (told, [row["ResourceChange"] for row in rows]) if told["Status"] in ("CREATE_COMPLETE", "FAILED") else None

    return cloudformation, *wait_for(done)


def execute(aws, cloudformation, name="c1"):
    stack_id = aws.world.stack(STACK).id
    cloudformation.execute_change_set(ChangeSetName=name, StackName=STACK, ClientRequestToken=f"token-{name}")
    wait_for(lambda: not cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"].endswith("PROGRESS"))
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id)
    return [event for page in pages for event in page["StackEvents"]][::-1]


def deploy(aws, kind="CREATE", name="c1", **more):
    cloudformation, _, changes = change_set(aws, kind, name, **more)
    return cloudformation, changes, execute(aws, cloudformation, name)


def statuses(events, name):
    return [event["ResourceStatus"] for event in events if event["LogicalResourceId"] == name]


def refusal(call, *arguments, **how):
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        call(*arguments, **how)
    error = refused.value.response
    return error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Code"], error["Error"]["Message"]


def test_a_stack_comes_changes_and_goes(aws):
    code(aws)
    aws.page_size = 3
    cloudformation, changes, events = deploy(aws)
    assert {row["LogicalResourceId"]: row["Action"] for row in changes} == dict.fromkeys(
        ["Function", "LogGroup", "Role", "Secret", "Table", "Url"], "Add"
    )
    assert KNOWN_LATER in next(row["AfterContext"] for row in changes if row["LogicalResourceId"] == "Role")
    assert statuses(events, "Table") == ["CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS", "CREATE_COMPLETE"]
    assert statuses(events, STACK) == ["REVIEW_IN_PROGRESS", "CREATE_IN_PROGRESS", "CREATE_COMPLETE"]
    times = [event["Timestamp"] for event in events]
    assert times == sorted(times) and len(set(times)) == len(times)
    assert len({event["EventId"] for event in events}) == len(events)
    [stack] = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
    outputs = {row["OutputKey"]: row["OutputValue"] for row in stack["Outputs"]}
    assert len(outputs) == 6 and outputs["LambdaFunctionUrl"].startswith("https://")
    assert outputs["DynamodbTableArn"] == "arn:aws:dynamodb:us-east-1:123456789012:table/envmig-transactions-dev"

    _, changes, events = deploy(aws, "UPDATE", "c2", ArtifactKey="payhook/2.zip", UrlAuthType="NONE", tags={"Owner": "a\n\"b\""})
    told = {row["LogicalResourceId"]: row for row in changes}
    assert {name: row["Action"] for name, row in told.items() if row["Action"] == "Add"} == {
        "UrlPermission": "Add",
        "InvokePermission": "Add",
    }
    sources = [(detail["ChangeSource"], detail.get("CausingEntity")) for detail in told["Function"]["Details"]]
    assert ("ParameterReference", "ArtifactKey") in sources and ("ResourceAttribute", "Role.Arn") in sources
    [key, tag] = [detail["Target"] for detail in told["Function"]["Details"] if detail["Evaluation"] == "Static"]
    assert (key["Path"], key["BeforeValue"], key["AfterValue"]) == (
        "/Properties/Code/S3Key",
        "payhook/1.zip",
        "payhook/2.zip",
    )
    assert (tag["Attribute"], tag["Path"], tag["AfterValue"]) == (
        "Tags",
        "/Properties/Tags/2",
        '{"Key":"Owner","Value":"a\\n\\"b\\""}',
    )
    assert told["Url"]["Replacement"] == "False" and statuses(events, "Url")[-2:] == ["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"]
    _, told, changes = change_set(aws, "UPDATE", "c3", ArtifactKey="payhook/2.zip", UrlAuthType="NONE", tags={"Owner": "a\n\"b\""})
    assert told["Status"] == "FAILED" and "didn't contain changes" in told["StatusReason"] and not changes
    status, kind, _ = refusal(cloudformation.execute_change_set, ChangeSetName="c3", StackName=STACK)
    assert (status, kind) == (400, "InvalidChangeSetStatus")
    cloudformation.delete_change_set(ChangeSetName="c3", StackName=STACK)
    assert refusal(cloudformation.describe_change_set, ChangeSetName="c3", StackName=STACK)[:2] == (404, "ChangeSetNotFound")

    cloudformation.delete_stack(StackName=STACK)
    stack_id = stack["StackId"]
    wait_for(lambda: cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE")
    assert refusal(cloudformation.describe_stacks, StackName=STACK) == (
        400,
        "ValidationError",
        f"Stack with id {STACK} does not exist",
    )
    assert not (aws.world.tables or aws.world.secrets or aws.world.roles or aws.world.functions or aws.world.log_groups)
    cloudformation.delete_stack(StackName=STACK)


def test_a_creation_that_fails(aws):
    code(aws)
    aws.world.failures["CREATE", "Table"] = "Limit of tables <256> & more"
    _, _, events = deploy(aws)
    reasons = {
        event["LogicalResourceId"]: event["ResourceStatusReason"]
        for event in events
        if event["ResourceStatus"] == "CREATE_FAILED"
    }
    assert reasons == {"Table": "Limit of tables <256> & more", "LogGroup": "Resource creation cancelled"}
    assert statuses(events, STACK)[-2:] == ["ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE"]
    assert statuses(events, "Secret")[-2:] == ["DELETE_IN_PROGRESS", "DELETE_COMPLETE"] and not aws.world.secrets
    cloudformation = client(aws, "cloudformation")
    for kind, sentence in {"UPDATE": "is in ROLLBACK_COMPLETE state", "CREATE": "already exists and cannot be"}.items():
        assert sentence in refusal(change_set, aws, kind, "c2")[2]


def test_an_update_that_fails(aws):
    code(aws)
    deploy(aws)
    aws.world.failures["UPDATE", "Function"] = "no"
    _, _, events = deploy(aws, "UPDATE", "c2", ArtifactKey="payhook/2.zip")
    assert statuses(events, STACK)[-4:] == [
        "UPDATE_IN_PROGRESS",
        "UPDATE_ROLLBACK_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE",
    ]
    aws.world.failures["ROLLBACK", "Function"] = "no again"
    _, _, events = deploy(aws, "UPDATE", "c3", ArtifactKey="payhook/2.zip")
    assert statuses(events, STACK)[-1] == "UPDATE_ROLLBACK_FAILED"


def test_a_replacement(aws):
    code(aws)
    deploy(aws, template=TEMPLATE.replace("envmig-transactions-$", "other-$"))
    _, changes, events = deploy(aws, "UPDATE", "c2")
    told = {row["LogicalResourceId"]: row["Replacement"] for row in changes}
    assert told["Table"] == "True" and told["Function"] == "False"
    assert statuses(events, "Table")[-5:] == [
        "UPDATE_IN_PROGRESS",
        "UPDATE_IN_PROGRESS",
        "UPDATE_COMPLETE",
        "DELETE_IN_PROGRESS",
        "DELETE_COMPLETE",
    ]
    assert list(aws.world.tables) == ["envmig-transactions-dev"]
    _, _, events = deploy(aws, "UPDATE", "c3", template=TEMPLATE.replace("transactionId, KeyType", "timestamp, KeyType"))
    assert any("custom-named resource" in event.get("ResourceStatusReason", "") for event in events)


def test_what_it_refuses(aws):
    code(aws)
    cloudformation = client(aws, "cloudformation")
    bare = {"StackName": STACK, "ChangeSetName": "c", "ChangeSetType": "CREATE", "TemplateBody": TEMPLATE}
    full = {**bare, "Capabilities": ["CAPABILITY_NAMED_IAM"], "Parameters": parameters()}
    for asked, kind, sentence in (
        ({**full, "Capabilities": []}, "InsufficientCapabilitiesException", "CAPABILITY_NAMED_IAM"),
        ({**full, "Parameters": []}, "ValidationError", "[ArtifactBucket, ArtifactKey] must have values"),
        ({**full, "Parameters": parameters(Other="1")}, "ValidationError", "[Other] do not exist"),
        ({**full, "Parameters": parameters(Architecture="mips")}, "ValidationError", "Architecture failed"),
        ({**full, "ChangeSetType": "UPDATE"}, "ValidationError", "does not exist"),
        ({**full, "TemplateBody": TEMPLATE + "#" * 51200}, "ValidationError", "less than or equal to 51200"),
        ({**full, "TemplateBody": "a: b: c"}, "ValidationError", "Template format error"),
    ):
        assert refusal(cloudformation.create_change_set, **asked)[:2] == (400, kind)
        assert sentence in refusal(cloudformation.create_change_set, **asked)[2]
    assert STACK not in aws.world.stacks
    cloudformation.create_change_set(**full)
    assert refusal(cloudformation.create_change_set, **full)[1] == "AlreadyExistsException"
    assert refusal(cloudformation.delete_change_set, StackName=STACK, ChangeSetName="c")[1] == "InvalidChangeSetStatus"


def test_the_other_services(aws):
    s3 = code(aws)
    assert s3.head_object(Bucket="zips", Key="payhook/1.zip")["ContentLength"] == 2
    assert refusal(s3.head_object, Bucket="zips", Key="none")[:2] == (404, "404")
    assert refusal(s3.list_objects_v2, Bucket="none")[:2] == (404, "NoSuchBucket")
    assert refusal(s3.head_object, Bucket="zips", Key="payhook/1.zip", ExpectedBucketOwner="999999999999")[0] == 403
    aws.page_size = 1
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="zips", Prefix="payhook/")
    assert [row["Key"] for page in pages for row in page["Contents"]] == ["payhook/1.zip", "payhook/2.zip"]
    s3.delete_object(Bucket="zips", Key="payhook/1.zip")
    assert list(aws.world.buckets["zips"].objects) == ["payhook/2.zip"]
    aws.page_size = 100

    assert client(aws, "sts", TEMPORARY_KEY).get_caller_identity()["Account"] == "123456789012"
    world = aws.world
    secrets = client(aws, "secretsmanager")
    assert refusal(secrets.describe_secret, SecretId="envmig-apikeys-dev")[1] == "ResourceNotFoundException"
    world.secrets["s"] = Secret("arn:aws:secretsmanager:us-east-1:123456789012:secret:s-123456", "one")
    first = secrets.get_secret_value(SecretId="s")
    second = secrets.put_secret_value(SecretId="s", SecretString="two", ClientRequestToken="2" * 32, VersionStages=["MINE"])
    assert world.secrets["s"].text == "one"
    move = {"SecretId": "s", "VersionStage": "AWSCURRENT", "MoveToVersionId": second["VersionId"]}
    assert refusal(secrets.update_secret_version_stage, **move, RemoveFromVersionId="0" * 32)[1] == "InvalidParameterException"
    secrets.update_secret_version_stage(**move, RemoveFromVersionId=first["VersionId"])
    assert secrets.get_secret_value(SecretId="s")["SecretString"] == "two"
    assert secrets.get_secret_value(SecretId="s", VersionStage="AWSPREVIOUS")["SecretString"] == "one"
    world.secrets["s"].leaving = 1
    assert "DeletedDate" in secrets.describe_secret(SecretId="s")
    assert refusal(secrets.get_secret_value, SecretId="s")[1] == "InvalidRequestException"
    assert "DeletedDate" not in refusal(secrets.describe_secret, SecretId="s")

    world.tables["t"] = 3
    assert client(aws, "dynamodb").describe_table(TableName="t")["Table"]["ItemCount"] == 3
    assert client(aws, "dynamodb").scan(TableName="t", Limit=1)["Count"] == 1
    world.log_groups.add("/aws/lambda/a")
    assert len(client(aws, "logs").describe_log_groups(logGroupNamePrefix="/aws")["logGroups"]) == 1
    world.roles["r"] = ["p-1"]
    assert client(aws, "iam").get_role(RoleName="r")["Role"]["RoleName"] == "r"
    assert client(aws, "iam").list_role_policies(RoleName="r")["PolicyNames"] == ["p-1"]
    assert refusal(client(aws, "iam").get_role, RoleName="x")[:2] == (404, "NoSuchEntity")
    functions = client(aws, "lambda")
    world.functions["f"] = {"url": None, "runtime": "python3.11", "permissions": 0}
    assert functions.get_function(FunctionName="f")["Configuration"]["Runtime"] == "python3.11"
    assert refusal(functions.get_function_url_config, FunctionName="f")[:2] == (404, "ResourceNotFoundException")
    assert refusal(functions.get_function, FunctionName="g")[:2] == (404, "ResourceNotFoundException")


def test_faults(aws):
    cloudformation, s3, sts = client(aws, "cloudformation"), code(aws), client(aws, "sts")
    for fault, answer in {
        "throttle": (400, "Throttling"),
        "unavailable": (503, "ServiceUnavailable"),
        "denied": (403, "AccessDenied"),
        "expired": (403, "ExpiredToken"),
        "unknown-key": (403, "InvalidClientTokenId"),
    }.items():
        aws.script("DescribeStacks", fault)
        assert refusal(cloudformation.describe_stacks, StackName="x")[:2] == answer
    aws.script("ListObjectsV2", "throttle")
    assert refusal(s3.list_objects_v2, Bucket="zips")[:2] == (503, "SlowDown")
    for fault, error in {
        "truncated": botocore.parsers.ResponseParserError,
        "cut": botocore.exceptions.HTTPClientError,
        "reset": botocore.exceptions.HTTPClientError,
        "after-reset": botocore.exceptions.HTTPClientError,
    }.items():
        aws.script("GetCallerIdentity", fault)
        with pytest.raises(error):
            sts.get_caller_identity()


def test_signatures(aws):
    assert refusal(client(aws, "sts", "AKIDUNKNOWN").get_caller_identity)[:2] == (403, "InvalidClientTokenId")
    assert refusal(client(aws, "sts", KEY, "not-the-secret").get_caller_identity)[:2] == (403, "SignatureDoesNotMatch")
    assert len(aws.faults) == 1
    aws.faults.clear()


def test_an_import(aws):
    world = aws.world
    world.tables["envmig-transactions-dev"] = 5
    world.log_groups.add("/aws/lambda/envmig-webhook-dev")
    template = "\n".join(
        [
            "Description: d",
            "Parameters: {EnvironmentSuffix: {Type: String}, ArtifactBucket: {Type: String}, ArtifactKey: {Type: String}}",
            "Resources:",
            "  Table:",
            "    Type: AWS::DynamoDB::Table",
            "    DeletionPolicy: Retain",
            "    Properties: {TableName: !Sub 'envmig-transactions-${EnvironmentSuffix}'}",
        ]
    )
    cloudformation = client(aws, "cloudformation")
    asked = {
        "StackName": STACK,
        "ChangeSetName": "i",
        "ChangeSetType": "IMPORT",
        "TemplateBody": template,
        "Parameters": parameters(),
        "ResourcesToImport": [
            {
                "ResourceType": "AWS::DynamoDB::Table",
                "LogicalResourceId": "Table",
                "ResourceIdentifier": {"TableName": "envmig-transactions-dev"},
            }
        ],
    }
    refused = {**asked, "TemplateBody": template + "\nOutputs: {A: {Value: a}}"}
    assert "cannot modify or add [Outputs]" in refusal(cloudformation.create_change_set, **refused)[2]
    made = cloudformation.create_change_set(**asked)
    wait_for(lambda: cloudformation.describe_change_set(ChangeSetName=made["Id"])["Status"] == "CREATE_COMPLETE")
    [change] = cloudformation.describe_change_set(ChangeSetName=made["Id"])["Changes"]
    assert change["ResourceChange"]["Action"] == "Import"
    events = execute(aws, cloudformation, "i")
    assert statuses(events, STACK)[-2:] == ["IMPORT_IN_PROGRESS", "IMPORT_COMPLETE"]
    cloudformation.delete_stack(StackName=STACK)
    wait_for(lambda: (cloudformation.describe_stacks(StackName=made["StackId"]), STACK not in world.stacks)[1])
    assert world.tables == {"envmig-transactions-dev": 5}  # retained
