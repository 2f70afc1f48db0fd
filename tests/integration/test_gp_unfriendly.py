#!/usr/bin/env python3
"""`keyfill gp` in the hands of somebody unfriendly: each message says what was wrong, with which value, and what next; nothing is sent that
should not be; no secret is shown."""
import os
import sys
import zipfile

import checks
import relay
from cards import cap_file
from gp_desk import APPLET, EXTERNAL_AUTHENTICATE, INITIALIZE_UPDATE, PACKAGE, TEST_KEY, desk, key_of

LOAD, INSTALL, SELECT = 0xE8, 0xE6, 0xA4
KEY = ("--key", TEST_KEY)


def refused(at, said, *words):
    """Fails before anything is sent to the card, and says all of `said`."""
    before = len(at.wire.exchanges)
    done = at.gp(*words, good=False)
    for part in said:
        checks.that(part in done.stderr, f"{words}: '{part}' is not in: {done.stderr}")
    checks.same(len(at.wire.exchanges), before, f"{words}: commands sent")
    checks.that(TEST_KEY not in done.stderr + done.stdout, "the key is shown")
    checks.that(done.returncode not in (0, -6, -11, 134, 139), f"{words}: status {done.returncode}")
    return done


def arguments(check):
    with desk() as at:
        missing = str(at.site.path("nowhere.cap"))
        good = cap_file(at.site.path("good.cap"), PACKAGE, [APPLET])
        table = {
            "keys of a wrong length or alphabet": [
                (("30 characters", "32, 48 or 64"), "list", "--key", "4" * 30), (("32, 48 or 64",), "list", "--key", "X" * 32),
                (("not of one size",), "list", "--key", f"{TEST_KEY}:{TEST_KEY}:{key_of(24)}"), (("32, 48 or 64",), "list", "--key", "::"),
                (("belong together",), "list", "--master", TEST_KEY), (("give one of them",), "list", *KEY, "--key-file", "x"),
                (("needs the card's keys",), "list"), (("nowhere",), "list", "--key-file", missing)],
            "values that are none": [
                (("--level", "hexadecimal"), "list", *KEY, "--level", "331"), (("--key-version XY",), "list", *KEY, "--key-version", "XY"),
                (("--scp 04",), "list", *KEY, "--scp", "04"), (("--aid", "5 to 16"), "list", *KEY, "--aid", "A000"),
                (("--timeout 0",), "list", *KEY, "--timeout", "0"), (("--timeout -1",), "list", *KEY, "--timeout", "-1"),
                (("--privileges 8",), "create-domain", APPLET.hex(), *KEY, "--privileges", "8"),
                (("--hash md5",), "load", good, *KEY, "--hash", "md5"),
                (("--parameters", "5 characters"), "load", good, "--install", *KEY, "--parameters", "12345")],
            "CAP files that are none": [((missing,), "load", missing, *KEY)],
            "words": [
                (("give an AID",), "delete", *KEY), (("AID A0",), "delete", "A0", *KEY), (("--keys 00",), "delete", "--keys", "00", *KEY),
                (("one word too many",), "list", "more", *KEY), (("something is missing",), "load", *KEY),
                (("--to is needed",), "extradite", APPLET.hex(), *KEY), (("nothing is to be changed",), "update", APPLET.hex(), *KEY),
                (("--state",), "set-state", APPLET.hex(), *KEY), (("--state asleep",), "set-state", APPLET.hex(), "--state", "asleep", *KEY),
                (("--new-version",), "put-key", *KEY, "--new-key", key_of(16)), (("--new-type des",), "put-key", *KEY, "--new-key", key_of(16),
                                                                                "--new-version", "30", "--new-type", "des"),
                (("new keys are missing",), "put-key", *KEY, "--new-version", "30"),
                (("there is no command",), "frobnicate"), (("a command is missing",),), (("there is no command",), "sim", "eat")],
            "commands and data": [
                (("command 2 of 2",), "apdu", "80CA006600", "80CA0066"  "05"  "01"), (("command 1 of 1",), "apdu", "8"),
                (("not hexadecimal",), "store-data", "xyz", *KEY), (("one way",), "store-data", *KEY),
                (("--answer needs",), "identify", "--answer", "00")],
            "files of a SIM": [
                (("'6F' is no file",), "sim", "read", "6F"), (("is no file",), "sim", "read", "7F20/3F00"),
                (("is no file",), "sim", "read", "/".join(["7F20"] * 9)), (("is no file",), "sim", "read", "")],
        }
        for name, rows in table.items():
            with check(f"{name}: refused before anything is sent, with the value"):
                for said, *words in rows:
                    refused(at, said, *words)
        with check("a secret in a message that refuses it is not shown"):
            done = at.gp("sim", "read", "iccid", "--adm1", "987654321", good=False)
            checks.that("987654321" not in done.stderr and "up to 8 digits" in done.stderr, done.stderr)
            done = at.gp("store-data", "--dgi", "70=C0FFEE", *KEY, good=False)
            checks.that("C0FFEE" not in done.stderr, done.stderr)


def files(check):
    with desk() as at:
        site = at.site
        (site.path("empty.cap")).write_bytes(b"")
        (site.path("noise.cap")).write_bytes(os.urandom(4000))
        (site.path("huge.cap")).write_bytes(b"\x01" + bytes(3 * 1024 * 1024))
        (site.path("cut.ijc")).write_bytes(bytes.fromhex("010014DECAFFED0102"))
        with zipfile.ZipFile(site.path("bomb.cap"), "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a/javacard/Header.cap", bytes(50 * 1024 * 1024))
        with zipfile.ZipFile(site.path("other.cap"), "w") as archive:
            archive.writestr("readme.txt", "no package")
        for name, said in (("empty.cap", "empty"), ("noise.cap", "noise.cap"), ("huge.cap", "huge.cap"), ("cut.ijc", "cut off"),
                           ("bomb.cap", "are the most"), ("other.cap", "is missing")):
            with check(f"a CAP file that is none ({name}) is refused by name"):
                refused(at, (name, said), "load", site.path(name), *KEY)
                at.gp("cap", site.path(name), good=False)
        with check("a folder, a file that cannot be read, an empty key file"):
            refused(at, (str(site.path("logs")),), "load", site.path("logs"), *KEY)
            (site.path("empty.key")).write_text("")
            refused(at, ("empty",), "list", "--key-file", site.path("empty.key"))
        with check("a script with a bad line is refused before its first command is sent, by line"):
            script = site.write("bad.txt", "80CA004200 = 9000,6A88\n80CA00\n")
            refused(at, ("bad.txt", "line 2", "nothing was sent"), "script", script, *KEY)
            script = site.write("bad.txt", "80CA004200 = fine\n")
            refused(at, ("line 1", "fine"), "script", script, *KEY)
            script = site.write("bad.txt", "\x00\xff\n")
            refused(at, ("line 1",), "script", script)
            script = site.write("long.txt", "8" * 150000)
            refused(at, ("longer than",), "script", script)
            at.gp("script", site.write("none.txt", ""), *KEY)
        with check("no file with applets, or several: --install says what to do"):
            library = cap_file(site.path("library.cap"), PACKAGE, [])
            refused(at, ("library", "without --install"), "load", library, "--install", *KEY)
            two = cap_file(site.path("two.cap"), PACKAGE, [APPLET, APPLET[:-1] + b"\x55"])
            refused(at, ("2 applets", "--applet"), "load", two, "--install", *KEY)


def cards(check):
    with desk() as at:
        with check("no reader, no card: the message says which"):
            done = at.gp("info", "--reader", f"socket:{at.site.path('nobody.sock')}", "--timeout", "1", good=False)
            checks.that("no card" in done.stderr, done.stderr)
            done = at.gp("info", "--reader", "usb:1", good=False)
            checks.that("usb:1" in done.stderr and "pcsc:" in done.stderr, done.stderr)
        path = cap_file(at.site.path("test.cap"), PACKAGE, [APPLET], padding=3000)
        for instruction, name in ((SELECT, "SELECT"), (INITIALIZE_UPDATE, "INITIALIZE UPDATE"),
                                  (EXTERNAL_AUTHENTICATE, "EXTERNAL AUTHENTICATE"), (INSTALL, "INSTALL"), (LOAD, "LOAD block")):
            with check(f"a card torn out at {name} is said, with the command, and the next run works"):
                at.wire.drop(relay.instruction(instruction, nth=1))
                done = at.gp("load", path, *KEY, good=False)
                checks.that(name in done.stderr and "removed" in done.stderr, done.stderr)
                checks.that(f"{name}: {name}" not in done.stderr, done.stderr)
                at.wire.clear()
                at.gp("info")
        with check("answers that are nonsense: nothing is shown twice, no crash"):
            for answer in ("", "90", "9000", "0102039000", "00" * 31 + "9000", "FF" * 300 + "9000", "6982", "6CFF", "6100"):
                at.wire.clear()
                at.wire.rule(relay.any_instruction(INITIALIZE_UPDATE), lambda _command, _answer, given=answer: bytes.fromhex(given))
                done = at.gp("list", *KEY, good=False)
                checks.that("INITIALIZE UPDATE: INITIALIZE UPDATE" not in done.stderr, done.stderr)
                checks.that(done.returncode > 0 and done.stderr, f"{answer}: {done.returncode} {done.stderr}")
                checks.same(at.sent(EXTERNAL_AUTHENTICATE), [], "EXTERNAL AUTHENTICATE")
        with check("data objects that are nonsense do not keep info from showing the rest"):
            at.wire.clear()
            at.wire.rule(relay.any_instruction(0xCA), lambda _command, _answer: bytes.fromhex("9F7F0301020303029000"))
            shown = at.ask("info")
            checks.that("atr" in shown and any(name.endswith("_malformed") for name in shown), f"{shown}")


def main():
    with checks.Checks() as check:
        for part in (arguments, files, cards):
            part(check)
    return check.status


if __name__ == "__main__":
    sys.exit(main())
