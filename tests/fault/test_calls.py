# SPDX-License-Identifier: Apache-2.0
"""Every nth call of a kind made to fail, once and for good, in the real server: from its first start in an empty folder
through some webhooks to its stop. Whatever fails, a 200 is only said of what is there after a restart without faults,
nothing is there twice, no signal ends the server, and a server that gives up says why.

Memory is an exception, twice. Before it serves, the libraries it starts with (libconfuse, OpenSSL) may crash for the
lack of it: nobody has been promised anything then. And a digest that OpenSSL has no memory for stops the server with
its sentence, since no verdict can be given without it (codec/digest.h)."""

import shutil
import signal
import struct
import subprocess

import pytest

from conftest import WAIT_S_MAX, Server
from faults import describe, integrity, post, preload, shop
from load import compare

PADS = [100, 100, 100, 9000, 100, 100]  # bytes of each event, more or less
# So much that the log is copied to the file beside the commits, again and again (store/sqlite_checkpoint.c).
PADS_OF_TENDING = [900000] * 12
FOR_GOOD, NEVER = "+", 1 << 40
MISSED_MAX = 5
# call, error, part of the path (the data folder's files, or any call), whether also for good. EINTR for good would keep
# any program busy.
KINDS = [
    ("write", "EIO", "/data/payhook.db", True),
    ("write", "ENOSPC", "/data/payhook.db", True),
    ("write", "EINTR", "/data/payhook.db", False),
    ("write", "short", "/data/payhook.db", True),
    ("write", "ENOSPC", "/data/", True),
    ("sync", "EIO", "/data", True),
    ("sync", "ENOSPC", "/data", True),
    ("open", "EIO", "/data", True),
    ("open", "EMFILE", "/data", True),
    ("open", "ENOSPC", "/data", True),
    ("read", "EIO", "/data/", True),
    ("truncate", "EIO", "/data/", True),
    ("rename", "EIO", "/data/", True),
    ("unlink", "EACCES", "/data/", True),
    ("mmap", "ENOMEM", "", True),
    ("malloc", "ENOMEM", "", True),
    ("accept", "EMFILE", "", True),
    ("accept", "EINTR", "", False),
    ("accept", "ECONNABORTED", "", False),
    ("recv", "EINTR", "", False),
    ("recv", "ECONNRESET", "", True),
    ("send", "EINTR", "", False),
    ("send", "EPIPE", "", True),
    ("send", "short", "", True),
]


class Faulty:
    """One run of the server with one fault."""

    def __init__(self, home, config, fault, pads=PADS):
        self.home, self.fault, self.config, self.pads = home, fault, config, pads
        shutil.rmtree(home.path / "data", ignore_errors=True)
        self.count = home.write("count", bytes(16))
        self.acknowledged, self.refused, self.servers = [], 0, []
        self.strikes = f":{NEVER}:" not in fault
        self.failed = self.stopped = False  # the server gave up, at the start or later; it stopped for a digest
        self.seen_at_start = 0

    def serve(self, environment=None):
        server = Server(self.home, self.home.path / "data", config=self.config, environment=environment)
        self.servers.append(server)
        return server

    def run(self):
        try:
            return self.run_and_compare()
        finally:
            for server in self.servers:  # a run that failed may have left one
                if server.alive:
                    server.kill()
                if server.held is not None:
                    server.held.close()

    def run_and_compare(self):
        server = self.serve(preload(self.fault, self.count))
        try:
            server.start()
        except AssertionError:
            assert server.process.poll() is not None, f"{self.fault}: it neither serves nor ends"
        served = server.port != 0
        self.seen_at_start = self.counted()[0]
        if server.alive:
            self.load(server)
        try:
            code = server.stop()
        except subprocess.TimeoutExpired:
            server.kill()
            raise AssertionError(f"{self.fault}: it did not stop: {server.log()[-1000:]}") from None
        self.failed = code == 1
        if self.fault.startswith("malloc:") and code not in (0, 1):
            self.stopped = code == -signal.SIGABRT and "check failed" in server.log() and "/digest.c:" in server.log()
            self.failed = not served
        assert code in (0, 1) or self.failed or self.stopped, f"{self.fault}: {describe(code)}: {server.log()[-1000:]}"
        if code == 1:
            assert server.log().strip(), f"{self.fault}: it gave up without a word"
        self.seen, self.struck = self.counted()
        self.compare_after_restart()
        return self.struck > 0

    def counted(self):
        return struct.unpack("=QQ", self.count.read_bytes())

    def load(self, server):
        """Some events, each tried again a few times as its sender would."""
        # Where nothing fails nothing is given up; else what is not answered soon never is, and many wait for it.
        patience = 1.0 if self.strikes else WAIT_S_MAX
        for number, pad in enumerate(self.pads):
            for _ in range(3):
                reply = post(server, f"e-{number}", pad, patience)
                if reply is not None and reply.status == 200:
                    self.acknowledged.append(f"e-{number}")
                    break
                if reply is None and server.alive:
                    patience = 0.1  # it is not served now; one more wait for each event is enough
                self.refused += 1
                assert reply is None or reply.status in (500, 503), f"{self.fault}: {reply}"

    def compare_after_restart(self):
        server = self.serve().start()
        # Everything comes again, and is known where it was acknowledged.
        for number, pad in enumerate(self.pads):
            reply = post(server, f"e-{number}", pad)
            assert reply.status == 200, f"{self.fault}: refused after the restart"
            assert reply.duplicate or f"e-{number}" not in self.acknowledged, f"{self.fault}: e-{number} is lost"
        assert server.stop() == 0
        rows = server.rows("SELECT transaction_id FROM event")
        assert compare(self.acknowledged, rows) == ([], []), self.fault
        assert len(rows) == len(self.pads)
        assert integrity(server.data / "payhook.db") == "ok", self.fault


def numbers(scale, first):
    """Which n to try: every one, or a few of those before it serves and of those after, and the last."""
    before, after = first.seen_at_start, first.seen - first.seen_at_start
    step_before, step_after = scale(max(1, before // 4), 1), scale(max(1, after // 6), 1)
    return sorted({*range(1, before + 1, step_before), *range(before + 1, first.seen + 1, step_after), first.seen})


@pytest.mark.parametrize("call,error,path,for_good", KINDS, ids=lambda value: str(value).strip("/"))
def test_every_call_may_fail(quick_home, scale, counts, call, error, path, for_good):
    fail_each(quick_home, scale, counts, call, error, path, for_good, PADS)


@pytest.mark.parametrize("call,error", [("write", "EIO"), ("write", "ENOSPC"), ("sync", "EIO"), ("malloc", "ENOMEM")])
def test_copying_beside_commits_may_fail(quick_home, scale, counts, call, error):
    path = "" if call == "malloc" else "/data/payhook.db"
    fail_each(quick_home, scale, counts, call, error, path, True, PADS_OF_TENDING)


def fail_each(quick_home, scale, counts, call, error, path, for_good, pads):
    config = shop(quick_home)
    part = f":{path}" if path else ""
    first = Faulty(quick_home, config, f"{call}:{NEVER}:{error}{part}", pads)
    assert not first.run() and not first.failed and len(first.acknowledged) == len(pads) and first.refused == 0
    assert first.seen > 0, "the server makes no such call, or the shim does not see it"
    total = {"points": 0, "struck": 0, "acknowledged": 0, "refused": 0, "gave_up": 0}
    for how in ("", FOR_GOOD) if for_good else ("",):
        missed = 0  # in a row: the calls differ a little from run to run
        for nth in numbers(scale, first):
            faulty = Faulty(quick_home, config, f"{call}:{nth}{how}:{error}{part}", pads)
            struck = faulty.run()
            missed = 0 if struck else missed + 1
            total["points"] += 1
            total["struck"] += struck
            total["acknowledged"] += len(faulty.acknowledged)
            total["refused"] += faulty.refused
            total["gave_up"] += faulty.failed or faulty.stopped
            if missed == MISSED_MAX:
                break
    assert total["struck"] > 0
    what = "" if pads is PADS else ", log copied beside"
    counts(f"calls, {call} {error}{' in ' if path else ''}{path}{what}", **total, missing=0, doubled=0)


def test_control_a_disk_that_lies(quick_home, counts):
    """Writes said to be done that are not: this must be noticed, or the comparison above compares nothing."""
    lost = 0
    for nth in range(30, 40):
        faulty = Faulty(quick_home, shop(quick_home), f"write:{nth}+:lie:/data/payhook.db")
        try:
            faulty.run()
        except AssertionError:
            lost += 1
    assert lost > 0
    counts("calls, control: writes that lie", points=10, lost=lost)
