# SPDX-License-Identifier: Apache-2.0
"""The Debian package of the program under test: what is in it, what its scripts do, and the unit. That it installs and
removes is `make deb-check`, in a Debian of its own."""

import gzip
import re
import shutil
import subprocess

import pytest

from conftest import PROGRAM, ROOT, STOP_S_MAX

UNIT = ROOT / "deploy/payhook.service"
EXPOSURE_MAX = 1.5
PROMISED = {
    "Type": "notify",
    "User": "payhook",
    "StateDirectory": "payhook",
    "StateDirectoryMode": "0700",
    "LimitCORE": "0",
    "TimeoutStopSec": "10",
    "Restart": "on-failure",
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ExecReload": "/bin/kill -HUP $MAINPID",
}
FILES = {
    "usr/bin/payhook": 0o755,
    "usr/share/man/man1/payhook.1.gz": 0o644,
    "usr/share/man/man5/payhook.conf.5.gz": 0o644,
    "usr/lib/systemd/system/payhook.service": 0o644,
    "usr/share/doc/payhook/README.md": 0o644,
    "usr/share/doc/payhook/SECURITY.md": 0o644,
    "usr/share/doc/payhook/copyright": 0o644,
    "usr/share/doc/payhook/changelog.gz": 0o644,
    "etc/payhook/payhook.conf": 0o644,
}
needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-shlibdeps") is None, reason="dpkg-dev is not installed")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deb")
    done = subprocess.run(
        [ROOT / "tools/deb", "--program", PROGRAM, "--out", folder], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    path = folder / done.stdout.strip().rsplit("/", 1)[1]
    subprocess.run(["dpkg-deb", "-x", path, folder / "files"], check=True)
    subprocess.run(["dpkg-deb", "-e", path, folder / "control"], check=True)
    return path, folder / "files", folder / "control"


def field(package, name):
    return subprocess.run(["dpkg-deb", "-f", package, name], capture_output=True, text=True, check=True).stdout.strip()


@needs_dpkg
def test_contents(package):
    path, files, _ = package
    found = {str(file.relative_to(files)): file.stat().st_mode & 0o7777 for file in files.rglob("*") if file.is_file()}
    assert found == FILES
    listing = subprocess.run(["dpkg-deb", "-c", path], capture_output=True, text=True, check=True).stdout
    assert all(line.split()[1] == "root/root" for line in listing.splitlines())
    assert not re.search(r"^[-d].......w", listing, re.M), "others may write to it"
    assert b".SH" in gzip.decompress((files / "usr/share/man/man1/payhook.1.gz").read_bytes()).upper()


@needs_dpkg
def test_control(package, home):
    path, files, control = package
    version = home.run("version").stdout.decode().split()[1]
    assert field(path, "Package") == "payhook" and field(path, "Version") == version
    assert field(path, "Architecture") != "all" and int(field(path, "Installed-Size")) > 100
    depends = field(path, "Depends")
    for library in ("libc6", "libssl3", "libsqlite3-0", "libevent-core", "libconfuse", "adduser"):
        assert library in depends, library
    assert (control / "conffiles").read_text() == "/etc/payhook/payhook.conf\n"
    sums = dict(reversed(line.split("  ")) for line in (control / "md5sums").read_text().splitlines())
    assert set(sums) == set(FILES)
    if shutil.which("lintian"):
        done = subprocess.run(["lintian", "--fail-on", "error", path], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


@needs_dpkg
def test_the_same_twice(package, tmp_path):
    path, _, _ = package
    done = subprocess.run(
        [ROOT / "tools/deb", "--program", PROGRAM, "--out", tmp_path], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0 and (tmp_path / path.name).read_bytes() == path.read_bytes()


@needs_dpkg
@pytest.mark.parametrize("name", ["postinst", "prerm", "postrm"])
def test_scripts(package, name):
    _, _, control = package
    script = control / name
    assert script.stat().st_mode & 0o7777 == 0o755
    assert subprocess.run(["sh", "-n", script]).returncode == 0
    text = script.read_text()
    assert text.startswith("#!/bin/sh\n") and re.search(r"^set -e$", text, re.M)
    for line in text.splitlines():
        if re.search(r"\bsystemctl\b|deb-systemd-", line) and not line.lstrip().startswith("if deb-systemd"):
            assert "|| true" in line, f"where no systemd runs this would fail: {line}"
    assert "rm -rf" not in text or name == "postrm"
    for action in re.findall(r"rm -rf (.*)", text):
        assert action == "/var/lib/payhook" and text.index("purge ]") < text.index("rm -rf")
        assert "payhook.db" in text[: text.index("rm -rf")]


@needs_dpkg
def test_postrm_keeps_events(package, home):
    """The script itself, with the paths of this test in the place of the system's."""
    _, _, control = package
    for action, with_events, kept in (
        ("remove", True, True),
        ("remove", False, True),
        ("upgrade", True, True),
        ("abort-install", False, True),
        ("purge", True, True),
        ("purge", False, False),
    ):
        data = home.path / f"{action}-{with_events}"
        data.mkdir()
        if with_events:
            (data / "payhook.db").write_bytes(b"events")
        text = (control / "postrm").read_text().replace("/var/lib/payhook", str(data))
        text = text.replace("/etc/payhook", str(home.path / "etc")).replace("getent passwd", "false")
        text = text.replace("/run/systemd/system", str(home.path / "absent"))
        done = home.sh(f"sh {home.write('postrm', text)} {action}")
        assert done.returncode == 0 and data.exists() == kept, (action, with_events)
        assert (b"holds events" in done.stderr) == (action == "purge" and with_events)


# ---- the unit


def unit_values():
    values = {}
    for name, value in re.findall(r"^([A-Za-z]+)=(.*)$", UNIT.read_text(), re.M):
        values.setdefault(name, []).append(value)
    return values


def test_unit_promises():
    values = unit_values()
    for name, value in PROMISED.items():
        assert values.get(name) == [value], name
    assert values["ExecStart"] == ["/usr/bin/payhook serve --config /etc/payhook/payhook.conf"]


def test_unit_exposure():
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", UNIT], capture_output=True, text=True
    )
    found = re.search(r"Overall exposure level for payhook.service: ([0-9.]+)", done.stdout)
    if found is None:
        pytest.skip(f"systemd-analyze cannot look at a file: {done.stderr.strip()}")
    assert float(found[1]) <= EXPOSURE_MAX


def test_unit_is_read(home):
    """Every line is known to systemd. The program and the manual are not installed here, which it also says."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", UNIT], capture_output=True, text=True)
    lines = [line for line in done.stderr.splitlines() if "payhook.service" in line and "not executable" not in line]
    assert lines == []


def allowed_calls():
    """What the unit's SystemCallFilter lets through, its groups taken apart."""
    done = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager"], capture_output=True, text=True)
    groups, group = {}, None
    for line in done.stdout.splitlines():
        if line.startswith("@"):
            group = groups.setdefault(line.split()[0], [])
        elif line.startswith("    ") and group is not None and not line.strip().startswith("#"):
            group.append(line.strip())
        elif line.startswith("#"):
            group = None

    def expand(word):
        return set().union(*map(expand, groups[word])) if word.startswith("@") else {word}

    allowed = expand("@default")
    for value in unit_values()["SystemCallFilter"]:
        named = set().union(*map(expand, value.lstrip("~").split()))
        allowed = allowed - named if value.startswith("~") else allowed | named
    return allowed


def test_unit_lets_through_what_the_server_calls(home):
    if shutil.which("systemd-analyze") is None or shutil.which("strace") is None:
        pytest.skip("systemd-analyze or strace is not installed")
    if b"an instrumented build" in PROGRAM.read_bytes():
        pytest.skip("a sanitizer calls more than the program does")
    trace = home.path / "trace"
    server = home.serve(wrap=["strace", "-f", "-qq", "-e", "signal=none", "-o", str(trace)])
    assert server.iam(b'{"transactionId":"a"}').status == 200
    child = int(subprocess.run(["pgrep", "-P", str(server.process.pid)], capture_output=True).stdout)
    for number in ("-HUP", "-TERM"):
        subprocess.run(["kill", number, str(child)], check=True)
    assert server.process.wait(STOP_S_MAX) == 0
    used = set(re.findall(r"^\d+ +(?:<\.\.\. )?([a-z0-9_]+)[( ]", trace.read_text(), re.M))
    assert len(used) > 30 and "landlock_restrict_self" in used
    # SQLite gives files to the owner of the database only where it runs as root.
    assert used - allowed_calls() - {"fchown"} == set()
