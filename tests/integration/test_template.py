# SPDX-License-Identifier: Apache-2.0
"""deploy/'s templates against one table, tests/data/stack/resources.json. Each file is read into the table's own words:
every property is taken by a name that is known here, and one that is not is a failure, so that a file which says more,
less or something else than the table fails. Whether AWS takes them is cfn-lint's to say, with AWS's own schemas."""

import importlib.resources
import json
import re

import cfnlint.api
import cfnlint.decode
import pytest
import yaml

from conftest import ROOT

TABLE = json.loads((ROOT / "tests/data/stack/resources.json").read_text())
DEPLOY = ROOT / "deploy"
TEMPLATES = ["template.yaml", "artifacts.yaml", "import.yaml"]
SUFFIX = "x7"
PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::AccountId": "123456789012",
    "AWS::Region": "us-east-1",
    "AWS::NoValue": None,
}


def with_suffix(value, suffix=SUFFIX):
    """The table's value with its {s}."""
    return json.loads(json.dumps(value).replace("{s}", suffix))


def take(properties, *names):
    """Takes these out, None where one is not there."""
    values = [properties.pop(name, None) for name in names]
    return values[0] if len(values) == 1 else values


def statements(policy):
    """A policy with its Action as a sorted list, however it was written."""
    policy = json.loads(policy) if isinstance(policy, str) else policy
    for statement in policy["Statement"]:
        actions = statement["Action"]
        statement["Action"] = sorted([actions] if isinstance(actions, str) else actions)
    return policy


# What a resource of CloudFormation is called in the table, and what Ref and GetAtt of it are.
KINDS = {
    "AWS::SecretsManager::Secret": ("secret", "arn", {"Id": "arn"}),
    "AWS::DynamoDB::Table": ("table", "name", {"Arn": "arn"}),
    "AWS::Logs::LogGroup": ("log_group", "name", {"Arn": "arn"}),
    "AWS::IAM::Role": ("role", "name", {"Arn": "arn"}),
    "AWS::Lambda::Function": ("function", "name", {"Arn": "arn"}),
    "AWS::Lambda::Url": ("url", "function_arn", {"FunctionUrl": "url"}),
    "AWS::Lambda::Permission": ("permission", "id", {}),
    "AWS::S3::Bucket": ("bucket", "name", {"Arn": "arn"}),
    "AWS::S3::BucketPolicy": ("bucket_policy", "id", {}),
}


class Template:
    """A CloudFormation template with its parameters put in; references become <row.attribute>."""

    def __init__(self, file, **parameters):
        self.raw, problems = cfnlint.decode.decode(str(DEPLOY / file))
        assert not problems
        self.parameters = {}
        for name, declared in self.raw.get("Parameters", {}).items():
            value = parameters.pop(name, declared.get("Default"))
            assert value is not None, f"{name} has no default"
            self.parameters[name] = value.split(",") if declared["Type"] == "CommaDelimitedList" else value
        assert not parameters
        self.kinds = {id: KINDS[resource["Type"]] for id, resource in self.raw["Resources"].items()}
        self.conditions = {name: self.value(rule) for name, rule in self.raw.get("Conditions", {}).items()}
        self.resources = {
            id: resource
            for id, resource in self.raw["Resources"].items()
            if self.conditions.get(resource.get("Condition"), True)
        }

    def reference(self, name):
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self.parameters:
            return self.parameters[name]
        id, _, attribute = name.partition(".")
        row, ref, attributes = self.kinds[id]
        return f"<{row}.{attributes[attribute] if attribute else ref}>"

    def value(self, value):
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((function, argument),) = value.items()
            if function == "Ref":
                return self.reference(argument)
            if function == "Fn::GetAtt":
                return self.reference(argument if isinstance(argument, str) else ".".join(argument))
            if function == "Fn::Sub":
                return re.sub(r"\$\{([^}]+)\}", lambda found: self.reference(found[1]), argument)
            if function == "Fn::Equals":
                return self.value(argument[0]) == self.value(argument[1])
            if function == "Fn::If":
                return self.value(argument[1] if self.conditions[argument[0]] else argument[2])
            assert not function.startswith("Fn::"), function
        return {name: self.value(item) for name, item in value.items()}

    def rows(self):
        """The rows of the table that this template makes, and its permissions."""
        rows, permissions = {}, []
        for id, resource in self.resources.items():
            resource = dict(resource)
            row, properties = self.kinds[id][0], self.value(take(resource, "Properties"))
            goes = (take(resource, "DeletionPolicy") or "Delete") == "Delete"
            replaced = (take(resource, "UpdateReplacePolicy") or "Delete") == "Delete"
            assert goes == replaced, f"{id}: DeletionPolicy and UpdateReplacePolicy"
            after = take(resource, "DependsOn") or []
            after = {self.kinds[other][0] for other in ([after] if isinstance(after, str) else after)}
            after |= {self.kinds[other][0] for other in re.findall(r"'Fn::GetAtt': \['(\w+)", str(dict(resource)))}
            take(resource, "Type", "Condition")
            assert not resource, f"{id}: {list(resource)}"
            if row == "permission":
                permissions.append(properties)
                continue
            after |= set(re.findall(r"<(\w+)\.", str(properties)))
            assert row not in rows
            rows[row] = {**FROM_TEMPLATE[row](properties), "goes_at_once": goes}
            if row in ("function", "url"):
                rows[row]["after"] = sorted(after - {"secret", "table"})
            tags = take(properties, "Tags")
            rows[row]["tags"] = tags and {tag["Key"]: tag["Value"] for tag in tags}
            assert not properties, f"{id}: {list(properties)}"
        return rows, sorted(permissions, key=str)

    def outputs(self):
        """By the names that `payhook stack outputs` makes of them."""
        return {
            re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(): self.value(output["Value"])
            for name, output in self.raw.get("Outputs", {}).items()
        }


def secret_of(it):
    name, description, value = take(it, "Name", "Description", "SecretString")
    # CloudFormation writes the value again when its text changes. A text without any reference never does.
    return {"name": name, "description": description, "first_value": value, "value_kept_by_updates": True}


def table_of(it):
    name, billing, attributes, key, indexes, recovery, protection = take(
        it,
        "TableName",
        "BillingMode",
        "AttributeDefinitions",
        "KeySchema",
        "GlobalSecondaryIndexes",
        "PointInTimeRecoverySpecification",
        "DeletionProtectionEnabled",
    )
    (hash_key,) = key
    assert hash_key.pop("KeyType") == "HASH"
    made = {}
    for index in indexes:
        (index_key,) = take(index, "KeySchema")
        assert index_key.pop("KeyType") == "HASH"
        made[take(index, "IndexName")] = {**index_key, **take(index, "Projection")}
        assert not index
    return {
        "name": name,
        "billing": billing,
        "attributes": {attribute["AttributeName"]: attribute["AttributeType"] for attribute in attributes},
        "hash_key": hash_key["AttributeName"],
        "indexes": {
            name: {"hash_key": index.pop("AttributeName"), "projection": index.pop("ProjectionType"), **index}
            for name, index in made.items()
        },
        "point_in_time_recovery": recovery["PointInTimeRecoveryEnabled"],
        "deletion_protection": protection,
    }


def role_of(it):
    name, trust, managed, policies = take(
        it, "RoleName", "AssumeRolePolicyDocument", "ManagedPolicyArns", "Policies"
    )
    return {
        "name": name,
        "trust": statements(trust),
        "managed_policies": sorted(managed),
        "policies": {policy["PolicyName"]: statements(policy["PolicyDocument"]) for policy in policies or []},
    }


def function_of(it):
    code = take(it, "Code")
    if set(code) == {"S3Bucket", "S3Key"}:
        code = "the zip" if code == {"S3Bucket": "a-bucket", "S3Key": "a/key.zip"} else code
    else:
        code = code["ZipFile"]
    names = "FunctionName", "Runtime", "Handler", "Architectures", "Role", "MemorySize", "Timeout"
    name, runtime, handler, architectures, role, memory, timeout = take(it, *names)
    tracing, environment = take(it, "TracingConfig", "Environment")
    return {
        "name": name,
        "runtime": runtime,
        "handler": handler,
        "architectures": architectures,
        "code": code,
        "role": role,
        "memory_mb": memory,
        "timeout_s": timeout,
        "tracing": tracing["Mode"],
        "environment": environment and environment["Variables"],
    }


def url_of(it):
    function, auth, cors = take(it, "TargetFunctionArn", "AuthType", "Cors")
    credentials, origins, methods, headers, age = take(
        cors, "AllowCredentials", "AllowOrigins", "AllowMethods", "AllowHeaders", "MaxAge"
    )
    assert not cors
    return {
        "name": None,
        "function": "<function.name>" if function == f"envmig-webhook-{SUFFIX}" else function,
        "auth": auth,
        "cors": {
            "credentials": credentials,
            "origins": origins,
            "methods": methods,
            "headers": headers,
            "max_age_s": age,
        },
    }


def log_group_of(it):
    name, days = take(it, "LogGroupName", "RetentionInDays")
    return {"name": name, "retention_days": days}


FROM_TEMPLATE = {
    "secret": secret_of,
    "table": table_of,
    "log_group": log_group_of,
    "role": role_of,
    "function": function_of,
    "url": url_of,
}


def expected(row, changes=None):
    declared = with_suffix(TABLE["resources"][row])
    return {
        "name": declared["name"],
        **declared["settings"],
        **(changes or {}),
        "tags": TABLE["tags"] if declared["tagged"] else None,
    }


def deployed(**parameters):
    return Template(
        "template.yaml",
        **{"EnvironmentSuffix": SUFFIX, "ArtifactBucket": "a-bucket", "ArtifactKey": "a/key.zip", **parameters},
    )


@pytest.mark.parametrize("row", TABLE["resources"])
def test_template_makes_the_table(row):
    assert deployed().rows()[0][row] == expected(row)


def test_template_makes_nothing_else():
    template = deployed()
    rows, permissions = template.rows()
    assert set(rows) == set(TABLE["resources"])
    assert {template.kinds[id][0]: id for id in template.resources} == {
        row: declared["template"] for row, declared in TABLE["resources"].items()
    }
    assert permissions == []
    assert template.outputs() == TABLE["outputs"]


def test_template_open():
    """UrlAuthType NONE adds both permissions, and changes nothing but the URL."""
    rows, permissions = deployed(UrlAuthType="NONE", CorsOrigins="https://a.example,https://b.example").rows()
    wanted = with_suffix(TABLE["open"]["permissions"])
    for permission in wanted:
        permission["FunctionName"] = f"envmig-webhook-{SUFFIX}"
    assert permissions == sorted(wanted, key=str)
    url = rows.pop("url")
    assert (url["auth"], url["cors"]["origins"]) == ("NONE", ["https://a.example", "https://b.example"])
    assert rows == {row: expected(row) for row in TABLE["resources"] if row != "url"}


def test_template_architecture():
    rows, _ = deployed(Architecture="arm64").rows()
    assert rows["function"] == expected("function", {"architectures": ["arm64"]})


def test_the_first_value_refers_to_nothing():
    """Or an update could change its text, and write it over the operator's keys."""
    for template in deployed(), Template("import.yaml"):
        value = template.raw["Resources"]["Secret"]["Properties"]["SecretString"]
        assert value == TABLE["resources"]["secret"]["settings"]["first_value"]


@pytest.mark.parametrize("name", TABLE["parameters"])
def test_template_parameters(name):
    raw = deployed().raw["Parameters"]
    assert set(raw) == set(TABLE["parameters"])
    declared, wanted = raw[name], TABLE["parameters"][name]
    assert declared.get("Default") == wanted.get("default")
    assert declared["Description"]
    assert declared["Type"] == ("CommaDelimitedList" if name == "CorsOrigins" else "String")
    assert declared.get("AllowedValues") == wanted.get("values")
    if "good" in wanted:
        assert declared["ConstraintDescription"]
        pattern = re.compile(declared["AllowedPattern"])
        assert [value for value in wanted["good"] if not pattern.fullmatch(value)] == []
        assert [value for value in wanted["bad"] if pattern.fullmatch(value)] == []


@pytest.mark.parametrize("row", TABLE["resources"])
@pytest.mark.parametrize("old", ["the-old-policy", ""])
def test_import_is_the_template_but_for_what_the_update_changes(row, old):
    """What an import says otherwise than the template is what the update after it sets; nothing else may differ."""
    rows, permissions = Template("import.yaml", EnvironmentSuffix=SUFFIX, OldPolicy=old).rows()
    changes = with_suffix(TABLE["resources"][row].get("import", {}))
    if row == "role" and not old:
        changes["policies"] = {}
    assert rows[row] == expected(row, {**changes, "goes_at_once": False})
    assert set(rows) == set(TABLE["resources"]) and permissions == []


def test_import_has_the_templates_own_ids_and_no_outputs():
    imported, template = Template("import.yaml"), deployed()
    assert {id: resource["Type"] for id, resource in imported.resources.items()} == {
        id: resource["Type"] for id, resource in template.resources.items()
    }
    assert imported.outputs() == {}
    assert imported.raw["Parameters"].pop("EnvironmentSuffix").items() >= {
        (name, value) for name, value in template.raw["Parameters"]["EnvironmentSuffix"].items() if name != "Description"
    }
    assert list(imported.raw["Parameters"]) == ["OldPolicy"]
    assert {resource["DeletionPolicy"] for resource in imported.resources.values()} == {"Retain"}
    assert "Condition" not in str([list(resource) for resource in imported.resources.values()])


def test_artifacts():
    """Private, encrypted, by TLS alone; nothing expires, no versions are kept, and empty it can be deleted."""
    template = Template("artifacts.yaml")
    assert template.outputs() == {"bucket_name": "<bucket.name>"}
    assert {template.kinds[id][0] for id in template.resources} == {"bucket", "bucket_policy"}
    bucket, policy = (template.resources[id] for id in ("Bucket", "BucketPolicy"))
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("Delete", "Delete")
    assert template.value(bucket["Properties"]) == {
        "BucketName": "payhook-artifacts-123456789012-us-east-1",
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "Tags": [{"Key": "ManagedBy", "Value": "payhook"}],
    }
    assert template.value(policy["Properties"]) == {
        "Bucket": "<bucket.name>",
        "PolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "TlsOnly",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": ["<bucket.arn>", "<bucket.arn>/*"],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                }
            ],
        },
    }


@pytest.mark.parametrize("file", TEMPLATES)
def test_lint(file):
    """Nothing at all to say, information included, about any region that has what they use."""
    rules = cfnlint.api.ManualArgs(regions=["us-east-1", "eu-central-1"], include_checks=["I"])
    assert [str(match) for match in cfnlint.api.lint_file(DEPLOY / file, rules)] == []


@pytest.mark.parametrize("file", TEMPLATES)
def test_fits_into_a_call(file):
    text = (DEPLOY / file).read_bytes()
    assert len(text) <= 51200
    assert text.decode("ascii")
    assert max(len(line) for line in text.splitlines()) <= 180


def test_rights_exist():
    """Every action that SECURITY.md tells an operator to allow is one that IAM has."""
    known = json.loads(importlib.resources.files("cfnlint.data.AdditionalSpecs").joinpath("Policies.json").read_text())
    section = (ROOT / "SECURITY.md").read_text().partition("## What a deployment may do")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\w+) \| (.*) \| .* \|$", section, re.M)
    services = ["cloudformation", "s3", "secretsmanager", "dynamodb", "logs", "iam", "lambda"]
    assert [service for service, _ in rows] == ["service", *services]
    for service, cell in rows[1:]:
        actions = re.findall(r"`(\w+)\*?`", cell)
        names = {name.lower() for name in known[service]["Actions"]}
        assert len(actions) > 3
        assert [action for action in actions if action != "Get" and action.lower() not in names] == []


# The Pulumi program.

PLUGIN = DEPLOY / "pulumi/tap/PulumiPlugin.yaml"
PROGRAM = DEPLOY / "pulumi/Pulumi.yaml"
PROVIDER = "6.83.4"  # the last of major version 6, as the Python program's requirements.txt wants it
MEANT = {
    "envmig-apikeys": {"arn": "<secret.arn>", "id": "<secret.arn>"},
    "envmig-transactions": {"arn": "<table.arn>", "name": "<table.name>"},
    "envmig-webhook-logs": {"name": "<log_group.name>"},
    "envmig-webhook-role": {"arn": "<role.arn>", "name": "<role.name>", "id": "<role.name>"},
    "envmig-webhook": {"arn": "<function.arn>", "name": "<function.name>"},
    "envmig-webhook-url": {"functionUrl": "<url.url>"},
}


class Component:
    def __init__(self):
        self.raw = yaml.safe_load(PLUGIN.read_text())["components"]["TapStack"]
        self.names = {"environment_suffix": SUFFIX, "pulumi.stack": "STACK", "pulumi.project": "PROJECT"}
        self.names["allTags"] = "the tags"
        for key, attributes in MEANT.items():
            self.names[key] = f"<{key}>"
            self.names.update({f"{key}.{attribute}": meant for attribute, meant in attributes.items()})
        self.names.update({key: f"<{key}>" for key in self.raw["resources"]})

    def value(self, value):
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            if set(value) == {"fn::toJSON"}:
                return self.value(value["fn::toJSON"])
            if set(value) == {"fn::fileArchive"}:
                return "the zip" if value["fn::fileArchive"] == "../../build/payhook-lambda-x86_64.zip" else value
            assert not any(name.startswith("fn::") for name in value), value
            return {name: self.value(item) for name, item in value.items()}
        if isinstance(value, str):
            return re.sub(r"\$\{([^}]+)\}", lambda found: self.names[found[1]], value)
        return value

    def take(self, key, type, parent=None, ignored=()):
        """Takes a resource out: its properties, after its options were looked at."""
        resource = dict(self.raw["resources"].pop(key))
        assert take(resource, "type") == type
        options, properties = self.value(take(resource, "options")), self.value(take(resource, "properties"))
        assert not resource, f"{key}: {list(resource)}"
        assert take(options, "version") == PROVIDER
        assert take(options, "parent") == (f"<{parent}>" if parent else None)
        assert tuple(take(options, "ignoreChanges") or ()) == ignored
        after = {name.strip("<>") for name in take(options, "dependsOn") or []}
        self.aliases[key] = take(options, "aliases")
        assert not options, f"{key}: {list(options)}"
        return properties, after

    def rows(self):
        self.raw["resources"] = dict(self.raw["resources"])
        self.aliases, rows = {}, {}

        secret, _ = self.take("envmig-apikeys", "aws:secretsmanager:Secret")
        ignored = "secretString", "versionStages"
        version, _ = self.take("envmig-apikeys-version", "aws:secretsmanager:SecretVersion", "envmig-apikeys", ignored)
        assert take(version, "secretId") == "<secret.arn>"
        assert take(version, "versionStages") == ["AWSCURRENT", "payhook-first"]
        rows["secret"] = {
            "name": take(secret, "name"),
            "description": take(secret, "description"),
            "first_value": take(version, "secretString"),
            "value_kept_by_updates": True,
            "goes_at_once": take(secret, "recoveryWindowInDays") == 0,
        }

        table, _ = self.take("envmig-transactions", "aws:dynamodb:Table")
        recovery = take(table, "pointInTimeRecovery")
        rows["table"] = {
            "name": take(table, "name"),
            "billing": take(table, "billingMode"),
            "attributes": {attribute["name"]: attribute["type"] for attribute in take(table, "attributes")},
            "hash_key": take(table, "hashKey"),
            "indexes": {
                index.pop("name"): {
                    "hash_key": index.pop("hashKey"),
                    "projection": index.pop("projectionType"),
                    **index,
                }
                for index in take(table, "globalSecondaryIndexes")
            },
            "point_in_time_recovery": recovery.pop("enabled"),
            "deletion_protection": take(table, "deletionProtectionEnabled"),
            "goes_at_once": True,
        }
        assert not recovery

        logs, _ = self.take("envmig-webhook-logs", "aws:cloudwatch:LogGroup")
        rows["log_group"] = {
            "name": take(logs, "name"),
            "retention_days": take(logs, "retentionInDays"),
            "goes_at_once": True,
        }

        role, _ = self.take("envmig-webhook-role", "aws:iam:Role")
        policy, _ = self.take("envmig-webhook-custom-policy", "aws:iam:RolePolicy", "envmig-webhook-role", ("name",))
        assert take(policy, "role") == "<role.name>"
        managed = []
        for key in "envmig-webhook-basic-policy", "envmig-webhook-xray-policy":
            attached, _ = self.take(key, "aws:iam:RolePolicyAttachment", "envmig-webhook-role")
            assert take(attached, "role") == "<role.name>"
            managed.append(take(attached, "policyArn"))
            assert not attached
        rows["role"] = {
            "name": take(role, "name"),
            "trust": statements(take(role, "assumeRolePolicy")),
            "managed_policies": sorted(managed),
            "policies": {take(policy, "name"): statements(take(policy, "policy"))},
            "goes_at_once": True,
        }

        function, after = self.take("envmig-webhook", "aws:lambda:Function")
        assert after == {
            "envmig-webhook-logs",
            "envmig-webhook-basic-policy",
            "envmig-webhook-xray-policy",
            "envmig-webhook-custom-policy",
        }
        tracing, environment = take(function, "tracingConfig", "environment")
        rows["function"] = {
            "name": take(function, "name"),
            "runtime": take(function, "runtime"),
            "handler": take(function, "handler"),
            "architectures": take(function, "architectures"),
            "code": take(function, "code"),
            "role": take(function, "role"),
            "memory_mb": take(function, "memorySize"),
            "timeout_s": take(function, "timeout"),
            "tracing": tracing.pop("mode"),
            "environment": environment.pop("variables"),
            "after": ["log_group", "role"],
            "goes_at_once": True,
        }
        assert not tracing and not environment

        url, _ = self.take("envmig-webhook-url", "aws:lambda:FunctionUrl", "envmig-webhook")
        cors = take(url, "cors")
        rows["url"] = {
            "name": None,
            "function": take(url, "functionName"),
            "auth": take(url, "authorizationType"),
            "cors": {
                "credentials": cors.pop("allowCredentials"),
                "origins": cors.pop("allowOrigins"),
                "methods": cors.pop("allowMethods"),
                "headers": cors.pop("allowHeaders"),
                "max_age_s": cors.pop("maxAge"),
            },
            "after": ["function"],
            "goes_at_once": True,
        }
        assert not cors

        made = {"secret": secret, "table": table, "log_group": logs, "role": role, "function": function, "url": url}
        for row, properties in made.items():
            rows[row]["tags"] = TABLE["tags"] if take(properties, "tags") == "the tags" else None
            assert not properties, f"{row}: {list(properties)}"
        assert not version and not policy
        return rows


@pytest.mark.parametrize("row", TABLE["resources"])
def test_component_makes_the_table(row):
    assert Component().rows()[row] == expected(row)


def test_component_makes_nothing_else():
    component = Component()
    assert set(component.rows()) == set(TABLE["resources"])
    assert component.raw["resources"] == {}
    outputs = {name: component.value(value) for name, value in component.raw["outputs"].items()}
    assert outputs == TABLE["outputs"]
    assert set(component.raw) == {"inputs", "variables", "resources", "outputs"}


def test_component_arguments():
    assert Component().raw["inputs"] == {
        "environment_suffix": {"type": "string", "default": "dev"},
        "tags": {"type": "string", "default": "{}"},
    }


def test_component_tags():
    """The caller's tags, then ours, which win: merge lets the last one win."""
    decode = {"function": "std:jsondecode", "arguments": {"input": "${tags}"}, "return": "result"}
    inputs = [{"fn::invoke": decode}, TABLE["tags"]]
    merge = {"function": "std:merge", "arguments": {"input": inputs}, "return": "result"}
    assert Component().raw["variables"] == {"allTags": {"fn::invoke": merge}}


def test_component_aliases():
    """Each resource is found at its place in the Python program's state, and none claims another's."""
    component = Component()
    component.rows()
    wanted = {
        name: [{"urn": "$".join(["urn:pulumi:STACK::PROJECT::tap:stack:TapStack", *types]) + f"::{name}-{SUFFIX}"}]
        for row in TABLE["resources"].values()
        for name, *types in row["pulumi"]
    }
    assert component.aliases == wanted


def test_program():
    program = yaml.safe_load(PROGRAM.read_text())
    outputs = {name: f"${{stack.{name}}}" for name in TABLE["outputs"]}
    assert program["outputs"] == outputs
    plugin = yaml.safe_load(PLUGIN.read_text())
    assert program["packages"] == {plugin["name"]: "./tap"}
    assert (program["runtime"], plugin["runtime"]) == ("yaml", "yaml")
    assert program["config"] == {
        "environmentSuffix": {"type": "string", "default": "dev"},
        "tags": {"type": "object", "default": {}},
    }
    assert program["resources"] == {
        "stack": {
            "type": "tap:index:TapStack",
            "name": "tap-stack",
            "properties": {"environment_suffix": "${environmentSuffix}", "tags": {"fn::toJSON": "${tags}"}},
            "options": {"aliases": [{"type": "tap:stack:TapStack"}]},
        }
    }
    settings = yaml.safe_load((DEPLOY / "pulumi/Pulumi.dev.yaml").read_text())
    assert settings == {"config": {"aws:region": "us-east-1"}}
