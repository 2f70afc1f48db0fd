#!/usr/bin/env python3
"""No key and no secret value is ever in the memory, logs, databases or files of host and terminal: they are searched while a fill and a refill
stand still, before and after each command that carries one, and at the end. Likewise the front of the key management unit."""
import os
import re
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
import cards  # noqa: E402
import checks  # noqa: E402
import clients  # noqa: E402
import installation  # noqa: E402
import ready  # noqa: E402
import relay  # noqa: E402
from memory_search import files, found, memory  # noqa: E402

INITIALIZE_UPDATE, PUT_KEY, STORE_DATA = 0x50, 0xD8, 0xE2
APPLICATION = "F04B4559464C01"  # of profiles/security-domain-application.yaml
APPLICATION_DATA = "https://pay.example/a-text-that-passes"
INDEX = 1
NUMBER = ready.NUMBER.format(INDEX)


def oracle(*arguments):
    """{name: hex digits} from key-oracle."""
    done = subprocess.run([str(installation.BUILD / "tests" / "integration" / "key-oracle"), *arguments], check=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    return dict(line.split() for line in done.stdout.splitlines())


# -- the search --

class Search:
    """Host, terminal, front: their memory and what they leave on disk."""

    def __init__(self, site):
        self.site = site

    def places(self):
        logs = self.site.path("logs")
        return {"terminal": (self.site.processes["terminal"].pid, [self.site.path("terminal"), logs / "terminal.log"]),
                "host": (self.site.processes["host"].pid, [self.site.path("host"), logs / "host.log"]),
                "front": (ready.children(self.site, "kmu")["front"], [self.site.path("kmu", "records"), logs / "kmu.log"])}

    def hits(self, values):
        """[(value, where)] of all that is found."""
        hits = []
        for who, (pid, places) in self.places().items():
            hits += [(name, f"memory of {who}") for name in found(values, memory(pid))]
            for path, content in files(*places):
                hits += [(name, str(path)) for name in found(values, content)]
        return hits


# -- what must not be found --

class Known:
    """The keys of the card in hand, computed from the base keys."""

    def __init__(self, made, wire):
        self.made = made
        self.wire = wire
        self.identity_data = ready.ICCID.format(INDEX)  # the simulated card's key diversification data
        self.maker = oracle("card", made.maker, cards.MAKER_LINE, f"kdd={self.identity_data}")
        self.session_count = 0

    def card(self, generation):
        return oracle("card", self.made.payment, cards.PAYMENT_LINE, f"number={NUMBER}", f"generation={generation}")

    def personalisation(self, generation):
        return oracle("personalisation", self.card(generation)["SINGLE"], "application_secret", f"kdd:{self.identity_data}", "16")["VALUE"]

    def sessions(self, key_sets):
        """Session keys of every channel so far: which keys opened it, its cryptogram says."""
        values = {}
        self.session_count = 0
        for number, exchange in enumerate(self.wire.exchanges):
            answer = exchange.answer
            if exchange.command[1] != INITIALIZE_UPDATE or answer is None or answer[-2:] != b"\x90\x00":
                continue
            challenge, cryptogram = answer[13:21].hex(), answer[21:29].hex().upper()
            for name, keys in key_sets.items():
                session = oracle("session", keys["ENC"], keys["MAC"], exchange.command[5:13].hex(), challenge)
                if session.pop("CRYPTOGRAM") == cryptogram:
                    self.session_count += 1
                    values.update({f"{key} of channel {number} ({name})": digits for key, digits in session.items()})
        return values

    def secrets(self, generations):
        """Everything that nobody but vault and card may know."""
        key_sets = {"card maker's keys": self.maker}
        key_sets.update({f"generation {each}": self.card(each) for each in generations})
        values = {"base key payment": self.made.payment, "base key card-manager": self.made.maker, "base key adm": self.made.adm}
        for name, keys in key_sets.items():
            values.update({f"{role} of {name}": keys[role] for role in ("ENC", "MAC", "DEK", "SINGLE")})
        values.update({f"application_secret of generation {each}": self.personalisation(each) for each in generations})
        values.update(self.sessions(key_sets))
        return values


def none_found(search, values):
    hits = search.hits(values)
    checks.that(not hits, f"found: {hits}")


def in_files(hits, name, folder):
    return any(found_name == name and place.startswith(str(folder)) for found_name, place in hits)


# -- operations that stand still --

def stop_points(operation):
    """Matches and whether the card has answered: where the operation is held."""
    stops = [(relay.instruction(PUT_KEY), False, "before PUT KEY"), (relay.instruction(PUT_KEY), True, "after PUT KEY")]
    if operation == "fill":
        for number in (1, 2):
            stops.append((relay.instruction(STORE_DATA, nth=number), False, f"before STORE DATA {number}"))
            stops.append((relay.instruction(STORE_DATA, nth=number), True, f"after STORE DATA {number}"))
    return stops


def held(site, wire, arguments, look):
    """Runs `keyfill ARGUMENTS`; `look(where)` at every stop. Gives the result."""
    wire.clear()
    gates = [(where, wire.gate(match, after)) for match, after, where in stop_points(arguments[0])]
    command = [installation.program("keyfill"), *arguments, "--json", "--config", str(site.path("clients", "terminal.yaml"))]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            for where, gate in gates:
                installation.wait_until(f"keyfill {arguments[0]}, {where}",
                                        lambda gate=gate: gate.reached or process.poll() is not None)
                checks.that(gate.reached, f"keyfill {arguments[0]} ended {where}")
                look(where)
                gate.open()
            output, _ = process.communicate(timeout=installation.DEADLINE)
        finally:
            for _, gate in gates:
                gate.open()
            process.kill()
    checks.same(process.returncode, 0, f"exit status of keyfill {arguments[0]}: {output}")
    return output


def fill_arguments(plan):
    return ["fill", "--number", NUMBER, "--plan", plan, "--application-data", APPLICATION_DATA]


def prepare(site):
    """The card needs the application that the profile personalises: any applet of that AID is one to the simulated card."""
    made = ready.Ready(site, profile="security-domain-application")
    made.insert(INDEX)
    cap = cards.cap_file(site.path("payment.cap"), bytes.fromhex(APPLICATION[:-2]), [bytes.fromhex(APPLICATION)])
    site.put_module("payment", cap)
    return made


def searched_fill(search, known, wire, check):
    site = search.site
    values = known.secrets([1])
    text = {"application data": APPLICATION_DATA.encode().hex(), "number": NUMBER.encode().hex()}

    def look(where):
        with check(f"fill, {where}: no key, session key or secret value at host, terminal and front"):
            values.update(known.secrets([1]))
            checks.that(known.session_count > 0, "no channel was seen: nothing would be searched for")
            none_found(search, values)
        if where == "before PUT KEY":
            with check("the search can fail: it finds application data and number, which do pass, in memory and databases"):
                hits = search.hits(text)
                checks.among(("application data", "memory of terminal"), hits, "found")
                checks.among(("number", "memory of terminal"), hits, "found")
                for name, folder in (("application data", "kmu"), ("number", "kmu"), ("number", "host")):
                    checks.that(in_files(hits, name, site.path(folder)), f"{name} not found in the files of {folder}: {hits}")
    output = held(site, wire, fill_arguments("5G-59"), look)
    with check("what is searched for is what the card holds: key check value, and every channel's cryptogram"):
        checks.same(re.search(r'"kcv": "(\w+)"', output).group(1), known.card(1)["KCV"], "key check value")
        values.update(known.secrets([1]))
        channels = [each for each in wire.exchanges if each.command[1] == INITIALIZE_UPDATE and each.answer[-2:] == b"\x90\x00"]
        checks.same(known.session_count, len(channels), "channels whose keys are known")
        checks.that(len(channels) >= 2, f"{len(channels)} channels")
    return values


def searched_refill(search, known, wire, check, values):
    def look(where):
        with check(f"refill, {where}: no key and no session key at host, terminal and front"):
            values.update(known.secrets([1, 2]))
            none_found(search, values)
    held(search.site, wire, ["refill"], look)
    with check("at the end: nothing in memory, logs, databases and files"):
        values.update(known.secrets([1, 2]))
        none_found(search, values)


def can_fail(search, check, values):
    site = search.site
    with check("the search can fail: the vault, which must know the base keys, is seen to hold them"):
        vault = memory(ready.children(site, "kmu")["vault"])
        checks.same(sorted(found({name: digits for name, digits in values.items() if name.startswith("base key")}, vault)),
                    ["base key adm", "base key card-manager", "base key payment"], "found in the vault")
    with check("the search can fail: a key planted as a personalisation value is found in the memory of host and terminal"):
        planted_in_memory(search)
    with check("the search can fail: a key planted in an order is found in the host's files, a request's id in its log"):
        planted_in_files(search)


def planted_in_memory(search):
    site = search.site
    planted = {"planted key": cards.components()[0]}
    checks.that(not search.hits(planted), "it is there before it was planted")
    site.keyfill("clear", config="terminal")
    command = [installation.program("keyfill"), *fill_arguments(planted["planted key"].lower()), "--json", "--config",
               str(site.path("clients", "terminal.yaml"))]
    front = ready.children(site, "kmu")["front"]
    os.kill(front, signal.SIGSTOP)  # so that host and terminal stand still with the request in hand
    try:
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
            try:
                for who in ("host", "terminal"):
                    pid = site.processes[who].pid
                    installation.wait_until(f"the planted key in the memory of the {who}", lambda pid=pid: found(planted, memory(pid)))
            finally:
                os.kill(front, signal.SIGCONT)
                process.wait(installation.DEADLINE)
        checks.same(process.returncode, 0, "exit status of the fill")
    finally:
        os.kill(front, signal.SIGCONT)
    checks.that(in_files(search.hits(planted), "planted key", site.path("kmu")), "not found in the unit's database")


def planted_in_files(search):
    site = search.site
    planted = {"planted key": cards.components()[0]}
    administrator = clients.Client.of_role(site, "administrator", "planter", "host")
    checks.same(administrator.put("/v1/orders/planted", {"personalisation": {"plan": planted["planted key"]}}).status, 200, "status")
    checks.that(in_files(search.hits(planted), "planted key", site.path("host")), "not found in the host's files")
    identifier = site.keyfill_json("refill", config="terminal")["id"]
    checks.that(in_files(search.hits({"id": identifier}), "id", site.path("logs", "host.log")), "not found in the host's log")


def main():
    with checks.site() as site, checks.Checks(site) as check:
        made = prepare(site)
        with relay.Relay(site.path("reader.sock"), site.path("card.sock")) as wire:
            with check("the payment application is loaded"):
                site.keyfill("app", "load", "payment", config="terminal")
            search = Search(site)
            known = Known(made, wire)
            values = searched_fill(search, known, wire, check)
            searched_refill(search, known, wire, check, values)
            can_fail(search, check, values)
    return check.status


if __name__ == "__main__":
    sys.exit(main())
