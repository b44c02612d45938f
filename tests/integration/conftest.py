# SPDX-License-Identifier: Apache-2.0
"""The program under test, as a person or a sender meets it: a home folder, commands run in it, servers started in it.
Every server listens on a loopback port of the kernel's choice, which stays its own while it is down, and one that was
not stopped by its test must stop in order at the test's end."""

import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from dataclasses import dataclass

import pytest

import signing
import wire

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("PAYHOOK") or ROOT / "build/src/app/payhook").resolve()
USER_REPLY = b'{"message": "Webhook processed successfully", "transactionId": "%b"}'  # the user's own words
# How long is waited on a machine that is busy with other things. Nothing takes that long; what must come within a time
# is asserted by its test, with a margin of seconds.
WAIT_S_MAX = 30
START_S_MAX = 60
STOP_S_MAX = 30
# What a service manager grants a stop (TimeoutStopSec of deploy/payhook.service); the server itself ends after 5.5 s.
STOP_S_PROMISED = 10


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than a few seconds, or a load that a sanitizer makes too long")


def pytest_terminal_summary(terminalreporter):
    """One line for each failure, with the line of the test in which it happened: what tools/check repeats at its end."""
    for report in terminalreporter.getreports("failed") + terminalreporter.getreports("error"):
        crash = getattr(report.longrepr, "reprcrash", None)
        if crash is None:
            terminalreporter.write_line(f"failed: {report.nodeid}: {report.when}")
            continue
        test = pathlib.Path(report.nodeid.split("::")[0]).name
        entries = getattr(getattr(report.longrepr, "reprtraceback", None), "reprentries", [])
        places = [entry.reprfileloc for entry in entries if getattr(entry, "reprfileloc", None) is not None]
        lines = [f"line {place.lineno}" for place in places if pathlib.Path(place.path).name == test]
        if pathlib.Path(crash.path).name != test:
            lines.append(f"{pathlib.Path(crash.path).name}:{crash.lineno}")
        what = crash.message.split("\n")[0]
        terminalreporter.write_line(f"failed: {report.nodeid}: {', '.join(lines[-2:])}: {what}")


def wait_for(condition, seconds=WAIT_S_MAX, what="it"):
    """Polls until condition() is true, and returns what it gave."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"{what} did not happen within {seconds} s"
        time.sleep(0.01)


def hold_port():
    """A socket that is bound to a free port and does not listen. As long as it is open, the kernel gives the port to
    nobody who asks for any; who asks for this one and allows address reuse, as servers do, may listen at it."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


@dataclass
class Key:
    id: str
    secret: str


class Server:
    """`payhook serve` on one data folder; may be stopped, killed and started again."""

    def __init__(self, home, data, options=(), config=None, environment=None, wrap=(), umask=-1):
        self.home, self.data, self.process = home, pathlib.Path(data), None
        self.command = [*wrap, str(PROGRAM), "serve", "--data", str(data), "--admin", "127.0.0.1:0", *options]
        if config is not None:
            self.command += ["--config", str(config)]
        self.environment, self.umask = environment, umask
        home.count += 1
        self.out, self.err = home.path / f"serve-{home.count}.out", home.path / f"serve-{home.count}.err"
        self.port, self.ended, self.held = 0, True, None

    def start(self, port=0):
        if port == 0:
            self.held = self.held or hold_port()
            port = self.held.getsockname()[1]
        with open(self.out, "wb") as out, open(self.err, "ab") as err:
            self.process = subprocess.Popen(
                [*self.command, "--listen", f"127.0.0.1:{port}"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=self.home.path,
                env=self.home.environment(self.environment),
                umask=self.umask,
            )
        end = time.monotonic() + START_S_MAX
        while True:
            url = re.search(r"https?://127\.0\.0\.1:(\d+)/", self.welcome())
            if url and self.welcome().endswith("\n"):
                break
            assert self.process.poll() is None, f"serve ended with {self.process.returncode}: {self.log()[-2000:]}"
            assert time.monotonic() < end, "serve said no address"
            time.sleep(0.005)
        self.port, self.ended = int(url[1]), False
        return self

    def welcome(self):
        return self.out.read_text()

    def log(self):
        return self.err.read_bytes().decode("utf-8", "surrogateescape")

    def webhook_lines(self):
        """The log's lines about webhooks. A line that is still being written is none yet."""
        return [line for line in self.log().split("\n")[:-1] if " request=" in line]

    def webhooks(self, after=0):
        """The same as dicts, less the first ones."""
        return [dict(field.split("=", 1) for field in shlex.split(line)) for line in self.webhook_lines()[after:]]

    @property
    def address(self):
        return "127.0.0.1", self.port

    @property
    def host(self):
        return f"127.0.0.1:{self.port}"

    @property
    def url(self):
        return f"http://{self.host}/"

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    @property
    def key(self):
        """The pair that the first run made."""
        user = re.search(r'^user = "([^:"]+):([^"]+)"$', (self.data / "first-key.curl").read_text(), re.M)
        return Key(user[1], user[2])

    def connect(self, timeout=WAIT_S_MAX):
        try:
            return wire.Connection(self.address, timeout)
        except ConnectionRefusedError as refused:
            raise ConnectionRefusedError(f"serve ended with {self.process.poll()}: {self.log()[-1500:]}") from refused

    def send(self, data, method="POST"):
        """One request on a connection of its own, as bytes."""
        with self.connect() as connection:
            connection.send(data)
            return connection.reply(method)

    def post(self, target="/", body=b"", headers=()):
        return self.send(wire.request(target, body, headers, host=self.host))

    def iam_request(self, body, headers=None, *, target="/", key=None, **how):
        """The bytes of POST / signed by botocore."""
        signed = signing.aws(f"http://{self.host}{target}", body, key or self.key, headers, **how)
        return wire.request(target, body, signed, host=self.host)

    def iam(self, body, headers=None, **how):
        return self.send(self.iam_request(body, headers, **how))

    def rows(self, sql="SELECT * FROM event ORDER BY seq", *parameters):
        return database_rows(self.data / "payhook.db", sql, *parameters)

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=STOP_S_MAX):
        """The exit status of a server whose end is expected."""
        code = self.process.wait(seconds)
        self.ended = True
        return code

    def kill(self):
        self.process.kill()
        self.wait()

    def stop(self):
        """SIGTERM, and the exit status."""
        if self.alive:
            self.signal(signal.SIGTERM)
        return self.wait()


def database_rows(path, sql, *parameters):
    """Reads a store file beside whoever writes it."""
    database = sqlite3.connect(
        f"file:{str(path).replace('%', '%25').replace('?', '%3f').replace('#', '%23')}?mode=ro", uri=True
    )
    try:
        return database.execute(sql, parameters).fetchall()
    finally:
        database.close()


class Home:
    """A folder of a test's own, which is also HOME and the current folder of everything it runs."""

    def __init__(self, path):
        self.path, self.count, self.servers = path, 0, []

    def environment(self, more=None):
        """Ours, less what would change the program's or curl's behaviour."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PAYHOOK", "XDG_", "AWS_"))
            and name != "ENVIRONMENT"
            and not name.lower().endswith("_proxy")
        }
        return {**kept, "HOME": str(self.path), "LC_ALL": "C.UTF-8", **(more or {})}

    def run(self, *arguments, environment=None, timeout=60):
        """A command of payhook; out and err are bytes."""
        return subprocess.run(
            [str(PROGRAM), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=self.path,
            env=self.environment(environment),
            timeout=timeout,
        )

    def sh(self, line, timeout=60, environment=None):
        return subprocess.run(
            ["/bin/sh", "-c", line],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=self.path,
            env=self.environment(environment),
            timeout=timeout,
        )

    def curl(self, *arguments, stdin=None, timeout=60):
        """curl; the reply's head and body come on stdout (-i)."""
        return subprocess.run(
            ["curl", "-q", "-sS", "-i", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            cwd=self.path,
            env=self.environment(),
            timeout=timeout,
        )

    def serve(self, data="data", start=True, port=0, **how):
        server = Server(self, self.path / data, **how)
        self.servers.append(server)
        return server.start(port) if start else server

    def write(self, name, content):
        path = self.path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(0o600)
        return path

    def secret(self, name, text):
        """A file that holds a secret, and the reference to it."""
        return f"file:{self.write(name + '.secret', text)}"

    def config(self, text, name="payhook.conf"):
        return self.write(name, text)

    def close(self):
        """Stops what still runs. In order: a crash, a leak found by a sanitizer or a hang at the end fails the test."""
        codes = []
        for server in self.servers:
            if server.ended:
                continue
            try:
                codes.append(server.stop())
            except subprocess.TimeoutExpired:
                server.kill()
                codes.append("a hang")
        for server in self.servers:
            if server.held is not None:
                server.held.close()
        logs = "\n".join(server.log()[-3000:] for server in self.servers)
        shutil.rmtree(self.path, ignore_errors=True)
        assert all(code == 0 for code in codes), f"a server ended with {codes}:\n{logs}"


def source(name, provider, secrets, **settings):
    """A source stanza of the configuration."""
    lines = [f'provider = "{provider}"', "secrets = { %s }" % ", ".join(f'"{secret}"' for secret in secrets)]
    lines += [f'{setting} = "{value}"' for setting, value in settings.items()]
    return f"source {name} {{\n  " + "\n  ".join(lines) + "\n}\n"


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    yield home
    home.close()


@pytest.fixture(scope="module")
def module_home(tmp_path_factory):
    """For servers that many tests of one file share."""
    home = Home(tmp_path_factory.mktemp("shared"))
    yield home
    home.close()
