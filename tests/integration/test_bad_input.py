#!/usr/bin/env python3
"""Bad input: one clear message that names the value and what to do, the right status, and nothing changes.

The statuses are those of the table in include/keyfill/error.h. KEYFILL_SHOW=1 prints every sentence, to be read by a person.
"""
import contextlib
import datetime
import http.client
import os
import re
import sqlite3
import subprocess
import sys

import cards
import checks
import clients
import ready
from installation import DEADLINE, ROOT, program

SHOW = os.environ.get("KEYFILL_SHOW") == "1"
NUMBER = "8613800130001"
CHECKED = "cn-checked"  # a category with a check digit
TABLES = {
    "kmu": ("cards", "numbers", "requests", "categories", "profiles", "modules", "base_keys"),
    "host": ("terminal", "number", "card_order"),
    "bkmu": ("kmus",),
}
# Columns that every contact moves.
PASSING = {"last_contact_ms", "address", "contact_ms", "last_error", "request", "request_caller", "request_terminal", "request_time",
           "updated"}


def error_table():
    """name: (exit status, HTTP status, meaning)."""
    text = (ROOT / "include" / "keyfill" / "error.h").read_text(encoding="utf-8")
    exits = {name: int(value) for name, value in re.findall(r"(KF_EXIT_\w+) = (\d+)", text)}
    return {name: (exits[status], int(http), meaning) for name, status, http, meaning in
            re.findall(r'X\((KF_\w+), -?\d+, (KF_EXIT_\w+), (\d+), "([^"]*)"\)', text)}


ERRORS = error_table()


def with_check_digit(digits):
    """Luhn's digit behind them."""
    doubled = [int(digit) * (2 - index % 2) for index, digit in enumerate(reversed(digits))]
    return digits + str(-sum(value // 10 + value % 10 for value in doubled) % 10)


CHECKED_ICCID = with_check_digit("898521234567890123")
CHECKED_NUMBER = with_check_digit("8529123456")


def show(what, text):
    if SHOW:
        print(f"   {what}: {text}")


def flipped(text, position, alphabet):
    """The text with one bit flipped in the letter of the alphabet at that place."""
    position %= len(text)
    other = alphabet[alphabet.index(text[position]) ^ 1]
    return text[:position] + other + text[position + 1:]


class Bench:
    """A site with a filled card, an unfilled one, a module and a transport key; its databases can be compared."""

    def __init__(self, site):
        self.site = site
        self.ready = ready.Ready(site)
        site.keyfill("number", "add", "--first", "8613800131000", "--last", "8613800131001", config="administrator-host")
        site.write(f"category-{CHECKED}.yaml", f"""name: {CHECKED}
profile: security-domain
number:
  prefixes:
    - "852"
  length_min: 11
  length_max: 11
  check_digit: true
iccid:
  prefixes:
    - "898521"
  length_min: 19
  length_max: 19
  check_digit: true
""")
        site.keyfill("category", "put", str(site.path(f"category-{CHECKED}.yaml")), config="administrator-kmu")
        self.cap = cards.cap_file(site.path("transit.cap"), bytes.fromhex("F000000001"), [bytes.fromhex("F00000000101")], padding=300)
        site.put_module("transit", self.cap)
        self.insert(1)
        self.must("fill", "--number", NUMBER)
        self.insert(2)
        self.host = clients.Client.of_role(site, "host", "bad-input", "kmu", keep=True)
        self.terminal = clients.Client.of_terminal(site, "bad-input", keep=True)
        self.administrator = clients.Client.of_role(site, "administrator", "bad-input", "kmu", keep=True)

    def insert(self, index, **more):
        self.card = f"card-{index}"
        self.site.stop_one("card")
        if not self.site.path("cards", f"{self.card}.card").exists():
            self.ready.make_card(index)
        self.site.insert_socket(self.card, path="reader.sock", **more)

    def remove(self):
        self.site.stop_one("card")
        self.site.path("reader.sock").unlink(missing_ok=True)

    def must(self, *arguments):
        return self.site.keyfill_json(*arguments, config="terminal")

    def rows(self):
        """Everything on record but audit rows and marks of contact."""
        found = {}
        for unit, tables in TABLES.items():
            with contextlib.closing(sqlite3.connect(self.site.path(unit, "records", f"{unit}.db"))) as database:
                database.row_factory = sqlite3.Row
                for table in tables:
                    found[unit, table] = sorted(repr({key: row[key] for key in row.keys() if key not in PASSING})
                                                for row in database.execute(f"SELECT * FROM {table}"))
        return found

    @contextlib.contextmanager
    def unchanged(self, leaving=()):
        """Databases and card are afterwards as they were before, but for the tables `leaving`."""
        rows, card = self.rows(), self.site.show_card(self.card)
        yield
        after = self.rows()
        for name, before in rows.items():
            if name in leaving:
                continue
            checks.same(after[name], before, f"rows of {name}")
        checks.same(self.site.show_card(self.card), card, "the card")

    def refused(self, answer, code, *words):
        """A problem document (RFC 9457) as docs/messages.md has it."""
        exit_status, status, meaning = ERRORS[code]
        del exit_status
        checks.same(answer.headers.get("Content-Type"), "application/problem+json", "content type")
        document = answer.json
        show(code, document.get("detail"))
        checks.same((answer.status, document.get("type")), (status, f"urn:keyfill:error:{code}"),
                    f"{document.get('detail')}: status and type")
        checks.same((document.get("status"), document.get("title")), (status, meaning), "status and title")
        for word in words:
            checks.that(word in document["detail"], f"the detail does not say {word!r}: {document['detail']}")

    def fails(self, arguments, code, *words, config="terminal", program_name=None):
        """A program that ends with that code's exit status and one line that holds the words."""
        if program_name is None:
            done = self.site.keyfill(*arguments, config=config, check=False)
        else:
            done = subprocess.run([program(program_name), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, timeout=60)
        show(code, done.stderr.strip())
        checks.same(done.returncode, ERRORS[code][0], f"{done.stderr.strip()}: exit status")
        checks.same(done.stdout, "", "standard output")
        checks.same(len(done.stderr.strip().splitlines()), 1, f"lines of {done.stderr!r}")
        for word in words:
            checks.that(word in done.stderr, f"it does not say {word!r}: {done.stderr}")


# -- bodies --

def fill_body(**more):
    body = {"id": clients.new_id(), "operation": "fill", "card": ready.Ready.report(2), "number": NUMBER[:-1] + "2"}
    body.update(more)
    return {name: value for name, value in body.items() if value is not None}


def bad_requests():
    """(title, body, code, words…): what a host may send to the key management unit."""
    card = ready.Ready.report(2)
    return [
        ("a body that ends too early", b'{"id": "12', "KF_ERR_JSON", "line 1"),
        ("a body that is no JSON", b"operation=fill", "KF_ERR_JSON", "line 1"),
        ("a body that is a list", b"[]", "KF_ERR_JSON", "not an object"),
        ("no body", b"", "KF_ERR_JSON", "body"),
        ("a member twice", b'{"id": "a", "id": "b"}', "KF_ERR_JSON", "duplicate"),
        ("text that is no UTF-8", b'{"id": "\xff\xfe"}', "KF_ERR_JSON", "0xff"),
        ("lists in lists without end", b'{"id": ' + b"[" * 5000 + b"]" * 5000 + b"}", "KF_ERR_JSON", ""),
        ("an unknown member", fill_body(colour="red"), "KF_ERR_FIELD", "colour"),
        ("no id", fill_body(id=None), "KF_ERR_FIELD", "id"),
        ("an id that is none", fill_body(id="12345"), "KF_ERR_FIELD", "12345", "32 lower-case hexadecimal digits"),
        ("no operation", fill_body(operation=None), "KF_ERR_FIELD", "operation"),
        ("an operation that does not exist", fill_body(operation="format"), "KF_ERR_OPERATION", "format", "fill, refill, clear"),
        ("no card", fill_body(card=None), "KF_ERR_FIELD", "card"),
        ("a card that is a text", fill_body(card="8986"), "KF_ERR_FIELD", "card"),
        ("an unknown member of the card", fill_body(card=dict(card, colour="red")), "KF_ERR_FIELD", "colour"),
        ("an ICCID with a letter outside its alphabet", fill_body(card=dict(card, iccid="89860012345678901G")), "KF_ERR_FIELD",
         "89860012345678901G"),
        ("an ICCID that is too short", fill_body(card=dict(card, iccid="8986001234567")), "KF_ERR_NUMBER", "8986001234567", "18 to 20"),
        ("an ICCID that is too long", fill_body(card=dict(card, iccid="8" * 21)), "KF_ERR_FIELD", "iccid", "21"),
        ("an ICCID whose check digit is wrong", fill_body(number=CHECKED_NUMBER, card={"iccid": flipped(CHECKED_ICCID, -1, "0123456789")}),
         "KF_ERR_NUMBER", "check digit", flipped(CHECKED_ICCID, -1, "0123456789")),
        ("a number whose check digit is wrong", fill_body(number=flipped(CHECKED_NUMBER, -1, "0123456789"), card={"iccid": CHECKED_ICCID}),
         "KF_ERR_NUMBER", "check digit", flipped(CHECKED_NUMBER, -1, "0123456789")),
        ("a number that is too short for its category", fill_body(number="8529123456", card={"iccid": CHECKED_ICCID}), "KF_ERR_NUMBER",
         "8529123456", "11"),
        ("a number that is too long for every category", fill_body(number="8613800130001234"), "KF_ERR_NUMBER", "8613800130001234",
         "5 to 15"),
        ("a number with a sign", fill_body(number="+8613800130002"), "KF_ERR_NUMBER", "+8613800130002"),
        ("a number that is no text", fill_body(number=8613800130002), "KF_ERR_FIELD", "number"),
        ("a fill without a number", fill_body(number=None), "KF_ERR_FIELD", "number"),
        ("an unknown category", fill_body(category="cn-nowhere"), "KF_ERR_CATEGORY", "cn-nowhere", "keyfill category put"),
        ("number and ICCID of no category", fill_body(number="441234567890", card={"iccid": "8944012345678901234"}), "KF_ERR_CATEGORY",
         "441234567890", "8944012345678901234"),
        ("a number that another card has", fill_body(number=NUMBER), "KF_ERR_NUMBER_TAKEN", NUMBER, "another number"),
        ("an unknown wish for personalisation", fill_body(personalise="perhaps"), "KF_ERR_FIELD", "perhaps", "if-absent"),
        ("personalisation that the profile does not take", fill_body(personalisation={"colour": "red"}), "KF_ERR_FIELD", "colour",
         "security-domain"),
        ("personalisation that is too long", fill_body(personalisation={"plan": "p" * 300}), "KF_ERR_FIELD", "plan", "300"),
        ("personalisation that is a number", fill_body(personalisation={"plan": 5}), "KF_ERR_FIELD", "plan"),
        ("a module that is not registered", fill_body(operation="app-load", number=None, module="nothing"), "KF_ERR_MODULE", "nothing",
         "keyfill module put"),
        ("application management without a module", fill_body(operation="app-load", number=None), "KF_ERR_MODULE", "registered module"),
        ("refill of a card that is not on record", fill_body(operation="refill", number=None), "KF_ERR_STATE", "not on record", "fill"),
        ("an oversized body", fill_body(personalisation={"plan": "p" * 70000}), "KF_ERR_BODY_TOO_LARGE", "65536"),
    ]


def announce(client, path, size):
    """The answer to a body that is announced, and not sent."""
    connection = http.client.HTTPSConnection("127.0.0.1", client.port, timeout=DEADLINE, context=client.context)
    with contextlib.closing(connection):
        connection.putrequest("POST", path)
        connection.putheader("Content-Length", str(size))
        connection.endheaders()
        return clients.Answer(connection.getresponse())


def check_requests(bench, check):
    for title, body, code, *words in bad_requests():
        with check(f"kmu: {title}"), bench.unchanged():
            bench.refused(bench.host.post("/v1/requests", body), code, *words)
    # What the host decides before it asks anybody.
    own = {"a fill without a number", "refill of a card that is not on record", "a number that is too long for every category",
           "an ICCID that is too short"}
    for title, body, code, *words in bad_requests():
        if code in ("KF_ERR_JSON", "KF_ERR_FIELD", "KF_ERR_OPERATION", "KF_ERR_BODY_TOO_LARGE") and title not in own \
                and "personalisation that the profile" not in title:
            with check(f"host: {title}"), bench.unchanged():
                bench.refused(bench.terminal.post("/v1/requests", body), code, *words[:1])
    for client in (bench.host, bench.terminal):
        with check(f"a body of 5 GB is refused before it is sent, on port {'kmu' if client is bench.host else 'host'}"), bench.unchanged():
            bench.refused(announce(client, "/v1/requests", 5_000_000_000), "KF_ERR_BODY_TOO_LARGE", "65536", "POST /v1/requests")
    with check("a path that does not exist"), bench.unchanged():
        bench.refused(bench.host.get("/v1/nothing"), "KF_ERR_NOT_FOUND", "/v1/nothing")
    with check("a method that the path does not take"), bench.unchanged():
        answer = bench.host.call("DELETE", "/v1/requests")
        bench.refused(answer, "KF_ERR_METHOD", "DELETE", "it takes POST")
        checks.same(answer.headers.get("Allow"), "POST", "Allow")
    with check("a query parameter that is no number"), bench.unchanged():
        auditor = clients.Client.of_role(bench.site, "auditor", "bad-input", "kmu")
        bench.refused(auditor.get("/v1/audit?after=yesterday"), "KF_ERR_FIELD", "after", "yesterday")


def check_messages(bench, check):
    """Bad messages of a request that is under way; the right one is still taken afterwards."""
    body = fill_body()
    path = clients.messages_path(body)
    with check("a message to a request that does not exist"), bench.unchanged():
        answer = bench.host.post(f"/v1/requests/{'0' * 32}/messages", {"step": 1, "attempt": 1, "token": "AA", "answers": []})
        bench.refused(answer, "KF_ERR_NOT_FOUND", "0" * 32)
    first = bench.host.post("/v1/requests", body)
    checks.same(first.status, 200, "the first answer")
    answers = [{"entry": 0, "response": "6A82"}]
    good = clients.message(first.json, answers)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    cases = [
        ("a token with one flipped bit", dict(good, token=flipped(good["token"], 60, letters)), "KF_ERR_TOKEN", "token"),
        ("a token that is cut off", dict(good, token=good["token"][:40]), "KF_ERR_TOKEN", "token"),
        ("a token that is no base64url", dict(good, token="!!!"), "KF_ERR_FIELD", "token"),
        ("a step that has not come yet", dict(good, step=3), "KF_ERR_CONFLICT", "step 1", "step 3"),
        ("an attempt that was not made", dict(good, attempt=2), "KF_ERR_CONFLICT", "attempt 2"),
        ("no step", {name: value for name, value in good.items() if name != "step"}, "KF_ERR_FIELD", "step"),
        ("answers that are no list", dict(good, answers="9000"), "KF_ERR_FIELD", "answers"),
        ("an answer that is no hexadecimal", dict(good, answers=[{"entry": 0, "response": "90 0"}]), "KF_ERR_FIELD", "response"),
        ("an answer of one byte", dict(good, answers=[{"entry": 0, "response": "90"}]), "KF_ERR_FIELD", "response"),
        ("an answer of 300 bytes", dict(good, answers=[{"entry": 0, "response": "00" * 298 + "9000"}]), "KF_ERR_FIELD", "response"),
        ("a reason for stopping that does not exist", dict(good, stopped="tired"), "KF_ERR_FIELD", "tired", "card-removed"),
        ("too many answers", dict(good, answers=answers * 5000), "KF_ERR_FIELD", "answers"),
    ]
    for title, message, code, *words in cases:
        with check(f"message: {title}"), bench.unchanged():
            bench.refused(bench.host.post(path, message), code, *words)
    with check("the same id with another body"), bench.unchanged():
        bench.refused(bench.host.post("/v1/requests", dict(body, number=NUMBER[:-1] + "3")), "KF_ERR_CONFLICT", body["id"], "new id")
    with check("after all these the request goes on"):
        checks.same(bench.host.post("/v1/requests", body).body, first.body, "the first answer again")


# -- what a clerk does --

def check_clerk(bench, check):
    cases = [
        ("an unknown category", ("fill", "--number", "8613800130002", "--category", "nowhere"), "KF_ERR_CATEGORY", "nowhere",
         "keyfill category put"),
        ("a number that another card has", ("fill", "--number", NUMBER), "KF_ERR_NUMBER_TAKEN", NUMBER),
        ("a number with a letter", ("fill", "--number", "86138x"), "KF_ERR_NUMBER", "86138x"),
        ("a number of three digits", ("fill", "--number", "861"), "KF_ERR_NUMBER", "861", "5 to 15"),
        ("an operation that does not exist", ("operation", "format"), "KF_ERR_OPERATION", "format"),
        ("an order that does not exist", ("fill", "--allocate", "--order", "nothing"), "KF_ERR_NOT_FOUND", "nothing", "keyfill order put"),
        ("refill of a card that is not on record", ("refill",), "KF_ERR_STATE", "not on record", "fill"),
        ("a module that is not registered", ("app", "load", "nothing"), "KF_ERR_MODULE", "nothing", "keyfill module put"),
        ("a PIN1 of three digits", ("fill", "--number", "8613800130002", "--pin1=123"), "KF_ERR_FIELD", "4 to 8 digits"),
    ]
    for title, arguments, code, *words in cases:
        with check(f"clerk: {title}"), bench.unchanged():
            bench.fails(arguments, code, *words)
    with check("clerk: a filled card is filled again"):
        bench.insert(1)
        # That it was asked for, and refused, is on record.
        with bench.unchanged(leaving=[("kmu", "requests")]):
            bench.fails(("fill", "--number", "8613800130003"), "KF_ERR_STATE", NUMBER, "refill or clear")
    bench.insert(2)
    with check("clerk: the pool has no number"):
        with contextlib.closing(sqlite3.connect(bench.site.path("host", "records", "host.db"))) as database, database:
            database.execute("DELETE FROM number WHERE state = 'free'")
        with bench.unchanged():
            bench.fails(("fill", "--allocate"), "KF_ERR_NO_NUMBER", "no number is free", "add numbers to the pool")
    with check("clerk: a card removed half-way, and presented again"):
        bench.insert(2, tear="17:before")
        bench.fails(("fill", "--number", "8613800130002"), "KF_ERR_CARD_REMOVED", "card", "present the card again")
        bench.insert(2)
        bench.must("fill", "--number", "8613800130002")
        bench.must("clear")
    with check("clerk: no card"):
        bench.remove()
        with bench.unchanged():
            bench.fails(("fill", "--number", "8613800130002"), "KF_ERR_NO_CARD", "no card in the reader", "insert one")
    bench.insert(2)
    with check("clerk: the terminal does not run"):
        bench.site.write("clients/nowhere.yaml", f"terminal_socket: {bench.site.path('nowhere.sock')}\n")
        bench.fails(("fill", "--number", "8613800130002"), "KF_ERR_UNREACHABLE", "nowhere.sock", "is the program running", config="nowhere")


# -- modules, categories, profiles --

def check_modules(bench, check):
    site = bench.site
    broken = site.write("broken.cap", "this is no zip")
    zipped = cards.zipfile.ZipFile(site.path("other.zip"), "w")
    with zipped:
        zipped.writestr("README", "no CAP file")
    damaged = bytearray(bench.cap.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    site.path("damaged.cap").write_bytes(bytes(damaged))
    cases = [("a CAP file that is no zip", broken, ("broken.cap", "zip")),
             ("a zip that is no CAP file", site.path("other.zip"), ("other.zip", "Header")),
             ("a CAP file with one flipped bit", site.path("damaged.cap"), ("damaged.cap",)),
             ("an empty file", site.write("empty.cap", ""), ("empty.cap",))]
    for title, file, words in cases:
        with check(f"module: {title}"), bench.unchanged():
            bench.fails(("module", "put", "m", str(file)), "KF_ERR_CAP_FILE", *words, config="administrator-kmu")
    with check("module: a file that does not exist"), bench.unchanged():
        bench.fails(("module", "put", "m", "/nonexistent.cap"), "KF_ERR_FILE", "/nonexistent.cap", config="administrator-kmu")
    with check("module: content that is no base64url"), bench.unchanged():
        bench.refused(bench.administrator.put("/v1/modules/m", {"content": "*"}), "KF_ERR_FIELD", "content")
    with check("module: one that is not there is deleted"), bench.unchanged():
        bench.refused(bench.administrator.call("DELETE", "/v1/modules/nothing"), "KF_ERR_NOT_FOUND", "nothing")
    with check("module: what the database holds is not what was registered"):
        other = cards.cap_file(site.path("other.cap"), bytes.fromhex("F000000002"), [bytes.fromhex("F00000000201")])
        with contextlib.closing(sqlite3.connect(bench.ready.database())) as database, database:
            database.execute("UPDATE modules SET content = ? WHERE name = 'transit'", (other.read_bytes(),))
        with bench.unchanged():
            bench.fails(("app", "load", "transit"), "KF_ERR_MODULE", "transit", "hash", "register it again")
        site.put_module("transit", bench.cap)
        bench.must("app", "load", "transit")
        bench.must("app", "delete", "transit")


def check_texts(bench, check):
    site = bench.site
    profile = (ROOT / "profiles" / "security-domain.yaml").read_text(encoding="utf-8")
    cases = [
        ("category", "name: x\nprofil: security-domain\n", ("line 2", '"profil"', '"profile"')),
        ("category", "name: x\nprofile: security-domain\nnumber:\n  lenght_min: 4\n", ("number", '"lenght_min"', '"length_min"')),
        ("category", "name: x\nprofile: security-domain\nnumber:\n  length_min: four\n", ("number", "'four' is no number")),
        ("category", "name: X X\nprofile: security-domain\n", ("X X",)),
        ("category", "name: [\n", ()),
        ("profile", profile + "colour: red\n", ("colour", "known")),
        ("profile", re.sub("(?m)^order:", "ordre:", profile), ("ordre", '"order"')),
        ("profile", profile.replace("key_injection:", "key_injektion:", 1), ("key_injektion", '"key_injection"')),
    ]
    for kind, text, words in cases:
        with check(f"{kind}: {words[-1] if words else text.strip()}"), bench.unchanged():
            done = site.keyfill(kind, "put", str(site.write(f"bad-{kind}.yaml", text)), config="administrator-kmu", check=False)
            show(kind, done.stderr.strip())
            checks.same(done.returncode, 2, f"{done.stderr}: exit status")
            for word in words:
                checks.that(word in done.stderr, f"it does not say {word!r}: {done.stderr}")


# -- configurations --

def check_configurations(bench, check):
    site = bench.site
    files = {
        "keyfill-kmu-front": (site.path("kmu/front.yaml"), ("--vault-descriptor", "3")),
        "keyfill-bkm-front": (site.path("bkmu/front.yaml"), ("--vault-descriptor", "3")),
        "keyfill-kmud": (site.path("kmu/monitor.yaml"), ()), "keyfill-bkmd": (site.path("bkmu/monitor.yaml"), ()),
        "keyfill-hostd": (site.path("host/host.yaml"), ()), "keyfill-terminald": (site.path("terminal/terminal.yaml"), ()),
        "keyfill-softcard": (site.path("cards/card-1.yaml"), ("create", "--state", str(site.path("cards/none.card")))),
        "keyfill": (site.path("clients/officer-kmu.yaml"), ("key", "list")),
    }
    for name, (file, more) in files.items():
        text = file.read_text(encoding="utf-8")
        lines = len(text.splitlines())
        known = re.findall(r"(?m)^(\w{5,}):", text)[-1]
        bad = {"an unknown key": (text + "colour: red\n", (f"line {lines + 1}", 'unknown key "colour"', "known are")),
               "a misspelt key": (text.replace(f"{known}:", f"{known}x:", 1),
                                  (f'unknown key "{known}x"', f'nearest known one is "{known}"')),
               "a key twice": (text + f"{known}: x\n", ("line", known)),
               "no text": ("", ("is empty",)),
               "no YAML": ("\t- {", ("line 1",))}
        for title, (wrong, words) in bad.items():
            with check(f"{name}: configuration with {title}"):
                path = site.write("bad-configuration.yaml", wrong)
                bench.fails((*more, "--config", str(path)), "KF_ERR_CONFIGURATION", str(path), *words, program_name=name)
        with check(f"{name}: configuration that is not there"):
            bench.fails((*more, "--config", "/nonexistent.yaml"), "KF_ERR_FILE", "/nonexistent.yaml", program_name=name)


# -- certificates --

def certificate(site, role, name, *more, authority="pki"):
    site.keyfill("pki", "issue", "--role", role, "--name", name, *more, str(site.path(authority)))
    return site.path(authority, f"{role}-{name}.pem"), site.path(authority, f"{role}-{name}.key")


def without_role(site):
    """A certificate of the authority that names no role."""
    key, request, made = site.path("pki/plain.key"), site.path("pki/plain.csr"), site.path("pki/plain.pem")
    quiet = {"check": True, "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-subj",
                    "/CN=plain", "-out", request], **quiet)
    subprocess.run(["openssl", "x509", "-req", "-in", request, "-CA", site.path("pki/ca.pem"), "-CAkey", site.path("pki/ca.key"),
                    "-CAcreateserial", "-days", "2", "-out", made], **quiet)
    return made, key


def check_certificates(bench, check):
    site = bench.site
    site.keyfill("pki", "init", str(site.path("foreign")))
    past = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    cases = [
        ("an expired certificate", certificate(site, "host", "expired", "--not-after", past), "KF_ERR_CERTIFICATE",
         ("host:expired", "expired", past[:10])),
        ("a certificate of a foreign authority", certificate(site, "host", "main", authority="foreign"), "KF_ERR_CERTIFICATE",
         ("host:main was not issued by the CA in", "issue one under it")),
        ("a certificate without a role", without_role(site), "KF_ERR_CERTIFICATE", ("urn:keyfill",)),
        ("a certificate of another role", certificate(site, "bank", "b"), "KF_ERR_FORBIDDEN", ("bank:b may not", "/v1/requests")),
    ]
    for title, (pem, key), code, words in cases:
        with check(f"kmu: {title}"), bench.unchanged():
            bench.refused(clients.Client.of_files(site, "kmu", pem, key).post("/v1/requests", fill_body()), code, *words)
        with check(f"keyfill: {title}"), bench.unchanged():
            site.write("clients/bad.yaml", f"url: https://127.0.0.1:{site.ports['kmu']}\nrole: kmu\nca: {site.path('ca.pem')}\n"
                       f"certificate: {pem}\nprivate_key: {key}\n")
            words = [word for word in words if word != "/v1/requests"]
            bench.fails(("key", "list"), code, *words, config="bad")
    with check("kmu: no certificate"), bench.unchanged():
        bench.refused(clients.Client.nobody(site, "kmu").post("/v1/requests", fill_body()), "KF_ERR_FORBIDDEN", "no client certificate")

    def client(name, **changed):
        settings = {"url": f"https://127.0.0.1:{site.ports['kmu']}", "role": "kmu", "ca": site.path("ca.pem"),
                    "certificate": site.path("clients/officer/officer.pem"), "private_key": site.path("clients/officer/officer.key")}
        settings.update(changed)
        site.write(f"clients/{name}.yaml", "".join(f"{key}: {value}\n" for key, value in settings.items()))
        return name
    with check("keyfill: the unit has a certificate of another authority"):
        bench.fails(("key", "list"), "KF_ERR_TLS", "127.0.0.1", config=client("bad", ca=site.path("foreign/ca.pem")))
    with check("keyfill: the unit is another than the configuration says"):
        bench.fails(("key", "list"), "KF_ERR_TLS", "kmu", "host", config=client("bad", url=f"https://127.0.0.1:{site.ports['host']}"))
    with check("keyfill: the certificate's file is not there"):
        bench.fails(("key", "list"), "KF_ERR_FILE", "/nonexistent.pem", config=client("bad", certificate="/nonexistent.pem"))
    with check("keyfill: the certificate's file holds none"):
        bench.fails(("key", "list"), "KF_ERR_CERTIFICATE", "empty.pem", config=client("bad", certificate=site.write("empty.pem", "x\n")))
    with check("keyfill: certificate and key do not belong together"):
        bench.fails(("key", "list"), "KF_ERR_CERTIFICATE", "officer.pem", "issued together",
                    config=client("bad", private_key=site.path("clients/auditor/auditor.key")))
    with check("keyfill: nobody listens there"):
        bench.fails(("key", "list"), "KF_ERR_UNREACHABLE", "127.0.0.1:1", config=client("bad", url="https://127.0.0.1:1"))
    for title, name, code, words in [
            ("an expired certificate", "host-expired", "KF_ERR_CERTIFICATE", ("expired", "issue a new one")),
            ("another role's certificate", "bank-b", "KF_ERR_FORBIDDEN", ("bank:b may not",))]:
        with check(f"host: {title}"), bench.unchanged():
            bench.refused(clients.Client.of_files(site, "host", site.path(f"pki/{name}.pem"), site.path(f"pki/{name}.key"))
                          .post("/v1/requests", fill_body()), code, *words)
    with check("host: a one-time code that does not exist"), bench.unchanged():
        done = site.keyfill("terminal", "enroll", "--host", f"https://127.0.0.1:{site.ports['host']}", "--ca", str(site.path("ca.pem")),
                            "--code", "AAAA-BBBB-CCCC-DDDD", "--certificate", str(site.path("no.pem")), "--private-key",
                            str(site.path("no.key")), check=False)
        show("enrolment", done.stderr.strip())
        checks.same(done.returncode, ERRORS["KF_ERR_CODE"][0], f"{done.stderr}: exit status")
        checks.that("ask the host's administrator for a new one" in done.stderr, done.stderr)
    with check("host: a disabled terminal"):
        site.keyfill("terminal", "disable", "counter-1", config="administrator-host")
        with bench.unchanged():
            bench.fails(("fill", "--number", "8613800130002"), "KF_ERR_DISABLED", "counter-1", "administrator")
        site.keyfill("terminal", "enable", "counter-1", config="administrator-host")


# -- key blocks --

def check_key_blocks(bench, check):
    site = bench.site
    site.exchange_transport_key()
    # Registered where nobody listens: nothing is pushed, and the message is there to be altered.
    site.keyfill("key", "unit", "put", "relay", "--url", "https://127.0.0.1:1", "--pair", "main", config="officer-bkmu")
    site.generate_key("payment", "block-test", cards.PAYMENT_LINE)
    pull = clients.Client.of_role(site, "kmu", "relay", "bkmu").post("/v1/key-blocks/missing", {"pair": "main", "revision": 0, "holds": []})
    checks.same(pull.status, 200, f"pull: {pull.body}")
    message = [each for each in pull.json["messages"] if each["category"] == "block-test"][0]
    sender = clients.Client.of_role(site, "bkmu", "relay", "kmu", keep=True)
    block = message["block"]
    digits = "0123456789ABCDEF"
    cases = [
        ("one flipped bit in the wrapped key", {"block": flipped(block, -50, digits)}, "KF_ERR_AUTHENTICATION"),
        ("one flipped bit in the MAC", {"block": flipped(block, -1, digits)}, "KF_ERR_AUTHENTICATION"),
        ("another usage", {"block": block[:5] + "B3" + block[7:]}, "KF_ERR_AUTHENTICATION"),
        ("a missing end", {"block": block[:-16]}, "KF_ERR_KEY_BLOCK"),
        ("nothing but text", {"block": "hello"}, "KF_ERR_KEY_BLOCK"),
        ("another category's name", {"category": "cn-test"}, "KF_ERR_KEY_BLOCK"),
        ("another version", {"version": 7}, "KF_ERR_KEY_BLOCK"),
    ]
    for title, change, code in cases:
        with check(f"key block: {title}"), bench.unchanged():
            answer = sender.post("/v1/key-blocks", {"pair": "main", "message": dict(message, **change)})
            bench.refused(answer, code)
    with check("key block: one that comes before those before it"), bench.unchanged():
        answer = sender.post("/v1/key-blocks", {"pair": "main", "message": dict(message, after=message["after"] + 1)})
        bench.refused(answer, "KF_ERR_KEY_BLOCK", "the message says")
    with check("key block: after all these the genuine one is taken"):
        answer = sender.post("/v1/key-blocks", {"pair": "main", "message": message})
        checks.same(answer.status, 200, answer.body)
        listed = site.keyfill_json("key", "list", config="officer-kmu")["keys"]
        checks.that(any(key["category"] == "block-test" for key in listed), "the key is not there")


def main():
    with checks.site() as site, checks.Checks(site) as check:
        bench = Bench(site)
        check_requests(bench, check)
        check_messages(bench, check)
        check_clerk(bench, check)
        check_modules(bench, check)
        check_texts(bench, check)
        check_configurations(bench, check)
        check_certificates(bench, check)
        check_key_blocks(bench, check)
    sys.exit(check.status)


if __name__ == "__main__":
    main()
