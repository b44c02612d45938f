# SPDX-License-Identifier: Apache-2.0
"""The zip that AWS gets: what is in it, that the same sources give the same bytes, and that its program runs where there is
nothing but libc and a CA bundle."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import zipfile

import pytest

from conftest import ROOT
from function import SECRET_ID, Function, SecretsManager, url_event
from test_lambda import JSON, SECRET, hook

pytestmark = pytest.mark.slow
MEMORY = {"PAYHOOK_STORE": "memory"}


def build(folder, arch="x86_64"):
    done = subprocess.run(
        [str(folder / "tools/lambda"), arch], capture_output=True, timeout=600, env={**os.environ, "LC_ALL": "C.UTF-8"}
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:] + done.stdout.decode()[-3000:]
    return folder / f"build/payhook-lambda-{arch}.zip"


@pytest.fixture(scope="module")
def package():
    if os.uname().machine != "x86_64":
        pytest.skip("this machine is no x86_64")
    return build(ROOT)


@pytest.fixture(scope="module")
def bootstrap(package, tmp_path_factory):
    path = tmp_path_factory.mktemp("package") / "bootstrap"
    with zipfile.ZipFile(package) as archive:
        path.write_bytes(archive.read("bootstrap"))
    path.chmod(0o755)
    return path


def test_what_is_in_it(package):
    assert package.stat().st_size <= 2_500_000
    with zipfile.ZipFile(package) as archive:
        [entry] = archive.infolist()
    assert entry.filename == "bootstrap"
    assert entry.external_attr >> 16 == 0o100755 and entry.create_system == 3
    assert entry.date_time == (1980, 1, 1, 0, 0, 0) and entry.extra == b"" and entry.comment == b""
    assert entry.compress_type == zipfile.ZIP_DEFLATED


def tool(*command):
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


def test_what_it_asks_of_its_system(bootstrap):
    dynamic = tool("readelf", "-dW", str(bootstrap))
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic))
    assert needed <= {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2"}
    assert "RPATH" not in dynamic and "RUNPATH" not in dynamic
    symbols = tool("objdump", "-T", str(bootstrap))
    versions = {tuple(map(int, found.split("."))) for found in re.findall(r"GLIBC_([0-9.]+)", symbols)}
    assert versions and max(versions) <= (2, 34)  # Amazon Linux 2023's
    assert not re.search(r"\*UND\*.*arc4random", symbols)
    sections = tool("readelf", "-SW", str(bootstrap))
    assert not re.search(r"\.(symtab|debug_info|note\.gnu\.build-id|comment)\b", sections)
    assert re.search(r"^\s*Type:\s+DYN", tool("readelf", "-hW", str(bootstrap)), re.M)  # its addresses are random


def test_no_path_of_the_build_is_in_it(bootstrap):
    data = bootstrap.read_bytes()
    for path in {str(ROOT), str(pathlib.Path.home())} - {"/", "/root"}:
        assert path.encode() not in data


def test_the_same_sources_give_the_same_bytes(package, tmp_path):
    again = tmp_path / "another place with blanks"
    for name in ("src", "tools"):
        shutil.copytree(ROOT / name, again / name)
    for name in ("meson.build", "meson_options.txt"):
        shutil.copy(ROOT / name, again)
    assert build(again).read_bytes() == package.read_bytes()


def test_it_is_small_in_memory(home, bootstrap):
    function = Function(home, store=None, secret=SECRET, command=[str(bootstrap)], environment=MEMORY)
    try:
        for i in range(100):
            assert function.answer({"transactionId": f"t-{i}"})[0] == 200
            assert function.answer(hook(body=b'{"n":%d}' % i))[0] == 200
        status = pathlib.Path(f"/proc/{function.process.pid}/status").read_text()
        assert int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) <= 12 * 1024
        assert function.api.connections == 1
    finally:
        function.stop()


def test_arm64(home, tmp_path):
    """By cross packages, run by an emulator of the processor."""
    if not shutil.which("aarch64-linux-gnu-gcc") or not (ROOT / "build-arm64-libraries" / "ready").exists():
        pytest.skip("the arm64 packages are not here: tools/setup arm64")
    package = build(ROOT, "arm64")
    qemu = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    if qemu is None:
        pytest.skip("it was built; running it needs qemu-user")
    with zipfile.ZipFile(package) as archive:
        (tmp_path / "bootstrap").write_bytes(archive.read("bootstrap"))
    (tmp_path / "bootstrap").chmod(0o755)
    command = [qemu, "-L", "/usr/aarch64-linux-gnu", str(tmp_path / "bootstrap")]
    function = Function(home, store=None, secret=SECRET, command=command, environment=MEMORY)
    try:
        assert function.answer(hook())[0] == 200
    finally:
        function.stop()


# ---- a bare system


def enter(root):
    """A command that runs /bootstrap with root as its whole file system, or None."""
    chroot = shutil.which("chroot", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if os.geteuid() == 0:
        return [chroot, str(root), "/bootstrap"]
    unshare = shutil.which("unshare", path="/usr/bin:/bin")
    tried = subprocess.run([unshare, "--map-root-user", chroot, "/", "/bin/true"], capture_output=True)
    return [unshare, "--map-root-user", chroot, str(root), "/bootstrap"] if tried.returncode == 0 else None


@pytest.fixture
def bare(bootstrap, tmp_path):
    root = tmp_path / "bare"
    names = tool("ldd", str(bootstrap))
    for found in set(re.findall(r"(/\S+)", names)):
        place = root / found.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(os.path.realpath(found), place)
    shutil.copy(bootstrap, root / "bootstrap")
    assert sum(1 for path in root.rglob("*") if path.is_file()) <= 4
    if enter(root) is None:
        pytest.skip("entering a bare root needs root, or user namespaces")
    return root


def certificate(folder, name):
    """A self-signed certificate for 127.0.0.1, which is its own authority; and its key."""
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    tool(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-out", str(paths[0]), "-keyout", str(paths[1]),
    )  # fmt: skip
    return paths


@pytest.mark.parametrize("bundle", ["etc/pki/tls/certs/ca-bundle.crt", "etc/ssl/certs/ca-certificates.crt"])
@pytest.mark.parametrize("trusted", [True, False])
def test_a_bare_system(home, bare, tmp_path, bundle, trusted):
    ours, other = certificate(tmp_path, "ours"), certificate(tmp_path, "other")
    place = bare / bundle
    place.parent.mkdir(parents=True)
    shutil.copy((ours if trusted else other)[0], place)
    manager = SecretsManager(SECRET, certificate=[str(path) for path in ours])
    environment = {**MEMORY, "AWS_ENDPOINT_URL_SECRETS_MANAGER": manager.url}
    function = Function(home, store=None, command=enter(bare), environment=environment)
    try:
        assert function.answer(url_event(b'{"transactionId":"t-1"}', headers=JSON))[0] == 200
        assert function.answer(hook())[0] == (200 if trusted else 503)
        assert (manager.requests > 0) == trusted and not manager.faults
        assert any(line["level"] == "WARN" for line in function.lines()) != trusted
    finally:
        function.stop()
        manager.stop()


# ---- in an emulator of AWS


def test_in_ministack(home, package, tmp_path):
    """Our zip as a function there, called through its function URL with a signed request, as README tells it. It leaves
    the IAM block out of its events, hence PAYHOOK_TRUST_DOOR."""
    botocore_session = pytest.importorskip("botocore.session")
    pytest.importorskip("ministack")
    from ministack_help import MiniStack

    with MiniStack(tmp_path) as stack:
        session = botocore_session.get_session()
        session.set_credentials("AKIDEXAMPLE", "an-invented-secret")

        def client(name):
            return session.create_client(name, region_name="us-east-1", endpoint_url=stack.url)

        table, dynamodb, secrets, functions = "envmig-transactions-t", client("dynamodb"), client("secretsmanager"), client("lambda")
        dynamodb.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "transactionId", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "transactionId", "KeyType": "HASH"}],
        )
        arn = secrets.create_secret(Name="envmig-apikeys-t", SecretString=SECRET)["ARN"]
        variables = {
            "DYNAMODB_TABLE_NAME": table,
            "SECRETS_MANAGER_ARN": arn,
            "ENVIRONMENT": "prod",
            "PAYHOOK_TRUST_DOOR": "1",
            "AWS_ENDPOINT_URL": stack.url,
        }
        functions.create_function(
            FunctionName="envmig-webhook-t",
            Runtime="provided.al2023",
            Handler="bootstrap",
            Role="arn:aws:iam::000000000000:role/envmig-webhook-role-t",
            Code={"ZipFile": package.read_bytes()},
            MemorySize=512,
            Timeout=30,
            Environment={"Variables": variables},
        )
        url = functions.create_function_url_config(FunctionName="envmig-webhook-t", AuthType="AWS_IAM")["FunctionUrl"]

        body = b'{"transactionId":"in-an-emulator","amount":100}'
        status, answer = stack.call(url, body, JSON)
        assert (status, json.loads(answer)["transactionId"]) == (200, "in-an-emulator"), (answer, stack.log())
        assert stack.call(url, body, JSON)[0] == 200
        assert stack.call(url, b"{}", JSON) == (400, b'{"error": "Missing transactionId"}')
        github = hook()
        assert stack.call(url + "hooks/github", github["body"].encode(), github["headers"])[0] == 200
        item = dynamodb.get_item(TableName=table, Key={"transactionId": {"S": "in-an-emulator"}})["Item"]
        assert item["payload"] == {"S": body.decode()}
        assert item["environment"] == {"S": "prod"} and item["processedBy"] == {"S": "envmig-webhook-t"}
        assert item["eventCount"] == {"N": "1"}
        direct = functions.invoke(FunctionName="envmig-webhook-t", Payload=b'{"transactionId":"direct"}')
        value = json.loads(direct["Payload"].read())
        assert value["statusCode"] == 200 and "FunctionError" not in direct
