# SPDX-License-Identifier: Apache-2.0
"""The function under test: a process of `payhook lambda` between a Runtime API and a Secrets Manager of ours, and events
as a function URL makes them."""

import base64
import http.server
import json
import pathlib
import shutil
import ssl
import subprocess
import threading
import time

from conftest import PROGRAM, STOP_S_MAX, database_rows
from runtime_api import RuntimeApi

SECRET_ID = "arn:aws:secretsmanager:us-east-1:123456789012:secret:envmig-apikeys-test-AbCdEf"
PLACEHOLDER = '{"api_key": "placeholder_value_replace_in_production"}'
HOST = "abcdefghijklmnopqrstuvwxyz012345.lambda-url.us-east-1.on.aws"
EVENTS = pathlib.Path(__file__).resolve().parents[1] / "data/lambda-events"
TRACE = "Root=1-5e1b4151-5ac6c58f5ac6c58f5ac6c58f;Parent=53995c3f42cd8ad8;Sampled=1"


class SecretsManager:
    """GetSecretValue on loopback. text: the secret, None: AccessDenied; status: what to answer in its place; wait:
    seconds before any answer."""

    def __init__(self, text=PLACEHOLDER, certificate=None):
        self.text, self.status, self.wait, self.requests, self.faults = text, None, 0, 0, []
        manager = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                manager.requests += 1
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if self.headers["x-amz-target"] != "secretsmanager.GetSecretValue" or body != {"SecretId": SECRET_ID}:
                    manager.faults.append((self.headers["x-amz-target"], body))
                if "/secretsmanager/aws4_request" not in self.headers.get("authorization", ""):
                    manager.faults.append(self.headers.get("authorization"))
                time.sleep(manager.wait)
                if manager.status is not None:
                    return self.reply(manager.status, {"__type": "InternalServiceError"})
                if manager.text is None:
                    return self.reply(400, {"__type": "AccessDeniedException", "Message": "not you"})
                return self.reply(200, {"ARN": SECRET_ID, "Name": "n", "SecretString": manager.text})

            def reply(self, status, value):
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # the function was killed

        self.server = Server(("127.0.0.1", 0), Handler)
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Function:
    """One sandbox. store: of --store; "sqlite" keeps its file under the home, so that it can be looked at."""

    def __init__(self, home, *, store="sqlite", environment=None, secret=PLACEHOLDER, command=None, start=True):
        home.count += 1
        self.data = home.path / f"function-{home.count}"
        self.err = home.path / f"function-{home.count}.err"
        self.api, self.secrets = RuntimeApi(), SecretsManager(secret)
        self.environment = {
            "AWS_LAMBDA_RUNTIME_API": self.api.address,
            "AWS_LAMBDA_FUNCTION_NAME": "envmig-webhook-test",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "an-invented-secret",
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": self.secrets.url,
            "SECRETS_MANAGER_ARN": SECRET_ID,
            "DYNAMODB_TABLE_NAME": "envmig-transactions-test",
            "PAYHOOK_DATA": str(self.data),
            # Nobody listens there: whoever follows these fails.
            "http_proxy": "http://127.0.0.1:9",
            "HTTP_PROXY": "http://127.0.0.1:9",
            "https_proxy": "http://127.0.0.1:9",
            "ALL_PROXY": "http://127.0.0.1:9",
            **({} if store is None else {"PAYHOOK_STORE": store}),
            **(environment or {}),
        }
        self.environment = {name: value for name, value in self.environment.items() if value is not None}
        if store == "sqlite":
            self.data.mkdir(mode=0o700)
        self.command = command or [str(PROGRAM), "lambda"]
        self.process = None
        if start:
            self.start()

    def start(self):
        with open(self.err, "ab") as err:
            self.process = subprocess.Popen(
                self.command, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err
            )
        return self

    def invoke(self, event, **how):
        """The response as a value. Every response has these four members, whatever was asked."""
        response = self.api.invoke(event, **how)
        value = json.loads(response)
        assert list(value) == ["statusCode", "headers", "body", "isBase64Encoded"]
        assert value["isBase64Encoded"] is False
        assert all(isinstance(part, str) for pair in value["headers"].items() for part in pair)
        return value

    def answer(self, event, **how):
        """Status and body."""
        value = self.invoke(event, **how)
        return value["statusCode"], value["body"]

    def lines(self):
        """The log: every line is a JSON object."""
        return [json.loads(line) for line in self.err.read_text().splitlines()]

    def messages(self):
        return [line["message"] for line in self.lines() if "message" in line]

    def rows(self, sql="SELECT * FROM event ORDER BY seq", *parameters):
        return database_rows(self.data / "payhook.db", sql, *parameters)

    @property
    def alive(self):
        return self.process.poll() is None

    def wait(self):
        return self.process.wait(STOP_S_MAX)

    def stop(self):
        """Ends it, as Lambda does: without a word. It must have been alive, and have asked nothing it should not."""
        try:
            if self.process is not None and self.alive:
                self.process.kill()
                self.process.wait(STOP_S_MAX)
            assert not self.api.faults, self.api.faults
            assert not self.secrets.faults, self.secrets.faults
        finally:
            self.api.stop()
            self.secrets.stop()
            shutil.rmtree(self.data, ignore_errors=True)


def url_event(body=b"", path="/", *, method="POST", headers=None, iam=True, query="", **more):
    """The event of a function URL. As Lambda does: names in lower case, repeated headers (pairs) joined with commas, and
    base64 where the body is no text of a text's type."""
    joined = {}
    for name, value in headers.items() if isinstance(headers, dict) else headers or ():
        name = name.lower()
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    context = {"accountId": "123456789012", "http": {"method": method, "path": path, "protocol": "HTTP/1.1"}}
    if iam:
        context["authorizer"] = {"iam": {"accessKey": "AKIDEXAMPLE", "accountId": "123456789012"}}
    event = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": HOST, **joined},
        "requestContext": context,
        "isBase64Encoded": False,
    }
    if body:
        kind = joined.get("content-type", "")
        try:
            text = body.decode()
        except UnicodeDecodeError:
            text = None
        if text is None or not kind.startswith(("application/json", "text/")):
            event["isBase64Encoded"], text = True, base64.b64encode(body).decode()
        event["body"] = text
    return {**event, **more}


def file_event(name):
    return (EVENTS / f"{name}.json").read_bytes()
