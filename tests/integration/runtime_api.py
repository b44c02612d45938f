# SPDX-License-Identifier: Apache-2.0
"""A stand-in of the Lambda Runtime API on loopback, which refuses what the real one refuses (statuses and their order
follow the runtime interface emulator's source), and notes what a runtime must not do.

    api = RuntimeApi(); ...start the function with api.environment...; answer = api.invoke(event)
"""

import http.server
import json
import queue
import socket
import threading
import time
import uuid
from dataclasses import dataclass, field

RESPONSE_SIZE_MAX = 6 * 1024 * 1024 + 100
ROOT = "/2018-06-01/runtime/"
ARN = "arn:aws:lambda:us-east-1:123456789012:function:envmig-webhook-test"


@dataclass
class Invocation:
    event: bytes
    trace: str | None
    deadline_ms: int | None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    over: bool = False
    answered: threading.Event = field(default_factory=threading.Event)  # and the runtime has been told so
    response: bytes | None = None


class RuntimeApi:
    def __init__(self):
        self.waiting = queue.Queue()
        self.lock = threading.Lock()
        self.active = None  # handed out and not yet answered
        self.done = set()  # ids that were answered
        self.began = False  # the first next has come
        self.init_errors = []  # (error type header, body)
        self.faults = []  # what a runtime must not do
        self.refusals = []  # statuses other than 200 and 202 that were given
        self.next_at = None  # when the first next came, time.monotonic()
        self.connections = 0
        self.open = set()
        self.dropped = set()
        self.override = []  # statuses to answer the next responses with, whatever they are
        self.next_override = []  # (status, headers, body) to answer the next nexts with
        self.lose_next = False  # hang up on the runtime that waits for next, once
        self.stopping = False
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self):
                super().setup()
                with api.lock:
                    api.connections += 1
                    api.open.add(self.connection)

            def finish(self):
                with api.lock:
                    api.open.discard(self.connection)
                super().finish()

            def log_message(self, *_):
                pass

            def fault(self, text):
                api.faults.append(f"{self.command} {self.path}: {text}")

            def reply(self, status, body=b"", headers=()):
                if status not in (200, 202):
                    api.refusals.append(status)
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def refuse(self, status, kind):
                self.reply(status, json.dumps({"errorMessage": kind, "errorType": kind}).encode())

            def gone(self):
                """Whoever waited here has hung up: what comes next is not for him."""
                try:
                    return self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
                except BlockingIOError:
                    return False
                except OSError:
                    return True

            def take(self):
                """The next event, or None; sets close_connection where nobody waits here any more. One thread at a time,
                and none while connections are dropped, so that an event is never handed to one that has gone."""
                with api.lock:
                    if api.stopping or self.gone():
                        self.close_connection = True
                    elif api.lose_next:
                        self.connection.shutdown(socket.SHUT_RDWR)
                        api.lose_next = False
                        self.close_connection = True
                    elif not api.waiting.empty():
                        api.active = api.waiting.get_nowait()
                        return api.active
                    return None

            def look(self):
                if self.request_version != "HTTP/1.1":
                    self.fault("not HTTP/1.1")
                if self.headers.get_all("host") != [api.address]:
                    self.fault(f"host {self.headers.get_all('host')}")
                for name in ("transfer-encoding", "expect", "proxy-connection", "authorization"):
                    if name in self.headers:
                        self.fault(f"a header {name}")

            def do_GET(self):
                if self.connection in api.dropped:  # sent before it was dropped, read after: nobody waits for an answer
                    self.close_connection = True
                    return None
                self.look()
                if self.path != ROOT + "invocation/next":
                    self.fault("no such path")
                    return self.refuse(404, "NotFound")
                if api.active is not None and not api.active.over:
                    self.fault("next before the response")
                    return self.refuse(403, "InvalidStateTransition")
                if api.next_at is None:
                    api.next_at = time.monotonic()
                api.began = True
                if api.next_override:
                    status, headers, body = api.next_override.pop(0)
                    return self.reply(status, body, headers)
                while (invocation := self.take()) is None:
                    if self.close_connection:
                        return None
                    time.sleep(0.005)
                headers = [
                    ("Lambda-Runtime-Aws-Request-Id", invocation.id),
                    ("Lambda-Runtime-Invoked-Function-Arn", ARN),
                    ("Content-Type", "application/json"),
                ]
                if invocation.deadline_ms is not None:
                    headers.append(("Lambda-Runtime-Deadline-Ms", str(invocation.deadline_ms)))
                if invocation.trace is not None:
                    headers.append(("Lambda-Runtime-Trace-Id", invocation.trace))
                return self.reply(200, invocation.event, headers)

            def do_POST(self):
                self.look()
                lengths = self.headers.get_all("content-length") or []
                if len(lengths) != 1 or not lengths[0].isdigit():
                    self.fault(f"content-length {lengths}")
                    return self.refuse(400, "BadRequest")
                body = self.rfile.read(int(lengths[0]))
                if self.path == ROOT + "init/error":
                    api.init_errors.append((self.headers.get("lambda-runtime-function-error-type"), json.loads(body)))
                    if api.began:
                        self.fault("init/error after next")
                        return self.refuse(403, "InvalidStateTransition")
                    return self.reply(202, b'{"status":"OK"}\n')
                parts = self.path.removeprefix(ROOT + "invocation/").split("/")
                if not self.path.startswith(ROOT + "invocation/") or len(parts) != 2 or parts[1] != "response":
                    self.fault("no such path")
                    return self.refuse(404, "NotFound")
                active = api.active
                if active is None or parts[0] != active.id:
                    if parts[0] not in api.done:
                        self.fault("an id that never was")
                    return self.refuse(400, "InvalidRequestID")
                if active.over:
                    self.fault("a second response")
                    return self.refuse(403, "InvalidStateTransition")
                status = api.override.pop(0) if api.override else 202
                if len(body) > RESPONSE_SIZE_MAX:
                    status = 413
                if status == 202:
                    active.response = body
                # Lambda has then answered by itself, and the invocation is over.
                active.over = True
                api.done.add(active.id)
                if status == 202:
                    self.reply(202, b'{"status":"OK"}\n')
                else:
                    self.refuse(status, "Refused")
                return active.answered.set()

            def do_PUT(self):
                self.fault("no such method")
                self.refuse(405, "MethodNotAllowed")

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # the runtime was killed

        self.server = Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def put(self, event, *, trace=None, deadline_ms=30000):
        """Queues an event (bytes as they are, else JSON); its deadline is that many milliseconds from now."""
        if not isinstance(event, bytes):
            event = json.dumps(event).encode()
        end = None if deadline_ms is None else int(time.time() * 1000) + deadline_ms
        invocation = Invocation(event, trace, end)
        self.waiting.put(invocation)
        return invocation

    def invoke(self, event, *, timeout=30.0, **how):
        """The response's bytes; None where it was refused."""
        invocation = self.put(event, **how)
        assert invocation.answered.wait(timeout), "no response came"
        return invocation.response

    def drop_connections(self):
        """What a thaw may do: every kept connection is gone."""
        with self.lock:
            for connection in list(self.open):
                self.dropped.add(connection)
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def stop(self):
        self.stopping = True
        self.server.shutdown()
        self.server.server_close()
