# SPDX-License-Identifier: Apache-2.0
"""A power cut under load, on a real file system. The data folder is on ext4 in a file that lies on xfs; a reflink copy
of that file is, at one moment, all that ext4 has given to its disk, and nothing of what is only in its cache. The copy
is mounted, which replays ext4's journal as after a cut, and the store is opened on it.

Everything is mounted in a mount namespace of its own, which vanishes with the process that holds it."""

import os
import random
import shutil
import signal
import subprocess
import threading
import time

import pytest

from conftest import STOP_S_MAX, database_rows, wait_for
from faults import KEY, post, preload, shop
from load import Load, compare

NEEDS = ("mkfs.xfs", "mkfs.ext4", "unshare", "nsenter", "losetup")
SET_UP = """set -e
truncate -s "$2" "$1/xfs.image" && mkfs.xfs -q -m reflink=1 "$1/xfs.image" && mkdir "$1/xfs" "$1/disk" "$1/after"
mount -o loop "$1/xfs.image" "$1/xfs"
truncate -s "$3" "$1/xfs/ext4.image" && mkfs.ext4 -q -F "$1/xfs/ext4.image"
mount -o loop "$1/xfs/ext4.image" "$1/disk"
chmod 700 "$1/disk" && echo mounted && exec cat"""
XFS_SIZE, EXT4_SIZE = 4 << 30, 512 << 20  # both take only what is written
CUTS_A_FOLDER = 5  # then a fresh one, so that the disk does not fill
CUT = 'cp --reflink=always "$1/xfs/ext4.image" "$1/xfs/cut.image" && mount -o loop "$1/xfs/cut.image" "$1/after"'
CLEAN = 'umount "$1/after"; rm -f "$1/xfs/cut.image"'


class Machine:
    """The two file systems, one in the other."""

    def __init__(self, folder):
        self.folder = folder
        arguments = [str(folder), str(XFS_SIZE), str(EXT4_SIZE)]
        self.holder = subprocess.Popen(
            ["unshare", "-m", "--propagation", "private", "sh", "-c", SET_UP, "sh", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        if self.holder.stdout.readline() != b"mounted\n":
            pytest.skip(f"no power can be cut here: {self.holder.communicate()[1].decode().strip()}")

    @property
    def wrap(self):
        return ["nsenter", "-t", str(self.holder.pid), "-m", "--"]

    def run(self, script):
        subprocess.run([*self.wrap, "sh", "-c", script, "sh", str(self.folder)], check=True, stderr=subprocess.PIPE)

    def rows(self, data, folder):
        """Reads a store from a copy: SQLite follows /proc/PID/root to our own root."""
        shutil.rmtree(folder / "copy", ignore_errors=True)
        (folder / "copy").mkdir()
        inside = type(data)(f"/proc/{self.holder.pid}/root") / data.relative_to("/")
        for name in ("payhook.db", "payhook.db-wal"):
            if (inside / name).exists():
                shutil.copy(inside / name, folder / "copy" / name)
        return database_rows(folder / "copy/payhook.db", "SELECT transaction_id FROM event")

    def close(self):
        self.holder.stdin.close()
        self.holder.wait(30)


@pytest.fixture
def machine(tmp_path):
    absent = [tool for tool in NEEDS if shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None]
    if os.geteuid() != 0 or absent:
        pytest.skip(f"cutting the power needs root and {', '.join(absent) or 'nothing else'}")
    (tmp_path / "machine").mkdir()
    machine = Machine(tmp_path / "machine")
    yield machine
    machine.close()


def cut_once(machine, home, config, load):
    """One cut. (missing, doubled, refused) of what had been acknowledged before it."""
    acknowledged = load.acknowledged()
    machine.run(CUT)
    try:
        server = home.serve(data="machine/after/data", config=config, wrap=machine.wrap, start=False)
        try:
            server.start()
            assert post(server, "after-the-cut").status == 200
        except AssertionError:
            server.process.kill()
            server.process.wait()
            return len(acknowledged), 0, 1
        assert server.stop() == 0
        missing, doubled = compare(acknowledged, machine.rows(server.data, home.path))
        return len(missing), len(doubled), 0
    finally:
        machine.run(CLEAN)


def cut_often(machine, home, cuts, environment=None):
    config = shop(home)
    total = {"cuts": 0, "lossy_cuts": 0, "acknowledged": 0, "missing": 0, "doubled": 0, "refused": 0}
    done = 0
    while done < cuts:
        server = home.serve(data="machine/disk/data", config=config, wrap=machine.wrap, environment=environment)
        with Load(server, 6, KEY, pad=800) as load:
            for _ in range(min(CUTS_A_FOLDER, cuts - done)):
                before = len(load.acknowledged())
                wait_for(lambda: len(load.acknowledged()) > before + 30, what="an acknowledgement")
                time.sleep(0.01 * (done % 7))
                missing, doubled, refused = cut_once(machine, home, config, load)
                total["cuts"] += 1
                total["lossy_cuts"] += missing > 0 or refused > 0
                total["missing"] += missing
                total["doubled"] += doubled
                total["refused"] += refused
                done += 1
        total["acknowledged"] += len(load.acknowledged())
        server.signal(signal.SIGTERM)
        server.process.wait(STOP_S_MAX)
        machine.run('rm -rf "$1/disk/data"')
    return total


def test_cuts_under_load(machine, home, scale, counts):
    total = cut_often(machine, home, scale(3, 200))
    counts("power cut, image of the disk", **total)
    assert total["missing"] == total["doubled"] == total["refused"] == 0


def test_cuts_while_it_makes_its_files(machine, home, scale, counts):
    """The first start, cut somewhere: the next one must find nothing it cannot use."""
    cuts, chance, served = scale(3, 100), random.Random(11), 0
    config = shop(home)
    for _ in range(cuts):
        first = home.serve(data="machine/disk/data", config=config, wrap=machine.wrap, start=False)
        starting = threading.Thread(target=first.start)
        starting.start()
        time.sleep(chance.uniform(0.0, 0.06))
        machine.run(CUT)
        starting.join()
        served += first.stop() == 0
        try:
            server = home.serve(data="machine/after/data", config=config, wrap=machine.wrap)
            assert post(server, "after-the-cut").status == 200
            assert server.stop() == 0
            assert machine.rows(server.data, home.path) == [("after-the-cut",)]
        finally:
            machine.run(CLEAN)
        machine.run('rm -rf "$1/disk/data"')
    counts("power cut, first start", cuts=cuts, served=served, refused=0)
    assert served == cuts


def test_control_no_sync_loses(machine, home, scale, counts):
    """The same server with syncs that do nothing must lose something."""
    total = cut_often(machine, home, scale(3, 10), preload("sync:1+:lie"))
    counts("power cut, control: no sync", **total)
    assert total["lossy_cuts"] > 0
