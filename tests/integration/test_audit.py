#!/usr/bin/env python3
"""The audit log: verified at the unit and from an export alone, tampered in every way, put back with key store or database, copied outside."""
import contextlib
import copy
import hashlib
import http.server
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import ssl
import struct
import sys
import threading

sys.dont_write_bytecode = True
import cards  # noqa: E402
import checks  # noqa: E402
import clients  # noqa: E402
import installation  # noqa: E402

STRIDE = 97  # one byte in so many is flipped
TEXTS = ("actor", "action", "subject", "outcome", "detail")


def row_hash(row):
    """docs/audit.md, A row."""
    parts = b"keyfill-audit-1" + struct.pack(">qq", row["seq"], row["time_ms"])
    for item in [row[name].encode() for name in TEXTS] + [bytes.fromhex(row.get("receipt", ""))]:
        parts += struct.pack(">I", len(item)) + item
    return hashlib.sha256(parts + bytes.fromhex(row["previous"])).hexdigest().upper()


def chain_again(lines, start):
    """Hashes from line `start` on as if what stands there had always been so: what an attacker without the vault's key can do."""
    previous = None
    for line in lines[:start]:
        previous = line.get("hash", previous)
    for line in lines[start:]:
        if "seq" not in line:
            continue
        line["previous"] = previous or "00" * 32
        line["hash"] = previous = row_hash(line)


def text_of(lines):
    return "".join(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n" for line in lines)


class Bench:
    def __init__(self, site):
        self.site = site
        self.copies = site.make_folder("copies", installation.USERS["kmu-front"])
        self.syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.syslog.bind(str(self.copies / "log"))
        os.chmod(self.copies / "log", 0o666)
        self.syslog.settimeout(installation.DEADLINE)
        site.lay_out()
        self.collector = Collector(site)
        self.configure("kmu", f"""bkmu_poll_seconds: 1
bkmu_grace_seconds: 3600
audit:
  interval_seconds: 1
  file: {self.copies / 'heads'}
  syslog: {self.copies / 'log'}
  https: https://127.0.0.1:{self.collector.port}/heads
""")
        self.configure("bkmu", "audit:\n  interval_seconds: 1\n")
        site.start_units()
        site.make_transport_key()
        self.act("cn-one")
        payment, parts = cards.components()
        site.import_key("payment", "own", cards.PAYMENT_LINE, parts, unit="kmu")

    def configure(self, unit, more):
        path = self.site.path(unit, "front.yaml")
        path.write_text(path.read_text(encoding="utf-8") + more, encoding="utf-8")

    def act(self, category):
        """A base key more at both units."""
        self.site.generate_key("payment", category, cards.PAYMENT_LINE)
        installation.wait_until(f"{category} at the key management unit", lambda: category in self.categories())

    def categories(self):
        return [row["category"] for row in self.site.keyfill_json("key", "list", config="officer-kmu")["keys"]]

    def state(self, unit="kmu"):
        return clients.Client.of_role(self.site, "auditor", "ulla", unit).get("/v1/audit/state").json

    def public_key(self, unit="kmu"):
        return self.site.path(unit, "keys", "vault.audit.pub").read_text(encoding="utf-8").strip()

    def export(self, name, unit="kmu"):
        path = self.site.path(name)
        self.site.keyfill("audit", "export", "--output", str(path), config=f"auditor-{unit}")
        return path

    def verify(self, *more, unit=None):
        """(exit status, the findings as one text)"""
        done = self.site.keyfill("audit", "verify", *more, config=f"auditor-{unit}" if unit else None, check=False)
        return done.returncode, done.stdout + done.stderr

    def verify_export(self, path, *more):
        return self.verify("--export", str(path), "--public-key", self.public_key(), *more)

    def ready(self, unit="kmu"):
        return clients.Client.nobody(self.site, unit).get("/readyz")

    def database(self):
        return self.site.path("kmu", "records", "kmu.db")


class Collector:
    """Takes heads over HTTPS; refuses the first."""

    def __init__(self, site):
        self.heads = []
        self.refusals = 0
        bench = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if bench.refusals == 0:
                    bench.refusals += 1
                    self.send_error(503)
                    return
                bench.heads.append((self.path, body["head"]))
                self.send_response(204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        site.issue("issuing-server", "collector", 0, "collector")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(site.path("collector", "issuing-server.pem"), site.path("collector", "issuing-server.key"))
        context.load_verify_locations(site.path("ca.pem"))
        context.verify_mode = ssl.CERT_REQUIRED
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def untouched(bench, check):
    with check("the public key: in the vault's folder, of GET /v1/vault and of the state the same"):
        for unit in ("kmu", "bkmu"):
            vault = clients.Client.of_role(bench.site, "auditor", "ulla", unit).get("/v1/vault").json
            checks.same((vault["audit_public_key"], bench.state(unit)["public_key"]), (bench.public_key(unit),) * 2, "public keys")

    for unit in ("kmu", "bkmu"):
        with check(f"{unit}: keyfill audit verify finds nothing wrong, at the unit and from the export with the public key alone"):
            status, said = bench.verify("--public-key", bench.public_key(unit), unit=unit)
            checks.same(status, 0, said)
            checks.that(said.startswith("intact: "), said)
            path = bench.export(f"{unit}.export", unit)
            status, said = bench.verify("--export", str(path), "--public-key", bench.public_key(unit))
            checks.same(status, 0, said)

    with check("who proposed and who approved is in the log, in the vault's words"):
        rows = bench.site.keyfill_json("audit", "list", config="auditor-kmu")["rows"]
        done = [row for row in rows if row["action"] == "key.activate"][-1]
        approved = [row for row in rows if row["action"] == "proposal.approved"][-1]
        checks.same((done["actor"], approved["actor"]), ("officer:alice", "officer:carol"), "proposer and approver")
        checks.that(done["receipt"] and approved["receipt"], "without receipts")

    with check("an export is not verified without a public key, nor with another unit's"):
        status, said = bench.verify("--export", str(bench.site.path("kmu.export")))
        checks.same(status, 2, said)
        status, said = bench.verify("--export", str(bench.site.path("kmu.export")), "--public-key", bench.public_key("bkmu"))
        checks.same(status, 1, said)
        checks.that("another public key" in said and "not signed by the vault's key" in said, said)


def tampered_exports(lines):
    """{what was done: (lines or text, what is to be found)}"""
    rows = [index for index, line in enumerate(lines) if "seq" in line]
    receipts = [index for index in rows if lines[index].get("receipt")]
    middle = rows[len(rows) // 2]
    made = {}

    def case(name, words, change, chained_from=None):
        changed = copy.deepcopy(lines)
        changed = change(changed) or changed
        if chained_from is not None:
            chain_again(changed, chained_from)
        made[name] = (text_of(changed), words)

    def setter(index, **members):
        def change(changed):
            changed[index].update(members)
        return change

    def without(index):
        def change(changed):
            del changed[index]
        return change

    def renumbered_without(index):
        def change(changed):
            del changed[index]
            for line in changed[index:]:
                if "seq" in line:
                    line["seq"] -= 1
        return change

    def exchanged(changed):
        changed[middle], changed[middle + 1] = changed[middle + 1], changed[middle]

    forged = {**lines[middle], "actor": "officer:mallory"}
    forged.pop("receipt", None)
    case("an actor changed", "does not match its hash", setter(middle, actor="officer:mallory"))
    case("a time changed", "does not match its hash", setter(middle, time_ms=lines[middle]["time_ms"] + 1))
    case("a receipt changed", "does not match its hash", setter(receipts[1], receipt=lines[receipts[0]]["receipt"]))
    case("a detail changed, all hashes made anew", "another row than its head says", setter(middle, detail="nothing happened"), middle)
    case("a row removed", "are missing", without(middle))
    case("a row removed, the rest renumbered and chained anew", "its head", renumbered_without(rows[3]), rows[3])
    case("a row without receipt inserted, chained anew", "its head",
         lambda changed: changed[:middle] + [forged] + [{**line, "seq": line["seq"] + 1} if "seq" in line else line for line in changed[middle:]],
         middle)
    case("a row repeated", "belongs", lambda changed: changed[:middle] + [changed[middle]] + changed[middle:])
    case("two rows exchanged", "belongs", exchanged if "seq" in lines[middle + 1] else
         lambda changed: changed[:middle] + [changed[middle + 2], changed[middle]] + changed[middle + 3:])
    case("a receipt taken out, chained anew", "receipt", lambda changed: changed[receipts[2]].pop("receipt") and None, receipts[2])
    case("a row that says another act than its receipt, chained anew", "the vault's receipt says", setter(receipts[2], action="key.list"),
         receipts[2])
    case("the end cut off with its head", "no signed head follows", lambda changed: changed[:rows[-1] + 1])
    case("a head of another row", "its head stands behind", lambda changed: changed[:-1] + [changed[-1], next(line for line in lines if "head" in line)])
    case("a head altered", "not signed", lambda changed: changed[-1]["head"].update(revision=changed[-1]["head"]["revision"] + 1))
    case("the public key of the first line exchanged", "another public key", setter(0, public_key="11" * 32))
    case("the first line gone", "line 1", without(0))
    text = text_of(lines)
    made["blanks between members"] = (text.replace('","action"', '", "action"', 1), "not written as an export is")
    made["digits in lower case"] = (text.replace(lines[middle]["hash"], lines[middle]["hash"].lower(), 1), "not written as an export is")
    made["members in another order"] = (text.replace('"keyfill_audit":1,', "", 1).replace("}\n", ',"keyfill_audit":1}\n', 1),
                                        "not written as an export is")
    made["a line behind the end"] = (text + "{}\n", "line ")
    made["half of the last line"] = (text[:-20], "line ")
    return made


def exports(bench, check):
    path = bench.export("good.export")
    text = path.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    broken = bench.site.path("bad.export")

    with check("the test writes lines as keyfill does"):
        checks.same(text_of(lines), text, "the export")
        checks.that(all(row_hash(line) == line["hash"] for line in lines if "seq" in line), "hashes of rows")

    made = tampered_exports(lines)
    checks.that(len(made) >= 12, "too few")
    for name, (changed, words) in made.items():
        with check(f"export: {name}: found"):
            checks.different(changed, text, "the export")
            broken.write_text(changed, encoding="utf-8")
            status, said = bench.verify_export(broken)
            checks.same(status, 1, said)
            checks.that(words in said, f"{words!r} is not among: {said}")

    inner = [index for index, line in enumerate(lines) if "head" in line]
    with check("a tail cut off behind an inner head is found against a head that was kept, and only so"):
        kept = bench.site.write("kept.head", json.dumps(lines[-1]) + "\n")
        checks.that(len(inner) > 1, "there is no inner head")
        broken.write_text(text_of(lines[:inner[-2] + 1]), encoding="utf-8")
        checks.same(bench.verify_export(broken)[0], 0, "without it")
        status, said = bench.verify_export(broken, "--head", str(kept))
        checks.same(status, 1, said)
        checks.that("were cut off at the end" in said, said)
        checks.same(bench.verify_export(path, "--head", str(kept))[0], 0, "the whole export")

    with check(f"one byte flipped, at every {STRIDE}th position: found each time"):
        content = bytearray(path.read_bytes())
        missed = []
        for position in range(0, len(content), STRIDE):
            content[position] ^= 1
            broken.write_bytes(content)
            if bench.verify_export(broken)[0] == 0:
                missed.append(position)
            content[position] ^= 1
        checks.same(missed, [], f"of {len(content)} bytes, not found at")


@contextlib.contextmanager
def altered(bench, change):
    """The database of a running unit, changed behind its back, and put right again."""
    tables = ("audit", "audit_head", "audit_heads")
    with contextlib.closing(sqlite3.connect(bench.database(), timeout=30)) as database:
        before = {table: database.execute(f"SELECT * FROM {table}").fetchall() for table in tables}
        with database:
            change(database)
        try:
            yield
        finally:
            with database:
                for table, rows in before.items():
                    database.execute(f"DELETE FROM {table}")
                    database.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(rows[0]))})", rows)


def chain_database(database, start):
    names = ("seq", "time_ms", *TEXTS, "receipt", "previous", "hash")
    rows = database.execute("SELECT seq, time_ms, actor, action, subject, outcome, detail, receipt, previous_hash, hash FROM audit "
                            "ORDER BY seq").fetchall()
    previous = bytes(32)
    for row in rows:
        values = dict(zip(names, row, strict=True))
        if values["seq"] >= start:
            values["previous"], values["receipt"] = previous.hex(), values["receipt"].hex()
            new = bytes.fromhex(row_hash(values))
            database.execute("UPDATE audit SET previous_hash = ?, hash = ? WHERE seq = ?", (previous, new, values["seq"]))
            previous = new
        else:
            previous = values["hash"]
    database.execute("UPDATE audit_head SET seq = ?, hash = ?", (rows[-1][0], previous))


def databases(bench, check):
    def sql(*statements):
        def change(database):
            for statement in statements:
                database.execute(statement)
        return change

    def chained(statement, start):
        def change(database):
            database.execute(statement)
            chain_database(database, start)
        return change

    def older_head(database):
        database.execute("DELETE FROM audit WHERE seq > (SELECT MAX(seq) - 3 FROM audit)")
        seq, value = database.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
        database.execute("UPDATE audit_head SET seq = ?, hash = ?", (seq, value))

    some = "(SELECT seq FROM audit WHERE receipt <> x'' ORDER BY seq LIMIT 1 OFFSET 5)"
    changes = {
        "an actor changed": sql("UPDATE audit SET actor = 'officer:mallory' WHERE seq = 9"),
        "a time changed": sql("UPDATE audit SET time_ms = time_ms + 1 WHERE seq = 9"),
        "an outcome changed": sql("UPDATE audit SET outcome = 'KF_ERR_STATE' WHERE seq = 12"),
        "a detail changed": sql("UPDATE audit SET detail = 'nothing' WHERE seq = 11"),
        "a hash changed": sql("UPDATE audit SET hash = zeroblob(32) WHERE seq = 13"),
        "a row removed": sql("DELETE FROM audit WHERE seq = 14"),
        "rows removed and the rest renumbered": sql("DELETE FROM audit WHERE seq = 14", "UPDATE audit SET seq = seq - 1 WHERE seq > 14"),
        "two rows exchanged": sql("UPDATE audit SET seq = -1 WHERE seq = 15", "UPDATE audit SET seq = 15 WHERE seq = 16",
                                  "UPDATE audit SET seq = 16 WHERE seq = -1"),
        "the end cut off": sql("DELETE FROM audit WHERE seq > (SELECT MAX(seq) - 2 FROM audit)"),
        "the end cut off, the note of the newest row as well": older_head,
        "a subject changed, all hashes made anew": chained("UPDATE audit SET subject = 'payment/other/1' WHERE seq = 10", 10),
        "a receipt changed, all hashes made anew": chained("UPDATE audit SET receipt = CAST(substr(receipt, 1, 30) || x'00' || "
                                                           f"substr(receipt, 32) AS BLOB) WHERE seq = {some}", 1),
        "a receipt's MAC changed, all hashes made anew": chained(
            f"UPDATE audit SET receipt = CAST(substr(receipt, 1, length(receipt) - 1) || x'A5' AS BLOB) WHERE seq = {some}", 1),
        "a receipt taken out, all hashes made anew": chained(f"UPDATE audit SET receipt = x'' WHERE seq = {some}", 1),
        "a signed head changed": sql("UPDATE audit_heads SET head = CAST(substr(head, 1, 39) || x'77' || substr(head, 41) AS BLOB) WHERE number = "
                                     "(SELECT MIN(number) FROM audit_heads WHERE unit = '')"),
    }
    checks.that(len(changes) >= 12, "too few")
    for name, change in changes.items():
        with check(f"database: {name}: found"):
            with altered(bench, change):
                status, said = bench.verify(unit="kmu")
            checks.same(status, 1, said)
    with check("the database as it was: nothing is found"):
        status, said = bench.verify(unit="kmu")
        checks.same(status, 0, said)


def outside(bench, check):
    newest = bench.state()["rows"]

    def last_of_file():
        lines = (bench.copies / "heads").read_text(encoding="utf-8").splitlines()
        return json.loads(lines[-1])["head"]["seq"] if lines else 0

    with check("outside copies: a file of JSON lines, which verify against the log"):
        installation.wait_until("the newest head in the file", lambda: last_of_file() >= newest)
        status, said = bench.verify("--head", str(bench.copies / "heads"), unit="kmu")
        checks.same(status, 0, said)

    with check("outside copies: syslog"):
        seen = 0
        while seen < newest:
            line = bench.syslog.recv(4096).decode()
            checks.that(line.startswith("<85>") and " keyfill-kmu-front: {" in line, line)
            seen = json.loads(line[line.index("{"):])["head"]["seq"]

    with check("outside copies: HTTPS, again after a refusal, none left out"):
        installation.wait_until("the newest head over HTTPS", lambda: bench.collector.heads and bench.collector.heads[-1][1]["seq"] >= newest)
        checks.same(bench.collector.refusals, 1, "refusals")
        sent = [head["signature"] for _, head in bench.collector.heads]
        lines = (bench.copies / "heads").read_text(encoding="utf-8").splitlines()
        filed = [json.loads(line)["head"]["signature"] for line in lines]
        checks.same(sent[:len(filed)], filed[:len(sent)], "heads")
        checks.same(bench.collector.heads[0][0], "/heads", "path")

    with check("each unit keeps the other's heads"):
        for unit, other in (("bkmu", "kmu:main"), ("kmu", "bkmu:central")):
            kept = clients.Client.of_role(bench.site, "auditor", "ulla", unit).get(f"/v1/audit/heads?unit={other}").json["heads"]
            checks.that(len(kept) > 0, f"{unit} has no head of {other}")
            peers = {peer["unit"]: peer for peer in bench.state(unit)["peers"]}
            checks.same(peers[other]["finding"], "", "finding")


def keep(folder, name):
    """A copy of a folder with its owners."""
    target = folder.parent / name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(mode=folder.stat().st_mode & 0o777)
    os.chown(target, folder.stat().st_uid, folder.stat().st_gid)
    for path in folder.iterdir():
        shutil.copy2(path, target / path.name)
        os.chown(target / path.name, path.stat().st_uid, path.stat().st_gid)
    return target


def put_back(folder, copied, only=lambda name: True):
    for path in list(folder.iterdir()):
        if only(path.name):
            path.unlink()
    for path in copied.iterdir():
        if only(path.name):
            shutil.copy2(path, folder / path.name)
            os.chown(folder / path.name, path.stat().st_uid, path.stat().st_gid)


def is_key_file(name):
    return name.startswith("keys.")


def old_log(bench, copied):
    """The log's tables as they were, everything else as it is."""
    with contextlib.closing(sqlite3.connect(bench.database())) as database:
        database.execute("ATTACH DATABASE ? AS old", (str(copied / "kmu.db"),))
        with database:
            for table in ("audit", "audit_head", "audit_heads"):
                database.execute(f"DELETE FROM {table}")
                database.execute(f"INSERT INTO {table} SELECT * FROM old.{table}")


def rollback(bench, check):
    site = bench.site
    records, keys = site.path("kmu", "records"), site.path("kmu", "keys")
    administrator = clients.Client.of_role(site, "administrator", "bob", "kmu")
    ways = {
        "an old database": ("log-older", lambda: put_back(records, records_before)),
        "old key files": ("keys-older", lambda: put_back(keys, keys_before, is_key_file)),
        "an old log in the database": ("log-older", lambda: old_log(bench, records_before)),
        "the vault's file of receipts gone": ("receipts-gone", lambda: (keys / "receipts").unlink()),
    }
    for index, (name, (found, change)) in enumerate(ways.items()):
        with check(f"{name}: noticed at start; only keys are pulled and the log read, until officers accept it"):
            site.stop_one("kmu")
            records_before, keys_before = keep(records, "records.before"), keep(keys, "keys.before")
            site.start_kmu()
            site.keyfill("key", "list", config="officer-kmu")
            bench.act(f"cn-step-{index}")
            site.stop_one("kmu")
            records_now, keys_now = keep(records, "records.now"), keep(keys, "keys.now")
            change()
            site.start_kmu()
            checks.problem(bench.ready(), 503, "KF_ERR_HELD")
            checks.that(found in bench.state()["found"], f"found: {bench.state()['found']}")
            answer = administrator.call("GET", "/v1/categories")
            checks.that(answer.status == 503 or found == "receipts-gone", f"{answer.status} {answer.json}")
            site.keyfill("key", "pull", config="officer-kmu", check=False)
            checks.that(site.keyfill_json("audit", "list", config="auditor-kmu")["rows"], "no rows")
            checks.same(bench.verify(unit="kmu")[0], 1, "keyfill audit verify")
            # What belongs there is put in its place again: the vault still wants it accepted.
            site.stop_one("kmu", signal.SIGKILL)
            put_back(records, records_now)
            put_back(keys, keys_now, lambda name: name != "receipts" or found == "receipts-gone")
            site.start_kmu()
            if found != "receipts-gone":
                checks.problem(bench.ready(), 503, "KF_ERR_HELD")
                site.agree("audit", "accept", "--reason", "the right files are back", unit="kmu")
            site.keyfill("audit", "accept", "--unit", "kmu:main", "--reason", "the right files are back", config="officer-bkmu", check=False)
            site.keyfill("key", "pull", config="officer-kmu")
            checks.same(bench.ready().status, 200, "readiness")

    with check("database and key folder together, all of one moment: noticed by the base key management unit alone"):
        site.stop_one("kmu")
        records_before, keys_before = keep(records, "records.before"), keep(keys, "keys.before")
        site.start_kmu()
        bench.act("cn-together")
        site.keyfill("key", "pull", config="officer-kmu")
        site.stop_one("kmu", signal.SIGKILL)
        put_back(records, records_before)
        put_back(keys, keys_before)
        site.start_kmu()
        checks.same(bench.state()["found"], "", "found by itself")
        checks.problem(bench.ready(), 503, "KF_ERR_HELD", "central says of this unit")
        checks.problem(administrator.call("GET", "/v1/categories"), 503, "KF_ERR_HELD")
        rows = site.keyfill_json("audit", "list", "--after", "20", config="auditor-bkmu")["rows"]
        checks.that(any(row["action"] == "audit.put-back" and row["subject"] == "kmu:main" for row in rows), "no row at the bkmu")
        site.keyfill("audit", "accept", "--unit", "kmu:main", "--reason", "restored from a backup", config="officer-bkmu")
        site.keyfill("key", "pull", config="officer-kmu")
        checks.same(bench.ready().status, 200, "readiness")
        checks.that("cn-together" in bench.categories(), "what was pulled is not there")

    with check("without the base key management unit a time of grace applies, and no longer"):
        site.stop_one("bkmu")
        site.stop_one("kmu")
        site.start_kmu()
        checks.same(bench.ready().status, 200, "readiness within the grace")
        site.stop_one("kmu")
        path = site.path("kmu", "front.yaml")
        path.write_text(path.read_text(encoding="utf-8").replace("bkmu_grace_seconds: 3600", "bkmu_grace_seconds: 1"), encoding="utf-8")
        site.start_kmu()
        installation.wait_until("the grace to be over", lambda: bench.ready().status == 503)
        checks.problem(bench.ready(), 503, "KF_ERR_HELD", "was not reached for")
        site.start_bkmu()
        installation.wait_until("it to work again", lambda: bench.ready().status == 200)


def main():
    with checks.site() as site, checks.Checks(site) as check:
        bench = Bench(site)
        untouched(bench, check)
        outside(bench, check)
        exports(bench, check)
        databases(bench, check)
        rollback(bench, check)
    return check.status


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("test_audit.py takes the place of other users: run it as root")
    sys.exit(main())
