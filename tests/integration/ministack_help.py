# SPDX-License-Identifier: Apache-2.0
"""MiniStack on loopback, with its files in a folder of the test's own."""

import os
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

import signing
from conftest import Key, hold_port, wait_for


class MiniStack:
    def __init__(self, folder):
        self.folder, self.process = folder, None

    def __enter__(self):
        with hold_port() as held:
            self.start(held.getsockname()[1])
        return self

    def start(self, port):
        self.url = f"http://127.0.0.1:{port}"
        environment = {
            **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
            "GATEWAY_PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            "IOT_MTLS_ENABLED": "0",
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
        }
        with open(self.folder / "ministack.log", "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ministack"], env=environment, stdout=log, stderr=log, cwd=self.folder
            )
        try:
            wait_for(self.lives, 120, "MiniStack's start")
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def log(self):
        return (self.folder / "ministack.log").read_text(errors="replace")[-4000:]

    def lives(self):
        assert self.process.poll() is None, self.log()
        try:
            return urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=1).status == 200
        except OSError:
            return False

    def call(self, url, body, headers):
        """POST to a function URL, signed for it; its host name stands in the Host header alone."""
        parts = urllib.parse.urlsplit(url)
        signed = signing.aws(url, body, Key("AKIDEXAMPLE", "an-invented-secret"), headers)
        request = urllib.request.Request(
            f"{self.url}{parts.path}", body, {**signed, "Host": parts.netloc}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read()
