"""Counters: an issuing terminal with a card reader each, on a local socket; and the cards that are put into it.

    maker = counters.Maker(site)
    counter = counters.Counter(site, "counter-1")
    counter.insert(maker.card(1))
    counter.operation("fill", "--allocate")
"""
import contextlib
import json
import os
import re
import socket

import cards
import installation
import relay

NUMBER_OF_CARD = "89860012345678{:06d}"


class Maker:
    """A card maker: two master keys, and the cards whose keys come from them."""

    def __init__(self, site):
        self.site = site
        self.master, self.master_parts = cards.components()
        self.adm_master, self.adm_parts = cards.components()

    def hand_over(self, unit="bkmu"):
        """The maker's keys become base keys of a unit."""
        self.site.import_key("card-manager", "default", cards.MAKER_LINE, self.master_parts, unit=unit)
        self.site.import_key("adm", "default", cards.ADM_LINE, self.adm_parts, unit=unit)

    def card(self, index, iccid=None, msisdn="", more=""):
        """Makes a blank card; returns its name."""
        name = f"card-{index}"
        adm = f'adm1_master_key: "{self.adm_master}"\nadm1_diversification: "{cards.ADM_LINE}"\n'
        self.site.make_card(name, cards.blueprint(iccid or NUMBER_OF_CARD.format(index), f"46000{index:010d}",
                                                  cards.maker_keys(self.master), msisdn, adm + more))
        return name


class Counter:
    """An enrolled, running terminal. Its reader is a local socket, so that no pcscd is needed."""

    def __init__(self, site, name):
        self.site = site
        self.name = name
        self.slot = site.path(f"{name}.sock")
        folder = site.make_folder(name, installation.USERS["terminal"])
        self.socket = folder / "terminal.sock"
        self.enroll()
        config = site.write(f"{name}/terminal.yaml", f"""reader: "socket:{self.slot}"
socket: {self.socket}
host: https://127.0.0.1:{site.ports['host']}
ca: {site.path('ca.pem')}
certificate: {folder}/terminal.pem
private_key: {folder}/terminal.key
log_level: debug
""")
        site.write(f"clients/{name}.yaml", f"terminal_socket: {self.socket}\n")
        self.process = site.start(name, [installation.program("keyfill-terminald"), "--config", str(config)],
                                  installation.USERS["terminal"])
        self.process.wait_for(r"listening on ")

    def enroll(self):
        code = self.site.keyfill_json("terminal", "code", self.name, config="administrator-host")["code"]
        files = {ending: self.site.path(self.name, f"terminal.{ending}") for ending in ("pem", "key")}
        self.site.keyfill("terminal", "enroll", "--host", f"https://127.0.0.1:{self.site.ports['host']}", "--ca",
                          str(self.site.path("ca.pem")), "--code", code, "--certificate", str(files["pem"]), "--private-key",
                          str(files["key"]))
        for file in files.values():
            os.chown(file, installation.USERS["terminal"], installation.USERS["terminal"])

    def insert(self, card, tear=None):
        """Puts that card in, in place of the one that is there."""
        self.remove()
        arguments = [installation.program("keyfill-softcard"), "run", "--state", str(self.site.path("cards", f"{card}.card")),
                     "--socket", str(self.slot)]
        if tear is not None:
            arguments += ["--tear", tear]
        self.site.start(f"card-in-{self.name}", arguments).wait_for(r"(?m)^ready")
        os.chmod(self.slot, 0o666)
        return card

    def remove(self):
        self.site.stop_one(f"card-in-{self.name}")

    def operation(self, *arguments):
        return self.site.keyfill_json(*arguments, config=self.name)

    def say(self, *arguments):
        """What a person reads."""
        return self.site.keyfill(*arguments, config=self.name).stdout

    def refused(self, *arguments, because, status=None):
        """The operation has to be refused with that code; returns the sentence. `status`: the exit status."""
        done = self.site.keyfill(*arguments, "--json", config=self.name, check=False)
        if done.returncode == 0:
            raise installation.Failure(f"keyfill {' '.join(arguments)} was not refused: {done.stdout}")
        problem = json.loads(done.stdout)
        if problem.get("type") != f"urn:keyfill:error:{because}":
            raise installation.Failure(f"refused with {problem.get('type')}, not {because}: {problem.get('detail')}")
        if status is not None and done.returncode != status:
            raise installation.Failure(f"exit status {done.returncode} instead of {status}: {problem.get('detail')}")
        return problem["detail"]


def speak(site, card, *commands):
    """Commands to a card that is in no reader, each with the status word that it has to answer; digits."""
    slot = site.path("desk.sock")
    site.start("card-on-desk", [installation.program("keyfill-softcard"), "run", "--state", str(site.path("cards", f"{card}.card")),
                                "--socket", str(slot)]).wait_for(r"(?m)^ready")
    with socket.socket(socket.AF_UNIX) as wire, contextlib.ExitStack() as stack:
        stack.callback(site.stop_one, "card-on-desk")
        wire.connect(str(slot))
        relay.send_frame(wire, bytes([relay.POWER_ON]))
        for command, wanted in commands:
            relay.send_frame(wire, bytes.fromhex(command))
            answer = relay.receive_frame(wire).hex().upper()
            if not answer.endswith(wanted):
                raise installation.Failure(f"card {card} answers {command[:8]} with {answer}, not {wanted}")


def domain_keys(site, card, domain=installation.DOMAIN_AID):
    """Key version and check values that the card itself has in that security domain; None where there is no such domain."""
    shown = site.show_card(card)
    found = re.search(rf"(?m)^security domain {domain}:.*\n((?:  .*\n?)*)", shown)
    if found is None:
        return None
    keys = re.search(r"key set (\w\w): .*KCV 1:(\w+) 2:(\w+) 3:(\w+)", found.group(1))
    return (keys.group(1), list(keys.groups()[1:])) if keys else (None, [])


def domain_data(site, card, aid=installation.DOMAIN_AID):
    """The data of a security domain or an application on the card: {tag: size}."""
    found = re.search(rf"(?m)^(?:security domain|application) {aid}:.*\n((?:  .*\n?)*)", site.show_card(card))
    if found is None:
        return None
    return {tag: int(size) for tag, size in re.findall(r"data (\w{4}): (\d+) bytes", found.group(1))}
