# SPDX-License-Identifier: Apache-2.0
"""The first minutes with payhook: nothing configured, one folder, the printed lines pasted into a shell."""

import json
import os
import stat
import subprocess
import time

import pytest

from conftest import PROGRAM, STOP_S_MAX, USER_REPLY

FOLDERS = ["data", "a folder", 'it\'s "my" $data; rm -x `y` \\ #1']


def printed(server, begin):
    """The line of the welcome that begins so."""
    lines = [line.strip() for line in server.welcome().splitlines() if line.strip().startswith(begin)]
    assert len(lines) == 1, server.welcome()
    return lines[0]


def show_line(server):
    lines = [line.strip() for line in server.welcome().splitlines() if " show test-123 " in line]
    assert len(lines) == 1, server.welcome()
    return lines[0]


def assert_shown(result):
    assert result.returncode == 0, result.stderr
    assert b"test-123" in result.stdout
    assert b'{"transactionId":"test-123","amount":100}' in result.stdout


@pytest.mark.parametrize("folder", FOLDERS)
def test_printed_lines_work_as_printed(home, folder):
    server = home.serve(folder)
    curl = printed(server, "curl ")
    assert (
        ' -H \'content-type: application/json\' -d \'{"transactionId":"test-123","amount":100}\' http://127.0.0.1:'
        in curl
    )
    done = home.sh(curl)
    assert done.returncode == 0, done.stderr
    assert done.stdout == USER_REPLY % b"test-123"
    assert "--data" in show_line(server)
    assert_shown(home.sh(show_line(server)))


def test_folder_and_files_are_private_whatever_the_umask(home):
    server = home.serve("deep/down/data", umask=0)
    assert server.iam(b'{"transactionId":"a"}').status == 200
    assert stat.S_IMODE(os.stat(server.data).st_mode) == 0o700
    files = [path for path in server.data.rglob("*") if path.is_file()]
    assert {"payhook.db", "first-key.curl"} <= {path.name for path in files}
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_secret_is_printed_nowhere(home):
    server = home.serve()
    assert home.sh(printed(server, "curl ")).returncode == 0
    secret = server.key.secret
    assert len(secret) >= 32
    assert secret not in server.welcome()
    assert secret not in server.log()


def test_sqlite3_reads_the_event(home):
    server = home.serve()
    assert home.sh(printed(server, "curl ")).returncode == 0
    done = subprocess.run(
        [
            "sqlite3",
            "-readonly",
            "-json",
            str(server.data / "payhook.db"),
            "SELECT transaction_id, source, payload FROM event",
        ],
        capture_output=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    expected = {
        "transaction_id": "test-123",
        "source": "default",
        "payload": '{"transactionId":"test-123","amount":100}',
    }
    assert json.loads(done.stdout) == [expected]


def test_second_server_on_the_folder_is_refused(home):
    server = home.serve()
    second = home.run("serve", "--data", server.data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
    assert second.returncode == 1
    assert str(server.data).encode() in second.stderr
    assert second.stderr.count(b"\n") == 1
    assert server.iam(b'{"transactionId":"still"}').status == 200


def test_port_in_use_is_a_sentence(home):
    server = home.serve()
    second = home.run("serve", "--data", home.path / "other", "--listen", server.host, "--admin", "127.0.0.1:0")
    assert second.returncode == 1
    assert server.host.encode() in second.stderr


def test_restart_shows_it_again(home):
    server = home.serve()
    assert home.sh(printed(server, "curl ")).returncode == 0
    key = server.key
    assert server.stop() == 0
    assert_shown(home.run("show", "test-123", "--data", server.data))
    server.start()
    assert server.key == key
    assert_shown(home.sh(show_line(server)))
    assert home.sh(printed(server, "curl ")).stdout == USER_REPLY % b"test-123"
    assert server.rows("SELECT count(*) FROM event") == [(1,)]


def test_kill_right_after_the_reply(home):
    server = home.serve()
    for i in range(5):
        body = b'{"transactionId":"kill-%d"}' % i
        with server.connect() as connection:
            connection.send(server.iam_request(body))
            reply = connection.reply()
            server.kill()
        assert (reply.status, reply.duplicate) == (200, False)
        server.start()
        shown = home.run("show", f"kill-{i}", "--data", server.data)
        assert shown.returncode == 0 and body in shown.stdout
        again = server.iam(body)
        assert (again.status, again.duplicate) == (200, True)


def test_folder_open_to_others_is_refused(home):
    folder = home.path / "open"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    done = home.run("serve", "--data", folder, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
    assert done.returncode == 1
    assert str(folder).encode() in done.stderr


@pytest.mark.parametrize("name", ["payhook.db", "keys", "first-key.curl"])
def test_file_open_to_others_does_not_stay_so(home, name):
    """The modes are checked at start: such a file is refused by name, or made private again."""
    server = home.serve()
    assert server.stop() == 0
    (server.data / name).chmod(0o644)
    try:
        server.start()
    except AssertionError:
        assert server.process.returncode == 1
        assert name in server.log()
    else:
        assert stat.S_IMODE((server.data / name).stat().st_mode) == 0o600


def test_first_key_can_be_used_by_send(home):
    server = home.serve()
    done = home.run("send", "--transaction", "sent-1", "--key", server.data / "first-key.curl", server.url)
    assert done.returncode == 0, done.stderr
    assert USER_REPLY % b"sent-1" in done.stdout


def test_options_of_the_environment(home):
    process = subprocess.Popen(
        [str(PROGRAM), "serve"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=home.path,
        env=home.environment(
            {
                "PAYHOOK_DATA": str(home.path / "from-env"),
                "PAYHOOK_LISTEN": "127.0.0.1:0",
                "PAYHOOK_ADMIN": "127.0.0.1:0",
            }
        ),
    )
    try:
        assert b"http://127.0.0.1:" in process.stdout.readline()
        assert (home.path / "from-env" / "first-key.curl").exists()
        while b" show " not in process.stdout.readline():
            pass
        time.sleep(0.2)
    finally:
        process.terminate()
        assert process.wait(STOP_S_MAX) == 0
        process.stdout.close()
