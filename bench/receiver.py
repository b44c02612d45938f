#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A small receiver as a user would write it with what Python brings: an HTTP server with a thread a connection, Stripe's signature checked with hmac, the event in SQLite
with synchronous=FULL before the reply, an event that is there already answered the same. Compared with payhook by bench/run.

    receiver.py DATABASE SECRET     prints its port, runs until it is killed"""
import hashlib
import hmac
import http.server
import json
import sqlite3
import sys
import threading
import time

DATABASE = sqlite3.connect(sys.argv[1], check_same_thread=False, isolation_level=None)
DATABASE.executescript("""PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS event(id TEXT PRIMARY KEY, type TEXT, transaction_id TEXT, received_at REAL, payload BLOB);""")
LOCK = threading.Lock()
SECRET = sys.argv[2].encode()


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one packet a reply

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        parts = dict(part.split("=", 1) for part in self.headers["stripe-signature"].split(","))
        right = hmac.new(SECRET, parts["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(right, parts["v1"]) or abs(time.time() - int(parts["t"])) > 300:
            self.reply(401, {"error": "Unauthorized"})
            return
        event = json.loads(body)
        row = event["id"], event["type"], event["data"]["object"]["id"], time.time(), body
        with LOCK:
            DATABASE.execute("INSERT OR IGNORE INTO event VALUES(?, ?, ?, ?, ?)", row)
        self.reply(200, {"message": "Webhook processed successfully", "transactionId": row[2]})

    def reply(self, status, value):
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_request(self, code="-", size="-"):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024


server = Server(("127.0.0.1", 0), Receiver)
print(server.server_port, flush=True)
server.serve_forever()
