# SPDX-License-Identifier: Apache-2.0
"""`payhook stack` against the stand-in for AWS: the command, its zip, and stacks that were made before it came."""

import collections
import fcntl
import hashlib
import io
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import zipfile

from cloudformation_model import ChangeSet, Secret, Stack
from cloudformation_stand_in import KEY
from cloudformation_template import Template
from conftest import PROGRAM, ROOT

TEMPLATE, ARTIFACTS = ((ROOT / "deploy" / name).read_text() for name in ("template.yaml", "artifacts.yaml"))
STACK, BUCKET_STACK = "TapStack-dev", "payhook-artifacts"
BUCKET = "payhook-artifacts-123456789012-us-east-1"
TABLE, SECRET, ROLE = "envmig-transactions-dev", "envmig-apikeys-dev", "envmig-webhook-role-dev"
FUNCTION, LOG_GROUP = "envmig-webhook-dev", "/aws/lambda/envmig-webhook-dev"
PLACEHOLDER = '{"api_key": "placeholder_value_replace_in_production"}'
RESOURCES = {"Secret", "Table", "LogGroup", "Role", "Function", "Url"}
OUTPUTS = [
    "lambda_function_url",
    "dynamodb_table_arn",
    "dynamodb_table_name",
    "secrets_manager_arn",
    "lambda_function_name",
    "lambda_function_arn",
]
FIXED_TAGS = {"Environment": "prod", "MigrationPhase": "testing"}
MACHINES = {"x86_64": 62, "arm64": 183}

Done = collections.namedtuple("Done", "code out err")


def make_zip(arch="x86_64", extra=b"", name="bootstrap", mode=0o100755, head=None):
    """A zip whose bootstrap begins as a program does."""
    if head is None:
        head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 3, MACHINES[arch]) + bytes(44)
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
        entry.external_attr, entry.create_system, entry.compress_type = mode << 16, 3, zipfile.ZIP_DEFLATED
        archive.writestr(entry, head + extra)
    return data.getvalue()


ZIP = make_zip()


def key_of(zip_bytes, suffix="dev", arch="x86_64"):
    return f"payhook/{suffix}/{arch}/{hashlib.sha256(zip_bytes).hexdigest()}.zip"


class Command:
    """payhook stack, in a home folder, asking a stand-in."""

    def __init__(self, home, aws):
        self.home, self.aws = home, aws
        self.zip = home.write("function.zip", ZIP)

    def environment(self, more=None, key=KEY):
        found = {**self.aws.environment(key), "PAYHOOK_STACK_POLL_MS": "2", **(more or {})}
        return {name: value for name, value in found.items() if value is not None}

    def line(self, *words):
        words = list(map(str, words))
        if words[:1] in (["up"], ["preview"]) and "--zip" not in words:
            words += ["--zip", str(self.zip)]
        return ["stack", *words]

    def run(self, *words, key=KEY, environment=None, timeout=60):
        done = self.home.run(*self.line(*words), environment=self.environment(environment, key), timeout=timeout)
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def ok(self, *words, **how):
        done = self.run(*words, **how)
        assert done.code == 0, done
        return done

    def fails(self, *words, code=1, **how):
        """It says why in sentences, on stderr alone."""
        done = self.run(*words, **how)
        assert done.code == code and done.err.endswith("\n") and len(done.err) > 20, done
        assert not re.search(r"[^\n -~\u00a0-\uffff]", done.err), done.err
        return done

    def interrupted_at(self, action, *words, times=1, signal_number=signal.SIGINT):
        """SIGINT at the moment the stand-in is asked for the action (the so manieth time)."""
        process, seen = None, []

        def on_call(asked):
            if asked.action == action:
                seen.append(asked)
                if len(seen) == times:
                    process.send_signal(signal_number)
                    time.sleep(0.05)  # so that it comes before the answer

        with self.aws.lock:
            self.aws.on_call = on_call
            process = subprocess.Popen(
                [str(PROGRAM), *self.line(*words)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self.home.path,
                env=self.home.environment(self.environment()),
            )
        out, err = process.communicate(timeout=60)
        self.aws.on_call = None
        assert len(seen) >= times, f"{action} was not asked for: {out.decode()} {err.decode()}"
        return Done(process.returncode, out.decode(), err.decode())

    def terminal(self, *words, environment=None, columns=80, rows=50):
        return Terminal(
            [str(PROGRAM), *self.line(*words)],
            self.home.environment(self.environment({"TERM": "xterm", **(environment or {})})),
            self.home.path,
            columns,
            rows,
        )


class Screen:
    """What a terminal shows: as much of ECMA-48 as is used, and an error on the rest."""

    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.lines, self.x, self.y, self.scrolled = [[]], 0, 0, 0

    def feed(self, text):
        for found in re.finditer(r"\x1b\[([?0-9;]*)([A-Za-z])|([\r\n\b\x07])|(\x1b.?)|(.)", text, re.S):
            number, kind, control, unknown, letter = found.groups()
            assert not unknown, f"an escape sequence of another kind: {unknown!r}"
            if kind:
                self.sequence(number, kind)
            elif control == "\r":
                self.x = 0
            elif control == "\n":
                self.down()
            elif control == "\b":
                self.x = max(self.x - 1, 0)
            elif letter:
                self.put(letter)

    def down(self):
        self.y += 1
        while len(self.lines) <= self.y:
            self.lines.append([])

    def put(self, letter):
        if self.x == self.columns:  # wraps when the next one comes
            self.x = 0
            self.down()
        line = self.lines[self.y]
        line.extend(" " * (self.x + 1 - len(line)))
        line[self.x] = letter
        self.x += 1

    def sequence(self, number, kind):
        count = int(number or 1) if number.isdigit() or not number else None
        if kind in "AF":
            assert count < self.rows, "a cursor does not go back beyond the screen's top"
            self.y = max(self.y - count, 0)
        elif kind in "BE":
            for _ in range(count):
                self.down()
        elif kind == "G":
            self.x = count - 1
        elif kind == "K":
            assert number in ("", "0", "2"), number
            del self.lines[self.y][0 if number == "2" else self.x :]
        elif kind == "J":
            assert number in ("", "0"), number
            del self.lines[self.y][self.x :], self.lines[self.y + 1 :]
        else:
            assert kind in "mhl", f"CSI {number}{kind}"
        if kind in "EF":
            self.x = 0

    def text(self):
        return "\n".join("".join(line).rstrip() for line in self.lines).rstrip("\n") + "\n"


class Terminal:
    """A command with a terminal of its own for all three streams; `with`."""

    def __init__(self, command, environment, folder, columns, rows):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self.raw, self.screen = "", Screen(columns, rows)
        self.rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        os.close(self.master)

    def read(self, seconds):
        """False: nothing came, or it has ended."""
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.rest += data
        text = self.rest.decode(errors="ignore")
        self.rest = self.rest[len(text.encode()) :]
        self.raw += text
        self.screen.feed(text)
        return True

    def until(self, pattern, seconds=30):
        end = time.monotonic() + seconds
        while not re.search(pattern, self.raw):
            assert time.monotonic() < end, f"{pattern} did not come: {self.raw}"
            if not self.read(0.1) and self.process.poll() is not None and not self.read(0.1):
                raise AssertionError(f"it ended with {self.process.returncode} without {pattern}: {self.raw}")
        return self

    def type(self, text):
        os.write(self.master, text.encode())
        return self

    def wait(self, seconds=30):
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < end, f"it does not end: {self.raw}"
            self.read(0.05)
        while self.read(0.05):
            pass
        return self.process.returncode


# ---- what was there before


def stored(aws, zip_bytes=ZIP, suffix="dev"):
    """The artifact bucket's stack with a zip in the bucket; its key."""
    if BUCKET_STACK not in aws.world.stacks:
        made(aws, BUCKET_STACK, ARTIFACTS, {}, {"ManagedBy": "payhook", **FIXED_TAGS})
    key = key_of(zip_bytes, suffix)
    aws.world.buckets[BUCKET].objects[key] = zip_bytes
    return key


def change_set_of(aws, name, text, given, tags, kind):
    world, template = aws.world, Template(text)
    stack = world.stack(name) or Stack(world, name)
    change_set = ChangeSet(stack, "earlier", kind, template, template.parameters(given, stack.values), tags, [])
    change_set.changes, change_set.execution = list(stack.compare(change_set)), "AVAILABLE"
    return change_set


def made(aws, name, text, given, tags=None, finish=True, kind="CREATE"):
    """A stack that somebody made, or changed, and watched to its end."""
    change_set = change_set_of(aws, name, text, given, FIXED_TAGS if tags is None else tags, kind)
    change_set.stack.replace(change_set)
    if finish:
        change_set.stack.finish()
    return change_set.stack


def deployed(aws, suffix="dev", zip_bytes=ZIP, text=TEMPLATE, kind="CREATE", finish=True, tags=None, **given):
    """TapStack-dev as `up` would have made it."""
    key = stored(aws, zip_bytes, suffix)
    given = {"EnvironmentSuffix": suffix, "ArtifactBucket": BUCKET, "ArtifactKey": key, **given}
    stack = made(aws, f"TapStack-{suffix}", text, given, tags, finish, kind)
    aws.asked.clear()
    return stack


def users_own(aws, old_policy="envmig-webhook-custom-policy-dev-1a2b3c4"):
    """What the Python program left, by its names, with five items and real keys."""
    world = aws.world
    arn = world.arn("secretsmanager", f"secret:{SECRET}-AbCdEf")
    world.secrets[SECRET] = Secret(arn, '{"api_key": "a-real-key"}')
    world.tables[TABLE] = 5
    world.log_groups.add(LOG_GROUP)
    world.roles[ROLE] = [old_policy]
    world.functions[FUNCTION] = {
        "url": {"address": "https://theirs.lambda-url.us-east-1.on.aws/", "auth": "AWS_IAM", "cors": {}},
        "runtime": "python3.11",
        "permissions": 0,
    }


def left_behind(aws):
    """Change sets, and stacks that have never been anything."""
    stacks = aws.world.stacks.values()
    return [stack.name for stack in stacks if stack.status == "REVIEW_IN_PROGRESS"] + [
        f"{stack.name}/{name}" for stack in stacks for name in stack.change_sets
    ]
