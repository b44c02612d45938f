# SPDX-License-Identifier: Apache-2.0
"""CloudFormation templates, with the functions that ours use, and what differs between the properties of a resource as
it is and as it is wanted, told as DescribeChangeSet tells it."""

import hashlib
import json
import re

import yaml

KNOWN_LATER = "{{changeSet:KNOWN_AFTER_APPLY}}"


class Refused(Exception):
    """An error answer."""

    def __init__(self, code, message, status=400):
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


class Loader(yaml.SafeLoader):
    pass


def read_tag(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt":
        value = value.split(".", 1) if isinstance(value, str) else value
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", read_tag)


def text_of(value):
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, (bool, int, float)) else value


class Template:
    def __init__(self, text):
        if len(text.encode()) > 51200:
            raise Refused(
                "ValidationError",
                f"1 validation error detected: Value '{text}' at 'templateBody' failed to satisfy constraint: Member must "
                "have length less than or equal to 51200",
            )
        try:
            self.body = yaml.load(text, Loader)  # noqa: S506: a SafeLoader
        except yaml.YAMLError as error:
            raise Refused("ValidationError", f"Template format error: {error}") from error
        self.text, self.resources = text, self.body["Resources"]

    def parameters(self, given, before):
        """The values of all parameters. As the service: what an update does not give is the default, not the value of
        before."""
        declared, values = self.body.get("Parameters", {}), {}
        unknown = [name for name in given if name not in declared]
        if unknown:
            raise Refused("ValidationError", f"Parameters: [{', '.join(unknown)}] do not exist in the template")
        missing = [name for name in declared if name not in given and "Default" not in declared[name]]
        if missing:
            raise Refused("ValidationError", f"Parameters: [{', '.join(missing)}] must have values")
        for name, row in declared.items():
            value = given.get(name, str(row.get("Default")))
            if value is None:  # UsePreviousValue
                if name not in before:
                    raise Refused("ValidationError", f"Invalid input for parameter key {name}. There is no previous value")
                value = before[name]
            for part in value.split(",") if row["Type"] == "CommaDelimitedList" else [value]:
                good = "AllowedValues" not in row or part in map(str, row["AllowedValues"])
                if not good or ("AllowedPattern" in row and not re.fullmatch(row["AllowedPattern"], part)):
                    reason = row.get("ConstraintDescription", "must be one of the allowed values")
                    raise Refused("ValidationError", f"Parameter {name} failed to satisfy constraint: {reason}")
            values[name] = value
        return values

    def condition(self, what, values):
        if isinstance(what, str):
            what = self.body["Conditions"][what]
        [[function, argument]] = what.items()
        if function == "Fn::Equals":
            return self.resolve(argument[0], values, None) == self.resolve(argument[1], values, None)
        if function == "Fn::Not":
            return not self.condition(argument[0], values)
        assert function == "Condition", function
        return self.condition(argument, values)

    def wanted(self, values):
        """The logical names of what is to exist."""
        return [
            name
            for name, row in self.resources.items()
            if "Condition" not in row or self.condition(row["Condition"], values)
        ]

    def uses(self, name):
        """The resources that a resource's properties name, and those it says it depends on."""
        found = set()

        def look(value):
            if isinstance(value, list):
                for member in value:
                    look(member)
            elif isinstance(value, dict):
                for key, inner in value.items():
                    if key == "Ref":
                        found.add(inner)
                    elif key == "Fn::GetAtt":
                        found.add(inner[0])
                    elif key == "Fn::Sub":
                        found.update(part.split(".")[0] for part in re.findall(r"\$\{([^}!]+)\}", inner))
                    look(inner)

        look(self.resources[name].get("Properties", {}))
        depends = self.resources[name].get("DependsOn", [])
        found.update([depends] if isinstance(depends, str) else depends)
        return found & set(self.resources)

    def parameter_at(self, name, path):
        """The parameter that is the value at "/Properties/Code/S3Key", or None."""
        value = self.resources[name]
        for part in path[1:].split("/"):
            value = value.get(part) if isinstance(value, dict) else None
        if isinstance(value, dict) and "Ref" in value and value["Ref"] in self.body.get("Parameters", {}):
            return value["Ref"]
        return None

    def waves(self, names):
        """The names in the order in which they can be made, those of one list at the same time."""
        left, done, waves = list(names), set(), []
        while left:
            wave = [name for name in left if not (self.uses(name) & set(left)) - done]
            assert wave, f"a circle among {left}"
            waves.append(wave)
            done.update(wave)
            left = [name for name in left if name not in wave]
        return waves

    def resolve(self, value, values, find):
        """find(logical name, attribute or None for Ref) knows resources."""
        if isinstance(value, list):
            members = [self.resolve(member, values, find) for member in value]
            return [member for member in members if member is not NotImplemented]
        if not isinstance(value, dict):
            return text_of(value)
        if len(value) == 1:
            [[function, argument]] = value.items()
            if function == "Ref":
                if argument == "AWS::NoValue":
                    return NotImplemented
                declared = self.body.get("Parameters", {}).get(argument)
                if declared is not None:
                    is_list = declared["Type"] == "CommaDelimitedList"
                    return values[argument].split(",") if is_list else values[argument]
                return values[argument] if argument in values else find(argument, None)
            if function == "Fn::GetAtt":
                return find(*argument)
            if function == "Fn::Sub":
                return re.sub(
                    r"\$\{([^}!]+)\}",
                    lambda found: (
                        values[found[1]]
                        if found[1] in values
                        else find(*found[1].split(".", 1))
                        if "." in found[1]
                        else find(found[1], None)
                    ),
                    argument,
                )
            if function == "Fn::If":
                return self.resolve(argument[1 if self.condition(argument[0], values) else 2], values, find)
            assert not function.startswith("Fn::"), f"the model does not know {function}"
        inner = {key: self.resolve(member, values, find) for key, member in value.items()}
        return {key: member for key, member in inner.items() if member is not NotImplemented}


# ---- differences


def as_text(value):
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def differences(old, new, path):
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from differences(old.get(key), new.get(key), f"{path}/{key}")
    elif isinstance(old, list) and isinstance(new, list) and path.endswith("/Tags"):
        for i in range(max(len(old), len(new))):
            one, two = (part[i] if i < len(part) else None for part in (old, new))
            if one != two:
                yield f"{path}/{i}", one, two
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (one, two) in enumerate(zip(old, new)):
            yield from differences(one, two, f"{path}/{i}")
    elif old != new:
        yield path, old, new


def shown(value):
    text = as_text(value)
    return text if len(text) <= 1024 else "(Truncated-Signature):" + hashlib.sha256(text.encode()).hexdigest()


def detail(top, path, old, new, recreates, dynamic):
    is_tag = path.startswith("/Properties/Tags/")
    return {
        "Target": {
            "Attribute": "Tags" if is_tag else "Properties",
            "Name": None if is_tag else top,
            "RequiresRecreation": "Always" if recreates else "Never",
            "Path": path,
            "BeforeValue": None if old is None else shown(old),
            "AfterValue": None if new is None else shown(new),
            "AttributeChangeType": "Add" if old is None else "Remove" if new is None else "Modify",
        },
        "Evaluation": "Dynamic" if dynamic else "Static",
        "ChangeSource": "DirectModification",
    }
