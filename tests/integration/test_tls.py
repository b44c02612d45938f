# SPDX-License-Identifier: Apache-2.0
"""TLS on the listener: what is spoken and what is not, streams of a megabyte both ways, records and packets of one
byte, and a certificate that changes under load. The client is Python's own OpenSSL; `openssl s_client` where Python
cannot do it."""

import os
import random
import re
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

import wire
from conftest import WAIT_S_MAX, source, wait_for

TOKEN = "a-static-token-0123456789"
KEY = {"x-api-key": TOKEN}
HEAD_DEADLINE_S = 2
KEPT = "SIGHUP: the configuration in use is kept"
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def openssl(*arguments, **how):
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, timeout=60, **how)


def make_pair(folder, name, kind=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
    """A self-signed certificate and its key, as files."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    done = openssl(
        *["req", "-x509", "-nodes", "-days", "30", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"],
        *["-newkey", *kind, "-keyout", key, "-out", certificate],
    )
    assert done.returncode == 0, done.stderr
    key.chmod(0o600)
    return certificate, key


def stanza(certificate, key):
    return f'tls {{ certificate = "{certificate}" key = "{key}" }}\nlimits {{ head_deadline_s = {HEAD_DEADLINE_S} }}\n'


class Tls:
    """A server with TLS, its certificate's file among its own, and clients that trust that file alone."""

    def __init__(self, home, first="first", **how):
        self.home = home
        self.certificate, self.key = make_pair(home.path, first)
        self.sources = source("shop", "api-key", [home.secret("shop", TOKEN)])
        self.config = home.config(stanza(self.certificate, self.key) + self.sources)
        self.server = home.serve(config=self.config, **how)

    def context(self, version=None, alpn=None, certificate=None):
        context = ssl.create_default_context(cafile=str(certificate or self.certificate))
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # an end without close_notify raises
        if version is not None:
            context.minimum_version = context.maximum_version = VERSIONS[version]
        if alpn is not None:
            context.set_alpn_protocols(alpn)
        return context

    def connect(self, timeout=WAIT_S_MAX, session=None, receive_size=None, **how):
        connection = wire.Connection.__new__(wire.Connection)
        connection.pending = b""
        raw = socket.socket()
        if receive_size is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_size)
        raw.settimeout(timeout)
        raw.connect(self.server.address)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.socket = self.context(**how).wrap_socket(
            raw, server_hostname="127.0.0.1", session=session, suppress_ragged_eofs=False
        )
        return connection

    def reload(self, config):
        """Writes a configuration, and waits for what is said about it."""
        self.home.config(config + self.sources)
        before = len(re.findall("SIGHUP", self.server.log()))
        self.server.signal(signal.SIGHUP)
        wait_for(lambda: len(re.findall("SIGHUP", self.server.log())) > before, what="the reload")
        return self.server.log().splitlines()[-1]


def event(number, pad=0):
    return b'{"transactionId":"t-%d","pad":"%b"}' % (number, b"x" * pad)


def request(number, pad=0, headers=()):
    return wire.request("/hooks/shop", event(number, pad), {**KEY, **dict(headers)})


@pytest.fixture(scope="module")
def shared(module_home):
    return Tls(module_home)


@pytest.fixture
def tls(home):
    return Tls(home)


def served(tls, number=0, **how):
    with tls.connect(**how) as connection:
        connection.send(request(number))
        reply = connection.reply()
        assert reply.status == 200, reply
        return connection.socket.version()


# ---- what is spoken


@pytest.mark.parametrize("version", VERSIONS)
def test_versions(shared, version):
    assert served(shared, version=version) == f"TLSv{version}"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_older_versions_are_refused(shared, version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with socket.create_connection(shared.server.address, WAIT_S_MAX) as raw, pytest.raises(ssl.SSLError):
        context.wrap_socket(raw)


@pytest.mark.parametrize("ciphers", ["AES128-SHA", "ECDHE-ECDSA-AES128-SHA256", "AES256-GCM-SHA384"])
def test_weak_ciphers_are_refused(shared, ciphers):
    context = shared.context("1.2")
    context.set_ciphers(ciphers)
    with socket.create_connection(shared.server.address, WAIT_S_MAX) as raw, pytest.raises(ssl.SSLError):
        context.wrap_socket(raw, server_hostname="127.0.0.1")


@pytest.mark.parametrize(
    "offered, selected",
    [
        (None, None),
        (["http/1.1"], "http/1.1"),
        (["h2", "http/1.1"], "http/1.1"),
        (["h2"], None),
        (["http/1.0", "http/1.", "http/1.11"], None),
    ],
)
def test_alpn(shared, offered, selected):
    with shared.connect(alpn=offered) as connection:
        assert connection.socket.selected_alpn_protocol() == selected
        connection.send(request(0))
        assert connection.reply().status == 200


def test_sessions_are_resumed_in_1_3_only(shared):
    """OpenSSL's ticket key lives as long as the certificate: in TLS 1.2 it could read what was recorded."""
    for version, resumed in (("1.2", False), ("1.3", True)):
        context = shared.context(version)
        reused = []
        session = None
        for _ in range(3):
            with socket.create_connection(shared.server.address, WAIT_S_MAX) as raw:
                with context.wrap_socket(raw, server_hostname="127.0.0.1", session=session) as client:
                    client.sendall(request(0))
                    assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
                    session = client.session
                    reused.append(client.session_reused)
                    assert session.has_ticket == resumed
                    assert not resumed or session.ticket_lifetime_hint <= 7200
        assert reused == [False, resumed, resumed]


def test_a_reply_that_closes_is_ended_properly(shared):
    """close_notify stands behind the last reply."""
    for version in VERSIONS:
        with shared.connect(version=version) as connection:
            connection.send(request(0, headers={"Connection": "close"}))
            assert connection.reply().closes
            assert connection.at_end()
        with shared.connect(version=version) as connection:
            connection.send(b"GET / HTTP/9.9\r\n\r\n")
            assert connection.reply().status == 505
            assert connection.at_end()


def test_half_a_request_is_answered(shared):
    """As on a plain connection: the client has said that no more comes, and still listens."""
    with shared.connect(version="1.2") as connection:
        connection.send(request(0)[:-5])
        socket.socket.shutdown(connection.socket, socket.SHUT_WR)  # below TLS: no close_notify goes out
        reply = connection.reply()
        assert (reply.status, reply.closes) == (400, True)


def test_curl_uploads_a_large_body(shared):
    """curl waits for 100 (Continue) with a body of this size."""
    body = shared.home.write("large.json", event(1, 900_000))
    done = shared.home.curl(
        *["--cacert", shared.certificate, "-H", f"x-api-key: {TOKEN}", "--data-binary", f"@{body}"],
        *["-H", "expect: 100-continue", f"https://127.0.0.1:{shared.server.port}/hooks/shop"],
    )
    assert done.returncode == 0, done.stderr
    assert b"HTTP/1.1 100 " in done.stdout and b"HTTP/1.1 200 " in done.stdout


# ---- a megabyte both ways


def mixed_stream(count, seed):
    """Requests of all shapes, and the status each must get."""
    random.seed(seed)
    data, expected = [], []
    for number in range(count):
        shape = number % 6
        if shape == 0:
            data.append(request(number, random.randrange(0, 3000)))
        elif shape == 1:
            body = event(number, random.randrange(20_000))
            data.append(wire.request("/hooks/shop", wire.chunked(body, 700), {**KEY, "Transfer-Encoding": "chunked"}))
        elif shape == 2:
            data.append(wire.request("/nowhere", method="GET"))
        elif shape == 3:
            data.append(request(number, 17_000))  # does not fit a head buffer
        elif shape == 4:
            data.append(wire.request("/hooks/shop", event(number), {"x-api-key": "wrong-token-0123456789"}))
        else:
            data.append(request(number))
        expected.append({2: 404, 4: 401}.get(shape, 200))
    return data, expected


@pytest.mark.parametrize("version", VERSIONS)
def test_a_megabyte_of_pipelined_requests(shared, version):
    data, expected = mixed_stream(240, version)
    stream = b"".join(data)
    assert len(stream) > 1 << 20
    with shared.connect(version=version) as connection:
        connection.send(stream)  # not from another thread: two at once break a client's TLS. The replies fit the buffers.
        assert [connection.reply("GET" if status == 404 else "POST").status for status in expected] == expected


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_that_does_not_read_yet(shared, version):
    """Replies of more than a megabyte are due before the first is read, so the server's writes come up short; then all
    are there, in order."""
    ids = [b"%d-%b" % (i, b"r" * 900) for i in range(12_000)]
    sent = 0
    with shared.connect(version=version, receive_size=4096) as connection:
        connection.socket.settimeout(3.0)  # longer than a busy disk keeps the server from reading
        try:
            for i in ids:  # a whole request in one record, so that a time-out cuts none in two
                connection.send(wire.request("/hooks/shop", b'{"transactionId":"%b"}' % i, KEY))
                sent += 1
        except TimeoutError:
            pass  # the record is kept, and goes out with the next write
        assert sent > 1100, "too little was due"
        assert sent < len(ids), "the server never stopped reading"
        connection.socket.settimeout(WAIT_S_MAX)
        for i in ids[:sent]:
            reply = connection.reply()
            assert reply.status == 200 and i in reply.body


class InMemory:
    """A TLS client whose bytes the test cuts as it likes."""

    def __init__(self, tls, version, cut):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = tls.context(version).wrap_bio(self.incoming, self.outgoing, server_hostname="127.0.0.1")
        self.socket = socket.create_connection(tls.server.address, WAIT_S_MAX)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.cut = cut
        self.run(self.client.do_handshake)

    def flush(self):
        data = self.outgoing.read()
        for at in range(0, len(data), self.cut):
            self.socket.sendall(data[at : at + self.cut])

    def run(self, step):
        while True:
            try:
                result = step()
                self.flush()
                return result
            except ssl.SSLWantReadError:
                self.flush()
                data = self.socket.recv(65536)
                if data:
                    self.incoming.write(data)
                else:
                    self.incoming.write_eof()

    def write_bytewise(self, data):
        for byte in data:
            self.client.write(bytes([byte]))

    def read(self):
        return self.run(lambda: self.client.read(65536))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("cut", [1, 5, 100_000])
def test_records_of_one_byte(shared, version, cut):
    """Two requests of one-byte records; the whole stream, handshake included, in packets of `cut` bytes."""
    client = InMemory(shared, version, cut)
    client.write_bytewise(request(1) + request(2))
    replies = b""
    while replies.count(b"HTTP/1.1 200 ") < 2:
        replies += client.read()
    client.socket.close()


def s_client(tls, version, steps):
    """What `openssl s_client` prints while it is given these pieces, each once it has printed what the one before leads
    to; it takes lines of one letter as commands, where it reads nothing else with them."""
    client = subprocess.Popen(
        ["openssl", "s_client", "-connect", tls.server.host, f"-tls{version}", "-CAfile", str(tls.certificate)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    out = bytearray()

    def read():
        while data := os.read(client.stdout.fileno(), 65536):
            out.extend(data)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        wait_for(lambda: b"Verify return code: " in out, what="the handshake")
        for piece, leads_to in steps:
            before = out.count(leads_to)
            client.stdin.write(piece)
            client.stdin.flush()
            wait_for(lambda: out.count(leads_to) > before or client.poll() is not None, what=f"{leads_to} after {piece}")
        client.stdin.close()
    except BrokenPipeError:
        pass  # it has given up
    client.wait(WAIT_S_MAX)
    reader.join(WAIT_S_MAX)
    client.stdout.close()
    return bytes(out)


def test_key_updates(shared):
    """In TLS 1.3 a client may ask in mid-stream for new keys, of both sides (K) or of its own (k)."""
    update, served_so = b"KEYUPDATE", b"HTTP/1.1 200 "
    last = request(4, headers={"Connection": "close"})
    out = s_client(
        shared,
        "1_3",
        [(b"K\n", update), (b"k\n", update), (request(3), served_so), (b"K\n", update), (last, served_so)],
    )
    assert out.count(b"KEYUPDATE") == 3
    assert out.count(b"HTTP/1.1 200 ") == 2


# ---- who does not keep to it


def closed_lines(tls):
    return [line for line in tls.server.log().splitlines() if "a TLS connection was closed" in line]


def test_plain_http_is_closed_with_one_line(shared):
    before = len(closed_lines(shared))
    with socket.create_connection(shared.server.address, WAIT_S_MAX) as raw:
        raw.sendall(request(0))
        try:
            assert raw.recv(100) == b""
        except ConnectionResetError:
            pass
    lines = wait_for(lambda: closed_lines(shared)[before:])
    assert len(lines) == 1 and "http request" in lines[0]
    assert TOKEN not in shared.server.log()
    served(shared)


def hello():
    """A real ClientHello."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


GARBAGE = {
    "nothing": b"",
    "zeros": b"\0" * 1000,
    "noise": random.Random(1).randbytes(5000),
    "a record too long": b"\x16\x03\x01\xff\xff" + b"x" * 20_000,
    "an empty record": b"\x16\x03\x01\x00\x00" * 100,
    "application data first": b"\x17\x03\x03\x00\x10" + b"x" * 16,
    "an alert": b"\x15\x03\x01\x00\x02\x02\x28",
    "many warnings": b"\x15\x03\x01\x00\x02\x01\x5a" * 200,
    "SSL 2": bytes.fromhex("802e0100020015000000100100800200800300800400800500800600400700c0") + b"x" * 32,
    "half a hello": hello()[:100],
    "a hello twice": hello() * 2,
    "a hello and noise": hello() + random.Random(2).randbytes(3000),
    "a heartbeat": b"\x18\x03\x02\x00\x03\x01\x40\x00" * 3,
}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage(shared, what):
    with socket.create_connection(shared.server.address, WAIT_S_MAX) as raw:
        try:
            raw.sendall(GARBAGE[what])
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(65536):
                pass
        except TimeoutError:
            raise
        except OSError:
            pass  # a reset, at one call or another
    served(shared)
    assert shared.server.alive


def test_cut_and_flipped_streams(shared):
    """A whole session as bytes, cut short or with one byte flipped, at many places: nothing of it is ever served."""
    stored = len(shared.server.rows())
    random.seed(3)
    for number in range(60):
        client = InMemory(shared, random.choice(list(VERSIONS)), 100_000)
        client.client.write(request(1_000_000 + number))
        data = bytearray(client.outgoing.read())
        at = random.randrange(len(data))
        if number % 2:
            data[at] ^= 1 << random.randrange(8)
        else:
            del data[at:]
        try:
            client.socket.sendall(data)
            client.socket.shutdown(socket.SHUT_WR)
            while client.socket.recv(65536):
                pass
        except OSError:
            pass
        client.socket.close()
    assert len(shared.server.rows()) == stored
    served(shared)


def test_a_silent_or_slow_handshake_ends_at_the_head_deadline(tls):
    half = hello()[:200]
    started = time.monotonic()
    address = tls.server.address
    with socket.create_connection(address, WAIT_S_MAX) as silent, socket.create_connection(address, WAIT_S_MAX) as slow:
        slow.settimeout(0.1)
        ends = {}
        for byte in half:
            for name, raw in (("slow", slow), ("silent", silent)):
                if name in ends:
                    continue
                try:
                    if name == "slow":
                        raw.send(bytes([byte]))
                    raw.settimeout(0.05)
                    if raw.recv(1) == b"":
                        ends[name] = time.monotonic() - started
                except TimeoutError:
                    pass
                except OSError:
                    ends[name] = time.monotonic() - started
            if len(ends) == 2:
                break
            time.sleep(0.02)
        assert set(ends) == {"slow", "silent"}
        assert all(HEAD_DEADLINE_S - 0.5 < seconds < HEAD_DEADLINE_S + 15 for seconds in ends.values()), ends


def test_after_the_handshake_an_idle_client_has_the_idle_deadline(tls):
    with tls.connect() as connection:
        time.sleep(HEAD_DEADLINE_S + 0.7)
        connection.send(request(0)[:20])
        connection.send(request(0)[20:])
        assert connection.reply().status == 200
    with tls.connect() as connection:
        connection.send(request(0)[:20])
        assert connection.reply().status == 408


def test_renegotiation_is_refused(shared):
    served_so = b"HTTP/1.1 200 "
    out = s_client(shared, "1_2", [(request(5), served_so), (b"R\n", b"no renegotiation"), (request(6), served_so)])
    assert b"Secure Renegotiation IS supported" in out and b"RENEGOTIATING" in out and b"no renegotiation" in out
    assert out.count(b"HTTP/1.1 200 ") == 1
    served(shared)


# ---- a certificate that changes


def subject(tls, certificate):
    with tls.connect(certificate=certificate) as connection:
        return dict(pair[0] for pair in connection.socket.getpeercert()["subject"])["commonName"]


def test_reload(tls):
    second = make_pair(tls.home.path, "second", ["rsa:2048"])
    with tls.connect() as old:
        old.send(request(0))
        assert old.reply().status == 200
        assert " level=info " in tls.reload(stanza(*second))
        assert subject(tls, second[0]) == "second"
        for number in range(3):  # under the first certificate still
            old.send(request(number))
            assert old.reply().status == 200
    assert " level=info " in tls.reload(stanza(tls.certificate, tls.key))
    assert subject(tls, tls.certificate) == "first"


def bad_pairs(folder):
    """Pairs that must not be used, and what is said of each."""
    first, second = make_pair(folder, "one"), make_pair(folder, "two")
    rsa = make_pair(folder, "three", ["rsa:2048"])

    def file(name, content, mode=0o600):
        path = folder / name
        path.write_bytes(content)
        path.chmod(mode)
        return path

    text, key = first[0].read_bytes(), first[1].read_bytes()
    locked = openssl("ec", "-aes128", "-passout", "pass:four", "-in", first[1]).stdout
    assert b"ENCRYPTED" in locked
    nothing, folder_there = folder / "nowhere", folder
    no_key, no_pem = "no PEM private key", "no PEM certificate"
    return {
        "another's key": ((first[0], second[1]), "does not belong"),
        "a key of another kind": ((first[0], rsa[1]), "does not belong"),
        "no certificate file": ((nothing, first[1]), "open the file: No such file"),
        "no key file": ((first[0], nothing), "open the file: No such file"),
        "a folder": ((folder_there, first[1]), "not a regular file"),
        "a key others read": ((first[0], file("a", key, 0o604)), "chmod 600"),
        "a key a group writes": ((first[0], file("b", key, 0o660)), "chmod 600"),
        "an empty certificate": ((file("c", b""), first[1]), no_pem),
        "an empty key": ((first[0], file("d", b"")), no_key),
        "a locked key": ((first[0], file("e", locked)), no_key),
        "a key cut short": ((first[0], file("f", key[: len(key) // 2])), no_key),
        "a certificate cut short": ((file("g", text[: len(text) // 2]), first[1]), no_pem),
        "a broken chain": ((file("h", text + text[: len(text) // 2]), first[1]), no_pem),
        "each in the other's place": ((first[1], first[0]), no_pem),
        "a weak key": (make_pair(folder, "weak", ["rsa:1024"]), "key too small"),
    }


def test_bad_pairs_keep_the_one_in_use(tls):
    for what, (pair, sentence) in bad_pairs(tls.home.path).items():
        line = tls.reload(stanza(*pair))
        assert KEPT in line and sentence in line, (what, line)
        assert subject(tls, tls.certificate) == "first"
    log = tls.server.log()
    for path in tls.home.path.glob("*.key"):
        for line in path.read_text().splitlines():
            assert "-----" in line or line not in log


def test_bad_pairs_at_start_and_in_check_config(home):
    for what, (pair, sentence) in bad_pairs(home.path).items():
        config = home.config(stanza(*pair))
        for command in (["serve", "--listen", "127.0.0.1:0", "--admin", "none"], ["check-config"]):
            done = home.run(*command, "--config", config, "--data", home.path / "data")
            assert done.returncode == 1 and sentence.encode() in done.stderr, (what, done)
            assert done.stdout == b""


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("tls { }", "payhook.conf:1: tls: this needs certificate"),
        ('tls { certificate = "a" }', "this needs certificate"),
        ('\ntls { key = "a" }', "payhook.conf:2: tls: this needs certificate"),
        ('tls { certificate = "" key = "a" }', "this needs certificate"),
        ('tls { certificate = "a" key = "b" }\ntls { }', "tls is given twice"),
        ('tls { certificat = "a" }', "did you mean certificate?"),
        ('tsl { certificate = "a" }', "did you mean tls?"),
        ('tls { certificate = { "a", "b" } key = "c" }', "payhook.conf:1: "),
    ],
)
def test_stanza(home, text, sentence):
    done = home.run("check-config", "--config", home.config(text), "--data", home.path / "data")
    assert done.returncode == 1 and sentence.encode() in done.stderr, done.stderr


def test_reload_under_load_drops_nothing(tls):
    """Senders on kept and on fresh connections while the certificate changes again and again: not one error."""
    second = make_pair(tls.home.path, "second")
    both = tls.home.write("both.pem", tls.certificate.read_bytes() + second[0].read_bytes())
    pairs = [(tls.certificate, tls.key), second]
    names = [b"s%d" % i for i in range(6)]
    stop, errors, counts = threading.Event(), [], dict.fromkeys(names, 0)
    context = ssl.create_default_context(cafile=str(both))

    def send(name, fresh):
        connection, number = None, 0
        try:
            while not stop.is_set() or number == 0:
                if connection is None:
                    connection = wire.Connection(tls.server.address)
                    connection.socket = context.wrap_socket(
                        connection.socket, server_hostname="127.0.0.1", suppress_ragged_eofs=False
                    )
                body = b'{"transactionId":"%b-%d"}' % (name, number)
                connection.send(wire.request("/hooks/shop", body, KEY))
                reply = connection.reply()
                assert reply.status == 200 and not reply.duplicate, reply
                number += 1
                counts[name] = number
                if fresh:
                    connection.socket.close()
                    connection = None
        except BaseException as error:
            errors.append((name, number, error))

    senders = [threading.Thread(target=send, args=(name, i % 2 == 0)) for i, name in enumerate(names)]
    for sender in senders:
        sender.start()
    for turn in range(16):
        tls.reload(stanza(*pairs[(turn + 1) % 2]))
        time.sleep(0.05)
    wait_for(lambda: errors or min(counts.values()) > 10, 120, "work for every sender")
    stop.set()
    for sender in senders:
        sender.join(WAIT_S_MAX)
        assert not sender.is_alive()
    assert errors == []
    assert sum(counts.values()) == len(tls.server.rows())


def test_tls_is_turned_on_and_off_by_a_reload(home):
    certificate, key = make_pair(home.path, "first")
    shop = source("shop", "api-key", [home.secret("shop", TOKEN)])
    server = home.serve(config=home.config(shop))
    assert server.post("/hooks/shop", event(0), KEY).status == 200
    view = Tls.__new__(Tls)
    view.home, view.server, view.certificate, view.sources = home, server, certificate, shop
    assert " level=info " in view.reload(stanza(certificate, key))
    served(view)
    assert " level=info " in view.reload("")
    assert server.post("/hooks/shop", event(0), KEY).status == 200


# ---- the end


def test_stop_says_goodbye(tls):
    with tls.connect() as idle, tls.connect() as busy:
        idle.send(request(0))
        assert idle.reply().status == 200
        data = request(1, 2000)
        busy.send(data[:300])
        time.sleep(0.2)
        tls.server.signal(signal.SIGTERM)
        assert idle.at_end()
        busy.send(data[300:])
        reply = busy.reply()
        assert (reply.status, reply.closes) == (200, True)
        assert busy.at_end()
    assert tls.server.wait() == 0


@pytest.mark.skipif("TSAN_OPTIONS" in os.environ, reason="the sanitizer's memory is not ours")
def test_idle_connections_hold_no_head_buffer(tls):
    """A client that has said nothing yet costs what OpenSSL needs, and not a head buffer of 16 KB more."""
    for _ in range(20):
        served(tls)
    before = rss(tls.server)
    connections = [tls.connect() for _ in range(400)]
    try:
        served(tls)
        grown_kb = (rss(tls.server) - before) / len(connections) / 1024
        print(f"{grown_kb:.1f} KB a connection")
        assert grown_kb < 25
    finally:
        for connection in connections:
            connection.socket.close()


def rss(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1]) * 1024
