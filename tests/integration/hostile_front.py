#!/usr/bin/python3
"""A front that was taken over: the monitor starts it in the front's place, with the front's user and its end of the socketpair.

It runs the real front behind itself, so that the unit works, passes frames on, and does what the test says over a local socket (one line of JSON
each way): `rules` for frames that pass, `raw` bytes for the vault, `request` of its own. The class Hostile is the test's side of it.

    with Hostile(site) as hostile:           # the key management unit runs with it from here on
        hostile.rules([hostile.replace(KIND, old, new)])
"""
import contextlib
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import threading

VAULT = 3             # where the monitor puts the socket to the vault
OWN_IDS = 1 << 62     # above those of the real front
CONTROL = "control.sock"


def receive_exactly(connection, size):
    parts = b""
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            raise ConnectionError("the other side is gone")
        parts += part
    return parts


def receive_frame(connection):
    """(kind, id, payload) of src/vault/protocol.h."""
    length = struct.unpack(">I", receive_exactly(connection, 4))[0]
    kind, number = struct.unpack(">HQ", receive_exactly(connection, 10))
    return kind, number, receive_exactly(connection, length - 10)


def frame(kind, number, payload):
    return struct.pack(">IHQ", len(payload) + 10, kind, number) + payload


def answer_parts(payload):
    """(what stands before the receipts' count, the receipts, what stands behind them)."""
    head = 4 + 2 + int.from_bytes(payload[4:6], "big")
    at, receipts = head + 2, []
    for _ in range(int.from_bytes(payload[head:head + 2], "big")):
        size = int.from_bytes(payload[at:at + 2], "big")
        receipts.append(payload[at + 2:at + 2 + size])
        at += 2 + size
    return payload[:head], receipts, payload[at:]


class Front:
    """The stand-in itself."""

    def __init__(self, real, arguments):
        self.vault = socket.socket(fileno=VAULT)
        self.side, other = socket.socketpair()
        self.child = subprocess.Popen([real, *arguments], stdin=subprocess.DEVNULL, close_fds=True, pass_fds=[VAULT],
                                      preexec_fn=lambda: os.dup2(other.fileno(), VAULT))
        other.close()
        self.rules = []
        self.hits = 0
        self.sending = threading.Lock()
        self.own = {}
        self.next_id = OWN_IDS
        self.seen = []

    def change(self, direction, kind, payload):
        self.seen.append((direction, kind, payload.hex()))
        for rule in self.rules:
            if rule["direction"] != direction or rule["kind"] not in (0, kind):
                continue
            if rule["do"] == "drop-receipts":
                before, receipts, behind = answer_parts(payload)
                self.hits += len(receipts)
                payload = before + b"\0\0" + behind
                continue
            old, new = bytes.fromhex(rule["old"]), bytes.fromhex(rule["new"])
            self.hits += payload.count(old)
            payload = payload.replace(old, new)
        return payload

    def requests(self):
        while True:
            kind, number, payload = receive_frame(self.side)
            changed = self.change("request", kind, payload)
            with self.sending:
                self.vault.sendall(frame(kind, number, changed))

    def answers(self):
        while True:
            kind, number, payload = receive_frame(self.vault)
            if number >= OWN_IDS:
                self.own[number].append(payload)
                self.own[number][0].set()
                continue
            self.side.sendall(frame(kind, number, self.change("answer", kind, payload)))

    def ask(self, kind, payload):
        with self.sending:
            self.next_id += 1
            waiting = self.own[self.next_id] = [threading.Event()]
            self.vault.sendall(frame(kind, self.next_id, payload))
        if not waiting[0].wait(30):
            return {"silent": True}
        code = struct.unpack(">i", waiting[1][:4])[0]
        before, receipts, behind = answer_parts(waiting[1])
        return {"code": code, "message": before[6:].decode(), "receipts": len(receipts), "payload": behind.hex()}

    def obey(self, order):
        if order["do"] == "rules":
            self.rules, self.hits, self.seen = order["rules"], 0, []
            return {}
        if order["do"] == "hits":
            return {"hits": self.hits}
        if order["do"] == "seen":
            return {"seen": self.seen}
        if order["do"] == "raw":
            with self.sending:
                self.vault.sendall(bytes.fromhex(order["bytes"]))
            return {}
        return self.ask(order["kind"], bytes.fromhex(order["payload"]))

    def controlled(self, path):
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            os.chmod(path, 0o600)
            listener.listen(4)
            while True:
                connection, _ = listener.accept()
                with connection, connection.makefile("rw") as lines, contextlib.suppress(OSError):
                    for line in lines:
                        lines.write(json.dumps(self.obey(json.loads(line))) + "\n")
                        lines.flush()

    def end(self, *_):
        self.child.terminate()
        self.child.wait()
        os._exit(0)

    def run(self, path):
        signal.signal(signal.SIGTERM, self.end)
        threading.Thread(target=self.controlled, args=(path,), daemon=True).start()
        ends = [threading.Thread(target=self.until_broken, args=(work,), daemon=True) for work in (self.requests, self.answers)]
        for each in ends:
            each.start()
        self.child.wait()
        os._exit(70)

    def until_broken(self, work):
        with contextlib.suppress(OSError, ConnectionError):
            work()
        self.child.kill()


# -- the test's side --

class Hostile:
    """Puts the stand-in where the site's monitor finds the front of the key management unit, and starts the unit anew."""

    def __init__(self, site):
        self.site = site
        self.link = site.path("programs", "keyfill-kmu-front")
        self.real = os.readlink(self.link)

    def __enter__(self):
        self.site.stop_one("kmu")
        self.link.unlink()
        text = pathlib.Path(__file__).read_text(encoding="utf-8")
        self.link.write_text(text, encoding="utf-8")
        self.link.chmod(0o755)
        (self.link.parent / "real-front").symlink_to(self.real)
        self.site.start_kmu()
        return self

    def __exit__(self, *_):
        self.site.stop_one("kmu")
        self.link.unlink()
        (self.link.parent / "real-front").unlink()
        self.link.symlink_to(self.real)

    def order(self, **order):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            connection.connect(str(self.site.path("kmu", "records", CONTROL)))
            with connection.makefile("rw") as lines:
                lines.write(json.dumps(order) + "\n")
                lines.flush()
                return json.loads(lines.readline())

    def rules(self, rules):
        self.order(do="rules", rules=rules)

    def hits(self):
        return self.order(do="hits")["hits"]

    def seen(self, direction, kind):
        """Payloads of that kind since the rules were set."""
        return [bytes.fromhex(payload) for way, number, payload in self.order(do="seen")["seen"] if (way, number) == (direction, kind)]

    def ask(self, kind, payload):
        return self.order(do="request", kind=kind, payload=payload.hex())

    def raw(self, content):
        self.order(do="raw", bytes=content.hex())

    @staticmethod
    def replace(kind, old, new, direction="request"):
        return {"do": "replace", "direction": direction, "kind": kind, "old": old.hex(), "new": new.hex()}

    @staticmethod
    def drop_receipts(kind):
        return {"do": "drop-receipts", "direction": "answer", "kind": kind}


if __name__ == "__main__":
    given = sys.argv[1:]
    place = pathlib.Path(given[given.index("--config") + 1]).parent / "records" / CONTROL
    Front(str(pathlib.Path(sys.argv[0]).parent / "real-front"), given).run(place)
