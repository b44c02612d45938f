# SPDX-License-Identifier: Apache-2.0
"""deploy/pulumi as Pulumi's own engine and YAML host run it, with stand-ins for the providers. Neither is a package that
this project can pin: the YAML host that registries have is older than the components it must know. So these tests run
where somebody has installed Pulumi 3.237 or later and its Python package, and are skipped elsewhere; test_template
holds the program to the table everywhere."""

import hashlib
import json
import os
import shutil
import subprocess
import sys

import pytest

from conftest import ROOT

for program in "pulumi", "pulumi-language-yaml":
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed", allow_module_level=True)
pytest.importorskip("pulumi", reason="the Python package pulumi, which the stand-ins are made with, is not installed")

DATA = ROOT / "tests/data/stack"
TABLE = json.loads((DATA / "resources.json").read_text())
NAMES = {name for row in TABLE["resources"].values() for name, *_ in row["pulumi"]}


class Program:
    """A copy of deploy/pulumi with a state of its own."""

    def __init__(self, folder):
        self.folder = folder / "deploy/pulumi"
        shutil.copytree(ROOT / "deploy/pulumi", self.folder)
        (folder / "build").mkdir()
        (folder / "build/payhook-lambda-x86_64.zip").write_bytes(b"PK\x05\x06" + bytes(18))
        plugins = folder / "plugins"
        plugins.mkdir()
        for name in "aws", "std":
            plugin = plugins / f"pulumi-resource-{name}"
            plugin.write_text(f"#!/bin/sh\nexec {sys.executable} {ROOT}/tests/integration/pulumi_stand_in.py {name}\n")
            plugin.chmod(0o755)
        (folder / "state").mkdir()
        self.environment = {
            **os.environ,
            "PATH": f"{plugins}:{os.environ['PATH']}",
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{folder}/state",
            "PULUMI_CONFIG_PASSPHRASE": "an-invented-phrase",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }
        self.run("stack", "init", "dev")

    def run(self, *words, stdin=None):
        done = subprocess.run(
            ["pulumi", "--non-interactive", *words],
            cwd=self.folder,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def preview(self):
        """What would be done with each of our resources, by its name in the table; and the component."""
        steps = json.loads(self.run("preview", "--json", "--show-sames"))["steps"]
        return {
            step["urn"].split("::")[-1].removeprefix("tap-stack-"): step["op"]
            for step in steps
            if "$aws:" in step["urn"] or ":TapStack::" in step["urn"]
        }

    def resources(self):
        return json.loads(self.run("stack", "export"))["deployment"].get("resources", [])

    def take_over(self, project, component):
        """As if the Python program had deployed."""
        text = (DATA / "python-program-state.json").read_text()
        resources = json.loads(text.replace("PROJECT", project).replace("COMPONENT", component))["resources"]
        own = json.loads(self.run("stack", "export"))["deployment"]["secrets_providers"]
        version = "v3.200.0"
        manifest = {
            "time": "2026-01-01T00:00:00Z",
            "version": version,
            "magic": hashlib.sha256(version.encode()).hexdigest(),
        }
        deployment = {"manifest": manifest, "secrets_providers": own, "resources": resources}
        self.run("stack", "import", stdin=json.dumps({"version": 3, "deployment": deployment}))
        self.run("config", "set", "--path", "tags.Owner", "me")


@pytest.fixture
def program(tmp_path):
    return Program(tmp_path)


def test_up_and_down(program):
    program.run("config", "set", "environmentSuffix", "x7")
    assert program.preview() == {name: "create" for name in {*NAMES, "tap-stack"}}
    program.run("up", "--yes", "--skip-preview")
    made = [resource["inputs"] for resource in program.resources() if resource["type"].startswith("aws:")]
    names = {inputs["name"] for inputs in made if "name" in inputs}
    wanted = {row["name"] for row in TABLE["resources"].values() if row["name"]}
    assert names == {name.replace("{s}", "x7") for name in {*wanted, "envmig-webhook-custom-policy-{s}"}}
    assert [inputs["tags"] for inputs in made if "tags" in inputs] == [TABLE["tags"]] * 5
    assert set(json.loads(program.run("stack", "output", "--json"))) == set(TABLE["outputs"])
    url = program.run("stack", "output", "lambda_function_url")
    assert url == "https://u.lambda-url.us-east-1.on.aws/\n"
    assert set(program.preview().values()) == {"same"}
    program.run("destroy", "--yes", "--skip-preview")
    assert program.resources() == []


def test_tags(program):
    """The caller's tags are there, and ours win."""
    program.run("config", "set", "--path", "tags.Owner", "me")
    program.run("config", "set", "--path", "tags.Environment", "mine")
    program.run("up", "--yes", "--skip-preview")
    tags = [resource["inputs"].get("tags") for resource in program.resources() if resource["type"].startswith("aws:")]
    assert [some for some in tags if some] == [{"Owner": "me", **TABLE["tags"]}] * 5


UPDATED = {"envmig-transactions", "envmig-webhook-role", "envmig-webhook-custom-policy", "envmig-webhook"}


@pytest.mark.parametrize("component", ["tap-stack", "another-name"])
def test_over_the_python_programs_state(program, component):
    """Nothing is replaced, made or deleted, but for the component's own entry where it was called something else; the
    secret's value and the URL are not even updated."""
    program.take_over("payhook", component)
    steps = program.preview()
    ours = {"tap-stack": "update"} if component == "tap-stack" else {"tap-stack": "create", component: "delete"}
    assert steps == {**{name: "update" if name in UPDATED else "same" for name in NAMES}, **ours}
    program.run("up", "--yes", "--skip-preview")
    assert set(program.preview().values()) == {"same"}
    policies = [resource for resource in program.resources() if resource["type"] == "aws:iam/rolePolicy:RolePolicy"]
    assert [policy["inputs"]["name"] for policy in policies] == ["envmig-webhook-custom-policy-dev-1a2b3c4"]


def test_without_aliases_everything_would_be_replaced(program):
    """So it is the aliases that keep it."""
    plugin = program.folder / "tap/PulumiPlugin.yaml"
    plugin.write_text(plugin.read_text().replace("::envmig-", "::other-"))
    program.take_over("payhook", "tap-stack")
    steps = program.preview()
    assert {steps[name] for name in NAMES} == {"create"}
    assert sum(op == "delete" for op in steps.values()) == len(NAMES)
