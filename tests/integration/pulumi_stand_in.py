# SPDX-License-Identifier: Apache-2.0
"""The Pulumi providers aws and std, as far as deploy/pulumi needs them, without AWS: what each resource takes, what of it
makes a replacement (as the real provider says), and nothing made anywhere. Run by Pulumi as a plugin:
pulumi_stand_in.py aws|std."""

import json
import sys
from concurrent import futures

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

VERSIONS = {"aws": "6.83.4", "std": "2.3.2"}
TEXT, NUMBER, FLAG = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
ANY = {"$ref": "pulumi.json#/Any"}
TEXTS, LIST = {"type": "array", "items": TEXT}, {"type": "array", "items": ANY}
MAP, TAGS = {"type": "object", "additionalProperties": ANY}, {"type": "object", "additionalProperties": TEXT}

# Type: what it takes, and which of that cannot be changed in place.
RESOURCES = {
    "aws:secretsmanager/secret:Secret": (
        {"name": TEXT, "description": TEXT, "recoveryWindowInDays": NUMBER, "tags": TAGS},
        ["name"],
    ),
    "aws:secretsmanager/secretVersion:SecretVersion": (
        {"secretId": TEXT, "secretString": TEXT, "versionStages": TEXTS},
        ["secretId"],
    ),
    "aws:dynamodb/table:Table": (
        {
            "name": TEXT,
            "billingMode": TEXT,
            "hashKey": TEXT,
            "attributes": LIST,
            "globalSecondaryIndexes": LIST,
            "pointInTimeRecovery": MAP,
            "deletionProtectionEnabled": FLAG,
            "tags": TAGS,
        },
        ["name", "hashKey"],
    ),
    "aws:cloudwatch/logGroup:LogGroup": ({"name": TEXT, "retentionInDays": NUMBER, "tags": TAGS}, ["name"]),
    "aws:iam/role:Role": ({"name": TEXT, "assumeRolePolicy": TEXT, "tags": TAGS}, ["name"]),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": ({"role": TEXT, "policyArn": TEXT}, ["role", "policyArn"]),
    "aws:iam/rolePolicy:RolePolicy": ({"name": TEXT, "role": TEXT, "policy": TEXT}, ["name", "role"]),
    "aws:lambda/function:Function": (
        {
            "name": TEXT,
            "runtime": TEXT,
            "handler": TEXT,
            "architectures": TEXTS,
            "code": {"$ref": "pulumi.json#/Archive"},
            "role": TEXT,
            "memorySize": NUMBER,
            "timeout": NUMBER,
            "tracingConfig": MAP,
            "environment": MAP,
            "tags": TAGS,
        },
        ["name"],
    ),
    "aws:lambda/functionUrl:FunctionUrl": (
        {"functionName": TEXT, "authorizationType": TEXT, "cors": MAP},
        ["functionName"],
    ),
}


def function(takes, gives):
    return {"inputs": {"properties": {"input": takes}}, "outputs": {"properties": {"result": gives}}}


SCHEMAS = {
    "aws": {
        "name": "aws",
        "version": VERSIONS["aws"],
        "meta": {"moduleFormat": "(.*)(?:/[^/]*)"},
        "config": {"variables": {"region": TEXT}},
        "provider": {"inputProperties": {"region": TEXT}},
        "resources": {
            type: {"inputProperties": takes, "properties": {**takes, "arn": TEXT, "functionUrl": TEXT}}
            for type, (takes, _) in RESOURCES.items()
        },
    },
    "std": {
        "name": "std",
        "version": VERSIONS["std"],
        "functions": {
            "std:index:merge": function({"type": "array", "items": MAP}, MAP),
            "std:index:jsondecode": function(TEXT, ANY),
        },
    },
}


def type_of(urn):
    return urn.split("::")[2].split("$")[-1]


def struct(value):
    return json_format.ParseDict(value, struct_pb2.Struct())


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    def __init__(self, name):
        self.name = name

    def GetPluginInfo(self, request, context):
        return plugin_pb2.PluginInfo(version=VERSIONS[self.name])

    def GetSchema(self, request, context):
        return provider_pb2.GetSchemaResponse(schema=json.dumps(SCHEMAS[self.name]))

    def CheckConfig(self, request, context):
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request, context):
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request, context):
        return provider_pb2.ConfigureResponse(acceptResources=True, supportsPreview=True)

    def Cancel(self, request, context):
        return empty_pb2.Empty()

    def Check(self, request, context):
        takes, _ = RESOURCES[type_of(request.urn)]
        unknown = set(json_format.MessageToDict(request.news)) - set(takes) - {"__defaults"}
        if unknown:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{type_of(request.urn)} takes no {unknown}")
        return provider_pb2.CheckResponse(inputs=request.news)

    def Diff(self, request, context):
        olds, news = json_format.MessageToDict(request.old_inputs), json_format.MessageToDict(request.news)
        for name in request.ignoreChanges:
            news.pop(name, None)
            if name in olds:
                news[name] = olds[name]
        changed = sorted(name for name in {*olds, *news} - {"__defaults"} if olds.get(name) != news.get(name))
        replaces = [name for name in changed if name in RESOURCES[type_of(request.urn)][1]]
        kind = provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=kind, replaces=replaces, diffs=changed)

    def outputs(self, urn, inputs):
        """What a resource is known by, as AWS's provider has it: a secret by its ARN, the rest by name."""
        kind = type_of(urn).split(":")[-1]
        name = inputs.get("name") or kind
        arn = f"arn:aws:{kind}:{name}"
        url = {"functionUrl": "https://u.lambda-url.us-east-1.on.aws/"} if kind == "FunctionUrl" else {}
        return arn if kind == "Secret" else name, {**inputs, "arn": arn, **url}

    def Create(self, request, context):
        id, outputs = self.outputs(request.urn, json_format.MessageToDict(request.properties))
        return provider_pb2.CreateResponse(id="" if request.preview else id, properties=struct(outputs))

    def Update(self, request, context):
        _, outputs = self.outputs(request.urn, json_format.MessageToDict(request.news))
        return provider_pb2.UpdateResponse(properties=struct(outputs))

    def Delete(self, request, context):
        return empty_pb2.Empty()

    def Invoke(self, request, context):
        taken = json_format.MessageToDict(request.args)["input"]
        if request.tok == "std:index:merge":
            result = {name: value for map in taken for name, value in map.items()}
        else:
            result = json.loads(taken)
        return provider_pb2.InvokeResponse(**{"return": struct({"result": result})})


def main():
    server = grpc.server(futures.ThreadPoolExecutor(8))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(sys.argv[1]), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
