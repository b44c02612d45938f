# SPDX-License-Identifier: Apache-2.0
"""A stand-in for DynamoDB that is quick, counts, and fails as told: PutItem, UpdateItem, TransactWriteItems, GetItem and
Scan over tables in memory, with the expressions that payhook writes. It refuses what the service refuses (names and
values that are not used, an item over 400 KB, a transaction over 4 MB or with an item twice), and is itself held to the
store's contract tests, as MiniStack is. A key id may be limited to some actions, as a role's policy does.

Faults: a function of a Request that is asked before each is carried out and answers None or one of FAULTS. Those with
"after" in their name happen once it has been carried out."""

import asyncio
import base64
import collections
import copy
import functools
import json
import re
import socket
import threading
import time
import zlib

FAULTS = (
    "reset",  # the connection breaks off, nothing done
    "after-reset",
    "silence",  # no answer, nothing done
    "after-silence",
    "slow",  # half a second
    "throttle",
    "unavailable",
    "after-unavailable",
    "garbage",  # 200 and no JSON
    "after-garbage",
    "after-wrong-crc",
    "after-cut",  # half of the answer
    "contention",  # TransactionConflict, in the form of the operation
)
SILENCE_S = 30
WRITES = {"dynamodb:PutItem", "dynamodb:UpdateItem"}
TOKENS = re.compile(r"\s*(?:([A-Za-z_][A-Za-z0-9_]*|[#:][A-Za-z0-9_]+)|(<=|>=|<>|[=<>(),+]))")
RESERVED = {"timestamp", "environment", "order", "first", "bytes", "transaction", "key", "keys", "value", "state"}


Request = collections.namedtuple("Request", "number operation body")  # numbers count from 1


class Refused(Exception):
    def __init__(self, kind, message, **more):
        super().__init__(message)
        self.kind, self.more = kind, {"message": message, **more}


def invalid(message):
    return Refused("ValidationException", message)


def item_size(value):
    """As the service counts: names and texts in UTF-8, bytes as they are, 3 for a map or list and 1 for each member."""
    kind, inner = next(iter(value.items()))
    if kind == "S":
        return len(inner.encode())
    if kind == "B":
        return len(base64.b64decode(inner, validate=True))
    if kind == "N":
        return len(inner) // 2 + 2
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + item_size(member) for name, member in inner.items())
    if kind == "L":
        return 3 + sum(1 + item_size(member) for member in inner)
    return 1


def check_item(item):
    if sum(len(name.encode()) + item_size(value) for name, value in item.items()) > 400 * 1024:
        raise invalid("Item size has exceeded the maximum allowed size")
    key = item["transactionId"].get("S")
    if not key or len(key.encode()) > 2048:
        raise invalid("One or more parameter values were invalid: key")
    if "timestamp" in item and "N" not in item["timestamp"]:
        raise invalid("Type mismatch for Index Key timestamp")


class Parser:
    """Expressions as closures over (item, names, values). Every name and value met is kept, to find those unused."""

    def __init__(self, text):
        self.tokens, at = [], 0
        text = text.strip()
        while at < len(text):
            match = TOKENS.match(text, at)
            if not match:
                raise invalid(f"Invalid expression: {text[at:]}")
            self.tokens.append(match[1] or match[2])
            at = match.end()
        self.at, self.used = 0, set()

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self, wanted=None):
        token = self.peek()
        if token is None or (wanted is not None and token.upper() != wanted):
            raise invalid(f"Syntax error; token: {token}, wanted: {wanted}")
        self.at += 1
        return token

    def path(self):
        token = self.take()
        if token[0] == "#":
            self.used.add(token)
            return lambda names: names[token]
        if not (token[0].isalpha() or token[0] == "_") or token.lower() in RESERVED:
            raise invalid(f"Attribute name is a reserved keyword; reserved keyword: {token}")
        return lambda names: token

    def operand(self):
        token = self.peek()
        if token and token[0] == ":":
            self.used.add(self.take())
            return lambda item, names, values: values[token]
        if token in ("size", "if_not_exists", "list_append"):
            self.take()
            self.take("(")
            if token == "size":
                path = self.path()
                self.take(")")
                return lambda item, names, values: size_of(item, path(names))
            if token == "if_not_exists":
                path = self.path()
                self.take(",")
                other = self.operand()
                self.take(")")
                return lambda item, names, values: item.get(path(names)) or other(item, names, values)
            one = self.operand()
            self.take(",")
            two = self.operand()
            self.take(")")
            return lambda item, names, values: {"L": need(one(item, names, values), "L") + need(two(item, names, values), "L")}
        path = self.path()
        return lambda item, names, values: item.get(path(names))

    def total(self):
        left = self.operand()
        while self.peek() == "+":
            self.take()
            right, before = self.operand(), left
            left = lambda item, names, values, a=before, b=right: {
                "N": str(int(need(a(item, names, values), "N")) + int(need(b(item, names, values), "N")))
            }
        return left

    def condition(self):
        left = self.conjunction()
        while (self.peek() or "").upper() == "OR":
            self.take()
            right, before = self.conjunction(), left
            left = lambda *a, one=before, two=right: one(*a) or two(*a)
        return left

    def conjunction(self):
        left = self.negation()
        while (self.peek() or "").upper() == "AND":
            self.take()
            right, before = self.negation(), left
            left = lambda *a, one=before, two=right: one(*a) and two(*a)
        return left

    def negation(self):
        if (self.peek() or "").upper() == "NOT":
            self.take()
            inner = self.negation()
            return lambda *a: not inner(*a)
        token = self.peek()
        if token == "(":
            self.take()
            inner = self.condition()
            self.take(")")
            return inner
        if token in ("attribute_exists", "attribute_not_exists"):
            self.take()
            self.take("(")
            path = self.path()
            self.take(")")
            wanted = token == "attribute_exists"
            return lambda item, names, values: (path(names) in item) == wanted
        if token == "begins_with":
            self.take()
            self.take("(")
            path = self.path()
            self.take(",")
            start = self.operand()
            self.take(")")
            return lambda item, names, values: item.get(path(names), {}).get("S", "").startswith(start(item, names, values)["S"])
        left, sign, right = self.operand(), self.take(), self.operand()
        if sign not in ("=", "<", "<=", ">", ">=", "<>"):
            raise invalid(f"Syntax error; token: {sign}")
        return lambda item, names, values: compare(left(item, names, values), sign, right(item, names, values))

    def update(self):
        sets, removes = [], []
        while self.peek():
            clause = self.take().upper()
            if clause == "SET":
                while True:
                    path = self.path()
                    self.take("=")
                    sets.append((path, self.total()))
                    if self.peek() != ",":
                        break
                    self.take()
            elif clause == "REMOVE":
                while True:
                    removes.append(self.path())
                    if self.peek() != ",":
                        break
                    self.take()
            else:
                raise invalid(f"Syntax error; token: {clause}")

        def apply(item, names, values):
            fresh = {path(names): value(item, names, values) for path, value in sets}
            if len(fresh) != len(sets) or any(path(names) in fresh for path in removes):
                raise invalid("Two document paths overlap with each other")
            if any(value is None for value in fresh.values()):
                raise invalid("The provided expression refers to an attribute that does not exist in the item")
            return {name: value for name, value in {**item, **fresh}.items() if name not in {p(names) for p in removes}}

        return apply


def need(value, kind):
    if value is None or kind not in value:
        raise invalid(f"An operand in the update expression has an incorrect data type: {value and next(iter(value))}")
    return value[kind]


def size_of(item, name):
    value = item.get(name)
    if value is None:
        return None
    kind, inner = next(iter(value.items()))
    return {"N": str(len(inner.encode()) if kind == "S" else len(inner))}


def compare(left, sign, right):
    if left is None or right is None or left.keys() != right.keys():
        return sign == "<>" and left is not None and right is not None
    kind = next(iter(left))
    one, two = (int(v["N"]) if kind == "N" else v[kind] for v in (left, right))
    return {"=": one == two, "<>": one != two}[sign] if sign in ("=", "<>") else {
        "<": one < two, "<=": one <= two, ">": one > two, ">=": one >= two,
    }[sign]


@functools.lru_cache(4096)
def parsed(text, what):
    parser = Parser(text)
    made = parser.update() if what == "update" else parser.condition()
    if parser.peek():
        raise invalid(f"Syntax error; token: {parser.peek()}")
    return made, frozenset(parser.used)


class Write:
    """One Put or Update, its condition and what it would make."""

    def __init__(self, tables, kind, data):
        self.kind, self.data = kind, data
        if data.get("TableName") not in tables:
            raise Refused("ResourceNotFoundException", "Requested resource not found")
        self.table = tables[data["TableName"]]
        key = data["Key" if kind == "Update" else "Item"]["transactionId"].get("S")
        self.key = key
        self.old = self.table.get(key)
        names, values = data.get("ExpressionAttributeNames", {}), data.get("ExpressionAttributeValues", {})
        used = set()
        self.condition = self.update = None
        if "ConditionExpression" in data:
            self.condition, found = parsed(data["ConditionExpression"], "condition")
            used |= found
        if kind == "Update":
            self.update, found = parsed(data["UpdateExpression"], "update")
            used |= found
        given = set(names) | set(values)
        if used != given:
            raise invalid(f"Names or values that are not used, or not given: {sorted(used ^ given)}")
        self.names, self.values = names, values

    def holds(self):
        return self.condition is None or self.condition(self.old or {}, self.names, self.values)

    def seen(self):
        return {"Item": self.old} if self.data.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and self.old else {}

    def make(self):
        if self.kind == "Put":
            fresh = self.data["Item"]
        else:
            fresh = self.update(self.old or dict(self.data["Key"]), self.names, self.values)
        check_item(fresh)
        return fresh


class StandIn(threading.Thread):
    """with StandIn() as aws: aws.url, aws.tables[NAME][KEY] …"""

    def __init__(self, faults=None):
        super().__init__(daemon=True)
        self.tables = {}
        self.faults = faults or (lambda request: None)
        self.allowed = {}  # key id -> the actions it may take; others may all
        self.count = collections.Counter()  # requests, bytes in and out, and each operation
        self.tokens, self.ready, self.loop = {}, threading.Event(), None
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.socket.getsockname()[1]

    def __enter__(self):
        self.start()
        assert self.ready.wait(30)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.join(10)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def environment(self, key="ANYBODY"):
        return {
            "AWS_ENDPOINT_URL_DYNAMODB": self.url,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def add_table(self, name):
        self.tables[name] = {}
        return name

    def run(self):
        self.loop = asyncio.new_event_loop()
        server = self.loop.run_until_complete(asyncio.start_server(self.serve, sock=self.socket, limit=32 << 20))
        self.ready.set()
        self.loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    # ---- HTTP ----

    async def serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                headers = dict(re.findall(rb"(?m)^([^:\r\n]+):[ \t]*([^\r\n]*)", head.lower()))
                body = await reader.readexactly(int(headers.get(b"content-length", b"0")))
                operation = re.search(rb"(?im)^x-amz-target:[^.\r\n]*\.(\w+)", head)[1].decode()
                key = re.search(rb"(?i)credential=([^/]+)/", head)
                if not await self.exchange(writer, operation, key[1].decode() if key else "", body, len(head)):
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def exchange(self, writer, operation, key, body, head_size):
        """False: the connection is at its end."""
        self.count["requests"] += 1
        self.count[operation] += 1
        self.count["in"] += len(body) + head_size
        fault = self.faults(Request(self.count["requests"], operation, body)) or ""
        assert fault in ("", *FAULTS)
        status, text = 400, b""
        if fault == "slow":
            await asyncio.sleep(0.5)
        if fault in ("", "slow") or fault.startswith("after"):
            status, text = self.answer(operation, key, body)
        elif fault == "throttle":
            text = b'{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slow down"}'
        elif fault == "contention":
            text = json.dumps(
                {"__type": "TransactionCanceledException", "message": "x", "CancellationReasons": [{"Code": "TransactionConflict"}]}
                if operation == "TransactWriteItems"
                else {"__type": "TransactionConflictException", "message": "x"}
            ).encode()
        kind = fault.removeprefix("after-")
        if kind == "silence":
            await asyncio.sleep(SILENCE_S)
        if kind in ("reset", "silence"):
            writer.transport.abort()
            return False
        if kind == "unavailable":
            status, text = 503, b"<html>Service Unavailable</html>"
        if kind == "garbage":
            status, text = 200, b"\x00\xffgarbage"
        crc = zlib.crc32(text) ^ (kind == "wrong-crc")
        answer = (
            b"HTTP/1.1 %d X\r\ncontent-type: application/x-amz-json-1.0\r\nx-amzn-requestid: R%d\r\n"
            b"x-amz-crc32: %d\r\ncontent-length: %d\r\n\r\n" % (status, self.count["requests"], crc, len(text))
        ) + text
        self.count["out"] += len(answer)
        writer.write(answer[: len(answer) // 2] if kind == "cut" else answer)
        await writer.drain()
        return kind != "cut"

    def answer(self, operation, key, body):
        try:
            data = json.loads(body)
            allowed = self.allowed.get(key)
            for action in self.actions(operation, data):
                if allowed is not None and action not in allowed:
                    raise Refused("AccessDeniedException", f"not authorized to perform: {action}")
            return 200, json.dumps(getattr(self, operation)(data), separators=(",", ":")).encode()
        except Refused as refused:
            return 400, json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{refused.kind}", **refused.more}).encode()

    @staticmethod
    def actions(operation, data):
        if operation != "TransactWriteItems":
            return [f"dynamodb:{operation}"]
        return [f"dynamodb:{next(iter(member))}Item" for member in data["TransactItems"]]

    # ---- the operations ----

    def CreateTable(self, data):
        self.tables[data["TableName"]] = {}
        return {"TableDescription": {"TableName": data["TableName"], "TableStatus": "ACTIVE"}}

    def DeleteTable(self, data):
        del self.tables[data["TableName"]]
        return {}

    def write_one(self, kind, data):
        write = Write(self.tables, kind, data)
        if not write.holds():
            raise Refused("ConditionalCheckFailedException", "The conditional request failed", **write.seen())
        write.table[write.key] = write.make()
        return {}

    def PutItem(self, data):
        return self.write_one("Put", data)

    def UpdateItem(self, data):
        return self.write_one("Update", data)

    def TransactWriteItems(self, data):
        token, members = data.get("ClientRequestToken"), data["TransactItems"]
        if token is not None and len(token) > 36:
            raise invalid("Member must have length less than or equal to 36")
        if token in self.tokens:
            if self.tokens[token] != members:
                raise Refused("IdempotentParameterMismatchException", "another payload")
            return {}
        if not 1 <= len(members) <= 100:
            raise invalid("Member must have length less than or equal to 100")
        writes = [Write(self.tables, *next(iter(member.items()))) for member in members]
        if len({(id(write.table), write.key) for write in writes}) != len(writes):
            raise invalid("Transaction request cannot include multiple operations on one item")
        reasons = [
            {"Code": "None"} if write.holds() else {"Code": "ConditionalCheckFailed", "Message": "x", **write.seen()} for write in writes
        ]
        if any(reason["Code"] != "None" for reason in reasons):
            raise Refused("TransactionCanceledException", "Transaction cancelled", CancellationReasons=reasons)
        fresh = [write.make() for write in writes]
        if sum(item_size({"M": item}) for item in fresh) > 4 << 20:
            raise invalid("Aggregate size of the items in the transaction cannot exceed 4 MB")
        for write, item in zip(writes, fresh):
            write.table[write.key] = item
        if token is not None:
            self.tokens[token] = copy.copy(members)
        return {}

    def GetItem(self, data):
        if data["TableName"] not in self.tables:
            raise Refused("ResourceNotFoundException", "Requested resource not found")
        item = self.tables[data["TableName"]].get(data["Key"]["transactionId"]["S"])
        if item is None:
            return {}
        if "ProjectionExpression" in data:
            item = {name: item[name] for name in data["ProjectionExpression"].split(",") if name in item}
        return {"Item": item}

    def Scan(self, data):
        """A page is 20 items, so that paging is tried."""
        if data["TableName"] not in self.tables:
            raise Refused("ResourceNotFoundException", "Requested resource not found")
        table, names, values = self.tables[data["TableName"]], data.get("ExpressionAttributeNames", {}), data["ExpressionAttributeValues"]
        holds, _ = parsed(data["FilterExpression"], "condition")
        keys = sorted(table)
        start = data.get("ExclusiveStartKey", {}).get("transactionId", {}).get("S")
        keys = [key for key in keys if start is None or key > start]
        page = keys[:20]
        items = [table[key] for key in page if holds(table[key], names, values)]
        more = {"LastEvaluatedKey": {"transactionId": {"S": page[-1]}}} if len(keys) > 20 else {}
        return {"Items": items, "Count": len(items), **more}


def main():
    with StandIn() as aws:
        print(aws.url, flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
