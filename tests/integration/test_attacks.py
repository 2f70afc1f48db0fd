#!/usr/bin/env python3
"""The attacks of docs/security.md, tried: a front that was taken over, a program that imitates a card, a stolen authority, a copied database."""
import base64
import contextlib
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
import cards  # noqa: E402
import checks  # noqa: E402
import clients  # noqa: E402
import hostile_front  # noqa: E402
import installation  # noqa: E402
import ready  # noqa: E402
import relay  # noqa: E402
from memory_search import UNDER_SANITIZER, files, found, memory  # noqa: E402
from test_restart import body_of, row_of  # noqa: E402
from test_secrets import oracle  # noqa: E402

BEGIN, ADVANCE = 32, 33  # src/vault/protocol.h
INITIALIZE_UPDATE, EXTERNAL_AUTHENTICATE, PUT_KEY = 0x50, 0x82, 0xD8
SENT_TO_ANY_CARD = (0xA4, 0xB0, 0xB2, 0xC0, 0xCA, 0xF2, INITIALIZE_UPDATE)  # SELECT, READ, GET RESPONSE, GET DATA, STATUS


class PatientHost(clients.Client):
    """Waits as it is told where the vault has just been started: its derivations a minute begin as used up."""

    def post(self, path, body):
        while True:
            answer = super().post(path, body)
            if answer.status != 503 or "KF_ERR_RATE" not in answer.json["type"]:
                return answer
            time.sleep(int(answer.headers["Retry-After"]))


class Bench:
    """A unit, a hand-made host, and what nobody may find."""

    def __init__(self, site):
        self.site = site
        self.made = ready.Ready(site)
        self.host = PatientHost.of_role(site, "host", "main", "kmu")

    def fill(self, index, between=None):
        with relay.SocketCard(self.made.insert(index)) as card:
            return clients.run_request(self.host, body_of("fill", index), card, between)

    def on_record(self, index):
        row = row_of(self.site, index)
        return None if row is None else (row.state, row.present, row.pending)

    def base_keys(self):
        return {"base key payment": self.made.payment, "base key card-manager": self.made.maker, "base key adm": self.made.adm}

    def keys_of(self, index, generations=(1,)):
        """Of the card with that index: the card maker's, and the payment keys of these generations."""
        values = {f"maker's {role} of card {index}": digits
                  for role, digits in oracle("card", self.made.maker, cards.MAKER_LINE, f"kdd={ready.ICCID.format(index)}").items()
                  if role != "KCV"}
        for generation in generations:
            values.update({f"{role} of card {index}, generation {generation}": digits
                           for role, digits in oracle("card", self.made.payment, cards.PAYMENT_LINE, f"number={ready.NUMBER.format(index)}",
                                                      f"generation={generation}").items() if role != "KCV"})
        return values

    def passphrases(self):
        places = [self.site.path(unit, "passphrase") for unit in ("bkmu", "kmu")]
        places += sorted(self.site.path("clients").glob("*.passphrase"))
        return {str(place.relative_to(self.site.folder)): place.read_text(encoding="utf-8").strip().encode().hex() for place in places}

    def log(self, unit="kmu"):
        return self.site.path("logs", f"{unit}.log").read_text(encoding="utf-8", errors="replace")


# -- a front that was taken over --

def what_is_not_in_the_table(bench, hostile, check):
    def frame(kind, payload):
        return hostile_front.frame(kind, 1, payload)
    attacks = {"asks for what no vault does": frame(99, b"\x01"),
               "asks a key management unit's vault for key blocks": frame(4, b"\x01"),
               "sends more than the kind may have": struct.pack(">IHQ", 10 + 4097, 1, 1),
               "sends a frame shorter than its head": struct.pack(">IHQ", 3, 1, 1)}
    for number, (words, content) in enumerate(attacks.items(), 11):
        with check(f"a front that {words}: the vault ends, is started again, and the fill that was under way goes on from its token"):
            before = ready.children(bench.site, "kmu")["vault"]

            def attack(message, _, content=content, before=before):
                if message != 2:
                    return
                hostile.raw(content)
                installation.wait_until("another vault", lambda: ready.children(bench.site, "kmu").get("vault", before) != before)
                installation.wait_until("the front behind it", lambda: answers(bench))
            final = bench.fill(number, attack)
            checks.same((final["state"], row_of(bench.site, number).state), ("done", "filled"), "states")


def answers(bench):
    with contextlib.suppress(OSError):
        return clients.Client.nobody(bench.site, "kmu").get("/readyz").status == 200
    return False


def refused_fill(bench, index, status, code, words=""):
    """A fill up to the message that is refused; nothing was sent to the card that changes it."""
    with relay.Relay(bench.site.path("attack.sock"), bench.made.insert(index)) as wire, relay.SocketCard(wire.path) as card:
        body = body_of("fill", index)
        answer = bench.host.post("/v1/requests", body)
        while answer.status == 200 and answer.json["state"] == "continue":
            answer = bench.host.post(clients.messages_path(body), clients.message(answer.json, clients.run_script(card, answer.json["script"])))
        checks.problem(answer, status, code, words)
        sent = {command[1] for command in wire.commands()} - set(SENT_TO_ANY_CARD)
        checks.same(sent, set(), "instructions that reached the card")
    row = row_of(bench.site, index)
    checks.that(row is None or row.state == "blank", "the card is on record as more than blank")


def a_weaker_profile(bench, hostile, check):
    text = (installation.ROOT / "profiles" / "security-domain.yaml").read_bytes()
    for words, old, new in (("a lower security level", b"security_level: 0x33", b"security_level: 0x13"),
                            ("one letter of a comment changed", b"# C-MAC", b"# c-MAC")):
        with check(f"a front that gives the vault a profile with {words}: refused, nothing reaches the card"):
            checks.that(old in text, f"the profile has no {old}")
            hostile.rules([hostile.replace(BEGIN, old, new), hostile.replace(ADVANCE, old, new)])
            refused_fill(bench, 21, 422, "KF_ERR_PROFILE", "not approved by officers as it is")
            checks.that(hostile.hits() > 0, "nothing was altered")
    hostile.rules([])
    with check("and with the profile as officers permitted it the same card is filled"):
        checks.same(bench.fill(21)["state"], "done", "state")


def an_altered_record(bench, hostile, check):
    bench.fill(22)
    record = sealed_record(bench, 22)
    with relay.SocketCard(bench.site.path("card.sock")) as card:
        for place in (2, len(record) // 2, len(record) - 1):
            altered = record[:place] + bytes([record[place] ^ 1]) + record[place + 1:]
            with check(f"a front that alters a card's record at byte {place}: the vault does not take it"):
                hostile.rules([hostile.replace(0, record, altered)])
                attempt_refill(bench, card, 22)
                checks.that(hostile.hits() > 0, "nothing was altered")
                checks.same(row_of(bench.site, 22).present, 1, "present generation")
        old = sealed_record(bench, 21)
        with check("a front that gives another card's record for this one's: refused"):
            hostile.rules([hostile.replace(0, struct.pack(">I", len(record)) + record, struct.pack(">I", len(old)) + old)])
            attempt_refill(bench, card, 22)
            checks.that(hostile.hits() > 0, "nothing was altered")
        hostile.rules([])
        with check("and with its own record the card is refilled"):
            card.reset()
            clients.run_request(bench.host, body_of("refill", 22), card)
            checks.same(row_of(bench.site, 22).present, 2, "present generation")


def attempt_refill(bench, card, index):
    card.reset()
    body = body_of("refill", index)
    answer = bench.host.post("/v1/requests", body)
    while answer.status == 200 and answer.json["state"] == "continue":
        answer = bench.host.post(clients.messages_path(body), clients.message(answer.json, clients.run_script(card, answer.json["script"])))
    checks.that(answer.status >= 400, f"it was done: {answer.status} {answer.json}")
    return answer


def sealed_record(bench, index):
    return row_of(bench.site, index).columns["record"]


def a_dropped_receipt(bench, hostile, check):
    with check("a front that drops a receipt leaves a gap: its rows lack a number that the vault has given"):
        hostile.rules([hostile.drop_receipts(ADVANCE)])
        bench.fill(23)
        dropped = hostile.hits()
        checks.that(dropped > 0, "nothing was dropped")
        hostile.rules([])
        bench.fill(24)
        missing = gaps(bench)
        checks.same(len(missing), dropped, f"numbers that are missing of {receipt_numbers(bench)}")
        checks.that(not card_rows(bench, 23), "the act is in the audit log all the same")


def receipt_numbers(bench):
    rows = bench.site.keyfill_json("audit", "list", "--limit", "1000", config="auditor-kmu")["rows"]
    return sorted({int(match.group(1)) for row in rows if (match := re.search(r"receipt (\d+)", row["detail"]))} |
                  {each for row in rows if (each := number_of(row)) is not None})


def number_of(row):
    """The number in a receipt's bytes (src/vault/receipt.h), where the row shows them."""
    digits = row.get("receipt") or ""
    return int(digits[2:18], 16) if re.fullmatch(r"[0-9A-Fa-f]{20,}", digits) else None


def gaps(bench):
    numbers = receipt_numbers(bench)
    return sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))


def card_rows(bench, index):
    rows = bench.site.keyfill_json("audit", "list", "--limit", "1000", config="auditor-kmu")["rows"]
    return [row for row in rows if row["action"] == "card.fill" and ready.ICCID.format(index) in row["subject"]]


def what_it_learns(bench, hostile, check):
    with check("a front that keeps all that passes it learns no base key, card key or card maker's key from a fill"):
        hostile.rules([])
        bench.fill(25)
        content = b"\0".join(hostile.seen("answer", BEGIN) + hostile.seen("answer", ADVANCE) + hostile.seen("request", ADVANCE))
        checks.that(found({"number": ready.NUMBER.format(25).encode().hex()}, content), "the search can fail: not even the number is there")
        checks.same(found({**bench.base_keys(), **bench.keys_of(25)}, content), [], "found")


def honest_again(bench, check):
    with check("an honest front behind it finds what was dropped: the vault kept it, and the log is whole again"):
        checks.same(gaps(bench), [], "numbers that are missing")
        done = bench.site.keyfill("audit", "verify", config="auditor-kmu", check=False)
        checks.same(done.returncode, 0, f"keyfill audit verify: {done.stdout}{done.stderr}")


def taken_over_front(bench, check):
    with hostile_front.Hostile(bench.site) as hostile:
        with check("the stand-in works as a front: without any order a card is filled through it"):
            checks.same(bench.fill(10)["state"], "done", "state")
        what_is_not_in_the_table(bench, hostile, check)
        a_weaker_profile(bench, hostile, check)
        an_altered_record(bench, hostile, check)
        what_it_learns(bench, hostile, check)
        a_dropped_receipt(bench, hostile, check)
    bench.site.start_kmu()
    honest_again(bench, check)


# -- tokens --

def tokens(bench, check):
    """Those of another request and caller, and flipped bits: test_restart.py, tokens_and_claims."""
    with relay.SocketCard(bench.made.insert(31)) as card:
        body = body_of("fill", 31)
        first = bench.host.post("/v1/requests", body)
        second = bench.host.post(clients.messages_path(body), clients.message(first.json, clients.run_script(card, first.json["script"])))
        answered = clients.run_script(card, second.json["script"])
        with check("a token of an earlier step is none for a later one"):
            wrong = {**clients.message(second.json, answered), "token": first.json["token"]}
            checks.problem(bench.host.post(clients.messages_path(body), wrong), 409, "KF_ERR_TOKEN")
        with check("a token that another group's unit sealed is refused"):
            checks.problem(bench.host.post(clients.messages_path(body), {**clients.message(second.json, answered),
                                                                         "token": of_another_group(second.json["token"])}), 409, "KF_ERR_TOKEN")
        with check("after that the right one goes on"):
            third = bench.host.post(clients.messages_path(body), clients.message(second.json, answered))
            checks.same((third.status, third.json["state"]), (200, "continue"), "status and state")
            clients.run_request(bench.host, body, card, first=third)


def of_another_group(token):
    """The same form under a key of another unit: its group key's version is one that this unit never had, or the same with another seal."""
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    return base64.urlsafe_b64encode(raw[:4] + os.urandom(len(raw) - 4)).decode().rstrip("=")


# -- cards that are none --

def imitated_cards(bench, check):
    with check("a program that imitates a card, without its keys: refused, it gets nothing beyond the first contact"):
        asked = imitate(bench, 41, lambda _, answer: answer[:-10] + os.urandom(8) + answer[-2:])
        checks.that(INITIALIZE_UPDATE in asked, "no channel was asked for")
        checks.same(set(asked) - set(SENT_TO_ANY_CARD), set(), "instructions that reached it")
    with check("a program that plays back what a card once answered: refused, since each challenge is new"):
        kept = []
        imitate(bench, 42, lambda command, answer: kept.append(answer) or answer, refused=False)
        asked = imitate(bench, 42, lambda command, answer: kept[0])
        checks.that(INITIALIZE_UPDATE in asked, "no channel was asked for")
        checks.same(set(asked) - set(SENT_TO_ANY_CARD), set(), "instructions that reached it")


def imitate(bench, index, change, refused=True):
    """A fill of what looks like that card, good answers to INITIALIZE UPDATE altered. Returns the instructions that it was sent."""
    path = bench.made.insert(index)
    with relay.Relay(bench.site.path("attack.sock"), path) as wire, relay.SocketCard(wire.path) as card:
        wire.rule(relay.any_instruction(INITIALIZE_UPDATE),
                  lambda command, answer: change(command, answer) if answer[-2:] == b"\x90\x00" else answer)
        before = bench.on_record(index)
        body = body_of("fill", index)
        answer = bench.host.post("/v1/requests", body)
        checks.same(answer.status, 200, "status of the begin")
        reading = clients.run_script(card, answer.json["script"])
        told = bench.host.post(clients.messages_path(body), clients.message(answer.json, reading)) if refused else None
        if refused:
            checks.that(told.status in (403, 409, 422), f"it was not refused: {told.status} {told.json}")
            checks.same(bench.on_record(index), before, "the card on record")
        return [command[1] for command in wire.commands()]


def somebody_elses_number(bench, check):
    bench.fill(51)
    with check("a clerk or host that wants the number of another card for this one: refused"):
        with relay.SocketCard(bench.made.insert(52)) as card:
            body = body_of("fill", 52, number=ready.NUMBER.format(51))
            answer = bench.host.post("/v1/requests", body)
            while answer.status == 200 and answer.json["state"] == "continue":
                answer = bench.host.post(clients.messages_path(body), clients.message(answer.json, clients.run_script(card, answer.json["script"])))
            checks.same(answer.status, 409, f"status ({answer.json})")
            checks.same(row_of(bench.site, 51).number, ready.NUMBER.format(51), "whose number it is")
    with check("a host that reports one card while another lies in the reader: the one that proved itself is on record"):
        with relay.SocketCard(bench.made.insert(53)) as card:
            body = {**body_of("fill", 53), "card": ready.Ready.report(51)}
            answer = bench.host.post("/v1/requests", body)
            while answer.status == 200 and answer.json["state"] == "continue":
                answer = bench.host.post(clients.messages_path(body), clients.message(answer.json, clients.run_script(card, answer.json["script"])))
        before = row_of(bench.site, 51)
        checks.same((before.present, before.pending, before.number), (1, 0, ready.NUMBER.format(51)), "the card that was reported")


# -- a stolen authority --

def a_stolen_authority(bench, check):
    with check("whoever has the authority's key can call himself an officer, and still does no act on a base key"):
        site = bench.site
        site.issue("officer", "mallory", 0, "clients/mallory")
        site.write_client("mallory-kmu", "kmu", site.ports["kmu"], site.path("ca.pem"), "officer", folder="mallory")
        before = site.keyfill_json("key", "list", config="officer-kmu")
        done = site.keyfill("key", "generate", "--purpose", "payment", "--category", "stolen", "--diversification", cards.PAYMENT_LINE,
                            config="mallory-kmu", check=False)
        checks.different(done.returncode, 0, f"exit status: {done.stdout}{done.stderr}")
        checks.same(site.keyfill_json("key", "list", config="officer-kmu"), before, "keys")
        mallory = clients.Client.of_files(site, "kmu", site.path("clients", "mallory", "officer.pem"),
                                          site.path("clients", "mallory", "officer.key"))
        told = mallory.post("/v1/proposals", {"proposal": "00" * 64, "officer": "alice", "signature": "00" * 64})
        checks.that(400 <= told.status < 500, f"{told.status} {told.json}")


# -- a copied database --

def vault_opens(folder, passphrase):
    """(exit status, log) of a vault over those key files, with a front that ends at once."""
    file = folder.parent / "tried-passphrase"
    file.write_text(passphrase + "\n", encoding="utf-8")
    file.chmod(0o400)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        os.set_inheritable(theirs.fileno(), True)
        process = subprocess.Popen([installation.program("keyfill-vault"), "--unit", "kmu", "--directory", str(folder), "--passphrase-file",
                                    str(file), "--descriptor", str(theirs.fileno())], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, pass_fds=[theirs.fileno()])
        theirs.close()
        ours.shutdown(socket.SHUT_RDWR)
        output, _ = process.communicate(timeout=installation.DEADLINE)
    file.unlink()
    return process.returncode, output


def a_copied_unit(bench, check):
    site = bench.site
    generations = {index: (1,) for index in (10, 51)}
    bench.fill(61)
    values = {**bench.base_keys(), **bench.keys_of(61)}
    for index, some in generations.items():
        values.update(bench.keys_of(index, some))
    site.stop_one("kmu")
    with checks.folder() as copy:
        shutil.copytree(site.path("kmu"), copy / "kmu", ignore=shutil.ignore_patterns("*.sock"))
        own = (copy / "kmu" / "passphrase").read_text(encoding="utf-8").strip()
        (copy / "kmu" / "passphrase").unlink()
        with check("database and key files copied: no base key, card key or card maker's key is in them"):
            searched = dict(files(copy))
            hits = [(name, str(path)) for path, content in searched.items() for name in found(values, content)]
            checks.same(hits, [], "found")
            shown = {"number": ready.NUMBER.format(61).encode().hex(), "passphrase": own.encode().hex()}
            checks.same({name for content in searched.values() for name in found(shown, content)}, {"number"}, "the search can fail")
        keys = copy / "kmu" / "keys"
        for path in [keys, *keys.iterdir()]:
            os.chown(path, os.geteuid(), os.getegid())
        keys.chmod(0o700)
        with check("the key files open with no other passphrase"):
            for tried in (own[:-1] + ("0" if own[-1] != "0" else "1"), own.upper(), "a passphrase for tests only"):
                code, output = vault_opens(keys, tried)
                checks.same(code, 1, f"exit status: {output}")
                checks.that("the key store cannot be opened" in output, output)
        with check("that can fail: with the unit's own passphrase they do"):
            code, output = vault_opens(keys, own)
            checks.same(code, 0, f"exit status: {output}")
            checks.that("key store revision" in output, output)
    site.start_kmu()


# -- the front's memory, under load --

def load(bench, index, path, stop, results):
    """Fill, then refills without end, of a card of its own."""
    host = PatientHost.of_role(bench.site, "host", f"load-{index}", "kmu")
    try:
        with relay.SocketCard(path) as card:
            clients.run_request(host, body_of("fill", index), card)
            while not stop.is_set():
                card.reset()
                clients.run_request(host, body_of("refill", index), card)
                results.append(index)
    except Exception as failure:  # pylint: disable=broad-except
        results.append(failure)


def memory_under_load(bench, check, cards_count=3, looks=12):
    site, stop, results, threads = bench.site, threading.Event(), [], []
    values = dict(bench.base_keys())
    planted = cards.components()[0]
    with contextlib.ExitStack() as stack:
        for index in range(71, 71 + cards_count):
            path = site.path(f"card-{index}.sock")
            process = subprocess.Popen([installation.program("keyfill-softcard"), "run", "--state",
                                        str(site.path("cards", f"{bench.made.make_card(index)}.card")), "--socket", str(path)],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            installation.wait_until("the card's socket", path.exists)
            threads.append(threading.Thread(target=load, args=(bench, index, path, stop, results), daemon=True))
            values.update(bench.keys_of(index, range(1, 4)))
        for each in threads:
            each.start()
        stack.callback(lambda: [each.join(installation.DEADLINE) for each in threads])
        stack.callback(stop.set)
        with check("the front's memory, searched again and again while cards are filled: no base key, card key or card maker's key"):
            front = ready.children(site, "kmu")["front"]
            for look in range(looks):
                done = len(results)
                checks.same(found(values, memory(front)), [], f"found at look {look}")
                installation.wait_until("a refill more", lambda done=done: len(results) > done)
            failures = [each for each in results if isinstance(each, Exception)]
            checks.same(failures, [], "failures of the load")
        with check("the search can fail: a value planted in a request is found there, and the base keys in the vault"):
            bench.host.post("/v1/requests", {**body_of("fill", 79), "personalisation": {"plan": planted}})
            checks.same(found({"planted": planted}, memory(front)), ["planted"], "found")
            checks.same(sorted(found(bench.base_keys(), memory(ready.children(site, "kmu")["vault"]))), sorted(bench.base_keys()), "in the vault")


# -- logs --

def logs(bench, check):
    """Last: everything that the run used. Logs are at the highest level (debug)."""
    site = bench.site
    values = {**bench.base_keys(), **bench.passphrases()}
    for index in (10, 11, 21, 22, 51, 61, 71):
        values.update(bench.keys_of(index, (1, 2)))
    for path in sorted(site.folder.rglob("*.key")):
        body = "".join(line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("-"))
        values[str(path.relative_to(site.folder))] = base64.b64decode(body)[-32:].hex()
    with check(f"no log, at the highest level, holds any of the {len(values)} keys and passphrases of this run"):
        for config in ("bkmu/front.yaml", "kmu/front.yaml", "host/host.yaml"):
            checks.that("log_level: debug" in site.path(config).read_text(encoding="utf-8"), f"{config} is not at the highest level")
        hits = [(name, str(path)) for path, content in files(site.path("logs")) for name in found(values, content)]
        checks.same(hits, [], "found")
    with check("the search can fail: the fronts' ports are in the logs"):
        content = b"".join(content for _, content in files(site.path("logs")))
        checks.same(found({"port": str(site.ports["kmu"]).encode().hex()}, content), ["port"], "found")
    if not UNDER_SANITIZER:
        with check("no filter of system calls ended an honest process"):
            ended = [line for unit in ("kmu", "bkmu") for line in bench.log(unit).splitlines() if "was ended by signal 31" in line]
            checks.same(ended, [], "ended by SIGSYS")


def main():
    with checks.site() as site, checks.Checks(site) as check:
        bench = Bench(site)
        taken_over_front(bench, check)
        tokens(bench, check)
        imitated_cards(bench, check)
        somebody_elses_number(bench, check)
        a_stolen_authority(bench, check)
        a_copied_unit(bench, check)
        memory_under_load(bench, check)
        logs(bench, check)
    return check.status


if __name__ == "__main__":
    sys.exit(main())
