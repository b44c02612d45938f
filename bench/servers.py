# SPDX-License-Identifier: Apache-2.0
"""The servers that the benchmarks measure, each on its core with a folder of a run's own, and the load on them."""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request

from figures import CLIENT_CORE, ROOT, SERVER_CORE, pinned

BUILD = ROOT / "build-bench"
SECRET = "whsec_benchmark0123456789abcdef"
SECONDS = int(os.environ.get("SECONDS_EACH", "2"))
CONFIG = """listen = "127.0.0.1:0"
admin = "127.0.0.1:{admin}"
data = "{work}/data"
limits {{ io_threads = 1 }}
source stripe {{ provider = "stripe" secrets = {{ "file:{work}/secret" }} }}
"""


def build():
    if not (BUILD / "build.ninja").exists():
        settings = ["-Dbench=true", "-Dtests=false", "-Doptimization=2"]
        subprocess.run(["meson", "setup", BUILD, *settings], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", BUILD, "--quiet"], check=True)


def run_json(command):
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Work:
    """A folder of a run's own on the disk that is measured; it goes at the end."""

    def __enter__(self):
        folder = os.environ.get("BENCH_DIR", "/var/tmp")
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="payhook-bench-", dir=folder))
        self.admin = free_port()
        (self.path / "secret").write_text(SECRET)
        (self.path / "conf").write_text(CONFIG.format(work=self.path, admin=self.admin))
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path)


class Server:
    """payhook, the null server or the Python receiver, on the server's core."""

    KINDS = {
        "payhook": lambda path: [BUILD / "src/app/payhook", "serve", "--config", path / "conf"],
        "null": lambda path: [BUILD / "bench/null_server", 1, path / "conf"],
        "python": lambda path: [sys.executable, ROOT / "bench/receiver.py", path / "python.db", SECRET],
    }

    def __init__(self, kind, work):
        self.work = work
        command = pinned(SERVER_CORE, self.KINDS[kind](work.path))
        with open(work.path / "log", "w") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        found = None
        while found is None:
            line = self.process.stdout.readline()
            if not line:
                sys.exit(f"bench: the {kind} server did not start: {(work.path / 'log').read_text()[-500:]}")
            found = re.search(r"http://127\.0\.0\.1:(\d+)/|^(\d+)$", line)
        self.port, self.pid = int(found[1] or found[2]), self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def cpu_s(self):
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def load(self, connections, rate=None, seconds=SECONDS):
        before = self.cpu_s()
        command = [BUILD / "bench/load", self.port, connections, seconds, "/hooks/stripe", SECRET]
        result = run_json(pinned(CLIENT_CORE, command + ([int(rate)] if rate else [])))
        result["cpu_us"] = (self.cpu_s() - before) * 1e6 / result["replies"]
        return result

    def batch(self):
        """Events a commit, on average since the start."""
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.work.admin}/metrics", timeout=10).read().decode()
        found = re.search(r"^payhook_batch_events_sum (\S+)\npayhook_batch_events_count (\S+)", text, re.M)
        return float(found[1]) / float(found[2])
