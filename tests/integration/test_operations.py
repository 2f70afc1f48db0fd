#!/usr/bin/env python3
"""Every operation of the user's flow over the running units: what the card holds afterwards, what is said, how many round trips it took."""
import json
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
import card_keys  # noqa: E402
import cards  # noqa: E402
import checks  # noqa: E402
import counters  # noqa: E402
import clients  # noqa: E402
import installation  # noqa: E402

AN10922_LINE = "an10922-aes128(role,number/bcd/8/right-F,generation/binary/4,category/ascii/8)"
WITH_PLAN_LINE = "sp800-108-aes(role,number/bcd/8/right-F,generation/binary/4,plan/ascii/8/right-00)"

# Category, profile, prefixes of numbers and of ICCIDs. cn-south and cn-north lie inside cn-general's prefixes.
CATEGORIES = (
    ("cn-general", "security-domain", ("86138", "86139"), ("898600",)),
    ("cn-north", "security-domain", ("861381",), ()),
    ("cn-by-card", "security-domain", (), ("89860099",)),
    ("cn-plan", "security-domain", ("861382",), ()),
    ("cn-store", "security-domain-store-data", ("861383",), ()),
    ("cn-delivered", "security-domain-preloaded", ("861384",), ()),
    ("cn-data-first", "data-first", ("861385",), ()),
    ("cn-application", "security-domain-application", ("861386",), ()),
    ("cn-store-data-first", "store-data-first", ("861387",), ()),
    ("cn-files", "files", ("861388",), ()),
)
POOL = ("8613800000000", "8613800000049")
ISSUED = ["8613900000001", "8613900000002"]
APPLICATION = "F04B4559464C01"


def profile_text(shipped, **changes):
    """A profile that comes with keyfill, under another name and with other lines."""
    text = (installation.ROOT / "profiles" / f"{shipped}.yaml").read_text(encoding="utf-8")
    for key, value in changes.items():
        text, count = re.subn(rf"(?m)^( *){key}:.*$", rf"\g<1>{key}: {value}", text, count=1)
        checks.same(count, 1, f"lines {key} in profile {shipped}")
    return text


def own_profiles():
    files = profile_text("security-domain", name="files")
    files = files[:files.index("personalisation:")] + """personalisation:
  - field: plan
    place: sim-file
    path: 7F106FE1
"""
    return {
        "data-first": profile_text("security-domain", name="data-first", order="personalisation-first"),
        "store-data-first": profile_text("security-domain-store-data", name="store-data-first", order="personalisation-first"),
        "files": files,
    }


class Workplace:
    """The site with its keys, its categories, its counter."""

    def __init__(self, site):
        self.site = site
        site.lay_out()
        site.start_bkmu()
        site.start_kmu()
        site.pin_vaults()
        self.start_issuing_server()
        site.start_host()
        site.make_transport_key()
        self.keys = {}
        self.make_keys()
        for name, profile, prefixes, iccids in CATEGORIES:
            site.register(profile, name, prefixes, iccids, own_profiles().get(profile))
        site.keyfill("number", "add", "--first", POOL[0], "--last", POOL[1], config="administrator-host")
        self.maker = counters.Maker(site)
        self.maker.hand_over()
        self.counter = counters.Counter(site, "counter-1")
        installation.wait_until("the keys to arrive", self.keys_are_there)
        self.made = 0

    def start_issuing_server(self):
        site = self.site
        site.issue("issuing-server", "numbers", 0, "issuing-server")
        program = str(installation.BUILD / "tests" / "unit" / "host" / "test-issuing-server")
        files = {ending: str(site.path("issuing-server", f"issuing-server.{ending}")) for ending in ("pem", "key")}
        process = site.start("issuing-server", [program, "--port", "0", "--ca", str(site.path("ca.pem")), "--certificate",
                                                files["pem"], "--private-key", files["key"], *ISSUED])
        port = int(process.wait_for(r"listening on 127\.0\.0\.1:(\d+)").group(1))
        site.write_host_config(site.path("ca.pem"), f"issuing_server: https://127.0.0.1:{port}/hook\n")
        self.issuing_server = clients.Client(port, site.path("ca.pem"), files["pem"], files["key"])

    def make_keys(self):
        for category, line in (("default", cards.PAYMENT_LINE), ("cn-north", AN10922_LINE), ("cn-plan", WITH_PLAN_LINE)):
            self.keys[category], parts = cards.components()
            self.site.import_key("payment", category, line, parts)
        self.domain_master, parts = cards.components()
        self.site.import_key("card-manager", "preloaded-domain", cards.MAKER_LINE, parts)

    def keys_are_there(self):
        keys = self.site.keyfill_json("key", "list", config="officer-kmu")["keys"]
        return sum(key["purpose"] in ("payment", "card-manager", "adm") for key in keys) == len(self.keys) + 3

    def insert_blank(self, **how):
        """A new card in the reader; returns its name."""
        self.made += 1
        return self.counter.insert(self.maker.card(self.made, **how))

    def issued(self, number):
        """What the issuing server knows of a number."""
        found = [each for each in self.issuing_server.get("/hook/numbers").json["numbers"] if each["number"] == number]
        return found[0]["state"]

    def card_has_keys(self, card, keys, key_version="30"):
        wanted = (key_version, card_keys.check_values(keys))
        checks.same(counters.domain_keys(self.site, card), wanted, "key set on the card")


def expect(result, **members):
    for name, wanted in members.items():
        checks.same(result.get(name) or None, wanted or None, name)


def number_sources(work, check):
    counter, site = work.counter, work.site

    with check("fill with the number read from the card: one base key serves everything; SP 800-108; 4 round trips"):
        card = work.insert_blank(msisdn="8613800001111")
        filled = counter.operation("fill", "--number-from-card", "--plan", "5G-59", "--application-data", "https://pay.example/a")
        keys = card_keys.payment_keys(work.keys["default"], "8613800001111", 1)
        expect(filled, number="8613800001111", category="cn-general", generation=1, base_key_version=1, round_trips=4,
               kcv=card_keys.check_value(keys[0]), personalised=["plan", "application_data"])
        work.card_has_keys(card, keys)
        checks.same(counters.domain_data(site, card), {"0045": 5, "5F50": 21}, "data in the domain")

    with check("the trace of a fill shows each command with its round trip; all that follows INITIALIZE UPDATE comes wrapped at once"):
        trace = filled["trace"]
        checks.same(sorted({line["round_trip"] for line in trace}), [1, 2, 3], "round trips with commands")
        labels = [[line["label"] for line in trace if line["round_trip"] == trip] for trip in (1, 2, 3)]
        checks.same(labels[0][-1], "INITIALIZE UPDATE", "last of the first script")
        checks.that("EXTERNAL AUTHENTICATE" in labels[1] and "INSTALL security domain" in labels[1], f"second script: {labels[1]}")
        checks.that("PUT KEY" in labels[2] and "STORE DATA to the security domain" in labels[2], f"third script: {labels[2]}")
        checks.same([line["status_word"] for line in trace[-3:]], ["9000"] * 3, "last status words")
        checks.same(filled["apdus"], len(trace), "number of commands")

    with check("a card that is filled is not filled again, and says what to do"):
        before = site.show_card(card)
        detail = counter.refused("fill", "--allocate", because="KF_ERR_STATE", status=1)
        checks.that("refill" in detail and "8613800001111" in detail, detail)
        checks.same(site.show_card(card), before, "the card")

    with check("fill with a number from the pool: written to EF.MSISDN under the card's own ADM1 and read back"):
        card = work.insert_blank()
        filled = counter.operation("fill", "--allocate")
        labels = [line["label"] for line in filled["trace"]]
        checks.that({"VERIFY ADM1", "UPDATE RECORD EF.MSISDN", "READ RECORD EF.MSISDN"} <= set(labels), f"trace: {labels}")
        expect(filled, number=POOL[0], round_trips=4)
        checks.that(f"msisdn: {POOL[0]}\n" in site.show_card(card), site.show_card(card))
        read = counter.operation("card")
        checks.same(read["card"]["number"], POOL[0], "number read from the card")

    with check("fill with a number that the customer chose: it is not written to the card"):
        card = work.insert_blank()
        expect(counter.operation("fill", "--number", "8613800002222"), number="8613800002222", round_trips=4)
        work.card_has_keys(card, card_keys.payment_keys(work.keys["default"], "8613800002222", 1))
        checks.that("msisdn: \n" in site.show_card(card), site.show_card(card))

    with check("fill with a number of the operator's issuing server: reserved, bound; released after clear"):
        site.keyfill("order", "put", "issued", "--number-source", "issuing-server", config="administrator-host")
        card = work.insert_blank()
        filled = counter.operation("fill", "--allocate", "--order", "issued")
        expect(filled, number=ISSUED[0], category="cn-general")
        installation.wait_until("the issuing server to be told of the card", lambda: work.issued(ISSUED[0]) == "bound")
        counter.operation("clear")
        installation.wait_until("the issuing server to be told of the clear", lambda: work.issued(ISSUED[0]) == "released")

    with check("a fill that is refused gives the issuing server its number back"):
        work.insert_blank()
        counter.refused("fill", "--allocate", "--order", "issued", "--category", "cn-nowhere", because="KF_ERR_CATEGORY", status=1)
        installation.wait_until("the number to come back", lambda: work.issued(ISSUED[1]) == "free")

    with check("an issuing server that refuses, or does not answer, ends the fill before the card is touched"):
        card = work.insert_blank()
        before = site.show_card(card)
        work.issuing_server.post("/hook/mode", {"mode": "refusing"})
        counter.refused("fill", "--allocate", "--order", "issued", because="KF_ERR_NO_NUMBER", status=1)
        work.issuing_server.post("/hook/mode", {"mode": "unavailable"})
        counter.refused("fill", "--allocate", "--order", "issued", because="KF_ERR_BUSY", status=3)
        work.issuing_server.post("/hook/mode", {"mode": "good"})
        checks.same(site.show_card(card), before, "the card")
        expect(counter.operation("fill", "--allocate", "--order", "issued"), number=ISSUED[1])


def categories_and_keys(work, check):
    counter = work.counter

    with check("a category's own base key goes before `default`; the longest prefix of the number finds it; AN10922"):
        card = work.insert_blank()
        filled = counter.operation("fill", "--number", "8613810000001")
        keys = card_keys.payment_keys(work.keys["cn-north"], "8613810000001", 1, card_keys.an10922, b"cn-north")
        expect(filled, category="cn-north", kcv=card_keys.check_value(keys[0]))
        work.card_has_keys(card, keys)

    with check("the category that a request names goes before prefixes"):
        card = work.insert_blank()
        expect(counter.operation("fill", "--number", "8613800003333", "--category", "cn-north"), category="cn-north")
        keys = card_keys.payment_keys(work.keys["cn-north"], "8613800003333", 1, card_keys.an10922, b"cn-north")
        work.card_has_keys(card, keys)

    with check("where no prefix of a number fits, the longest of the ICCID finds the category"):
        card = work.insert_blank(iccid="89860099000000000001")
        expect(counter.operation("fill", "--number", "8615500000001"), category="cn-by-card")
        work.card_has_keys(card, card_keys.payment_keys(work.keys["default"], "8615500000001", 1))

    with check("no category fits: the fill is refused with the number named"):
        work.insert_blank(iccid="89990000000000000001")
        detail = counter.refused("fill", "--number", "8615500000002", because="KF_ERR_CATEGORY", status=1)
        checks.that("8615500000002" in detail, detail)

    with check("personalisation is part of the derivation where the base key says so; refill remembers it"):
        card = work.insert_blank()
        filled = counter.operation("fill", "--number", "8613820000001", "--plan", "5G-99")
        plan = b"5G-99\x00\x00\x00"
        expect(filled, category="cn-plan", personalised=["plan"])
        work.card_has_keys(card, card_keys.payment_keys(work.keys["cn-plan"], "8613820000001", 1, more=plan))
        counter.operation("refill")
        work.card_has_keys(card, card_keys.payment_keys(work.keys["cn-plan"], "8613820000001", 2, more=plan))

    with check("where it is missing, the fill is refused before the card is changed"):
        card = work.insert_blank()
        before = work.site.show_card(card)
        detail = counter.refused("fill", "--number", "8613820000002", because="KF_ERR_DIVERSIFICATION", status=1)
        checks.that("plan" in detail, detail)
        checks.same(work.site.show_card(card), before, "the card")


def profiles(work, check):
    counter, site = work.counter, work.site

    with check("store-data: the key goes through the issuer domain, 3 round trips"):
        card = work.insert_blank()
        filled = counter.operation("fill", "--number", "8613830000001", "--plan", "5G-59")
        expect(filled, category="cn-store", round_trips=3, personalised=["plan"])
        work.card_has_keys(card, card_keys.payment_keys(work.keys["default"], "8613830000001", 1))
        checks.same(counters.domain_data(site, card), {"0045": 5}, "data in the domain")
        expect(counter.operation("refill"), generation=2, round_trips=3)
        expect(counter.operation("clear"), round_trips=3)
        checks.same(counters.domain_keys(site, card), None, "security domain after clear")

    with check("preloaded: the maker's key set is replaced, 3 round trips; clear puts it back"):
        domain = f"""domains:
  - aid: "{installation.DOMAIN_AID}"
    key_version: "21"
    master_key: "{work.domain_master}"
    diversification: "{cards.MAKER_LINE}"
"""
        card = work.insert_blank(more=domain)
        delivered = counters.domain_keys(site, card)
        filled = counter.operation("fill", "--number", "8613840000001", "--plan", "5G-59")
        expect(filled, category="cn-delivered", round_trips=3)
        work.card_has_keys(card, card_keys.payment_keys(work.keys["default"], "8613840000001", 1))
        expect(counter.operation("refill"), generation=2, round_trips=3)
        expect(counter.operation("clear"), round_trips=3)
        checks.same(counters.domain_keys(site, card)[1], delivered[1], "key set after clear")
        checks.same(counters.domain_data(site, card).get("0045", 0), 0, "plan after clear")
        expect(counter.operation("fill", "--number", "8613840000001"), generation=3, round_trips=3)

    with check("preloaded: a card without that domain is refused with the reason"):
        work.insert_blank()
        detail = counter.refused("fill", "--number", "8613840000002", because="KF_ERR_CARD_UNSUITABLE", status=4)
        checks.that("security domain" in detail, detail)

    with check("order personalisation-first: data before the key, same round trips"):
        card = work.insert_blank()
        filled = counter.operation("fill", "--number", "8613850000001", "--plan", "5G-59")
        labels = [line["label"] for line in filled["trace"]]
        checks.that(labels.index("STORE DATA to the security domain") < labels.index("PUT KEY"), f"trace: {labels}")
        expect(filled, round_trips=4, personalised=["plan"])
        work.card_has_keys(card, card_keys.payment_keys(work.keys["default"], "8613850000001", 1))
        work.insert_blank()
        expect(counter.operation("fill", "--number", "8613870000001", "--plan", "5G-59"), round_trips=3, personalised=["plan"])

    with check("a file of the SIM takes personalisation; clear blanks it"):
        card = work.insert_blank()
        expect(counter.operation("fill", "--number", "8613880000001", "--plan", "5G-59"), personalised=["plan"], round_trips=4)
        checks.that("operator file: 35472D3539FF" in site.show_card(card), site.show_card(card))
        counter.operation("clear")
        checks.that("operator file: FFFFFFFF" in site.show_card(card), site.show_card(card))


def application_profile(work, check):
    counter, site = work.counter, work.site
    package = cards.cap_file(site.path("payment.cap"), bytes.fromhex("F04B4559464C"), [bytes.fromhex(APPLICATION)])
    site.put_module("payment", package)

    with check("an application is a place for data, and for a secret that the vault derives: 16 bytes that no log or trace shows"):
        card = work.insert_blank()
        counter.operation("app", "load", "payment")
        filled = counter.operation("fill", "--number", "8613860000001", "--plan", "5G-59", "--application-data", "a")
        expect(filled, category="cn-application", round_trips=5,
               personalised=["plan", "application_secret", "application_data"])
        checks.same(counters.domain_data(site, card, APPLICATION), {"0101": 5, "8E01": 16}, "data in the application")
        checks.same(counters.domain_data(site, card), {"5F50": 1}, "data in the domain")
        work.card_has_keys(card, card_keys.payment_keys(work.keys["default"], "8613860000001", 1))

    with check("two cards have two secrets; refill leaves a card its own; clear takes it away"):
        secret = application_secret(site, card)
        counter.operation("refill")
        checks.same(application_secret(site, card), secret, "secret after refill")
        counter.operation("clear")
        checks.same(counters.domain_data(site, card, APPLICATION).get("8E01", 0), 0, "secret after clear")
        other = work.insert_blank()
        counter.operation("app", "load", "payment")
        counter.operation("fill", "--number", "8613860000002", "--plan", "5G-59")
        checks.different(application_secret(site, other), secret, "secret")


def application_secret(site, card):
    """Out of the file in which the simulated card keeps its state: 8E01 and 16 bytes behind it."""
    content = site.path("cards", f"{card}.card").read_bytes()
    found = re.search(rb"\x8E\x01(?:\x00{0,3}\x10|\x10\x00{0,3})(.{16})", content, re.S)
    checks.that(found is not None, "the card's file holds no grouping 8E01")
    return found.group(1)


def personalisation_kept(work, check):
    counter, site = work.counter, work.site
    there, ours = "operator file: 4F4C4420504C414E", "operator file: 35472D3939FF"
    card = work.insert_blank()
    counter.remove()
    adm = card_keys.adm(work.maker.adm_master, re.search(r"iccid: (\d+)", site.show_card(card)).group(1))
    counters.speak(site, card, ("0020000A08" + adm.hex(), "9000"), ("00A40804047F106FE1", "9000"),
                   ("00D6000008" + b"OLD PLAN".hex(), "9000"))
    checks.that(there in site.show_card(card), "the card did not take the data that the test prepares")
    counter.insert(card)

    def fill(*how):
        return counter.operation("fill", "--number", "8613880000009", "--plan", "5G-99", *how)

    with check("a card that already has personalisation keeps it, and the result says so"):
        expect(fill(), kept=["plan"], personalised=None)
        checks.that(there in site.show_card(card), site.show_card(card))

    with check("--personalise never writes none"):
        counter.operation("clear")
        expect(fill("--personalise", "never"), personalised=None)
        checks.that(there in site.show_card(card), site.show_card(card))

    with check("--personalise always writes over it"):
        counter.operation("clear")
        expect(fill("--personalise", "always"), personalised=["plan"], kept=None)
        checks.that(ours in site.show_card(card), site.show_card(card))

    with check("--personalise never on an empty card leaves its domain without data"):
        card = work.insert_blank()
        expect(counter.operation("fill", "--allocate", "--plan", "5G-59", "--personalise", "never"), personalised=None, kept=None)
        checks.same(counters.domain_data(site, card), {}, "data in the domain")


def lifecycle(work, check):
    counter, site = work.counter, work.site

    with check("refill: the card proves its key, then the next generation replaces it in 3 round trips"):
        card = work.insert_blank()
        blank = without_tries(site.show_card(card))
        counter.operation("fill", "--allocate", "--plan", "5G-59")
        number = counter.operation("card")["record"]["number"]
        for generation in (2, 3):
            refilled = counter.operation("refill")
            keys = card_keys.payment_keys(work.keys["default"], number, generation)
            expect(refilled, number=number, generation=generation, round_trips=3, kcv=card_keys.check_value(keys[0]))
            work.card_has_keys(card, keys)
        checks.same(counters.domain_data(site, card), {"0045": 5}, "data in the domain after refill")

    with check("refill of a card with a foreign key is refused, and the card left as it is"):
        foreign = site.make_card_with_foreign_key(card, "foreign")
        before = site.show_card(foreign)
        counter.insert(foreign)
        detail = counter.refused("refill", because="KF_ERR_CRYPTOGRAM", status=4)
        checks.that("untouched" in detail, detail)
        detail = counter.refused("clear", because="KF_ERR_CRYPTOGRAM", status=4)
        checks.same(site.show_card(foreign), before, "the card")

    with check("clear: key and personalisation are off the card, in 3 round trips; again: it is blank, and nothing is changed"):
        counter.insert(card)
        expect(counter.operation("clear"), round_trips=3)
        checks.same(without_tries(site.show_card(card)), blank, "the card")
        before = site.show_card(card)
        cleared = counter.operation("clear")
        checks.that("blank" in cleared["text"] and cleared["round_trips"] <= 3, json.dumps(cleared))
        checks.same(site.show_card(card), before, "the card")
        counter.refused("refill", because="KF_ERR_STATE", status=1)

    with check("a cleared card is filled again, with a higher generation than it ever had"):
        filled = counter.operation("fill", "--number", "8613800004444")
        expect(filled, generation=4, round_trips=4)
        work.card_has_keys(card, card_keys.payment_keys(work.keys["default"], "8613800004444", 4))

    with check("a blank card that was never filled is cleared at once"):
        card = work.insert_blank()
        before = site.show_card(card)
        checks.that("blank" in counter.operation("clear")["text"], "the text does not say that it was blank")
        checks.same(site.show_card(card), before, "the card")


def without_tries(text):
    """What the card holds; a clear need not undo what was counted."""
    return re.sub(r"failures \d+|\(\d+ tries\)", "", text)


def applications(work, check):
    counter, site = work.counter, work.site
    package, applet = "F000000001", "F00000000101"
    cap = cards.cap_file(site.path("transit.cap"), bytes.fromhex(package), [bytes.fromhex(applet)], padding=1500)

    def listed():
        result = counter.operation("app", "list")
        expect(result, round_trips=3)
        return [each["aid"] for each in result["applications"]]

    with check("a module is registered by name, loaded, installed, listed and deleted, 3 round trips each"):
        registered = site.put_module("transit", cap)
        digest = subprocess.run(["sha256sum", str(cap)], check=True, stdout=subprocess.PIPE, text=True).stdout.split()[0]
        checks.same(registered["digest"].lower(), digest, "digest")
        work.insert_blank()
        checks.that(applet not in listed(), "the applet is there before")
        expect(counter.operation("app", "load", "transit"), round_trips=3)
        now = listed()
        checks.that(package in now and applet in now, f"listed: {now}")
        expect(counter.operation("app", "delete", "transit"), round_trips=3)
        now = listed()
        checks.that(package not in now and applet not in now, f"listed: {now}")

    with check("a module that is not registered is refused by name; a file that is no CAP file is not registered"):
        detail = counter.refused("app", "load", "nosuch", because="KF_ERR_MODULE", status=1)
        checks.that("nosuch" in detail, detail)
        wrong = site.write("wrong.cap", "no zip at all")
        done = site.keyfill("module", "put", "wrong", str(wrong), "--json", config="administrator-kmu", check=False)
        checks.same((done.returncode, json.loads(done.stdout)["type"]), (1, "urn:keyfill:error:KF_ERR_CAP_FILE"), "refusal")

    with check("any other request is a clear error, and the process ends"):
        detail = counter.refused("operation", "format", because="KF_ERR_OPERATION", status=2)
        checks.that("format" in detail and "refill" in detail, detail)


def what_people_read(work, check):
    counter = work.counter

    with check("keyfill card shows reader, ATR, identifiers, card data decoded, key versions, and the record"):
        work.insert_blank()
        shown = counter.say("card")
        for wanted in (r"ATR +3B[0-9A-F]+", r"ICCID +\d{20}", r"IMSI +46000\d+", r"number +\(.+\)", r"secure channel +SCP03 i=70",
                       r"keys +version 01, identifier 01, type 88 of 16 bytes", r"(?s)CPLC\n.*[Ff]abricat", r"record +none"):
            checks.that(re.search(wanted, shown) is not None, f"no {wanted!r} in: {shown}")
        counter.operation("fill", "--allocate")
        shown = counter.say("card")
        for wanted in (r"number +\+?8613800\d+", r"record +kdd:\w+, filled", r"number +8613800", r"category +cn-general",
                       r"key generation +1", r"base key version +1"):
            checks.that(re.search(wanted, shown) is not None, f"no {wanted!r} in: {shown}")

    with check("a number behind PIN1 is not readable, and PIN1 may be given"):
        work.insert_blank(msisdn="8613800005555", more="msisdn_needs_pin: true\nimsi_needs_pin: true\n")
        shown = counter.operation("card")
        checks.that("number" not in shown["card"] and "PIN1" in shown["readable"]["number"], json.dumps(shown))
        counter.refused("fill", "--number-from-card", because="KF_ERR_FIELD")
        expect(counter.operation("fill", "--number-from-card", "--pin1=1234"), number="8613800005555")

    with check("human output: the sentence, the check value, round trips and the trace; --json: the same as JSON"):
        work.insert_blank()
        said = counter.say("fill", "--allocate", "--plan", "5G-59")
        for wanted in (r"^filled: number 86138\d+, key generation 1, KCV [0-9A-F]{6}\n", r"round trips +4\n", r"personalised +plan\n",
                       r"(?m)^ *3 +PUT KEY +9000 "):
            checks.that(re.search(wanted, said) is not None, f"no {wanted!r} in: {said}")
        said = json.loads(counter.site.keyfill("refill", "--json", config="counter-1").stdout)
        expect(said, operation="refill", round_trips=3, generation=2)
        refused = counter.site.keyfill("fill", "--allocate", config="counter-1", check=False)
        checks.that(refused.returncode == 1 and "ask for refill or clear" in refused.stderr, refused.stderr)

    with check("no card in the reader: said in one sentence, exit status 4"):
        counter.remove()
        counter.refused("fill", "--allocate", because="KF_ERR_NO_CARD", status=4)


def main():
    os.environ["LC_ALL"] = "C"
    with checks.site() as site, checks.Checks(site) as check:
        work = Workplace(site)
        for part in (number_sources, categories_and_keys, profiles, application_profile, personalisation_kept, lifecycle, applications,
                     what_people_read):
            part(work, check)
    return check.status


if __name__ == "__main__":
    sys.exit(main())
