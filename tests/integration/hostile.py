# SPDX-License-Identifier: Apache-2.0
"""Many clients in one process of their own, so that they do not share an interpreter with what measures them.

    hostile.py drip PORT COUNT TARGET TOKEN               clients of one byte a second, until stdin ends
    hostile.py send PORT COUNT TARGET TOKEN SECONDS NAME  clients that send events NAME-… as fast as they are answered

drip prints "ready" once all are connected; send prints one line of JSON."""

import json
import resource
import select
import socket
import sys
import time

PARTS = 50  # of a second, and of the clients that drip


def raise_limit():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def request(target, token, body, length=None):
    head = f"POST {target} HTTP/1.1\r\nHost: a\r\nx-api-key: {token}\r\nContent-Length: {length or len(body)}\r\n\r\n"
    return head.encode() + body


def connect(port):
    client = socket.create_connection(("127.0.0.1", port), 30)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.setblocking(False)
    return client


def drip(port, count, target, token):
    """Every other client drips its head, and the others, after a whole head, their body. Who is closed comes again."""
    data = request(target, token, b"x" * 4000)
    body_at = data.index(b"\r\n\r\n") + 4
    clients = []

    def fresh(number):
        client = connect(port)
        at = 0
        if number % 2:
            client.send(data[:body_at])
            at = body_at
        return [client, at]

    for number in range(count):
        clients.append(fresh(number))
    print("ready", flush=True)
    # Some at a time, as senders do who do not know of each other.
    returned, part, end = 0, 0, time.monotonic()
    while not select.select([sys.stdin], [], [], max(0, end - time.monotonic()))[0]:
        end = max(end + 1 / PARTS, time.monotonic() - 1)  # what it is late it makes up for, within reason
        part = (part + 1) % PARTS
        for number in range(part, count, PARTS):
            entry = clients[number]
            try:
                entry[0].send(data[entry[1] : entry[1] + 1])
                entry[1] += 1
            except OSError:
                entry[0].close()
                clients[number] = fresh(number)
                returned += 1
    print(json.dumps({"returned": returned}), flush=True)


class Sender:
    def __init__(self, port, name):
        self.port, self.name, self.number, self.received = port, name, 0, b""
        self.socket = connect(port)


def send(port, count, target, token, seconds, name):
    senders, poll = {}, select.epoll()
    latencies, acknowledged, refused, faults = [], [], {}, []

    def ask(sender):
        body = b'{"transactionId":"%b-%d"}' % (sender.name.encode(), sender.number)
        sender.received, sender.started = b"", time.monotonic()
        sender.socket.send(request(target, token, body))

    for number in range(count):
        sender = Sender(port, f"{name}-{number}")
        senders[sender.socket.fileno()] = sender
        poll.register(sender.socket, select.EPOLLIN)
    began = time.monotonic()
    for sender in senders.values():
        ask(sender)
    waiting = len(senders)
    while waiting:
        events = poll.poll(30)
        if not events:
            faults.append(f"{waiting} were not answered")
            break
        for fd, _ in events:
            sender = senders[fd]
            data = sender.socket.recv(65536)
            sender.received += data
            head, _, rest = sender.received.partition(b"\r\n\r\n")
            if not data:
                faults.append("closed")
                poll.unregister(fd)
                waiting -= 1
                continue
            size = head.find(b"content-length: ")
            if not _ or len(rest) < int(head[size + 16 :].split(b"\r\n", 1)[0]):
                continue
            latencies.append(time.monotonic() - sender.started)
            status = int(head[9:12])
            if status == 200:
                acknowledged.append(f"{sender.name}-{sender.number}")
                sender.number += 1
            else:
                refused[status] = refused.get(status, 0) + 1
                if status != 503 or b"\r\nretry-after: 1\r\n" not in head + b"\r\n" or b"connection: close" in head:
                    faults.append(head.decode("latin-1"))
            if time.monotonic() - began < seconds:
                ask(sender)
            else:
                waiting -= 1
    took = time.monotonic() - began
    latencies.sort()
    report = {
        "seconds": took,
        "requests": len(latencies),
        "p50_ms": latencies[len(latencies) // 2] * 1000,
        "p99_ms": latencies[len(latencies) * 99 // 100] * 1000,
        "acknowledged": acknowledged,
        "refused": refused,
        "faults": faults[:5],
    }
    print(json.dumps(report), flush=True)


def main():
    raise_limit()
    what, port, count, target, token, *rest = sys.argv[1:]
    if what == "drip":
        drip(int(port), int(count), target, token)
    else:
        send(int(port), int(count), target, token, float(rest[0]), rest[1])


if __name__ == "__main__":
    main()
