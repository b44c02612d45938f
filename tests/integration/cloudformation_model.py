# SPDX-License-Identifier: Apache-2.0
"""What CloudFormation does, small enough to be read: templates with the functions that ours use, change sets made by
comparing what a stack was made from with what is wanted, and operations as generators of events. An operation goes on
only when somebody asks about its stack, so that a test never waits for a clock.

A World holds what the other services know too: buckets, secrets, tables, roles, functions. What a stack creates is
there, what exists already makes a creation fail, a bucket with objects cannot be deleted. What shall go wrong is set
by the test: World.failures, World.change_set_failure.

It knows no nested stacks, macros, drift or exports."""

import collections
import hashlib
import re
import time
import uuid

from cloudformation_template import KNOWN_LATER, as_text, detail, differences

STACK_TYPE = "AWS::CloudFormation::Stack"
NO_CHANGES = (
    "The submitted information didn't contain changes. Submit different information to create a change set.",
    "No updates are to be performed.",
)
CANCELLED = {"CREATE": "Resource creation cancelled", "UPDATE": "Resource update cancelled"}
# Properties that cannot change in place; for Permission none can.
CREATE_ONLY = {
    "AWS::SecretsManager::Secret": {"Name"},
    "AWS::DynamoDB::Table": {"TableName", "KeySchema"},
    "AWS::Logs::LogGroup": {"LogGroupName"},
    "AWS::IAM::Role": {"RoleName"},
    "AWS::Lambda::Function": {"FunctionName"},
    "AWS::Lambda::Url": {"TargetFunctionArn"},
    "AWS::S3::Bucket": {"BucketName"},
    "AWS::S3::BucketPolicy": {"Bucket"},
}
NAMES = {  # the property by which a person named a resource
    "AWS::SecretsManager::Secret": "Name",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::IAM::Role": "RoleName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::S3::Bucket": "BucketName",
}


class Failed(Exception):
    """A resource that could not be made."""


# ---- what the services hold


class Secret:
    def __init__(self, arn, text):
        self.arn, self.leaving = arn, None  # leaving: how many times it will still be seen
        first = str(uuid.uuid4())
        self.versions, self.stages = {first: text}, {"AWSCURRENT": first}

    @property
    def text(self):
        return self.versions[self.stages["AWSCURRENT"]]


class Bucket:
    def __init__(self, owner):
        self.owner, self.objects, self.properties = owner, {}, {}


class World:
    def __init__(self, account="123456789012", region="us-east-1", skew_s=-90):
        self.account, self.region, self.skew_s, self.last_ms = account, region, skew_s, 0
        self.stacks, self.gone = {}, {}  # by name; by id, once deleted
        self.buckets, self.secrets, self.tables = {}, {}, {}
        self.log_groups, self.roles, self.functions = set(), {}, {}
        self.failures = {}  # ("CREATE" | "UPDATE" | "DELETE" | "ROLLBACK", logical name): the reason
        self.cancelled_first = False  # what is cancelled is told before what failed
        self.change_set_failure = None
        self.no_changes = NO_CHANGES[0]
        self.pace = 2  # steps of an operation for each question about it
        self.change_set_pace = 2  # questions until a change set is there
        self.count = 0

    def arn(self, service, rest, region=None):
        return f"arn:aws:{service}:{self.region if region is None else region}:{self.account}:{rest}"

    def now(self):
        """A moment that no other event has, in the service's form."""
        self.last_ms = max(self.last_ms + 1, int((time.time() + self.skew_s) * 1000))
        seconds, ms = divmod(self.last_ms, 1000)
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{ms:03}Z"

    def stack(self, name_or_id):
        """The stack, or None. A deleted one is known by its id alone."""
        if name_or_id in self.gone:
            return self.gone[name_or_id]
        return next((one for one in self.stacks.values() if name_or_id in (one.name, one.id)), None)

    # ---- resources: made, changed and deleted

    def make(self, stack, name, type_, properties):
        """Its physical id and its attributes."""
        made = getattr(self, "make_" + type_.split("::")[-1].lower())(properties, f"{stack.name}-{name}")
        return made if isinstance(made, tuple) else (made, {})

    def taken(self, type_, name, where):
        if name in where:
            raise Failed(f"Resource of type '{type_}' with identifier '{name}' already exists.")

    def make_secret(self, properties, _):
        name = properties["Name"]
        if name in self.secrets:
            leaving = self.secrets[name].leaving is not None
            raise Failed(
                "You can't create this secret because a secret with this name is already scheduled for deletion."
                if leaving
                else f"The operation failed because the secret {name} already exists."
            )
        self.count += 1
        self.secrets[name] = Secret(self.arn("secretsmanager", f"secret:{name}-{self.count:06}"), properties["SecretString"])
        return self.secrets[name].arn

    def make_table(self, properties, _):
        name = properties["TableName"]
        self.taken("AWS::DynamoDB::Table", name, self.tables)
        self.tables[name] = 0
        return name, {"Arn": self.arn("dynamodb", f"table/{name}")}

    def make_loggroup(self, properties, _):
        name = properties["LogGroupName"]
        self.taken("AWS::Logs::LogGroup", name, self.log_groups)
        self.log_groups.add(name)
        return name

    def make_role(self, properties, _):
        name = properties["RoleName"]
        self.taken("AWS::IAM::Role", name, self.roles)
        self.roles[name] = [policy["PolicyName"] for policy in properties.get("Policies", [])]
        return name, {"Arn": self.arn("iam", f"role/{name}", region="")}

    def look_at_code(self, properties):
        code = properties["Code"]
        if "ZipFile" in code:
            return
        bucket = self.buckets.get(code["S3Bucket"])
        missing = "NoSuchBucket" if bucket is None else None if code["S3Key"] in bucket.objects else "NoSuchKey"
        if missing:
            raise Failed(f"Error occurred while GetObject. S3 Error Code: {missing}. (Service: Lambda, Status Code: 400)")

    def make_function(self, properties, _):
        name = properties["FunctionName"]
        self.taken("AWS::Lambda::Function", name, self.functions)
        self.look_at_code(properties)
        self.functions[name] = {"url": None, "runtime": properties["Runtime"], "permissions": 0}
        return name, {"Arn": self.arn("lambda", f"function:{name}")}

    def make_url(self, properties, _):
        name = properties["TargetFunctionArn"].split(":")[-1]
        url = f"https://{hashlib.sha256(name.encode()).hexdigest()[:32]}.lambda-url.{self.region}.on.aws/"
        self.functions[name]["url"] = {"address": url, "auth": properties["AuthType"], "cors": properties["Cors"]}
        return self.arn("lambda", f"function:{name}"), {"FunctionUrl": url}

    def make_permission(self, properties, name):
        self.functions[properties["FunctionName"]]["permissions"] += 1
        self.count += 1
        return f"{name}-{self.count:012}"

    def make_bucket(self, properties, _):
        name = properties["BucketName"]
        if name in self.buckets:
            raise Failed(f"{name} already exists")
        self.buckets[name] = Bucket(self.account)
        self.buckets[name].properties = properties
        return name, {"Arn": f"arn:aws:s3:::{name}"}

    def make_bucketpolicy(self, properties, _):
        return properties["Bucket"]

    def change(self, type_, physical, properties):
        if type_ == "AWS::Lambda::Function":
            self.look_at_code(properties)
            self.functions[physical]["runtime"] = properties["Runtime"]
        elif type_ == "AWS::IAM::Role":
            self.roles[physical] = [policy["PolicyName"] for policy in properties.get("Policies", [])]
        elif type_ == "AWS::Lambda::Url":
            self.functions[physical.split(":")[-1]]["url"].update(auth=properties["AuthType"], cors=properties["Cors"])

    def delete(self, type_, physical):
        last = physical.split(":")[-1]
        if type_ == "AWS::SecretsManager::Secret":
            self.secrets = {name: secret for name, secret in self.secrets.items() if secret.arn != physical}
        elif type_ == "AWS::Lambda::Url" and last in self.functions:
            self.functions[last]["url"] = None
        elif type_ == "AWS::Logs::LogGroup":
            self.log_groups.discard(physical)
        elif type_ == "AWS::S3::Bucket":
            if physical in self.buckets and self.buckets[physical].objects:
                raise Failed("The bucket you tried to delete is not empty (Service: S3, Status Code: 409)")
            self.buckets.pop(physical, None)
        else:
            kinds = {"Table": self.tables, "Role": self.roles, "Function": self.functions}
            kinds.get(type_.split("::")[-1], {}).pop(physical, None)


# ---- stacks

Resource = collections.namedtuple("Resource", "type physical properties attributes")


class ChangeSet:
    def __init__(self, stack, name, kind, template, values, tags, imports):
        self.stack, self.name, self.kind, self.template, self.values = stack, name, kind, template, values
        self.tags, self.imports = tags, imports
        self.id = stack.world.arn("cloudformation", f"changeSet/{name}/{uuid.uuid4()}")
        self.status, self.reason, self.execution, self.asked = "CREATE_PENDING", None, "UNAVAILABLE", 0
        self.created, self.token, self.changes = stack.world.now(), None, []

    def advance(self):
        if self.status not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
            return
        self.asked += 1
        self.status = "CREATE_IN_PROGRESS"
        if self.asked <= self.stack.world.change_set_pace:
            return
        world = self.stack.world
        self.changes = list(self.stack.compare(self))
        failure = world.change_set_failure or (None if self.changes or self.tags != self.stack.tags else world.no_changes)
        self.status, self.reason = ("FAILED", failure) if failure else ("CREATE_COMPLETE", None)
        self.execution = "UNAVAILABLE" if failure else "AVAILABLE"


class Stack:
    def __init__(self, world, name, status="REVIEW_IN_PROGRESS"):
        self.world, self.name, self.status, self.reason = world, name, status, None
        self.id = world.arn("cloudformation", f"stack/{name}/{uuid.uuid4()}")
        self.template, self.values, self.tags, self.outputs = None, {}, {}, []
        self.resources, self.events, self.change_sets = {}, [], {}
        self.operation, self.token, self.protected, self.created = None, None, False, world.now()
        world.stacks[name] = self
        self.event(None, status, "User Initiated")

    # ---- what is told

    def event(self, name, status, reason=None, physical="", type_=""):
        """name None: of the stack itself."""
        if name is None:
            self.status, self.reason = status, reason
            name, physical, type_ = self.name, self.id, STACK_TYPE
        self.events.append(
            {
                "StackId": self.id,
                "EventId": str(uuid.uuid4()) if type_ == STACK_TYPE else f"{name}-{status}-{uuid.uuid4()}",
                "StackName": self.name,
                "LogicalResourceId": name,
                "PhysicalResourceId": physical,
                "ResourceType": type_,
                "Timestamp": self.world.now(),
                "ResourceStatus": status,
                "ResourceStatusReason": reason,
                "ClientRequestToken": self.token,
            }
        )

    def advance(self, steps=None):
        for _ in range(self.world.pace if steps is None else steps):
            if self.operation is not None and next(self.operation, self) is self:
                self.operation = None

    def finish(self):
        while self.operation is not None:
            self.advance()

    def find(self, name, attribute):
        known = self.resources.get(name)
        if known is None:
            return KNOWN_LATER
        return known.physical if attribute is None else known.attributes.get(attribute, KNOWN_LATER)

    def pseudo(self, values):
        return {
            **values,
            "AWS::AccountId": self.world.account,
            "AWS::Region": self.world.region,
            "AWS::Partition": "aws",
            "AWS::StackName": self.name,
            "AWS::StackId": self.id,
        }

    def properties(self, template, name, values, find, tags):
        """As they will be, with the stack's tags on what takes tags."""
        resolved = template.resolve(template.resources[name].get("Properties", {}), self.pseudo(values), find)
        if template.resources[name]["Type"] in NAMES:
            own = resolved.get("Tags", [])
            more = [{"Key": key, "Value": value} for key, value in tags.items() if key not in {tag["Key"] for tag in own}]
            if own or more:
                resolved["Tags"] = own + more
        return resolved

    # ---- change sets

    def compare(self, change_set):
        """The members of Changes."""
        template, imported = change_set.template, {entry["LogicalResourceId"]: entry for entry in change_set.imports}
        wanted = template.wanted(self.pseudo(change_set.values))
        moved = set()  # modified or replaced

        def find(name, attribute):
            return self.find(name, attribute) if name not in replaced else KNOWN_LATER

        replaced = set()
        rows = []
        for name in [name for wave in template.waves(wanted) for name in wave]:
            type_, known = template.resources[name]["Type"], self.resources.get(name)
            after = self.properties(template, name, change_set.values, find, change_set.tags)
            row = {"LogicalResourceId": name, "ResourceType": type_, "Scope": [], "Details": []}
            if name in imported:
                identifier = next(iter(imported[name]["ResourceIdentifier"].values()))
                rows.append({"Action": "Import", "PhysicalResourceId": identifier, **row})
            elif known is None:
                rows.append({"Action": "Add", **row, "AfterContext": as_text({"Properties": after})})
            else:
                details = list(self.details(name, known, after, template, moved))
                if not details:
                    continue
                always = [part for part in details if part["Target"]["RequiresRecreation"] == "Always"]
                sure = any(part["Evaluation"] == "Static" for part in always)
                moved.add(name)
                if sure:
                    replaced.add(name)
                rows.append(
                    {
                        "PolicyAction": "ReplaceAndDelete" if always else None,
                        "Action": "Modify",
                        "PhysicalResourceId": known.physical,
                        **row,
                        "Replacement": "True" if sure else "Conditional" if always else "False",
                        "Scope": sorted({part["Target"]["Attribute"] for part in details}),
                        "Details": details,
                        "BeforeContext": as_text({"Properties": known.properties}),
                        "AfterContext": as_text({"Properties": after}),
                    }
                )
        for name, known in self.resources.items():
            if name not in wanted:
                rows.append(
                    {
                        "PolicyAction": "Delete",
                        "Action": "Remove",
                        "LogicalResourceId": name,
                        "PhysicalResourceId": known.physical,
                        "ResourceType": known.type,
                        "Scope": [],
                        "Details": [],
                        "BeforeContext": as_text({"Properties": known.properties}),
                    }
                )
        for row in sorted(rows, key=lambda row: row["LogicalResourceId"]):
            yield {"Type": "Resource", "ResourceChange": row}

    def details(self, name, known, after, template, moved):
        """What differs, path by path; and what asks for an attribute of something that changes itself."""
        only = CREATE_ONLY.get(known.type)
        for path, old, new in differences(known.properties, after, "/Properties"):
            top = path.split("/")[2]
            dynamic = new is not None and KNOWN_LATER in as_text(new)
            recreates = only is None or top in only
            parameter = template.parameter_at(name, path)
            if parameter is not None:  # two details, as the service gives them
                one = detail(top, path, old, new, recreates, False)
                yield {**one, "ChangeSource": "ParameterReference", "CausingEntity": parameter}
                dynamic = True
            yield detail(top, path, old, new, recreates, dynamic)
        for top, value in template.resources[name].get("Properties", {}).items():
            for source, attribute in re.findall(r"'Fn::GetAtt': \['(\w+)', '(\w+)'\]", str(value)):
                if source in moved:
                    one = detail(top, f"/Properties/{top}", as_text(after[top]), as_text(after[top]), False, True)
                    yield {**one, "ChangeSource": "ResourceAttribute", "CausingEntity": f"{source}.{attribute}"}

    # ---- operations

    def start(self, operation, token=None):
        self.token = token
        self.operation = operation
        self.advance(1)

    def replace(self, change_set):
        """The moment a change set is executed."""
        kinds = {"CREATE": self.creating, "UPDATE": self.updating, "IMPORT": self.importing}
        change_set.execution = "EXECUTE_IN_PROGRESS"
        self.change_sets = {}
        self.start(kinds[change_set.kind](change_set), change_set.token)

    def fails(self, verb, name):
        reason = self.world.failures.get((verb, name))
        if reason is not None:
            raise Failed(reason)

    def work(self, change_set, names, verbs):
        """Makes or changes those of one list after another. Gives what was done; ends with Failed."""
        template, done = change_set.template, []
        for wave in template.waves(names):
            types = {name: template.resources[name]["Type"] for name in wave}
            for name in wave:
                known = self.resources.get(name)
                reason = (
                    "Requested update requires the creation of a new physical resource; hence creating one."
                    if verbs[name] == "REPLACE"
                    else None
                )
                verb = "UPDATE" if verbs[name] == "REPLACE" else verbs[name]
                self.event(name, f"{verb}_IN_PROGRESS", reason, known.physical if known else "", types[name])
                yield
            for name in wave:
                verb = "UPDATE" if verbs[name] == "REPLACE" else verbs[name]
                known, type_ = self.resources.get(name), types[name]
                try:
                    self.fails(verb, name)
                    wanted = self.properties(template, name, change_set.values, self.find, change_set.tags)
                    if verbs[name] == "REPLACE" and known.properties.get(NAMES.get(type_)) == wanted.get(NAMES.get(type_), 0):
                        raise Failed(
                            "CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename "
                            f"{known.physical} and update the stack again."
                        )
                    if verbs[name] == "UPDATE":
                        self.world.change(type_, known.physical, wanted)
                        physical, attributes = known.physical, known.attributes
                    else:
                        physical, attributes = self.world.make(self, name, type_, wanted)
                except Failed as failure:
                    others = [other for other in wave if other not in done and other != name]
                    told = [(name, verb, str(failure), known.physical if known else "")]
                    for other in others:
                        kind = "CREATE" if verbs[other] == "CREATE" else "UPDATE"
                        told.append((other, kind, CANCELLED[kind], ""))
                    for other, kind, reason, physical in told[::-1] if self.world.cancelled_first else told:
                        self.event(other, f"{kind}_FAILED", reason, physical, types[other])
                    yield
                    raise Failed(f"{'create' if verb == 'CREATE' else 'update'}: [{', '.join(sorted([name, *others]))}]") from failure
                done.append(name)
                self.resources[name] = Resource(type_, physical, wanted, attributes)
                if verbs[name] != "UPDATE":
                    self.event(name, f"{verb}_IN_PROGRESS", "Resource creation Initiated", physical, type_)
                    yield
                self.event(name, f"{verb}_COMPLETE", None, physical, type_)
                yield

    def remove(self, names, kept=()):
        """Deletes, the last made first. Gives the names of those that could not be."""
        left = []
        for name in names:
            one = self.resources[name]
            if name in kept:
                self.event(name, "DELETE_SKIPPED", None, one.physical, one.type)
                del self.resources[name]
                continue
            self.event(name, "DELETE_IN_PROGRESS", None, one.physical, one.type)
            yield
            try:
                self.fails("DELETE", name)
                self.world.delete(one.type, one.physical)
            except Failed as failure:
                self.event(name, "DELETE_FAILED", str(failure), one.physical, one.type)
                left.append(name)
                yield
                continue
            del self.resources[name]
            self.event(name, "DELETE_COMPLETE", None, one.physical, one.type)
            yield
        return left

    def backwards(self, names, template=None):
        template = template or self.template
        known = [name for wave in template.waves([n for n in names if n in template.resources]) for name in wave]
        return [*(name for name in names if name not in known), *reversed(known)]

    def settle(self, change_set):
        """What the stack is now made from."""
        self.template, self.values, self.tags = change_set.template, change_set.values, change_set.tags
        self.outputs = [
            {
                "OutputKey": key,
                "OutputValue": self.template.resolve(row["Value"], self.pseudo(self.values), self.find),
                "Description": row.get("Description"),
            }
            for key, row in self.template.body.get("Outputs", {}).items()
        ]

    def creating(self, change_set):
        names = change_set.template.wanted(self.pseudo(change_set.values))
        self.template, self.values, self.tags = change_set.template, change_set.values, change_set.tags
        self.event(None, "CREATE_IN_PROGRESS", "User Initiated")
        yield
        try:
            yield from self.work(change_set, names, dict.fromkeys(names, "CREATE"))
        except Failed as failed:
            reason = f"The following resource(s) failed to {failed}. Rollback requested by user."
            self.event(None, "ROLLBACK_IN_PROGRESS", reason)
            yield
            left = yield from self.remove(self.backwards(list(self.resources)))
            reason = f"The following resource(s) failed to delete: [{', '.join(left)}]. " if left else None
            self.event(None, "ROLLBACK_FAILED" if left else "ROLLBACK_COMPLETE", reason)
            return
        self.settle(change_set)
        self.event(None, "CREATE_COMPLETE")

    def updating(self, change_set):
        rows = [row["ResourceChange"] for row in change_set.changes]
        verbs = {
            row["LogicalResourceId"]: "CREATE"
            if row["Action"] == "Add"
            else "REPLACE"
            if row["Replacement"] == "True"
            else "UPDATE"
            for row in rows
            if row["Action"] in ("Add", "Modify")
        }
        before = dict(self.resources)
        self.event(None, "UPDATE_IN_PROGRESS", "User Initiated")
        yield
        try:
            yield from self.work(change_set, list(verbs), verbs)
        except Failed as failed:
            self.event(None, "UPDATE_ROLLBACK_IN_PROGRESS", f"The following resource(s) failed to {failed}. ")
            yield
            for name, one in before.items():
                if name not in verbs:
                    continue
                self.event(name, "UPDATE_IN_PROGRESS", None, one.physical, one.type)
                yield
                try:
                    self.fails("ROLLBACK", name)
                except Failed as failure:
                    self.event(name, "UPDATE_FAILED", str(failure), one.physical, one.type)
                    yield
                    reason = f"The following resource(s) failed to update: [{name}]. "
                    self.event(None, "UPDATE_ROLLBACK_FAILED", reason)
                    return
                self.event(name, "UPDATE_COMPLETE", None, one.physical, one.type)
                yield
            self.event(None, "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
            yield
            made = [name for name in self.resources if name not in before]
            yield from self.remove(self.backwards(made, change_set.template))
            self.resources = before
            self.event(None, "UPDATE_ROLLBACK_COMPLETE")
            return
        self.event(None, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        yield
        for name, verb in verbs.items():
            if verb == "REPLACE":
                old = before[name]
                self.event(name, "DELETE_IN_PROGRESS", None, old.physical, old.type)
                yield
                self.world.delete(old.type, old.physical)
                self.event(name, "DELETE_COMPLETE", None, old.physical, old.type)
        yield from self.remove(self.backwards([row["LogicalResourceId"] for row in rows if row["Action"] == "Remove"]))
        self.settle(change_set)
        self.event(None, "UPDATE_COMPLETE")

    def importing(self, change_set):
        self.template, self.values = change_set.template, change_set.values
        self.event(None, "IMPORT_IN_PROGRESS", "User Initiated")
        yield
        entries = {entry["LogicalResourceId"]: entry for entry in change_set.imports}
        for name in [name for wave in change_set.template.waves(entries) for name in wave]:
            type_, identifier = entries[name]["ResourceType"], next(iter(entries[name]["ResourceIdentifier"].values()))
            self.event(name, "IMPORT_IN_PROGRESS", "Resource import started.", "", type_)
            yield
            reason = self.world.failures.get(("IMPORT", name))
            if reason is not None:
                self.event(name, "IMPORT_FAILED", reason, "", type_)
                self.event(None, "IMPORT_ROLLBACK_IN_PROGRESS", reason)
                yield
                for other, one in reversed(self.resources.items()):
                    self.event(other, "IMPORT_ROLLBACK_IN_PROGRESS", None, one.physical, one.type)
                    self.event(other, "IMPORT_ROLLBACK_COMPLETE", None, one.physical, one.type)
                self.resources = {}
                self.event(None, "ROLLBACK_COMPLETE")
                return
            short, attributes = identifier.split(":")[-1], {}
            if type_ == "AWS::DynamoDB::Table":
                attributes = {"Arn": self.world.arn("dynamodb", f"table/{identifier}")}
            elif type_ == "AWS::IAM::Role":
                attributes = {"Arn": self.world.arn("iam", f"role/{identifier}", region="")}
            elif type_ == "AWS::Lambda::Function":
                attributes = {"Arn": self.world.arn("lambda", f"function:{identifier}")}
            elif type_ == "AWS::Lambda::Url":
                attributes = {"FunctionUrl": self.world.functions[short]["url"]["address"]}
            wanted = self.properties(change_set.template, name, change_set.values, self.find, change_set.tags)
            self.resources[name] = Resource(type_, identifier, wanted, attributes)
            self.event(name, "IMPORT_COMPLETE", "Resource import completed.", identifier, type_)
            yield
        self.settle(change_set)
        self.event(None, "IMPORT_COMPLETE")

    def deleting(self):
        self.event(None, "DELETE_IN_PROGRESS", "User Initiated")
        yield
        kept = [
            name
            for name, row in (self.template.resources.items() if self.template else ())
            if row.get("DeletionPolicy") == "Retain"
        ]
        left = yield from self.remove(self.backwards(list(self.resources)) if self.resources else [], kept)
        if left:
            self.event(None, "DELETE_FAILED", f"The following resource(s) failed to delete: [{', '.join(sorted(left))}]. ")
            return
        self.go()

    def go(self):
        self.event(None, "DELETE_COMPLETE")
        self.change_sets = {}
        self.world.stacks.pop(self.name, None)
        self.world.gone[self.id] = self
