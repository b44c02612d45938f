# SPDX-License-Identifier: Apache-2.0
"""MiniStack on loopback, with its files in a folder of the test's own."""

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

import signing
from conftest import Key, wait_for


class MiniStack:
    def __init__(self, folder):
        self.folder, self.process = folder, None

    def __enter__(self):
        with socket.socket() as chosen:
            chosen.bind(("127.0.0.1", 0))
            self.port = chosen.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        environment = {
            **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": "127.0.0.1",
            "IOT_MTLS_ENABLED": "0",
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
        }
        with open(self.folder / "ministack.log", "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ministack"], env=environment, stdout=log, stderr=log, cwd=self.folder
            )
        wait_for(self.lives, 60, "MiniStack's start")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)

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
