#!/usr/bin/env python3
"""`keyfill gp` against the simulated card on a local socket, with a relay between that records what reaches the card."""
import json
import os
import sys

import checks
import installation
import relay
from cards import cap_file
from gp_desk import (APPLET, DELETE, Desk, EXTERNAL_AUTHENTICATE, GET_STATUS, INITIALIZE_UPDATE, OTHER_KEY, PACKAGE, PUT_KEY, TEST_KEY,
                     VARIANTS, desk, key_of)


def whole_round(check, name, personality, protocol):
    with desk(personality) as at:
        key = TEST_KEY
        with check(f"{name}: info tells key versions and protocol without keys"):
            info = at.ask("info")
            checks.same(len(info["keys"]), 3, "keys")
            checks.that(info["recognition"]["protocols"][0].startswith(f"SCP0{protocol}"), f"{info['recognition']}")
            checks.same(at.sent(INITIALIZE_UPDATE), [], "INITIALIZE UPDATE")
        with check(f"{name}: a CAP file is loaded, installed, locked, unlocked, deleted"):
            path = cap_file(at.site.path("test.cap"), PACKAGE, [APPLET], padding=900)
            at.gp("load", str(path), "--key", key)
            instance = "D27600008501010199"
            at.gp("install", "--package", PACKAGE.hex(), "--applet", APPLET.hex(), "--instance", instance, "--key", key)
            checks.that(instance in at.aids(key), "the application is not listed")
            before = at.aids(key)[instance]
            at.gp("lock", instance, "--key", key)
            checks.that("LOCKED" in at.aids(key)[instance], f"{at.aids(key)}")
            at.gp("unlock", instance, "--key", key)
            checks.same(at.aids(key)[instance], before, "state")
            at.gp("delete", PACKAGE.hex(), "--related", "--key", key)
            checks.that(instance not in at.aids(key) and PACKAGE.hex().upper() not in at.aids(key), "still there")
            at.gp("load", str(path), "--install", "--hash", "sha1", "--key", key)
            checks.that(APPLET.hex().upper() in at.aids(key), "the application is not listed")
        with check(f"{name}: data are stored, a script stops where it should"):
            at.gp("store-data", "--dgi", "0070=4203010203", "--key", key)
            checks.same(at.ask("info")["issuer_identification_number"], "010203", "number")
            script = at.site.write("script.txt", "# comment\n80CA004200 = 9000\n\n80CA5F5100 = 6A88, 90xx\n80CA5F5100\n80CA004500\n")
            done = at.gp("script", str(script), "--key", key, good=False)
            checks.that("line 5" in done.stderr, done.stderr)
            checks.same(len(done.stdout.splitlines()), 3, f"answers {done.stdout}")
        for size in (16, 24, 32) if protocol == 3 else (16,):
            with check(f"{name}: keys of {size} bytes are put, proven, and the old ones deleted"):
                version = f"{0x20 + size // 8:02X}"
                at.gp("put-key", "--key", key, "--new-key", key_of(size), "--new-version", version, "--delete-old")
                key = key_of(size)
                checks.same({row["version"] for row in at.ask("info")["keys"]}, {version}, "versions")
                checks.that(at.aids(key), "nothing is listed")
                at.gp("list", "--key", TEST_KEY, good=False)
        with check(f"{name}: the keys that opened the channel are replaced, others are not"):
            version = at.ask("info")["keys"][0]["version"]
            other = f"{int(version, 16) + 1:02X}"
            fresh = os.urandom(len(key) // 2).hex().upper()
            sent = len(at.sent(PUT_KEY))
            done = at.gp("put-key", "--key", key, "--new-key", fresh, "--new-version", other, "--replace", other, good=False)
            checks.that("opened the channel" in done.stderr, done.stderr)
            done = at.gp("put-key", "--key", key, "--new-key", fresh, "--new-version", version, good=False)
            checks.same(len(at.sent(PUT_KEY)), sent, "PUT KEY sent")
            done = at.gp("delete", "--keys", version, "--key", key, good=False)
            checks.that("shown to be yours" in done.stderr, done.stderr)
            at.gp("put-key", "--key", key, "--new-key", fresh, "--new-version", version, "--replace", version)
            checks.that(at.aids(fresh), "nothing is listed")


def wrong_key(check):
    with desk() as at:
        with check("a wrong key sends no EXTERNAL AUTHENTICATE and one INITIALIZE UPDATE, and the key that fits is named"):
            done = at.gp("list", "--key", OTHER_KEY, good=False)
            checks.same(done.returncode, 4, "exit status")
            checks.same((len(at.sent(INITIALIZE_UPDATE)), len(at.sent(EXTERNAL_AUTHENTICATE))), (1, 0), "commands")
            checks.that("40..4F by method none" in done.stderr, done.stderr)
            checks.that(OTHER_KEY not in done.stdout + done.stderr, "the key is shown")
        with check("a key of another size is refused the same way"):
            at.gp("list", "--key", OTHER_KEY + OTHER_KEY, good=False)
            checks.same(at.sent(EXTERNAL_AUTHENTICATE), [], "EXTERNAL AUTHENTICATE")
        with check("a card of another protocol than --scp is refused"):
            done = at.gp("list", "--key", TEST_KEY, "--scp", "02", good=False)
            checks.that("protocol 03" in done.stderr, done.stderr)
            checks.same(at.sent(EXTERNAL_AUTHENTICATE), [], "EXTERNAL AUTHENTICATE")
        with check("each security level with a MAC lists the same"):
            lists = [at.ask("list", "--key", TEST_KEY, "--level", level) for level in ("01", "03", "11", "13", "33")]
            checks.that(all(one == lists[0] for one in lists), "they differ")
        with check("a trace shows check values, and no key, code or personalisation"):
            key_file = at.site.write("key.txt", TEST_KEY + "\n")
            shown = at.gp("put-key", "--key-file", str(key_file), "--new-key", OTHER_KEY, "--new-version", "31", "--trace").stderr
            shown += at.gp("store-data", "--dgi", "0070=4503C0FFEE", "--key", OTHER_KEY, "--key-version", "31", "--trace").stderr
            shown += at.gp("apdu", "0020000A083132333435363738", "--trace").stderr
            checks.that("PUT KEY" in shown and "check values" in shown, shown)
            checks.that("*** (8 bytes)" in shown, shown)
            for secret in (TEST_KEY, OTHER_KEY, "C0FFEE", "3132333435363738"):
                checks.that(secret not in shown, f"{secret} is shown")


def broken_proof(check):
    with desk() as at:
        with check("new keys that open no channel: the old version is not deleted"):
            def garble(_, answer):
                return answer[:20] + bytes([answer[20] ^ 1]) + answer[21:]
            at.wire.rule(relay.instruction(INITIALIZE_UPDATE, nth=2), garble)
            done = at.gp("put-key", "--key", TEST_KEY, "--new-key", OTHER_KEY, "--new-version", "31", "--delete-old", good=False)
            checks.that("version 01 was not deleted" in done.stderr, done.stderr)
            checks.same(len(at.sent(EXTERNAL_AUTHENTICATE)), 1, "EXTERNAL AUTHENTICATE")
            checks.same(at.sent(DELETE), [], "DELETE")
            at.gp("list", "--key", TEST_KEY, "--key-version", "01")
        with check("a card that confirms other keys: nothing more is sent"):
            at.wire.rule(relay.instruction(PUT_KEY), lambda command, answer: bytes.fromhex("319000"))
            sent = len(at.sent(INITIALIZE_UPDATE))
            at.gp("put-key", "--key", TEST_KEY, "--key-version", "01", "--level", "01", "--new-key", OTHER_KEY, "--new-version", "32",
                  "--delete-old", good=False)
            checks.same((len(at.sent(INITIALIZE_UPDATE)), at.sent(DELETE)), (sent + 1, []), "commands")
        with check("a response MAC that is wrong ends the channel"):
            at.wire.rule(relay.instruction(GET_STATUS), lambda command, answer: answer[:-3] + bytes([answer[-3] ^ 1]) + answer[-2:])
            sent = len(at.sent(GET_STATUS))
            done = at.gp("list", "--key", TEST_KEY, "--key-version", "01", good=False)
            checks.that("channel is closed" in done.stderr, done.stderr)
            checks.same(len(at.sent(GET_STATUS)), sent + 1, "GET STATUS")


def other_cards(check):
    with desk("scp02-to-scp03") as at:
        with check("AES keys put by SCP02 open SCP03"):
            at.gp("put-key", "--key", TEST_KEY, "--scp", "02", "--new-type", "aes", "--new-key", key_of(32), "--new-version", "30")
            checks.that(at.ask("list", "--key", key_of(32), "--scp", "03", "--key-version", "30")["items"], "nothing is listed")
    for personality in ("jcop", "sim", "counts-unfinished"):
        with desk(personality) as at:
            with check(f"{personality}: info, list, identify"):
                at.gp("info")
                checks.that(at.aids(TEST_KEY), "nothing is listed")
                checks.that(at.ask("identify")["matches"], "no key is found")


def known_methods(check):
    for method, personality in (("visa2", "scp02-i15"), ("emv-cps", "scp02-i55"), ("kdf3", "usual"), ("none", "usual")):
        line = f"{method}(kdd/hex/10,role)" if method != "none" else "none()"
        with desk(personality, f'  master_key: "{OTHER_KEY}"\n  diversification: "{line}"') as at:
            with check(f"{method}: --master with --diversify opens a card of that method, and a mismatch names it"):
                at.gp("list", "--master", OTHER_KEY, "--diversify", method)
                opened = len(at.sent(EXTERNAL_AUTHENTICATE))
                wrong = "kdf3" if method != "kdf3" else "none"
                done = at.gp("list", "--master", OTHER_KEY, "--diversify", wrong, good=False)
                checks.same(len(at.sent(EXTERNAL_AUTHENTICATE)), opened, "EXTERNAL AUTHENTICATE")
                checks.that(f"the given key by method {method} would have matched" in done.stderr, done.stderr)
                matches = at.ask("identify", "--key", OTHER_KEY)["matches"]
                checks.same([(match["key"], match["method"]) for match in matches], [("the given key", method)], "matches")
        with desk(personality, f'  master_key: "{TEST_KEY}"\n  diversification: "{line}"') as at:
            with check(f"{method}: identify finds it, from the card and offline"):
                found = at.ask("identify")
                checks.same([match["method"] for match in found["matches"]], [method], "method")
                sent = len(at.wire.exchanges)
                again = at.ask("identify", "--answer", found["answer"], "--host-challenge", found["host_challenge"])
                checks.same(again["matches"], found["matches"], "matches")
                checks.same(len(at.wire.exchanges), sent, "commands")
                checks.same(at.sent(EXTERNAL_AUTHENTICATE), [], "EXTERNAL AUTHENTICATE")


def through_pcscd(check):
    """The issue of a card from its maker's keys to its own, by a reader of PC/SC: each protocol, mode and key size."""
    name = "through pcscd: info, list, load, install, put-key, re-authentication, delete"
    for variant, (personality, protocol) in VARIANTS.items():
        with checks.site() as site:
            site.path("logs").mkdir()
            site.make_card("gp", f'personality: "{personality}"\niccid: "8986011234567890123"\nimsi: "460001234567890"\n'
                                 "issuer:\n  published-test-keys: true\n")
            site.start_pcscd()
            site.insert("gp")
            at = Desk(site, None, reader="pcsc:Virtual PCD")
            path = cap_file(site.path("test.cap"), PACKAGE, [APPLET], padding=900)
            key = TEST_KEY
            for size in (16, 24, 32) if protocol == 3 else (16,):
                with check(f"{name} ({variant}, keys of {size} bytes)"):
                    info = at.ask("info")
                    checks.that(info["recognition"]["protocols"][0].startswith(f"SCP0{protocol}"), f"{info['recognition']}")
                    checks.that(at.aids(key), "nothing is listed")
                    at.gp("load", path, "--key", key)
                    at.gp("install", "--package", PACKAGE.hex(), "--applet", APPLET.hex(), "--key", key)
                    checks.that(APPLET.hex().upper() in at.aids(key), "the application is not listed")
                    version = f"{0x20 + size // 8:02X}"
                    at.gp("put-key", "--key", key, "--new-key", key_of(size), "--new-version", version, "--delete-old")
                    at.gp("list", "--key", key, good=False)
                    key = key_of(size)
                    checks.same({row["version"] for row in at.ask("info")["keys"]}, {version}, "versions")
                    at.gp("delete", PACKAGE.hex(), "--related", "--key", key, "--scp", f"0{protocol}")
                    checks.that(APPLET.hex().upper() not in at.aids(key), "still there")


def main():
    with checks.Checks() as check:
        through_pcscd(check)
        for name, (personality, protocol) in VARIANTS.items():
            whole_round(check, name, personality, protocol)
        wrong_key(check)
        broken_proof(check)
        other_cards(check)
        known_methods(check)
    return check.status


if __name__ == "__main__":
    sys.exit(main())
