#!/usr/bin/env python3
"""A card whose answers are altered on their way: each operation ends with a clear message, and the same card, unaltered, ends well.

Every answer of a fill, a refill and a clear is replaced in turn by FAULTS (KEYFILL_LONG=1: by each of them). Nothing may be lost and nothing locked: the operation is
then repeated with the same card without a fault.
"""
import contextlib
import http.client
import json
import os
import random
import re
import socket
import sqlite3
import sys

import checks
import ready
import relay
from installation import DEADLINE

SEED = int(os.environ.get("KEYFILL_SEED", random.SystemRandom().randrange(2**32)))
SHOW = os.environ.get("KEYFILL_SHOW") == "1"  # every sentence, to be read by a person
COMMAND_TIMEOUT = 1500  # milliseconds that the terminal waits for the card
CHANGING = {0xE6, 0xE8, 0xD8, 0xE2, 0xE4, 0xD6, 0xDC, 0xF0}  # INSTALL, LOAD, PUT KEY, STORE DATA, DELETE, UPDATE …, SET STATUS
EXTERNAL_AUTHENTICATE = 0x82
REPORT = 11  # commands of the terminal's report, which every operation begins with
SANITIZED = "ASAN_OPTIONS" in os.environ  # set by tests/run.py


# -- what is done to an answer: None where the fault cannot be made of this one --

def flip(answer, position):
    changed = bytearray(answer)
    changed[position] ^= 1 << chance.randrange(8)
    return bytes(changed)


def status(word):
    return lambda answer: None if answer[-2:] == bytes.fromhex(word) and len(answer) == 2 else bytes.fromhex(word)


def with_status(word):
    return lambda answer: None if answer[-2:] == bytes.fromhex(word) else answer[:-2] + bytes.fromhex(word)


chance = random.Random(SEED)
FAULTS = {
    "nothing": lambda answer: b"",
    "one byte": lambda answer: b"\x90",
    "300 bytes": lambda answer: chance.randbytes(298) + b"\x90\x00",
    "256 random bytes that claim success": lambda answer: chance.randbytes(256) + b"\x90\x00",
    "29 random bytes that claim success": lambda answer: chance.randbytes(29) + b"\x90\x00",
    "random bytes": lambda answer: chance.randbytes(8) + b"\x6F\x13",
    "success without data": status("9000"),
    "security status not satisfied": status("6982"),
    "no precise diagnosis": status("6F00"),
    "file not found": status("6A82"),
    "referenced data not found": status("6A88"),
    "a warning": with_status("6283"),
    "a flipped bit at the beginning": lambda answer: flip(answer, 0) if len(answer) > 2 else None,
    "a flipped bit in the middle": lambda answer: flip(answer, (len(answer) - 2) // 2) if len(answer) > 2 else None,
    "a flipped bit at the end of the data": lambda answer: flip(answer, -3) if len(answer) > 2 else None,
    "data one byte too short": lambda answer: answer[:-3] + answer[-2:] if len(answer) > 2 else None,
    "data one byte too long": lambda answer: answer[:-2] + b"\x00" + answer[-2:] if 2 < len(answer) < 258 else None,
    "removal": lambda answer: relay.CUT,
}
SENTENCES = {
    "nothing": r"shorter than a status word \(0 of 2 bytes\)",
    "one byte": r"shorter than a status word \(1 of 2 bytes\)",
    "300 bytes": r"sent 300 bytes where at most 258 can stand",
    "removal": r"(was removed|was gone)",
}
UNCLEAR = re.compile(r"internal|malformed or|not understood|\(null\)|%[sdu]")


class Bench:
    """A filled or blank card behind a relay in the terminal's reader."""

    def __init__(self, site):
        self.site = site
        self.ready = ready.Ready(site, terminal=False)
        terminal = site.path("terminal", "terminal.yaml")
        site.write("terminal/terminal.yaml", terminal.read_text(encoding="utf-8")
                   + f"command_timeout_milliseconds: {COMMAND_TIMEOUT}\ncard_wait_milliseconds: 200\n")
        site.enroll()
        site.start_terminal()
        self.index = 0
        self.relay = None
        self.stack = contextlib.ExitStack()

    def new_card(self):
        """Another blank card; EF.MSISDN can be written."""
        self.stack.close()
        self.index += 1
        self.ready.insert(self.index)
        self.relay = self.stack.enter_context(relay.Relay(self.site.path("reader.sock"), card=self.site.path("card.sock")))

    @property
    def number(self):
        return ready.NUMBER.format(self.index)

    def operate(self, operation):
        """One operation over the terminal's local socket: HTTP status and JSON."""
        body = {"operation": operation}
        if operation == "fill":
            body.update(number=self.number, number_source="typed", personalisation={"plan": "5G-59", "application_data": "x"})
        connection = http.client.HTTPConnection("localhost", timeout=DEADLINE)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self.site.path("terminal", "terminal.sock")))
        with contextlib.closing(connection):
            connection.request("POST", "/v1/operations", json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def must(self, operation):
        """Without a fault it ends well."""
        self.relay.clear()
        code, answer = self.operate(operation)
        if code != 200:
            raise checks.Wrong(f"{operation} of the same card, unaltered: {code} {answer.get('detail')}")
        return answer

    def records(self):
        """What is on record of cards and numbers, without who works on them."""
        with contextlib.closing(sqlite3.connect(self.ready.database())) as database:
            found = database.execute("SELECT identity, iccid, number, category, state, generation, sequence, record FROM cards "
                                     "ORDER BY identity").fetchall()
            return found, database.execute("SELECT number, identity, last_generation FROM numbers ORDER BY number").fetchall()

    def show(self):
        return self.site.show_card(f"card-{self.index}")


class Nth:
    """A rule that changes the nth answer of a run, and tells whether it could."""

    def __init__(self, number, change):
        self.number = number
        self.change = change
        self.seen = 0
        self.command = None
        self.answer = None
        self.given = None

    def match(self, _):
        self.seen += 1
        return self.seen == self.number

    def alter(self, command, answer):
        self.command, self.answer = command, answer
        self.given = self.change(answer)
        return answer if self.given is None else self.given


def try_fault(bench, operation, number, fault):
    """Runs the operation with one altered answer. Returns the rule; what was wrong raises."""
    looked_at = checks.LONG or chance.randrange(5) == 0  # a look at the card costs more than the operation
    before, card_before = bench.records(), bench.show() if looked_at else None
    bench.relay.clear()
    rule = Nth(number, FAULTS[fault])
    bench.relay.rule(rule.match, rule.alter)
    code, answer = bench.operate(operation)
    if rule.given is None:
        return rule, code
    where = f"{fault} in answer {number} ({rule.command.hex().upper()[:24]})"
    if code != 200:
        detail = answer.get("detail", "")
        name = answer["type"].rpartition(":")[2]
        if SHOW:
            print(f"   {operation}: {where}: {code} {name}: {detail}")
        checks.that(len(detail) > 20 and not UNCLEAR.search(detail), f"{where}: unclear: {name}: {detail}")
        checks.among(code, (409, 422, 503, 504), f"{where}: {name}: {detail}: status")
        checks.that(re.search(SENTENCES.get(fault, ""), detail), f"{where}: another sentence is wanted: {detail}")
        sent = {command[1] for command in bench.relay.commands()}
        if looked_at and not sent & CHANGING:
            checks.same(bench.show(), card_before, f"{where}: the card")
        if EXTERNAL_AUTHENTICATE not in sent:
            checks.same(bench.records(), before, f"{where}: the records")
    return rule, code


def settle(bench, operation, code):
    """The same card, unaltered, after that answer: the operation ends well, and the card is as before it."""
    if operation == "refill":
        bench.must("refill")
    elif operation == "fill":
        if code != 200:
            bench.must("fill")
        bench.must("clear")
    else:
        bench.must("clear")
        bench.must("fill")


def new_card_for(bench, operation):
    bench.new_card()
    bench.must("fill")
    if operation == "fill":
        bench.must("clear")


def faults_for(operation, number):
    """All; in a short run some of them, drawn anew each time, where the same has been looked at, or programs are slow."""
    again = operation != "fill" and number <= REPORT
    if checks.LONG or not (again or SANITIZED):
        return list(FAULTS)
    return chance.sample(list(FAULTS), 4)


def try_faults(bench, operation, number):
    """Faults in that answer: the command it answers, None where there is none, and what was wrong."""
    problems, command, usable = [], None, False
    for fault in faults_for(operation, number):
        try:
            if not usable:
                new_card_for(bench, operation)
                usable = True
            rule, code = try_fault(bench, operation, number, fault)
            settle(bench, operation, code)
        except checks.Wrong as wrong:
            problems.append(f"{fault}: {wrong}")
            usable = False
            continue
        if rule.command is None:
            break
        command = rule.command
    return command, problems


def check_operation(bench, check, operation):
    number = 0
    while True:
        number += 1
        command, problems = try_faults(bench, operation, number)
        if command is None and not problems:
            break
        begin = "?" if command is None else command.hex().upper()[:8]
        with check(f"{operation}: whatever comes in place of answer {number} (to {begin}) is told clearly, and nothing is lost"):
            checks.that(not problems, " | ".join(problems))
    with check(f"{operation}: there were answers to alter"):
        checks.that(number > 10, f"only {number - 1} commands were sent")


def refused(bench, operation, status, code, words):
    """Refused so, the records untouched; then the same card, unaltered, is filled and cleared."""
    before = bench.records()
    got, answer = bench.operate(operation)
    checks.problem((got, answer), status, code, words)
    checks.same(bench.records(), before, "the records")
    bench.must("fill")
    bench.must("clear")


def check_silence(bench, check):
    for name, where in (("its files", 0xB0), ("INITIALIZE UPDATE", 0x50)):
        with check(f"a card that does not answer at {name} ends the operation in time"):
            bench.new_card()
            bench.relay.rule(relay.instruction(where), lambda command, answer: relay.SILENT)
            refused(bench, "fill", 504, "KF_ERR_READER_TIMEOUT", "the card did not answer in time")
    with check("a card that offers data without end is told as such"):
        bench.new_card()
        bench.relay.rule(relay.any_instruction(0xB0, 0xC0), lambda command, answer: b"\x00\x61\x01")
        refused(bench, "fill", 422, "KF_ERR_APDU", "the card still offers data")
    with check("a card that is torn out half-way is told as such, and present again it is filled"):
        bench.new_card()
        bench.relay.drop(relay.instruction(0xD8))
        got = bench.operate("fill")
        checks.problem(got, 409, "KF_ERR_CARD_REMOVED", "PUT KEY: reader")
        checks.problem(got, 409, "KF_ERR_CARD_REMOVED", "present the card again")
        bench.must("fill")
        bench.must("clear")


def check_no_card(bench, check):
    """What is in the reader is no card."""
    def put(answer_to_reset, answers):
        bench.stack.close()
        bench.relay = bench.stack.enter_context(relay.Relay(bench.site.path("reader.sock"), answers, answer_to_reset))
        before = bench.records()
        got = bench.operate("fill")
        checks.same(bench.records(), before, "the records")
        return got
    with check("an ATR of no bytes is told as such"):
        checks.problem(put(b"", lambda command: b"\x90\x00"), 503, "KF_ERR_READER", "ATR of 0 bytes")
    with check("an ATR of 40 bytes is told as such"):
        checks.problem(put(bytes(40), lambda command: b"\x90\x00"), 422, "KF_ERR_APDU", "40 bytes where at most 33 can stand")
    with check("a card that knows no command is told as such"):
        checks.problem(put(relay.TEST_ATR, lambda command: b"\x6D\x00"), 422, "KF_ERR_STATUS_WORD", "6D00")
    with check("a card that says yes to everything is told as such"):
        got = put(relay.TEST_ATR, lambda command: b"\x90\x00")
        checks.problem(got, 422, "KF_ERR_APDU", "INITIALIZE UPDATE")
    with check("no card is told as such"):
        bench.stack.close()
        checks.problem(bench.operate("fill"), 409, "KF_ERR_NO_CARD", "no card in the reader; insert one")


def main():
    with checks.site() as site, checks.Checks(site) as check:
        print(f"seed {SEED}")
        bench = Bench(site)
        with bench.stack:
            for operation in ("fill", "refill", "clear"):
                check_operation(bench, check, operation)
            check_silence(bench, check)
            check_no_card(bench, check)
    sys.exit(check.status)


if __name__ == "__main__":
    main()
