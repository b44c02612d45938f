# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 over a plain socket, strict about what comes back. Clients that are kind would hide what these tests look
for."""

import re
import socket
from dataclasses import dataclass


@dataclass
class Reply:
    status: int
    headers: list  # (name in lower case, value), in order
    body: bytes

    def header(self, name):
        values = [value for key, value in self.headers if key == name]
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None

    @property
    def closes(self):
        return (self.header("connection") or "").lower() == "close"

    @property
    def duplicate(self):
        value = self.header("payhook-duplicate")
        assert value in (None, "true")
        return value == "true"

    def without_date(self):
        return self.status, [(name, value) for name, value in self.headers if name != "date"], self.body


class Closed(Exception):
    """The server closed the connection without a (whole) reply."""


class Connection:
    def __init__(self, address, timeout=30.0):
        self.socket = socket.create_connection(address, timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def _more(self):
        data = self.socket.recv(65536)
        if not data:
            raise Closed(f"after {self.pending!r}")
        self.pending += data

    def interim(self):
        """One reply without content, such as 100 Continue: its status."""
        while b"\r\n\r\n" not in self.pending:
            self._more()
        head, self.pending = self.pending.split(b"\r\n\r\n", 1)
        return int(head.split(b" ", 2)[1])

    def reply(self, method="POST"):
        while b"\r\n\r\n" not in self.pending:
            self._more()
        head, rest = self.pending.split(b"\r\n\r\n", 1)
        lines = head.decode("ascii").split("\r\n")
        start = re.fullmatch(r"HTTP/1\.1 (\d{3}) [A-Za-z ]+", lines[0])
        assert start, f"status line {lines[0]!r}"
        headers = []
        for line in lines[1:]:
            field = re.fullmatch(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\x20-\x7e]*)", line)
            assert field, f"header line {line!r}"
            headers.append((field[1].lower(), field[2]))
        reply = Reply(int(start[1]), headers, b"")
        size = 0 if method == "HEAD" else int(reply.header("content-length"))
        self.pending = rest
        while len(self.pending) < size:
            self._more()
        reply.body, self.pending = self.pending[:size], self.pending[size:]
        return reply

    def at_end(self):
        """True where the server has closed its side and said nothing more. A reset raises, since it could have eaten
        the reply."""
        assert self.pending == b""
        return self.socket.recv(1) == b""


def request(target="/", body=b"", headers=(), method="POST", host="localhost"):
    """The bytes of a request. headers: a dict or pairs; content-length is added where a body, or POST, wants it."""
    pairs = list(headers.items() if isinstance(headers, dict) else headers)
    names = {name.lower() for name, _ in pairs}
    if "host" not in names:
        pairs.insert(0, ("Host", host))
    if (body or method == "POST") and not names & {"content-length", "transfer-encoding"}:
        pairs.append(("Content-Length", str(len(body))))
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in pairs) + "\r\n"
    return head.encode("latin-1") + body


def chunked(body, size=1000):
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
