"""What the tests of `keyfill gp` share: a simulated card, a relay that records what reaches it, and the program beside it."""
import contextlib
import json
import os
import subprocess

import checks
import installation
import relay

TEST_KEY = "404142434445464748494A4B4C4D4E4F"
OTHER_KEY = "A0112233445566778899AABBCCDDEEF1"
KDD = "00112233445566778899"
PACKAGE = bytes.fromhex("D2760000850101")
APPLET = bytes.fromhex("D276000085010101")
EXTERNAL_AUTHENTICATE, INITIALIZE_UPDATE, PUT_KEY, DELETE, GET_STATUS = 0x82, 0x50, 0xD8, 0xE4, 0xF2
VARIANTS = {  # personality, protocol
    "SCP03": ("usual", 3), "SCP03 S16": ("scp03-s16", 3), "SCP03 i=00": ("scp03-i00", 3),
    "SCP02 i=15": ("scp02-i15", 2), "SCP02 i=55": ("scp02-i55", 2),
}


class Desk:
    """A card, and the program beside it."""

    def __init__(self, site, wire, reader=None):
        self.site = site
        self.wire = wire
        self.reader = reader or f"socket:{wire.path}"

    def gp(self, *arguments, good=True):
        arguments = [str(word) for word in arguments]
        done = subprocess.run([installation.program("keyfill"), "gp", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=60,
                              env=dict(os.environ, KEYFILL_READER=self.reader))
        if good is not None:
            checks.same(done.returncode == 0, good, f"success of gp {' '.join(arguments[:1])} ({done.stdout} {done.stderr})")
        return done

    def ask(self, *arguments):
        return json.loads(self.gp(*arguments, "--json").stdout)

    def aids(self, key):
        return {item["aid"]: item.get("state") for item in self.ask("list", "--key", key)["items"]}

    def sent(self, instruction):
        return [exchange.command for exchange in self.wire.exchanges if exchange.command[1] == instruction]


@contextlib.contextmanager
def desk(personality="usual", issuer=None, more=""):
    with checks.site() as site:
        site.path("logs").mkdir()
        lines = issuer if issuer is not None else "  published-test-keys: true"
        site.make_card("gp", f'personality: "{personality}"\niccid: "8986011234567890123"\nimsi: "460001234567890"\nkdd: "{KDD}"\n'
                             f"issuer:\n{lines}\n{more}")
        site.insert_socket("gp")
        wire = relay.Relay(site.path("relay.sock"), card=site.path("card.sock"))
        wire.insert()
        try:
            yield Desk(site, wire)
        finally:
            wire.remove()


def key_of(size):
    return bytes(range(0xB0, 0xB0 + size)).hex().upper()
