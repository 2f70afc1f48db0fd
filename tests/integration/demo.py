#!/usr/bin/env python3
"""./dev demo: the whole system on this machine, every operation once, over real PC/SC and mutual TLS.

Prints for each step what happened, the commands that the card saw, the round trips, the time and the key check value. Last line
`demo: N passed, 0 failed`; exit status 0 only then. Leaves nothing running.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True
import cards  # noqa: E402
import installation  # noqa: E402

NUMBER_POOL = ("8613800000000", "8613800000099")
TYPED_NUMBER = "8613912345678"


class Demonstration:
    def __init__(self, site):
        self.site = site
        self.passed = 0
        self.failed = 0
        print(f"{'step':<58} {'APDUs':>5} {'trips':>5} {'ms':>7}  KCV", flush=True)

    def step(self, title, work, round_trips=None):
        """One step: what `work` returns is shown; an exception or another number of round trips fails it."""
        start = time.monotonic()
        try:
            result = work() or {}
            problem = None
            if round_trips is not None and result.get("round_trips") != round_trips:
                problem = f"{result.get('round_trips')} round trips instead of {round_trips}"
        except (installation.Failure, subprocess.SubprocessError, OSError, KeyError, ValueError) as failure:
            result, problem = {}, str(failure)
        milliseconds = (time.monotonic() - start) * 1000
        mark = "ok  " if problem is None else "FAIL"
        apdus, trips = result.get("apdus", ""), result.get("round_trips", "")
        print(f"{mark} {title:<53} {apdus:>5} {trips:>5} {milliseconds:>7.0f}  {result.get('kcv', '')}", flush=True)
        if result.get("text"):
            print(f"     {result['text']}", flush=True)
        if problem is None:
            self.passed += 1
        else:
            self.failed += 1
            print(f"     {problem}", flush=True)
        return result

    # -- what steps use --

    def operation(self, *arguments):
        return self.site.keyfill_json(*arguments, config="terminal")

    def refused(self, *arguments, because):
        """The operation must be refused with that code, and say so."""
        done = self.site.keyfill(*arguments, "--json", config="terminal", check=False)
        if done.returncode == 0:
            raise installation.Failure(f"keyfill {' '.join(arguments)} was not refused")
        problem = json.loads(done.stdout)
        if problem.get("type") != f"urn:keyfill:error:{because}":
            raise installation.Failure(f"refused with {problem.get('type')}, not {because}: {problem.get('detail')}")
        return {"text": f"refused: {problem['detail']}"}


def run(site):
    demo = Demonstration(site)
    step = demo.step
    maker_master, maker_parts = cards.components()
    adm_master, adm_parts = cards.components()

    step("certificates, configurations, units", lambda: start(site))
    step("terminal enrolled with a one-time code", lambda: {"text": site.enroll().stdout.strip()})
    step("pcscd with a virtual reader, terminal", lambda: (site.start_pcscd(), site.start_terminal()) and {})
    step("transport key: two components, entered on both sides", lambda: site.make_transport_key())
    step("base keys: generated, and entered as components",
         lambda: make_base_keys(site, maker_parts, adm_parts))
    step("base keys are at the key management unit: same KCVs", lambda: keys_arrived(site))
    step("profile, category, number pool, module registered", lambda: register(site))

    site.make_card("blank", cards.blueprint("89860012345678901230", "460001234567890", cards.maker_keys(maker_master),
                                            more=f'adm1_master_key: "{adm_master}"\nadm1_diversification: "{cards.ADM_LINE}"\n'))
    step("a blank card is inserted and read", lambda: insert_and_read(site, "blank"))
    filled = step("fill, number allocated", lambda: demo.operation("fill", "--allocate", "--plan", "5G-59",
                                                                   "--application-data", "https://pay.example/a"), 4)
    step("the card is read back: number on it, filled on record", lambda: read_back(site, filled))
    step("refill", lambda: demo.operation("refill"), 3)
    step("clear", lambda: demo.operation("clear"), 3)
    step("clear of a blank card ends at once", lambda: demo.operation("clear"))
    step("fill, number typed in", lambda: demo.operation("fill", "--number", TYPED_NUMBER, "--plan", "5G-99"), 4)
    step("application: load", lambda: demo.operation("app", "load", "transit"), 3)
    step("application: list", lambda: listed(demo, True), 3)
    step("application: delete", lambda: demo.operation("app", "delete", "transit"), 3)
    step("application: it is gone", lambda: listed(demo, False), 3)
    step("any other request is an error", lambda: demo.refused("operation", "format", because="KF_ERR_OPERATION"))

    foreign = site.make_card_with_foreign_key("blank", "foreign")
    step("refill of a card with a foreign key: refused, untouched",
         lambda: refused_untouched(demo, foreign, "refill", because="KF_ERR_CRYPTOGRAM"))
    site.make_card("imitation", cards.blueprint("89860012345678901248", "460001234567891", cards.published_test_keys()))
    step("fill of a program that imitates a card: refused",
         lambda: refused_untouched(demo, "imitation", "fill", "--number", "8613955555555", because="KF_ERR_CRYPTOGRAM"))
    step("units stopped", lambda: site.stop())
    return demo


def start(site):
    site.lay_out()
    site.start_units()
    return {"text": "bkmd, kmud (monitor, front and vault each), hostd; all traffic TLS 1.3 with certificates on both sides"}


def make_base_keys(site, maker_parts, adm_parts):
    site.generate_key("payment", "default", cards.PAYMENT_LINE)
    site.import_key("card-manager", "default", cards.MAKER_LINE, maker_parts)
    site.import_key("adm", "default", cards.ADM_LINE, adm_parts)
    return {}


def keys_arrived(site):
    """Pushed as soon as they changed: both sides show the same."""
    def values(unit):
        keys = site.keyfill_json("key", "list", config=f"officer-{unit}")["keys"]
        return {(key["purpose"], key["category"], key["version"]): key["kcv"] for key in keys
                if key["purpose"] in ("payment", "card-manager", "adm")}
    installation.wait_until("the keys to arrive", lambda: len(values("kmu")) == 3)
    there, here = values("bkmu"), values("kmu")
    if there != here:
        raise installation.Failure(f"the units have different keys: {there} and {here}")
    return {"kcv": " ".join(here.values())}


def register(site):
    site.register("security-domain", "cn-demo", prefixes=("86138", "86139"), iccid_prefixes=("898600",))
    site.keyfill("number", "add", "--first", NUMBER_POOL[0], "--last", NUMBER_POOL[1], config="administrator-host")
    cap = cards.cap_file(site.path("transit.cap"), bytes.fromhex("F000000001"), [bytes.fromhex("F00000000101")], padding=600)
    site.put_module("transit", cap)
    return {}


def insert_and_read(site, name):
    site.insert(name)
    shown = site.keyfill_json("card", config="terminal")
    return {"text": f"ICCID {shown['card']['iccid']}, IMSI {shown['card']['imsi']}, known: {shown['record'].get('known')}"}


def read_back(site, filled):
    shown = site.keyfill_json("card", config="terminal")
    number, record = shown["card"].get("number", "").lstrip("+"), shown["record"]
    if number != filled["number"] or record.get("state") != "filled" or record.get("number") != number:
        raise installation.Failure(f"the card shows number {number}, the record {record}")
    return {"text": f"number {number} on the card; record: {record['state']}, generation {record['generation']}"}


def listed(demo, expected):
    result = demo.operation("app", "list")
    aids = [each["aid"] for each in result["applications"]]
    if ("F00000000101" in aids) != expected:
        raise installation.Failure(f"the card lists {aids}")
    result["text"] = "on the card: " + ", ".join(aids)
    return result


def refused_untouched(demo, card, *arguments, because):
    demo.site.remove()
    demo.site.insert(card)
    before = demo.site.show_card(card)
    result = demo.refused(*arguments, because=because)
    if demo.site.show_card(card) != before:
        raise installation.Failure("the card was changed")
    return result


def main():
    folder = tempfile.mkdtemp(prefix="keyfill-demo-")
    os.chmod(folder, 0o755)
    failed = True
    with installation.Site(folder) as site:
        demo = run(site)
        failed = demo.failed > 0
        if failed:
            for log in sorted(site.path("logs").glob("*.log")):
                print(f"== {log.name}\n{log.read_text(encoding='utf-8', errors='replace')[-3000:]}", flush=True)
    shutil.rmtree(folder)
    print(f"demo: {demo.passed} passed, {demo.failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
