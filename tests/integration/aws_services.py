# SPDX-License-Identifier: Apache-2.0
"""The services of the stand-in for AWS other than CloudFormation: what they answer to each action, from the World that the
stacks change. A part of cloudformation_stand_in.AwsStandIn, which brings the server, the pages and the errors."""

import base64
import collections
import hashlib
import time
from xml.sax.saxutils import escape

from cloudformation_template import Refused

XML = {
    "cloudformation": "http://cloudformation.amazonaws.com/doc/2010-05-15/",
    "iam": "https://iam.amazonaws.com/doc/2010-05-08/",
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
    "s3": "http://s3.amazonaws.com/doc/2006-03-01/",
}
Answer = collections.namedtuple("Answer", "status type body headers", defaults=({},))


def xml(value, name, indent=0):
    """A dict as elements, a list as members, as the service writes them: indented, quotes as entities."""
    space = "  " * indent
    if value is None:
        return ""
    if isinstance(value, dict):
        inner = "".join(xml(member, key, indent + 1) for key, member in value.items())
        return f"{space}<{name}>\n{inner}{space}</{name}>\n" if inner else f"{space}<{name}/>\n"
    if isinstance(value, list):
        inner = "".join(xml(member, "member", indent + 1) for member in value)
        return f"{space}<{name}>\n{inner}{space}</{name}>\n" if inner else f"{space}<{name}/>\n"
    return f"{space}<{name}>{escape(str(value), {chr(34): '&quot;', chr(10): '&#xA;'})}</{name}>\n"


class Services:
    # ---- STS, IAM

    def sts_GetCallerIdentity(self, _):
        return {
            "Arn": f"arn:aws:iam::{self.world.account}:user/someone",
            "UserId": "AIDAEXAMPLE",
            "Account": self.world.account,
        }

    def role(self, asked):
        name = asked["RoleName"]
        if name not in self.world.roles:
            raise Refused("NoSuchEntity", f"The role with name {name} cannot be found.", 404)
        return name

    def iam_GetRole(self, asked):
        name = self.role(asked)
        return {
            "Role": {
                "Path": "/",
                "RoleName": name,
                "RoleId": "AROAEXAMPLE",
                "Arn": self.world.arn("iam", f"role/{name}", region=""),
                "CreateDate": "2025-01-02T03:04:05Z",
                "AssumeRolePolicyDocument": "%7B%7D",
            }
        }

    def iam_ListRolePolicies(self, asked):
        return {"PolicyNames": list(self.world.roles[self.role(asked)]), "IsTruncated": "false"}

    # ---- S3

    def bucket(self, asked):
        name = asked["Bucket"]
        if name not in self.world.buckets:
            raise Refused("NoSuchBucket", "The specified bucket does not exist", 404)
        bucket = self.world.buckets[name]
        if bucket.owner != self.world.account or asked["Owner"] not in (None, bucket.owner):
            raise Refused("AccessDenied", "Access Denied", 403)
        return bucket

    def s3_HeadBucket(self, asked, *_):
        self.bucket(asked)
        return Answer(200, "application/xml", b"", {"x-amz-bucket-region": self.world.region})

    def s3_HeadObject(self, asked, *_):
        bucket = self.bucket(asked)
        if asked["Key"] not in bucket.objects:
            raise Refused("NoSuchKey", "The specified key does not exist.", 404)
        return Answer(200, "application/zip", bucket.objects[asked["Key"]], {"ETag": '"0"'})

    def s3_PutObject(self, asked, _, body):
        self.bucket(asked).objects[asked["Key"]] = body
        self.uploads.append(asked["Key"])
        return Answer(200, "application/xml", b"", {"ETag": f'"{hashlib.md5(body).hexdigest()}"'})

    def s3_DeleteObject(self, asked, *_):
        self.bucket(asked).objects.pop(asked["Key"], None)
        return Answer(204, "application/xml", b"")

    def s3_ListObjectsV2(self, asked, *_):
        keys = [key for key in sorted(self.bucket(asked).objects) if key.startswith(asked.get("prefix", ""))]
        rows, token = self.page(keys, asked.get("continuation-token"))
        most = int(asked.get("max-keys", 1000))
        rows, token = (rows[:most], token) if len(rows) <= most else (rows[:most], base64.b64encode(str(most).encode()).decode())
        text = '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="%s">' % XML["s3"]
        text += xml(asked["Bucket"], "Name") + xml(asked.get("prefix", ""), "Prefix") + xml(len(rows), "KeyCount")
        text += xml("true" if token else "false", "IsTruncated") + xml(token, "NextContinuationToken")
        text += "".join(xml({"Key": key, "Size": 1, "LastModified": "2025-01-02T03:04:05.000Z"}, "Contents") for key in rows)
        return Answer(200, "application/xml", (text + "</ListBucketResult>").replace("\n  ", "").encode())

    # ---- Secrets Manager

    def secret(self, asked):
        wanted = asked["SecretId"]
        for name, secret in self.world.secrets.items():
            if wanted in (name, secret.arn):
                return name, secret
        raise Refused("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")

    def living_secret(self, asked):
        name, secret = self.secret(asked)
        if secret.leaving is not None:
            message = "You can't perform this operation on the secret because it was marked for deletion."
            raise Refused("InvalidRequestException", message)
        return name, secret

    def secretsmanager_DescribeSecret(self, asked):
        name, secret = self.secret(asked)
        if secret.leaving is not None:
            secret.leaving -= 1
            if secret.leaving < 0:
                del self.world.secrets[name]
                return self.secret(asked)
            return {"ARN": secret.arn, "Name": name, "DeletedDate": time.time()}
        return {"ARN": secret.arn, "Name": name, "VersionIdsToStages": stages_of(secret)}

    def secretsmanager_GetSecretValue(self, asked):
        name, secret = self.living_secret(asked)
        version = asked.get("VersionId") or secret.stages.get(asked.get("VersionStage", "AWSCURRENT"))
        if version not in secret.versions:
            raise Refused("ResourceNotFoundException", "Secrets Manager can't find the specified secret value.")
        stages = stages_of(secret).get(version, [])
        text = secret.versions[version]
        return {"ARN": secret.arn, "Name": name, "VersionId": version, "SecretString": text, "VersionStages": stages}

    def secretsmanager_PutSecretValue(self, asked):
        name, secret = self.living_secret(asked)
        version = asked["ClientRequestToken"]
        assert 32 <= len(version) <= 64, version
        if secret.versions.get(version, asked["SecretString"]) != asked["SecretString"]:
            raise Refused("ResourceExistsException", f"A version {version} with another value exists.")
        secret.versions[version] = asked["SecretString"]
        stages = asked.get("VersionStages", ["AWSCURRENT"])
        for stage in stages:
            move_stage(secret, stage, version)
        return {"ARN": secret.arn, "Name": name, "VersionId": version, "VersionStages": stages}

    def secretsmanager_UpdateSecretVersionStage(self, asked):
        name, secret = self.living_secret(asked)
        stage, source, target = asked["VersionStage"], asked.get("RemoveFromVersionId"), asked.get("MoveToVersionId")
        holder = secret.stages.get(stage)
        if holder is not None and target is not None and source != holder:
            message = f"The staging label {stage} is currently attached to version {holder}."
            raise Refused("InvalidParameterException", message)
        if source is not None and source != holder:
            raise Refused("InvalidParameterException", f"The staging label {stage} is not attached to version {source}.")
        if target is None:
            secret.stages.pop(stage)
        else:
            assert target in secret.versions, target
            move_stage(secret, stage, target)
        return {"ARN": secret.arn, "Name": name}

    # ---- DynamoDB, Logs, Lambda

    def dynamodb_DescribeTable(self, asked):
        name = asked["TableName"]
        if name not in self.world.tables:
            raise Refused("ResourceNotFoundException", f"Requested resource not found: Table: {name} not found")
        return {
            "Table": {
                "TableName": name,
                "TableStatus": "ACTIVE",
                "TableArn": self.world.arn("dynamodb", f"table/{name}"),
                "ItemCount": self.world.tables[name],
            }
        }

    def dynamodb_Scan(self, asked):
        """Whether there is anything: keys alone, as many as asked for."""
        count = self.world.tables[asked["TableName"]]
        assert asked.get("Limit", 0) <= 10, asked
        rows = [{"transactionId": {"S": f"t-{i}"}} for i in range(min(count, asked["Limit"]))]
        last = {"LastEvaluatedKey": rows[-1]} if count > len(rows) else {}
        return {"Count": len(rows), "ScannedCount": len(rows), "Items": rows, **last}

    def logs_DescribeLogGroups(self, asked):
        prefix = asked.get("logGroupNamePrefix", "")
        rows = [
            {"logGroupName": name, "arn": self.world.arn("logs", f"log-group:{name}:*")}
            for name in sorted(self.world.log_groups)
            if name.startswith(prefix)
        ]
        most = asked.get("limit", 50)
        return {"logGroups": rows[:most]}

    def function(self, asked):
        name = asked["FunctionName"]
        if name not in self.world.functions:
            message = f"Function not found: {self.world.arn('lambda', 'function:' + name)}"
            raise Refused("ResourceNotFoundException", message, 404)
        return name, self.world.functions[name]

    def lambda_GetFunctionConfiguration(self, asked):
        name, function = self.function(asked)
        arn = self.world.arn("lambda", f"function:{name}")
        return {"FunctionName": name, "FunctionArn": arn, "Runtime": function["runtime"]}

    def lambda_GetFunction(self, asked):
        return {"Configuration": self.lambda_GetFunctionConfiguration(asked), "Code": {"RepositoryType": "S3"}}

    def lambda_GetFunctionUrlConfig(self, asked):
        name, function = self.function(asked)
        if function["url"] is None:
            raise Refused("ResourceNotFoundException", "The resource you requested does not exist.", 404)
        arn = self.world.arn("lambda", f"function:{name}")
        return {"FunctionUrl": function["url"]["address"], "FunctionArn": arn, "AuthType": function["url"]["auth"]}


def stages_of(secret):
    found = collections.defaultdict(list)
    for stage, version in secret.stages.items():
        found[version].append(stage)
    return dict(found)


def move_stage(secret, stage, version):
    """AWSCURRENT leaves AWSPREVIOUS behind."""
    before = secret.stages.get(stage)
    if stage == "AWSCURRENT" and before is not None and before != version:
        secret.stages["AWSPREVIOUS"] = before
    secret.stages[stage] = version
