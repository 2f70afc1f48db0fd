#!/usr/bin/env python3
"""`keyfill gp` beyond the everyday: security domains, delegated management, signed and large load files, life cycles, logical channels,
SIM files."""
import subprocess
import sys

import checks
import relay
from cards import cap_file
from gp_desk import APPLET, OTHER_KEY, PACKAGE, PUT_KEY, TEST_KEY, desk, key_of

ISSUER = "A000000151000000"
DOMAIN, DOMAIN_2 = "A00000015153504B4601", "A00000015153504B4602"
TOKEN_KEY, RECEIPT_KEY, DAP_KEY = "11" * 16, "22" * 16, "33" * 16
INSTALL, LOAD, MANAGE_CHANNEL, VERIFY, UPDATE_BINARY = 0xE6, 0xE8, 0x70, 0x20, 0xD6
AUTHORITY_KEYS = f"""  published-test-keys: true
  more_keys:
    - {{version: "70", id: "01", type: "88", key: "{TOKEN_KEY}"}}
    - {{version: "71", id: "01", type: "88", key: "{RECEIPT_KEY}"}}
"""
DELEGATED = f"""domains:
  - aid: {DOMAIN}
    privileges: A0
    key_version: "30"
    keys: "{OTHER_KEY}"
"""


def row(at, aid, *options):
    return next(item for item in at.ask("list", *options)["items"] if item["aid"] == aid)


def domains(check):
    with desk() as at:
        with check("a security domain is created, given keys of its own, and gets an application"):
            at.gp("create-domain", DOMAIN, "--domain-scp", "03:70", "--key", TEST_KEY)
            checks.same(row(at, DOMAIN, "--key", TEST_KEY)["kind"], "security domain", "kind")
            at.gp("put-key", "--aid", DOMAIN, "--key", TEST_KEY, "--new-key", OTHER_KEY, "--new-version", "30")
            at.gp("set-state", DOMAIN, "--state", "personalized", "--aid", DOMAIN, "--key", OTHER_KEY)
            path = cap_file(at.site.path("test.cap"), PACKAGE, [APPLET], padding=300)
            at.gp("load", path, "--install", "--key", TEST_KEY)
            at.gp("extradite", APPLET.hex(), "--to", DOMAIN, "--key", TEST_KEY)
            checks.same(row(at, APPLET.hex().upper(), "--key", TEST_KEY)["domain"], DOMAIN, "domain")
            at.gp("store-data", "--for", APPLET.hex(), "--dgi", "0070=4203010203", "--aid", DOMAIN, "--key", OTHER_KEY, good=None)
            checks.same([command[2] for command in at.sent(INSTALL)][-1], 0x20, "INSTALL [for personalization]")
        with check("an application is installed, then made selectable, its privileges changed"):
            other = "D27600008501010177"
            at.gp("install", "--package", PACKAGE.hex(), "--applet", APPLET.hex(), "--instance", other, "--not-selectable", "--key", TEST_KEY)
            checks.same(row(at, other, "--key", TEST_KEY)["state"], "INSTALLED", "state")
            at.gp("make-selectable", other, "--key", TEST_KEY)
            checks.same(row(at, other, "--key", TEST_KEY)["state"], "SELECTABLE", "state")
            at.gp("update", other, "--privileges", "04", "--key", TEST_KEY)
            checks.that(row(at, other, "--key", TEST_KEY)["privileges"].startswith("04"), "privileges")
            at.gp("update", other, "--key", TEST_KEY, good=False)
        with check("the card is locked, listed, and unlocked"):
            at.gp("lock", "--card", "--key", TEST_KEY)
            at.gp("unlock", "--card", "--key", TEST_KEY)
            checks.same(row(at, ISSUER, "--key", TEST_KEY)["state"], "SECURED", "state")
        with check("terminating a card wants to be forced, and then is the end"):
            done = at.gp("set-state", "--card", "--state", "terminated", "--key", TEST_KEY, good=False)
            checks.that("--force" in done.stderr, done.stderr)
            at.gp("set-state", "--card", "--state", "terminated", "--force", "--key", TEST_KEY)
            at.gp("list", "--key", TEST_KEY, good=False)


def delegated(check):
    with desk(issuer=AUTHORITY_KEYS, more=DELEGATED) as at:
        site = at.site
        token_key, receipt_key = site.write("token.key", TOKEN_KEY), site.write("receipt.key", RECEIPT_KEY)
        path = cap_file(site.path("test.cap"), PACKAGE, [APPLET], padding=700)
        as_domain = ("--aid", DOMAIN, "--key", OTHER_KEY)
        with check("delegated management: without a token nothing is loaded"):
            at.gp("load", path, *as_domain, good=False)
        with check("delegated management: load, install and delete with tokens, their receipts checked"):
            both = ("--token-key-file", token_key, "--receipt-key-file", receipt_key)
            at.gp("load", path, "--install", "--hash", "sha256", *as_domain, *both)
            checks.same(row(at, APPLET.hex().upper(), "--key", TEST_KEY)["domain"], DOMAIN, "domain")
            at.gp("delete", APPLET.hex(), *as_domain, *both)
        with check("a token of another key is refused, a receipt of another key noticed"):
            wrong = site.write("wrong.key", DAP_KEY)
            install = ("install", "--package", PACKAGE.hex(), "--applet", APPLET.hex(), *as_domain)
            at.gp(*install, "--token-key-file", wrong, good=False)
            done = at.gp(*install, "--token-key-file", token_key, "--receipt-key-file", wrong, good=False)
            checks.that("carried out, but its receipt" in done.stderr, done.stderr)
        with check("a private key makes the token, too: the public key is put first"):
            subprocess.run(["openssl", "genrsa", "-out", site.path("rsa.pem"), "1024"], check=True, stderr=subprocess.DEVNULL)
            subprocess.run(["openssl", "rsa", "-in", site.path("rsa.pem"), "-pubout", "-out", site.path("rsa.pub")], check=True,
                           stderr=subprocess.DEVNULL)
            at.gp("put-other-key", "--public-key-file", site.path("rsa.pub"), "--new-version", "73", "--key", TEST_KEY, good=None)
            checks.that(len(at.sent(PUT_KEY)) >= 1, "PUT KEY was not sent")


def signed_files(check):
    verifier = f"""domains:
  - aid: {DOMAIN}
    privileges: C0
    key_version: "30"
    keys: "{OTHER_KEY}"
    more_keys:
      - {{version: "73", id: "01", type: "88", key: "{DAP_KEY}"}}
"""
    with desk(more=verifier) as at:
        path = cap_file(at.site.path("test.cap"), PACKAGE, [APPLET], padding=500)
        key = at.site.write("dap.key", DAP_KEY)
        with check("a signed load file (DAP) is loaded; one signed by another key is not"):
            wrong = at.site.write("wrong.key", TOKEN_KEY)
            at.gp("load", path, "--key", TEST_KEY, "--hash", "sha256", "--dap-domain", DOMAIN, "--dap-key-file", wrong, good=False)
            at.gp("load", path, "--key", TEST_KEY, "--hash", "sha256", "--dap-domain", DOMAIN, "--dap-key-file", key)
        with check("what is missing for a signature is said"):
            done = at.gp("load", path, "--key", TEST_KEY, "--dap-key-file", key, good=False)
            checks.that("--dap-domain" in done.stderr and "--hash" in done.stderr, done.stderr)


def large_files(check):
    with desk("jcop", more="memory: 400000\n") as at:
        path = cap_file(at.site.path("test.cap"), PACKAGE, [APPLET], padding=20000)
        with check("a card that takes extended lengths is sent larger blocks where that is asked"):
            at.gp("load", path, "--key", TEST_KEY, "--block-size", "1000")
            checks.that(max(len(command) for command in at.sent(LOAD)) > 1000, "blocks are short")
            checks.that(len(at.sent(LOAD)) < 30, f"{len(at.sent(LOAD))} blocks")
            at.gp("delete", PACKAGE.hex(), "--key", TEST_KEY)
        with check("a parameter field that does not fit a short command goes by an extended one"):
            at.gp("load", path, "--key", TEST_KEY)
            at.gp("install", "--package", PACKAGE.hex(), "--applet", APPLET.hex(), "--parameters", "5A" * 300, "--key", TEST_KEY)
            checks.that(len(at.sent(INSTALL)[-1]) > 300, "INSTALL is short")
    with desk() as at:
        with check("a card that does not is sent short ones, and a larger --block-size is refused"):
            path = cap_file(at.site.path("test.cap"), PACKAGE, [APPLET], padding=20000)
            done = at.gp("load", path, "--key", TEST_KEY, "--block-size", "1000", good=False)
            checks.that("--block-size 1000" in done.stderr, done.stderr)
            checks.same(at.sent(LOAD), [], "LOAD")
            at.gp("load", path, "--key", TEST_KEY)
            checks.that(max(len(command) for command in at.sent(LOAD)) <= 261, "blocks are long")
        with check("a file of more than 256 blocks is refused before anything is sent"):
            big = cap_file(at.site.path("big.cap"), PACKAGE[:-1] + b"\x77", [APPLET[:-1] + b"\x77"], padding=60000)
            sent = len(at.sent(INSTALL))
            done = at.gp("load", big, "--key", TEST_KEY, "--block-size", "100", good=False)
            checks.that("256 blocks" in done.stderr and "larger --block-size" in done.stderr, done.stderr)
            checks.same(len(at.sent(INSTALL)), sent, "INSTALL")


def cap_files(check):
    with desk() as at:
        path = cap_file(at.site.path("test.cap"), PACKAGE, [APPLET], padding=64)
        with check("cap shows package, applets, sizes and hashes without a card"):
            found = at.ask("cap", path)
            checks.same((found["package"], found["applets"]), (PACKAGE.hex().upper(), [APPLET.hex().upper()]), "names")
            checks.that(len(found["sha256"]) == 64 and found["load_bytes"] > 64, f"{found}")
            checks.same(len(at.wire.exchanges), 0, "commands")
            checks.that("applet" in at.gp("cap", path).stdout, "no applet is shown")


def channels(check):
    for level in ("01", "03", "33"):
        with desk() as at:
            with check(f"all of it works on a further logical channel (level {level})"):
                at.gp("list", "--key", TEST_KEY, "--logical-channel", "--level", level)
                commands = [exchange.command for exchange in at.wire.exchanges]
                checks.same([command[1] for command in commands if command[1] == MANAGE_CHANNEL], [MANAGE_CHANNEL] * 2, "MANAGE CHANNEL")
                checks.that(all(command[0] & 3 == 1 for command in commands if command[1] != MANAGE_CHANNEL), f"{commands}")
                plain = at.ask("list", "--key", TEST_KEY)
                checks.same(at.ask("list", "--key", TEST_KEY, "--logical-channel"), plain, "items")
    with desk() as at:
        with check("in a channel commands of the user's own secure messaging are refused before they are sent"):
            done = at.gp("apdu", "80CA004200", "84F2800200", "--key", TEST_KEY, good=False)
            checks.that("cannot be wrapped" in done.stderr, done.stderr)
            checks.same(at.sent(0xF2), [], "GET STATUS")


def response_mac_sessions(check):
    rows = (("usual", "", "03", "10"), ("usual", "", "03", "30"), ("scp02-i55", "75", "01", "10"), ("scp02-i55", "75", "03", "00"))
    for personality, i, level, begun in rows:
        with desk(personality, more=f'i: "{i}"\n' if i else "") as at:
            with check(f"BEGIN and END R-MAC SESSION ({personality}, level {level}, session {begun})"):
                key = ("--key", TEST_KEY, "--level", level, *(("--scp", f"02:{i}") if i else ()))
                commands = ("80CA006600", f"807A{begun}010302C0DE", "80CA006600", "80CA00E000", "8078000300", "80CA006600")
                answers = at.ask("apdu", *commands, *key)["answers"]
                checks.same([answer["status_word"] for answer in answers], ["9000"] * len(commands), "status words")
                checks.that(answers[0]["data"] == answers[2]["data"] == answers[5]["data"], f"{answers}")
                lengths = [len(exchange.answer) for exchange in at.wire.exchanges if exchange.command[1] == 0xCA][-4:]
                checks.same(lengths[1] > lengths[0], begun != "00", f"longer answers in the session {lengths}")
                at.wire.rule(relay.instruction(0x78), lambda _command, answer: bytes([answer[0] ^ 1]) + answer[1:])
                done = at.gp("apdu", *commands, *key, good=False)
                checks.that("response MAC" in done.stderr, done.stderr)


def transport(check):
    with desk("sim") as at:
        with check("T=0: info, load and delete through GET RESPONSE"):
            path = cap_file(at.site.path("test.cap"), PACKAGE, [APPLET], padding=300)
            checks.that(at.ask("info")["transmission"].startswith("T=0"), "not T=0")
            at.gp("load", path, "--install", "--key", TEST_KEY)
            at.gp("delete", PACKAGE.hex(), "--related", "--key", TEST_KEY)
            checks.that(any(exchange.command[1] == 0xC0 for exchange in at.wire.exchanges), "no GET RESPONSE was needed")
            done = at.gp("apdu", "00CA9F7F000000", "--key", TEST_KEY, good=False)
            checks.that("T=0" in done.stderr or "wrapped" in done.stderr, done.stderr)


def put_key_policy(check):
    with desk() as at:
        with check("a key version that is there already is not overwritten by the way"):
            at.gp("put-key", "--key", TEST_KEY, "--new-key", OTHER_KEY, "--new-version", "31")
            sent = len(at.sent(PUT_KEY))
            done = at.gp("put-key", "--key", TEST_KEY, "--key-version", "01", "--new-key", key_of(16), "--new-version", "31", good=False)
            checks.that("is there already" in done.stderr, done.stderr)
            done = at.gp("put-key", "--key", TEST_KEY, "--key-version", "01", "--new-key", key_of(16), "--new-version", "31",
                         "--replace", "01", good=False)
            checks.that("is there already" in done.stderr, done.stderr)
            checks.same(len(at.sent(PUT_KEY)), sent, "PUT KEY")
        with check("a replacement of another size is refused before it is sent"):
            sent = len(at.sent(PUT_KEY))
            done = at.gp("put-key", "--key", TEST_KEY, "--key-version", "01", "--new-key", key_of(32), "--new-version", "01",
                         "--replace", "01", good=False)
            checks.that("cannot change that" in done.stderr, done.stderr)
            checks.same(len(at.sent(PUT_KEY)), sent, "PUT KEY")
        with check("the keys of the channel are not for put-other-key"):
            done = at.gp("put-other-key", "--key", TEST_KEY, "--key-version", "01", "--new-key", key_of(16), "--new-version", "01", good=False)
            checks.that("put-key" in done.stderr, done.stderr)
    with desk("scp02-i55") as at:
        with check("a card with SCP02 alone is not left with AES keys that would open nothing"):
            done = at.gp("put-key", "--key", TEST_KEY, "--new-type", "aes", "--new-key", key_of(16), "--new-version", "30", good=False)
            checks.that("does not say that it has SCP03" in done.stderr, done.stderr)
            checks.same(at.sent(PUT_KEY), [], "PUT KEY")
            at.gp("list", "--key", TEST_KEY)


ADM, PIN = "3838383838383838", "1234"


def sim(check):
    with desk("sim", more=f'msisdn: "+8613800000001"\npin1: "{PIN}"\nadm1: "{ADM}"\n') as at:
        with check("sim show: numbers, networks and the tries of the codes"):
            found = at.ask("sim", "show")
            values = {item["file"]: item.get("value") for item in found["files"]}
            checks.same(values["iccid"], "8986011234567890123", "ICCID")
            checks.same(values["imsi"], "460001234567890", "IMSI")
            checks.that("tr" in found["tries"]["ADM1"], f"{found['tries']}")
            checks.that("iccid" in at.gp("sim", "show").stdout, "no table")
        with check("sim read: by name, by path, and through the application"):
            for name in ("iccid", "2FE2", "3F00/2FE2"):
                checks.same(at.ask("sim", "read", name)["content"][0]["value"], "8986011234567890123", name)
            records = at.ask("sim", "read", "msisdn")
            checks.that(records["content"][0]["value"].startswith("+8613800000001"), f"{records}")
            checks.same(len(at.ask("sim", "read", "msisdn", "--record", "1")["content"]), 1, "records")
            at.gp("sim", "read", "7FFF/6F07", good=None)
        with check("sim update: without ADM1 refused; with it written and read back"):
            at.gp("sim", "update", "imsi", "460009999999999", "--text", good=False)
            at.gp("sim", "update", "imsi", "460009999999999", "--text", "--adm1", ADM)
            checks.same(at.ask("sim", "read", "imsi")["content"][0]["value"], "460009999999999", "IMSI")
            at.gp("sim", "update", "msisdn", "+8613800000002", "--text", "--record", "1", "--adm1", "88888888")
            checks.that(at.ask("sim", "read", "msisdn")["content"][0]["value"].startswith("+8613800000002"), "number")
            sent = len(at.sent(UPDATE_BINARY))
            done = at.gp("sim", "update", "imsi", "00" * 11, "--adm1", ADM, good=False)
            checks.that("nothing was written" in done.stderr, done.stderr)
            checks.same(len(at.sent(UPDATE_BINARY)), sent, "UPDATE BINARY")
        with check("a trace of it shows neither code nor content"):
            shown = at.gp("sim", "update", "spn", "Nordwind", "--text", "--adm1", ADM, "--trace").stderr
            written = next(line for line in shown.splitlines() if line.startswith("> 00D6"))
            checks.that(ADM not in shown and "*** (8 bytes)" in shown and "*** (17 bytes)" in written, shown)
        with check("ADM1: the tries left are shown; one try at a time; the last one only if forced; a blocked code not even then"):
            def codes():
                return [command for command in at.sent(VERIFY) if len(command) > 5]
            before = len(codes())
            done = at.gp("sim", "update", "iccid", "00", "--adm1", "7777777777777777", good=False)
            checks.that("tries are left" in done.stderr and "was wrong" in done.stderr, done.stderr)
            checks.same(len(codes()), before + 1, "VERIFY")
            while "last" not in done.stderr and "1 try is left" not in done.stderr:
                done = at.gp("sim", "read", "iccid", "--adm1", "7777777777777777", good=False)
                checks.that(len(codes()) < before + 20, "no end")
            count = len(codes())
            done = at.gp("sim", "read", "iccid", "--adm1", ADM, good=False)
            checks.that("force" in done.stderr, done.stderr)
            checks.same(len(codes()), count, "VERIFY")
            at.gp("sim", "read", "iccid", "--adm1", "7777777777777777", "--force", good=False)
            checks.same(len(codes()), count + 1, "VERIFY")
            done = at.gp("sim", "read", "iccid", "--adm1", ADM, "--force", good=False)
            checks.that("blocked" in done.stderr, done.stderr)
            checks.same(len(codes()), count + 1, "VERIFY")


def everything_in_json(check):
    with desk() as at:
        with check("each subcommand gives JSON"):
            path = cap_file(at.site.path("test.cap"), PACKAGE, [APPLET], padding=64)
            script = at.site.write("script.txt", "80CA004200 = 9000,6A88\n")
            key = ("--key", TEST_KEY)
            for words in (("info",), ("list", *key), ("identify",), ("cap", path), ("load", path, *key),
                          ("install", "--package", PACKAGE.hex(), "--applet", APPLET.hex(), *key), ("lock", APPLET.hex(), *key),
                          ("unlock", APPLET.hex(), *key), ("set-state", APPLET.hex(), "--state", "0F", *key),
                          ("update", APPLET.hex(), "--privileges", "00", *key), ("create-domain", DOMAIN_2, *key),
                          ("store-data", "--dgi", "0070=4203010203", *key), ("apdu", "80CA004200"), ("script", script, *key),
                          ("put-other-key", "--new-key", TOKEN_KEY, "--new-version", "71", *key, "--key-version", "01"),
                          ("delete", APPLET.hex(), *key, "--key-version", "01"), ("sim", "show"), ("sim", "read", "iccid")):
                checks.that(isinstance(at.ask(*words), dict), f"{words}")


def main():
    with checks.Checks() as check:
        for part in (domains, delegated, signed_files, large_files, cap_files, channels, response_mac_sessions, transport, put_key_policy, sim,
                     everything_in_json):
            part(check)
    return check.status


if __name__ == "__main__":
    sys.exit(main())
