# SPDX-License-Identifier: Apache-2.0
"""Senders that keep a record of what was acknowledged, and the comparison of that record with the store. As a provider
does, a sender tries an event again until it is acknowledged, so that an event which was stored before its reply was
lost comes a second time."""

import collections
import shutil
import sqlite3
import threading
import time

import wire


class Sender(threading.Thread):
    """Sends events NAME-0, NAME-1, … one after the other until told to stop."""

    def __init__(self, server, name, headers, target="/hooks/shop", pad=0):
        super().__init__(daemon=True)
        self.server, self.name, self.headers, self.target, self.pad = server, name, headers, target, pad
        self.acknowledged, self.other, self.error = [], collections.Counter(), None
        self.stopping = threading.Event()

    def event(self, number):
        return b'{"transactionId":"%b-%d","pad":"%b"}' % (self.name.encode(), number, b"x" * self.pad)

    def run(self):
        number, connection = 0, None
        while not self.stopping.is_set():
            try:
                if connection is None:
                    connection = self.server.connect(10)
                connection.send(wire.request(self.target, self.event(number), self.headers))
                reply = connection.reply()
            except (OSError, wire.Closed):
                if connection is not None:
                    connection.socket.close()
                connection = None
                time.sleep(0.003)
                continue
            except Exception as error:  # a reply that no server of ours may give
                self.error = error
                return
            if reply.status == 200:
                self.acknowledged.append(f"{self.name}-{number}")
                number += 1
            else:
                self.other[reply.status] += 1
                time.sleep(0.003)
            if reply.closes:
                connection.socket.close()
                connection = None
        if connection is not None:
            connection.socket.close()


class Load:
    """Some senders at once: with Load(…) as load: … load.acknowledged()."""

    def __init__(self, server, count, headers, **how):
        self.senders = [Sender(server, f"s{i}", headers, **how) for i in range(count)]

    def __enter__(self):
        for sender in self.senders:
            sender.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        for sender in self.senders:
            sender.stopping.set()
        for sender in self.senders:
            sender.join(30)
            assert not sender.is_alive()
            if sender.error is not None:
                raise sender.error

    def acknowledged(self):
        return [name for sender in self.senders for name in sender.acknowledged]

    def refused(self):
        return sum((sender.other for sender in self.senders), collections.Counter())


def compare(acknowledged, rows):
    """(missing, doubled): acknowledged events without a row, and events with more rows than one. rows:
    (transaction_id,) each; a sender makes one event a transaction."""
    count = collections.Counter(name for name, in rows)
    return [name for name in acknowledged if count[name] == 0], [name for name, times in count.items() if times > 1]


def assert_comparison_can_fail(database, acknowledged, folder):
    """The control: with one row taken out of a copy, and with one doubled, the comparison must say so."""
    copy = folder / "copy.db"
    with sqlite3.connect(database) as source, sqlite3.connect(copy) as target:
        source.backup(target)
        victim = acknowledged[len(acknowledged) // 2]
        target.execute("DELETE FROM event WHERE transaction_id = ?", (victim,))
        target.commit()
        rows = target.execute("SELECT transaction_id FROM event").fetchall()
    assert compare(acknowledged, rows) == ([victim], [])
    assert compare(acknowledged, rows + [(victim,), rows[0]]) == ([], [rows[0][0]])
    copy.unlink()
    shutil.rmtree(f"{copy}-wal", ignore_errors=True)
