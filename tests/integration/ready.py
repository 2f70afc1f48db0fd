"""A site on which cards can be filled: units, base keys that the test knows, a profile, a category, a terminal on a local socket."""
import contextlib
import pathlib
import sqlite3
import sys

sys.dont_write_bytecode = True
import cards  # noqa: E402
import installation  # noqa: E402

CATEGORY = "cn-test"
ICCID = "8986001234567890{:04d}"
IMSI = "46000123456{:04d}"
NUMBER = "861380013{:04d}"


class Ready:
    """`payment`, `maker`, `adm`: the base keys as hex digits. Cards are made by index: card(3)."""

    def __init__(self, site, profile="security-domain", profile_text=None, terminal=True):
        self.site = site
        self.payment, payment_parts = cards.components()
        self.maker, maker_parts = cards.components()
        self.adm, adm_parts = cards.components()
        site.lay_out()
        site.lay_out_terminal(site.path("ca.pem"), reader=f"socket:{site.path('reader.sock')}")
        site.start_units()
        # Entered at the key management unit itself: it works without the other, too.
        site.import_key("payment", "default", cards.PAYMENT_LINE, payment_parts, unit="kmu")
        site.import_key("card-manager", "default", cards.MAKER_LINE, maker_parts, unit="kmu")
        site.import_key("adm", "default", cards.ADM_LINE, adm_parts, unit="kmu")
        site.register(profile, CATEGORY, prefixes=("86138",), iccid_prefixes=("898600",), profile_text=profile_text)
        if terminal:
            site.enroll()
            site.start_terminal()

    def make_card(self, index, more=""):
        """The name of a blank card of its own."""
        name = f"card-{index}"
        self.site.make_card(name, cards.blueprint(
            ICCID.format(index), IMSI.format(index), cards.maker_keys(self.maker),
            more=f'adm1_master_key: "{self.adm}"\nadm1_diversification: "{cards.ADM_LINE}"\n{more}'))
        return name

    def insert(self, index, more=""):
        """A blank card behind the site's card.sock, the one that was there before removed. Returns the socket's path."""
        self.site.stop_one("card")
        self.site.insert_socket(self.make_card(index, more))
        return self.site.path("card.sock")

    @staticmethod
    def report(index):
        """What a terminal would say of that card at least."""
        return {"iccid": ICCID.format(index), "imsi": IMSI.format(index)}

    def database(self):
        return self.site.path("kmu", "records", "kmu.db")


def restart_kmu(site):
    """All three processes are killed, and start again on the same records."""
    site.stop_one("kmu", installation.signal.SIGKILL)
    site.start_kmu()


def children(site, unit):
    """The processes under a monitor: {"vault": pid, "front": pid}, with a token "hsm" as well, without those that are not there at the moment."""
    monitor = site.processes[unit].pid
    found = {}
    for pid in pathlib.Path(f"/proc/{monitor}/task/{monitor}/children").read_text(encoding="ascii").split():
        with contextlib.suppress(OSError):
            name = pathlib.Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip()
            found[{"keyfill-vault": "vault", "keyfill-hsm": "hsm"}.get(name, "front")] = int(pid)
    return found


class CardRow:
    """A card's row in the key management unit's database, its record decoded (src/vault/card_record.c)."""

    def __init__(self, row):
        self.columns = dict(row)
        self.state = row["state"]
        self._bytes = row["record"]
        self._at = 0
        self._number(1)  # form
        self.identity = self._text()
        self._number(1)  # state
        self.category, self.profile = self._text(), self._text()
        self._take(32)
        self._take(self._number(1))
        self.number, self.iccid = self._text(), self._text()
        self.present, self.pending, self.previous = self._key(), self._key(), self._key()
        self.last_generation = self._number(4)

    def _take(self, size):
        self._at += size
        return self._bytes[self._at - size:self._at]

    def _number(self, size):
        return int.from_bytes(self._take(size), "big")

    def _text(self):
        return self._take(self._number(2)).decode()

    def _key(self):
        """The generation of a key; 0: none."""
        generation = self._number(4)
        self._number(4)
        self._text()
        self._number(1)
        return generation


def card_row(database, iccid):
    """The row of the card with that ICCID, or None. Reads as any other process would: what is not committed is not there."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        row = connection.execute("SELECT * FROM cards WHERE iccid = ?", (iccid,)).fetchone()
    return None if row is None else CardRow(row)
