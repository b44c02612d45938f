# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the AWS services that `payhook stack` calls, on one loopback port: CloudFormation, IAM and STS as
queries answered in XML, S3 as REST with XML, Secrets Manager, DynamoDB and CloudWatch Logs as JSON, Lambda as REST with
JSON. What they know is a World of cloudformation_model.py. botocore reads its answers in
test_stack_stand_in.py.

Every request's signature is checked with botocore's own arithmetic, and what is wrong with a request is kept in faults:
each test ends by looking that there are none. asked is the list of all calls.

script("ExecuteChangeSet", "throttle", "after-reset") makes the next calls of an action go wrong, one by one:

    throttle, unavailable, internal, denied, expired, unknown-key
                    an error as that service writes it, nothing done
    truncated       the first half of the answer, whole as HTTP
    cut             the first half of the answer, then the connection ends
    reset           the connection ends without an answer, nothing done
    after-reset     the same once it has been done
    garbage         200 and HTML
    doctype         XML with a document type
    None            nothing goes wrong

A fault may be repeated: "throttle*3". always(action, fault) has no end."""

import base64
import collections
import datetime
import hashlib
import http.server
import json
import re
import socket
import struct
import threading
import time
import urllib.parse
import uuid

import botocore.auth
import botocore.awsrequest
import botocore.credentials

from aws_services import XML, Answer, Services, xml
from cloudformation_model import ChangeSet, Stack, World
from cloudformation_template import Refused, Template

VERSIONS = {"cloudformation": "2010-05-15", "iam": "2010-05-08", "sts": "2011-06-15"}
TARGETS = {
    "secretsmanager": ("secretsmanager.", "application/x-amz-json-1.1"),
    "dynamodb": ("DynamoDB_20120810.", "application/x-amz-json-1.0"),
    "logs": ("Logs_20140328.", "application/x-amz-json-1.1"),
}
KEY, TEMPORARY_KEY = "AKIDEXAMPLE", "ASIAEXAMPLE"
SECRETS = {KEY: ("an-invented-secret", None), TEMPORARY_KEY: ("another-invented-secret", "a/session+token==")}
SERVES_US_EAST_1 = {"iam"}  # wherever the caller is

Asked = collections.namedtuple("Asked", "service action parameters")


def members(parameters, name):
    """The query's lists of structures and of texts, and maps within them, as botocore and we write them."""
    rows = collections.defaultdict(dict)
    for key, value in parameters.items():
        found = re.fullmatch(rf"{name}\.member\.(\d+)(?:\.(.+))?", key)
        if found:
            rows[int(found[1])][found[2]] = value
    assert sorted(rows) == list(range(1, len(rows) + 1)), f"{name} is not counted from 1"
    listed = [rows[number] for number in sorted(rows)]
    for row in listed:
        for key in [key for key in row if key and key.endswith(".key")]:
            entry = key.removesuffix(".key")
            row.setdefault(entry.split(".")[0], {})[row.pop(key)] = row.pop(f"{entry}.value")
    return [row[None] if None in row else row for row in listed]


class AwsStandIn(Services):
    """The services and their server; `with AwsStandIn() as aws`. The lock is held while an answer is made."""

    def __init__(self, world=None, region="us-east-1"):
        self.world = world or World(region=region)
        self.asked, self.faults, self.scripts, self.constant = [], [], collections.defaultdict(list), {}
        self.lock, self.page_size, self.token_is_known = threading.RLock(), 100, True
        self.uploads = []  # keys of what was put into buckets
        self.on_call = None  # a function of an Asked, called before it is carried out

    def __enter__(self):
        stand_in = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version, disable_nagle_algorithm = "HTTP/1.1", True

            def do_any(self):
                stand_in.serve(self)

            do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = do_any  # noqa: N815: http.server's names

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *_):
                pass  # the caller was killed

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, kind, *_):
        self.server.shutdown()
        self.server.server_close()
        if kind is None:
            assert not self.faults, self.faults
            left = {action: faults for action, faults in self.scripts.items() if faults}
            assert not left, f"never asked for: {left}"

    def environment(self, key=KEY):
        secret, token = SECRETS[key]
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            **({"AWS_SESSION_TOKEN": token} if token else {}),
            "AWS_REGION": self.world.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    # ---- for tests

    def script(self, action, *faults):
        for fault in faults:
            kind, _, times = (fault or "").partition("*")
            self.scripts[action] += [kind or None] * int(times or 1)

    def always(self, action, fault):
        self.constant[action] = fault

    def count(self, action):
        return sum(1 for one in self.asked if one.action == action)

    def parameters(self, action):
        return [one.parameters for one in self.asked if one.action == action]

    def changed(self):
        """The calls that change something, by name."""
        reads = ("Describe", "Get", "List", "Head")
        return [one.action for one in self.asked if not one.action.startswith(reads)]

    # ---- requests

    def serve(self, handler):
        length = int(handler.headers.get("Content-Length", 0))
        body = handler.rfile.read(length)
        with self.lock:
            try:
                answer, fault = self.answer(handler, body)
            except Exception as error:  # a fault of this file, or a request that no service knows
                self.faults.append(f"{handler.command} {handler.path} {body[:300]}: {error!r}")
                answer, fault = Answer(400, "text/plain", repr(error).encode()), None
        try:
            self.reply(handler, answer, fault)
        except OSError:
            handler.close_connection = True

    def reply(self, handler, answer, fault):
        body = answer.body
        if fault in ("reset", "after-reset"):
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
            handler.close_connection = True
            return
        if fault == "truncated":
            body = body[: len(body) // 2]
        handler.send_response(answer.status)
        handler.send_header("Content-Type", answer.type)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command == "HEAD":
            return
        if fault == "cut":
            handler.wfile.write(body[: len(body) // 2])
            handler.close_connection = True
            return
        handler.wfile.write(body)

    def answer(self, handler, body):
        """The answer and a fault of the connection, if any."""
        scope = re.search(r"Credential=([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request", handler.headers.get("Authorization", ""))
        assert scope, f"it is not signed: {handler.headers.get('Authorization')}"
        key, region, service = scope.groups()
        right_region = "us-east-1" if service in SERVES_US_EAST_1 else self.world.region
        assert region == right_region, f"{service} is signed for {region}"
        action, parameters = self.action(service, handler, body)
        asked = Asked(service, action, parameters)
        self.asked.append(asked)
        scripted = self.scripts[action]
        fault = self.constant.get(action, self.constant.get("*")) or (scripted.pop(0) if scripted else None)
        wrong = self.signature_fault(handler, body, key, service)
        if key not in SECRETS:
            return self.error(service, "InvalidClientTokenId", action, handler), None
        if wrong:
            self.faults.append(f"{action}: {wrong}")
            return self.error(service, "SignatureDoesNotMatch", action, handler), None
        if fault in ("throttle", "unavailable", "denied", "expired", "unknown-key", "internal"):
            kinds = {
                "throttle": "Throttling",
                "unavailable": "ServiceUnavailable",
                "internal": "InternalFailure",
                "denied": "AccessDenied",
                "expired": "ExpiredToken",
                "unknown-key": "InvalidClientTokenId",
            }
            return self.error(service, kinds[fault], action, handler), None
        if fault == "garbage":
            return Answer(200, "text/html", b"<html><body><h1>Please sign in</h1><br></body></html>"), None
        if fault == "reset":
            return Answer(500, "text/plain", b""), fault
        if self.on_call is not None:
            self.on_call(asked)
        try:
            answer = self.carry_out(service, action, parameters, handler, body)
        except Refused as refused:
            answer = self.error(service, refused.code, action, handler, refused.message, refused.status)
        if fault == "doctype":
            head = b'<?xml version="1.0"?>\n<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>\n'
            answer = answer._replace(body=head + answer.body)
        return answer, fault

    def signature_fault(self, handler, body, key, service):
        header = handler.headers["Authorization"]
        found = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=(\S+), ?SignedHeaders=(\S+), ?Signature=([0-9a-f]{64})", header)
        if found is None:
            return f"no signature: {header}"
        if key not in SECRETS:
            return None
        names, (secret, token) = found[2].split(";"), SECRETS[key]
        needed = {"host", "x-amz-date"} | ({"x-amz-content-sha256"} if service == "s3" else set())
        needed |= {name.lower() for name in handler.headers if name.lower().startswith("x-amz-")}
        needed |= {"content-type"} if "content-type" in handler.headers else set()
        if names != sorted(names) or needed - set(names):
            return f"the signed headers are {names}"
        date = handler.headers["x-amz-date"]
        moment = datetime.datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
        if abs(moment.timestamp() - time.time()) > 300:
            return f"it is dated {date}"
        if handler.headers.get("x-amz-security-token") != token:
            return "the session token is not the one"
        if service == "s3" and handler.headers["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest():
            return f"x-amz-content-sha256 is {handler.headers['x-amz-content-sha256']}"
        url = f"http://{handler.headers['host']}{handler.path}"
        request = botocore.awsrequest.AWSRequest(
            handler.command, url, headers={name: handler.headers[name] for name in names}, data=body
        )
        request.context["timestamp"] = date
        credentials = botocore.credentials.Credentials(key, secret, token)
        signer_kind = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
        signer = signer_kind(credentials, service, found[1].split("/")[2])
        canonical = signer.canonical_request(request)
        signature = signer.signature(signer.string_to_sign(request, canonical), request)
        return None if signature == found[3] else f"the signature is another one than that of {canonical!r}"

    def action(self, service, handler, body):
        """Its name, and what it says."""
        path = urllib.parse.urlsplit(handler.path)
        if service in VERSIONS:
            assert (handler.command, path.path) == ("POST", "/"), handler.path
            kind = handler.headers.get("content-type", "")
            assert kind.startswith("application/x-www-form-urlencoded"), kind
            pairs = urllib.parse.parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True)
            parameters = dict(pairs)
            assert len(parameters) == len(pairs), f"a parameter comes twice: {pairs}"
            assert parameters.pop("Version") == VERSIONS[service]
            return parameters.pop("Action"), parameters
        if service in TARGETS:
            prefix, kind = TARGETS[service]
            target = handler.headers["x-amz-target"]
            assert target.startswith(prefix), target
            assert handler.headers["content-type"] == kind, handler.headers["content-type"]
            return target.removeprefix(prefix), json.loads(body)
        if service == "lambda":
            found = re.fullmatch(r"/(2015-03-31|2021-10-31)/functions/([^/]+)(/url|/configuration)?", path.path)
            assert found and handler.command == "GET", f"{handler.command} {handler.path}"
            action = {"/url": "GetFunctionUrlConfig", "/configuration": "GetFunctionConfiguration", None: "GetFunction"}
            assert (found[3] == "/url") == (found[1] == "2021-10-31"), path.path
            return action[found[3]], {"FunctionName": urllib.parse.unquote(found[2])}
        assert service == "s3", service
        _, bucket, key = (path.path + "/").split("/", 2)
        query = dict(urllib.parse.parse_qsl(path.query, keep_blank_values=True))
        key = urllib.parse.unquote(key[:-1])
        kind = "Object" if key else "Bucket"
        action = {"HEAD": f"Head{kind}", "PUT": f"Put{kind}", "DELETE": f"Delete{kind}", "GET": f"Get{kind}"}.get(handler.command)
        if handler.command == "GET" and not key:
            action = "ListObjectsV2"
            assert query.get("list-type") == "2", query
        if handler.command == "POST" and "delete" in query:
            action = "DeleteObjects"
        assert action, handler.path
        owner = handler.headers.get("x-amz-expected-bucket-owner")
        return action, {"Bucket": bucket, "Key": key, "Owner": owner, **query}

    # ---- answers

    def error(self, service, code, action, handler, message=None, status=None):
        caller = f"User: arn:aws:iam::{self.world.account}:user/someone"
        prefix = {"HeadObject": "GetObject", "ListObjectsV2": "ListBucket"}.get(action, action)
        messages = {
            "Throttling": ("Rate exceeded", 400),
            "ServiceUnavailable": ("Service Unavailable", 503),
            "InternalFailure": ("An internal error has occurred", 500),
            "AccessDenied": (f"{caller} is not authorized to perform: {service}:{prefix} on resource: *", 403),
            "ExpiredToken": ("The security token included in the request is expired", 403),
            "InvalidClientTokenId": ("The security token included in the request is invalid.", 403),
            "SignatureDoesNotMatch": ("The request signature we calculated does not match the signature you provided.", 403),
        }
        if message is None:
            message, status = messages[code]
        request_id = str(uuid.uuid4())
        if service == "s3":
            code, status = {"Throttling": ("SlowDown", 503), "InvalidClientTokenId": ("InvalidAccessKeyId", 403)}.get(
                code, (code, status)
            )
            text = '<?xml version="1.0" encoding="UTF-8"?>\n' + xml(
                {"Code": code, "Message": message, "RequestId": request_id[:16], "HostId": "aG9zdA=="}, "Error"
            ).replace("\n", "")
            return Answer(status, "application/xml", text.encode(), {"x-amz-request-id": request_id[:16]})
        if service in VERSIONS:
            inner = {"Type": "Sender" if status < 500 else "Receiver", "Code": code, "Message": message}
            text = xml({"Error": inner, "RequestId": request_id}, "ErrorResponse")
            text = text.replace("<ErrorResponse>", f'<ErrorResponse xmlns="{XML[service]}">', 1)
            return Answer(status, "text/xml", text.encode(), {"x-amzn-RequestId": request_id})
        code = {
            "Throttling": "ThrottlingException",
            "AccessDenied": "AccessDeniedException",
            "ExpiredToken": "ExpiredTokenException",
            "InvalidClientTokenId": "UnrecognizedClientException",
            "ServiceUnavailable": "ServiceUnavailableException",
            "InternalFailure": "InternalServiceError",
        }.get(code, code)
        if service == "lambda":
            body = {"Type": "User", "Message": message}
            return Answer(status, "application/json", json.dumps(body).encode(), {"x-amzn-ErrorType": code})
        status = 400 if status == 403 else status
        kind = TARGETS[service][1]
        return Answer(status, kind, json.dumps({"__type": code, "Message": message}).encode(), {"x-amzn-RequestId": request_id})

    def carry_out(self, service, action, parameters, handler, body):
        method = getattr(self, f"{service}_{action}", None)
        assert method, f"nobody carries out {service}:{action}"
        if service == "s3":
            return method(parameters, handler, body)
        result = method(parameters)
        request_id = str(uuid.uuid4())
        if service in VERSIONS:
            wrapped = {} if action in ("DeleteStack",) else {f"{action}Result": result or {}}
            text = xml({**wrapped, "ResponseMetadata": {"RequestId": request_id}}, f"{action}Response")
            text = text.replace(f"<{action}Response>", f'<{action}Response xmlns="{XML[service]}">', 1)
            return Answer(200, "text/xml", text.encode(), {"x-amzn-RequestId": request_id})
        kind = "application/json" if service == "lambda" else TARGETS[service][1]
        return Answer(200, kind, json.dumps(result).encode(), {"x-amzn-RequestId": request_id})

    def page(self, rows, token):
        """A page, and the next page's token or None."""
        start = int(base64.b64decode(token)) if token else 0
        end = start + self.page_size
        return rows[start:end], base64.b64encode(str(end).encode()).decode() if end < len(rows) else None

    # ---- CloudFormation

    def stack(self, name, sentence):
        stack = self.world.stack(name)
        if stack is None:
            raise Refused("ValidationError", sentence)
        return stack

    def cloudformation_DescribeStacks(self, asked):  # noqa: N802: the services' names, here and below
        stack = self.stack(asked["StackName"], f"Stack with id {asked['StackName']} does not exist")
        described = {
            "StackId": stack.id,
            "StackName": stack.name,
            "Description": stack.template.body["Description"] if stack.template else None,
            "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in stack.values.items()],
            "CreationTime": stack.created,
            "StackStatus": stack.status,
            "StackStatusReason": stack.reason,
            "DisableRollback": "false",
            "NotificationARNs": [],
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
            "Outputs": stack.outputs,
            "Tags": [{"Key": key, "Value": value} for key, value in stack.tags.items()],
            "EnableTerminationProtection": "true" if stack.protected else "false",
            "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
        }
        stack.advance()
        return {"Stacks": [described]}

    def cloudformation_CreateChangeSet(self, asked):
        name, kind = asked["StackName"], asked.get("ChangeSetType", "UPDATE")
        assert re.fullmatch(r"[a-zA-Z][-a-zA-Z0-9]{0,127}", asked["ChangeSetName"]), asked["ChangeSetName"]
        template = Template(asked["TemplateBody"])
        stack = self.world.stack(name)
        if stack is not None and asked["ChangeSetName"] in stack.change_sets:
            raise Refused("AlreadyExistsException", f"ChangeSet {asked['ChangeSetName']} already exists")
        if kind == "UPDATE" and stack is None:
            raise Refused("ValidationError", f"Stack [{name}] does not exist")
        if kind == "UPDATE" and not re.fullmatch(
            r"(CREATE|UPDATE|IMPORT|UPDATE_ROLLBACK|IMPORT_ROLLBACK)_COMPLETE", stack.status
        ):
            raise Refused("ValidationError", f"Stack:{stack.id} is in {stack.status} state and can not be updated.")
        if kind == "CREATE" and stack is not None and stack.status != "REVIEW_IN_PROGRESS":
            raise Refused(
                "ValidationError",
                f"Stack [{name}] already exists and cannot be created again with the changeSet [{asked['ChangeSetName']}].",
            )
        given = {
            row["ParameterKey"]: None if row.get("UsePreviousValue") == "true" else row["ParameterValue"]
            for row in members(asked, "Parameters")
        }
        values = template.parameters(given, stack.values if stack else {})
        tags = {row["Key"]: row["Value"] for row in members(asked, "Tags")}
        if len(tags) > 50 or any(key.startswith("aws:") for key in tags):
            raise Refused("ValidationError", "aws: prefixed tag key names are not allowed for external use.")
        if any("RoleName" in row.get("Properties", {}) for row in template.resources.values()):
            if "CAPABILITY_NAMED_IAM" not in members(asked, "Capabilities"):
                raise Refused("InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_NAMED_IAM]")
        imports = members(asked, "ResourcesToImport")
        self.check_import(kind, template, values, imports, stack)
        if stack is None:
            stack = Stack(self.world, name)
        if stack.template is not None and not members(asked, "Tags"):
            tags = stack.tags  # tags that are left out stay
        change_set = ChangeSet(stack, asked["ChangeSetName"], kind, template, values, tags, imports)
        stack.change_sets[change_set.name] = change_set
        return {"Id": change_set.id, "StackId": stack.id}

    def check_import(self, kind, template, values, imports, stack):
        if kind != "IMPORT":
            assert not imports, "ResourcesToImport without IMPORT"
            return
        assert imports, "nothing to import"
        if template.body.get("Outputs"):
            raise Refused("ValidationError", "As part of the import operation, you cannot modify or add [Outputs]")
        wanted = template.wanted({**values, **(Stack.pseudo(stack, {}) if stack else {})})
        missing = [name for name in wanted if name not in {entry["LogicalResourceId"] for entry in imports}]
        if missing:
            raise Refused("ValidationError", f"Resources [{', '.join(missing)}] is missing from ResourceToImport list")
        identifiers = {
            "AWS::SecretsManager::Secret": ("Id", {secret.arn for secret in self.world.secrets.values()}),
            "AWS::DynamoDB::Table": ("TableName", set(self.world.tables)),
            "AWS::Logs::LogGroup": ("LogGroupName", self.world.log_groups),
            "AWS::IAM::Role": ("RoleName", set(self.world.roles)),
            "AWS::Lambda::Function": ("FunctionName", set(self.world.functions)),
            "AWS::Lambda::Url": (
                "FunctionArn",
                {self.world.arn("lambda", f"function:{name}") for name, one in self.world.functions.items() if one["url"]},
            ),
        }
        for entry in imports:
            [[key, value]] = entry["ResourceIdentifier"].items()
            wanted_key, there = identifiers[entry["ResourceType"]]
            row = template.resources[entry["LogicalResourceId"]]
            assert key == wanted_key and value in there, entry
            assert row["Type"] == entry["ResourceType"] and row.get("DeletionPolicy"), entry

    def change_set(self, asked):
        name = asked["ChangeSetName"]
        stack_name = asked.get("StackName")
        for stack in [*self.world.stacks.values(), *self.world.gone.values()]:
            for one in stack.change_sets.values():
                if name == one.id or (name == one.name and stack_name in (stack.name, stack.id)):
                    return one
        raise Refused("ChangeSetNotFound", f"ChangeSet [{name}] does not exist", 404)

    def cloudformation_DescribeChangeSet(self, asked):
        one = self.change_set(asked)
        one.advance()
        values = asked.get("IncludePropertyValues") == "true"
        changes = [one_change if values else without_values(one_change) for one_change in one.changes]
        rows, token = self.page(changes, asked.get("NextToken"))
        return {
            "ChangeSetName": one.name,
            "ChangeSetId": one.id,
            "StackId": one.stack.id,
            "StackName": one.stack.name,
            "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in one.values.items()],
            "CreationTime": one.created,
            "ExecutionStatus": one.execution,
            "Status": one.status,
            "StatusReason": one.reason,
            "NotificationARNs": [],
            "RollbackConfiguration": {"RollbackTriggers": []},
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
            "Tags": [{"Key": key, "Value": value} for key, value in one.tags.items()],
            "Changes": rows,
            "NextToken": token,
            "IncludeNestedStacks": "false",
        }

    def cloudformation_DeleteChangeSet(self, asked):
        try:
            one = self.change_set(asked)
        except Refused:
            return
        if one.status in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
            one.advance()
            raise Refused(
                "InvalidChangeSetStatus", f"ChangeSet [{one.id}] cannot be deleted in its current status of [{one.status}]"
            )
        one.stack.change_sets.pop(one.name, None)

    def cloudformation_ExecuteChangeSet(self, asked):
        token = asked.get("ClientRequestToken")
        before = [
            stack for stack in self.world.stacks.values() if token and stack.token == token and stack.status != "REVIEW_IN_PROGRESS"
        ]
        if before and self.token_is_known:
            return
        if before:
            raise Refused(
                "InvalidChangeSetStatus",
                f"ChangeSet [{asked['ChangeSetName']}] cannot be executed in its current status of [CREATE_COMPLETE]",
            )
        one = self.change_set(asked)
        if one.execution != "AVAILABLE":
            raise Refused(
                "InvalidChangeSetStatus", f"ChangeSet [{one.id}] cannot be executed in its current status of [{one.status}]"
            )
        one.token = token
        one.stack.replace(one)

    def cloudformation_DeleteStack(self, asked):
        stack = self.world.stack(asked["StackName"])
        if stack is None or stack.status == "DELETE_COMPLETE":
            return
        if stack.protected:
            raise Refused("ValidationError", f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled")
        if stack.status == "REVIEW_IN_PROGRESS":
            stack.go()
            return
        if stack.status == "DELETE_IN_PROGRESS":
            return
        if re.fullmatch(r"UPDATE.*_IN_PROGRESS|ROLLBACK_IN_PROGRESS", stack.status):
            raise Refused("ValidationError", f"Stack [{stack.id}] cannot be deleted while in status {stack.status}")
        stack.start(stack.deleting(), asked.get("ClientRequestToken"))

    def cloudformation_DescribeStackEvents(self, asked):
        stack = self.stack(asked["StackName"], f"Stack [{asked['StackName']}] does not exist")
        if not asked.get("NextToken"):
            stack.advance()
        rows, token = self.page(stack.events[::-1], asked.get("NextToken"))
        return {"StackEvents": rows, "NextToken": token}


def without_values(change):
    row = {key: value for key, value in change["ResourceChange"].items() if key not in ("BeforeContext", "AfterContext")}
    hidden = ("Path", "BeforeValue", "AfterValue", "AttributeChangeType")
    row["Details"] = [
        {**part, "Target": {key: value for key, value in part["Target"].items() if key not in hidden}} for part in row["Details"]
    ]
    return {**change, "ResourceChange": row}
