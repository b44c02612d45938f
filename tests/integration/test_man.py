# SPDX-License-Identifier: Apache-2.0
"""The manual says what the program does, no more and no less: the tables of the program beside the pages as they are
printed."""

import re
import shutil
import subprocess

import pytest

from conftest import ROOT

pytestmark = pytest.mark.skipif(shutil.which("groff") is None, reason="groff-base is not installed")

PAGES = {"payhook": ROOT / "man/payhook.1", "payhook.conf": ROOT / "man/payhook.conf.5"}
COMMON = {"--config", "--data", "--store"}


def printed(name):
    done = subprocess.run(
        ["groff", "-mandoc", "-Tascii", "-P-c", "-P-b", "-P-u", "-P-o", "-rLL=100n", str(PAGES[name])],
        capture_output=True,
        check=True,
    )
    return done.stdout.decode()


def section(text, name):
    return re.search(rf"^{name}\n(.*?)(?=^\S)", text, re.M | re.S)[1]


def code(path):
    return (ROOT / "src" / path).read_text()


def option_rows():
    """Of each option of the program: how it is written."""
    rows = re.findall(r"""^\s*X\(\w+,\s*(0|'.'),\s*"([^"]+)",\s*(NULL|"[^"]*"),""", code("app/options.h"), re.M)
    assert len(rows) > 20
    return {f"-{letter[1]}" if letter != "0" else f"--{name}" for letter, name, _ in rows}


def words(array):
    """The texts of an array of config.c."""
    return re.findall(r'"([^"]+)"', re.search(rf"{array}\[\] = {{(.*?)}};", code("core/config.c"), re.S)[1])


def limits():
    """Name and default of each limit that can be set."""
    text = re.sub(r"/\*.*?\*/", "", code("base/limits.h"), flags=re.S)
    numbers = {}
    for name, value in re.findall(r"^\s*([A-Z][A-Z0-9_]+) = ([0-9 <+*]+),", text, re.M):
        numbers[name] = eval(value)  # our own constants: digits, shifts and sums
    rows = re.findall(r"^\s*LIMIT\((\w+),[^,]*,[^,]*,\s*(\w+)\)", code("core/config.c"), re.M)
    assert len(rows) > 5
    return {name: None if preset == "0" else numbers[preset] for name, preset in rows}


def settings():
    rows = re.findall(r'^\s*X\(\w+,\s*"(\w+)",\s*\w+\)', code("provider/table.h"), re.M)
    assert len(rows) > 10
    return set(rows)


def tags(text):
    """The settings that have a paragraph of their own: "name = …" or a name alone, as the pages print them."""
    return set(re.findall(r"^ {5}([a-z][a-z_]+)(?: =| \*$|$)", text, re.M))


@pytest.mark.parametrize("name", PAGES)
def test_no_warning(name):
    done = subprocess.run(
        ["groff", "-mandoc", "-ww", "-z", "-Tutf8", str(PAGES[name])], capture_output=True, check=True
    )
    assert done.stderr == b""


@pytest.mark.parametrize("name", PAGES)
def test_lint(name):
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not installed")
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", str(PAGES[name])], capture_output=True)
    assert (done.returncode, done.stdout) == (0, b"")


def test_every_command_with_its_options(home):
    synopsis = section(printed("payhook"), "SYNOPSIS")
    described = section(printed("payhook"), "COMMANDS")
    commands = re.findall(r"^  ([a-z][a-z-]+)\s", home.run("--help").stdout.decode(), re.M)
    assert len(commands) >= 9
    uses = {}
    for use in re.split(r"^ {5}payhook ", synopsis, flags=re.M)[1:]:
        uses[use.split()[0]] = use
    assert sorted(uses) == sorted(commands)
    for command in commands:
        offered = set(re.findall(r"^  (-[A-Za-z]|--[a-z-]+)\s", home.run(command, "--help").stdout.decode(), re.M))
        written = set(re.findall(r"(?<![\w-])(--?[A-Za-z][a-z-]*)", uses[command]))
        assert written == offered - COMMON, command
        assert ("[common]" in uses[command]) == (COMMON <= offered), command
        assert re.search(rf"^ {{5}}{command}\b", described, re.M), command


def test_every_option_is_described():
    text = printed("payhook")
    described = section(text, "COMMANDS")
    for option in option_rows():
        assert re.search(rf"^ {{5,}}{option}(?: |$|,)", described, re.M), option
    known = option_rows() | {"--help"}
    assert set(re.findall(r"(?<![\w-])(--[a-z][a-z-]+)", text)) <= known


def test_every_setting():
    text = section(printed("payhook.conf"), "SETTINGS")
    known = set(limits()) | settings() | {"provider", "secrets"}
    for array in ("ROOT_WORDS", "IAM_WORDS", "TLS_WORDS"):
        if f"{array}[]" in code("core/config.c"):
            known |= set(words(array))
    sections = {"iam", "limits", "source", "tls"} & known
    for name in sections:
        assert re.search(rf"^ {{3}}{name}\b.*\{{", text, re.M), name
    missing = known - sections - tags(text)
    assert not missing, f"payhook.conf(5) does not describe {sorted(missing)}"
    invented = tags(text) - known
    assert not invented, f"payhook.conf(5) describes {sorted(invented)}, which there is not"


def test_every_limit_with_its_default():
    text = section(printed("payhook.conf"), "SETTINGS")
    for name, preset in limits().items():
        paragraph = re.search(rf"^ {{5}}{name}\b(.*?)(?=^ {{5}}\w|\Z)", text, re.M | re.S)[1]
        assert preset is None or re.search(rf"\b{preset} by default", " ".join(paragraph.split())), name


def test_every_provider():
    text = section(printed("payhook.conf"), "PROVIDERS")
    names = re.findall(r'^\s*\.name = "([^"]+)"', code("provider/table.c"), re.M)
    assert len(names) >= 7
    for name in names:
        assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text), name


def test_the_example_is_read(home):
    """Each example of the page is a configuration that works."""
    example = section(printed("payhook.conf"), "EXAMPLES")
    text = "\n".join(line.strip() for line in example.splitlines())
    for name in ("stripe", "shop"):
        text = text.replace(f"/etc/payhook/{name}", str(home.write(f"{name}.secret", "a-secret-of-sixteen")))
    text = text.replace("/var/lib/payhook", "data")
    done = home.run(
        "check-config", "--config", home.config(text), environment={"STRIPE_OLD": "another-secret-of-sixteen"}
    )
    assert (done.returncode, done.stderr) == (0, b"")
    packaged = (ROOT / "deploy/payhook.conf").read_text()
    done = home.run("check-config", "--config", home.config(packaged))
    assert (done.returncode, done.stderr) == (0, b"")
