#!/usr/bin/env python3
"""Base keys between officers, base key management unit and key management unit: entered, pushed, pulled, listed, suspended, destroyed, backed up."""
import json
import os
import re
import shutil
import signal
import sys

sys.dont_write_bytecode = True
import card_keys  # noqa: E402
import cards  # noqa: E402
import checks  # noqa: E402
import clients  # noqa: E402
import counters  # noqa: E402
import installation  # noqa: E402

BASE_KEYS = ("payment", "card-manager", "adm")
PASSPHRASE = "a passphrase of the backup"


class Workplace:
    def __init__(self, site):
        self.site = site
        site.lay_out()
        site.start_units()
        self.maker = counters.Maker(site)

    def keys(self, unit):
        """{(purpose, category, version): row} of the base keys that a unit lists."""
        listed = self.site.keyfill_json("key", "list", config=f"officer-{unit}")["keys"]
        return {(row["purpose"], row["category"], row["version"]): row for row in listed if row["purpose"] in BASE_KEYS}

    def check_values(self, unit):
        return {key: (row["kcv"], row["state"]) for key, row in self.keys(unit).items()}

    def same_on_both(self):
        installation.wait_until("both units to have the same keys", lambda: self.check_values("bkmu") == self.check_values("kmu"))

    def ask(self, *arguments, unit="bkmu"):
        """What one officer does alone."""
        return self.site.keyfill_json("key", *arguments, config=f"officer-{unit}")

    def act(self, *arguments, unit="bkmu"):
        """What one officer proposes and another approves."""
        return self.site.agree("key", *arguments, unit=unit)

    def act_refused(self, *arguments, unit, because):
        """What one officer proposes and the vault refuses, once another has approved it."""
        proposed = self.ask(*arguments, unit=unit)
        done = self.site.keyfill("proposal", "approve", proposed["id"], "--yes", "--json", config=f"officer2-{unit}", check=False)
        problem = json.loads(done.stdout)
        checks.same((done.returncode, problem.get("type")), (1, f"urn:keyfill:error:{because}"), f"refusal ({problem.get('detail')})")
        shown = self.site.keyfill_json("proposal", "show", proposed["id"], config=f"officer-{unit}")
        checks.same((shown["state"], shown["message"]), ("refused", problem["detail"]), "the proposal")
        return problem["detail"]

    def refused(self, *arguments, unit, because, status=1):
        done = self.site.keyfill("key", *arguments, "--json", config=f"officer-{unit}", check=False)
        problem = json.loads(done.stdout)
        checks.same((done.returncode, problem.get("type")), (status, f"urn:keyfill:error:{because}"), f"refusal ({problem.get('detail')})")
        return problem["detail"]

    def unit_row(self):
        return self.ask("unit", "list")["kmus"][0]

    def put_unit(self, port=None, *more):
        self.site.keyfill("key", "unit", "put", "main", "--url", f"https://127.0.0.1:{port or self.site.ports['kmu']}", "--pair", "main",
                          *more, config="officer-bkmu")

    def peer_of(self, unit, key):
        """What the unit says that the other side has of a key: (state, same KCV), or None."""
        peers = self.keys(unit)[key]["peers"]
        return (peers[0]["state"], peers[0]["same"]) if peers else None

    def passphrase_file(self, text=PASSPHRASE):
        return str(self.site.write("clients/backup-passphrase", text + "\n", mode=0o600))


def components_of(site, digits):
    """Files for --component-file."""
    return [part for index, each in enumerate(digits)
            for part in ("--component-file", str(site.write(f"clients/part-{index}", each + "\n", mode=0o600)))]


def transport(work, check):
    site = work.site

    with check("components of another transport key at the key management unit: nothing is taken over, and both sides say why"):
        made = site.give_components("bkmu", ("key", "transport", "create", "main"), (None, None))
        components = [answer["components"][0] for answer in made]
        site.activate(made[-1]["key"], "bkmu")
        wrong = [os.urandom(32).hex().upper() for _ in components]
        entered = site.give_components("kmu", ("key", "transport", "enter", "main"), wrong)[-1]
        checks.different(entered["key"]["kcv"], made[-1]["key"]["kcv"], "KCV of the transport key")
        checks.same(entered["key"]["state"], "pre-active", "state before the KCVs were compared")
        site.activate(entered["key"], "kmu")
        work.put_unit()
        work.act("generate", "--purpose", "payment", "--category", "default", "--diversification", cards.PAYMENT_LINE)
        installation.wait_until("the push to be refused", lambda: work.unit_row()["last_error"] != "")
        row = work.unit_row()
        checks.that("transport key" in row["last_error"] and not row["up_to_date"], json.dumps(row))
        checks.same(work.keys("kmu"), {}, "keys at the key management unit")

    with check("entered anew, with the KCV that both show, it brings the keys over"):
        work.act("destroy", "--purpose", "transport", "--category", "main", unit="kmu")
        entered = site.give_components("kmu", ("key", "transport", "enter", "main"), components)[-1]
        checks.same(entered["key"]["kcv"], made[-1]["key"]["kcv"], "KCV of the transport key")
        site.activate(entered["key"], "kmu")
        work.put_unit()
        work.same_on_both()
        checks.same(len(work.keys("kmu")), 1, "number of keys")


def ceremony(work, check):
    site = work.site

    with check("components entered by several people one after the other: a KCV of each and of the whole, the right one"):
        key, parts = cards.components(3)
        command = ("key", "import", "--purpose", "payment", "--category", "cn-north", "--diversification", cards.PAYMENT_LINE, "--components", "3")
        first, second, third = site.give_components("bkmu", command, parts)
        checks.same((first["component_kcv"], first["present"], first.get("key")), (kcv_of(parts[0]), [1], None), "after the first component")
        checks.same((second["component_kcv"], second["present"], second.get("key")), (kcv_of(parts[1]), [1, 2], None), "after the second")
        checks.same((third["component_kcv"], third["key"]["kcv"]), (kcv_of(parts[2]), kcv_of(key)), "KCVs of the third component and the key")
        checks.same(third["key"]["state"], "pre-active", "state until officers have confirmed the KCV")
        checks.same(site.activate(third["key"], "bkmu")["key"]["state"], "active", "state after that")

    with check("a component that is not of the right length, or no hexadecimal, is refused before anything is sent"):
        detail = work.refused("import", "--purpose", "adm", *components_of(site, ["00" * 15, "00" * 16]), unit="bkmu", because="KF_ERR_KEY_SIZE")
        checks.that("30" in detail, detail)
        work.refused("import", "--purpose", "adm", *components_of(site, ["0G" * 16, "00" * 16]), unit="bkmu", because="KF_ERR_HEX", status=2)


def kcv_of(digits):
    """The KCV of an AES key as units show it: CMAC of zeros (ANSI X9.24-1, annex A)."""
    return card_keys.cmac(bytes.fromhex(digits), bytes(16))[:3].hex().upper()


def pushing(work, check):
    site = work.site

    with check("every change goes out as soon as it is made: a new key, a rotation, suspended, active again, deactivated, destroyed"):
        work.maker.hand_over()
        site.generate_key("payment", "cn-south", cards.PAYMENT_LINE)
        key = ("payment", "cn-south", 1)
        work.same_on_both()
        checks.that(key in work.keys("kmu"), "the new key is not there")
        for act, state in (("suspend", "suspended"), ("activate", "active"), ("deactivate", "deactivated"), ("destroy", "destroyed")):
            work.act(act, "--purpose", "payment", "--category", "cn-south", "--version", "1")
            work.same_on_both()
            checks.same(work.keys("kmu")[key]["state"], state, f"state after {act}")
        site.generate_key("payment", "cn-west", cards.PAYMENT_LINE)
        rotated = work.act("rotate", "--purpose", "payment", "--category", "cn-west")
        checks.same(rotated["key"]["version"], 2, "version")
        work.same_on_both()
        checks.same([work.keys("kmu")[("payment", "cn-west", version)]["state"] for version in (1, 2)], ["deactivated", "active"], "states")

    with check("key list shows on each side what the other has"):
        key = ("payment", "cn-west", 2)
        for unit in ("bkmu", "kmu"):
            installation.wait_until(f"{unit} to know", lambda unit=unit: work.peer_of(unit, key) == ("active", True))
        text = site.keyfill("key", "list", config="officer-bkmu").stdout
        checks.that(re.search(r"payment +cn-west +2 +aes +16 +active +[0-9A-F]{6} +\d+ .*kmu:main active", text) is not None, text)
        text = site.keyfill("key", "list", config="officer-kmu").stdout
        checks.that(re.search(r"payment +cn-west +2 +aes +16 +active +[0-9A-F]{6} +\d+ +main .*bkmu:central active", text) is not None, text)

    with check("a key management unit that was away has at its start what it missed"):
        site.stop_one("kmu", signal.SIGKILL)
        site.generate_key("payment", "cn-east", cards.PAYMENT_LINE)
        work.act("suspend", "--purpose", "payment", "--category", "cn-west", "--version", "2")
        site.stop_one("bkmu")
        site.start_bkmu()
        site.start_kmu()
        work.same_on_both()
        checks.same(work.keys("kmu")[("payment", "cn-west", 2)]["state"], "suspended", "state")

    with check("keyfill key pull fetches what a push could not bring"):
        work.put_unit(installation.free_ports(1)[0])
        site.generate_key("payment", "cn-pulled", cards.PAYMENT_LINE)
        checks.that(("payment", "cn-pulled", 1) not in work.keys("kmu"), "the key is there before it is pulled")
        checks.same(work.ask("pull", unit="kmu")["received"], 1, "received")
        checks.that(("payment", "cn-pulled", 1) in work.keys("kmu"), "the key is not there")
        checks.same(work.ask("pull", unit="kmu")["received"], 0, "received again")
        work.put_unit()
        work.same_on_both()

    with check("a key that came from the base key management unit is changed there alone"):
        work.act_refused("suspend", "--purpose", "payment", "--category", "cn-east", unit="kmu", because="KF_ERR_STATE")


def filling(work, check):
    site = work.site
    site.register("security-domain", "cn-west", prefixes=("86138",), iccid_prefixes=("898600",))
    site.register("security-domain", "cn-plain", prefixes=("86139",))
    counter = counters.Counter(site, "counter-1")

    with check("a suspended key fills and refills nothing; active again, it does"):
        card = counter.insert(work.maker.card(1))
        before = site.show_card(card)
        work.act("suspend", "--purpose", "payment", "--category", "default")
        work.same_on_both()
        detail = counter.refused("fill", "--number", "8613800000001", because="KF_ERR_NO_KEY", status=1)
        checks.that("cn-west" in detail, detail)
        checks.same(site.show_card(card), before, "the card")
        work.act("activate", "--purpose", "payment", "--category", "cn-west", "--version", "2")
        work.same_on_both()
        filled = counter.operation("fill", "--number", "8613800000001")
        checks.same(filled["base_key_version"], 2, "base key version")
        work.act("suspend", "--purpose", "payment", "--category", "cn-west", "--version", "2")
        work.same_on_both()
        held = counters.domain_keys(site, card)
        done = site.keyfill("refill", "--json", config="counter-1", check=False)
        checks.that(done.returncode != 0, done.stdout)
        checks.same(counters.domain_keys(site, card), held, "key set on the card")
        work.act("activate", "--purpose", "payment", "--category", "cn-west")
        work.act("activate", "--purpose", "payment", "--category", "default")
        work.same_on_both()
        checks.same(counter.operation("refill")["generation"], 2, "generation")

    with check("after a rotation a card is refilled from the new version, its present key proven under the old one"):
        work.act("rotate", "--purpose", "payment", "--category", "cn-west")
        work.same_on_both()
        refilled = counter.operation("refill")
        checks.same((refilled["base_key_version"], refilled["generation"]), (3, 3), "version and generation")
    return counter


def backups(work, check, counter):
    site = work.site

    def back_up(unit):
        file = site.path(f"{unit}.backup")
        proposed = work.ask("backup", str(file), "--passphrase-file", work.passphrase_file(), unit=unit)
        site.approve(proposed["id"], unit)
        site.keyfill("proposal", "fetch", proposed["id"], str(file), config=f"officer-{unit}")
        return file

    def restore_empty(unit, file):
        """The unit on an empty machine: no keys, no records. Its keys are restored first, then its records are put back."""
        site.stop_one(unit)
        shutil.rmtree(site.path(unit, "keys"))
        records, kept = site.path(unit, "records"), site.path(f"{unit}-records")
        records.rename(kept)
        for folder, user, mode in (("keys", "vault", 0o711), ("records", "front", 0o700)):
            site.make_folder(f"{unit}/{folder}", installation.USERS[f"{unit}-{user}"], mode)
        getattr(site, f"start_{unit}")()
        site.pin_vaults()
        checks.same(work.keys(unit), {}, "keys on the empty machine")
        detail = work.act_refused("restore", str(file), "--passphrase-file", work.passphrase_file("another passphrase"), unit=unit,
                                  because="KF_ERR_AUTHENTICATION")
        checks.that("passphrase" in detail, detail)
        work.act("restore", str(file), "--passphrase-file", work.passphrase_file(), unit=unit)
        acts = [(row["action"], row["outcome"]) for row in site.keyfill_json("audit", "list", config=f"auditor-{unit}")["rows"]]
        checks.that({("key.restore", "ok"), ("key.restore", "KF_ERR_AUTHENTICATION")} <= set(acts), f"audit rows: {acts}")
        site.stop_one(unit)
        shutil.rmtree(records)
        kept.rename(records)
        getattr(site, f"start_{unit}")()
        # The log is another one than the new machine's vault signed: officers say that this is right.
        held = clients.Client.of_role(site, "auditor", "ulla", unit).get("/readyz")
        checks.problem(held, 503, "KF_ERR_HELD", "another one than this vault signed" if unit == "bkmu" else "it is another vault")
        site.agree("audit", "accept", "--reason", "restored onto another machine", unit=unit)

    with check("base key management unit: backed up, restored onto an empty machine, the same KCVs; it goes on sending"):
        before = work.check_values("bkmu")
        file = back_up("bkmu")
        checks.same(file.stat().st_mode & 0o777, 0o600, "mode of the backup")
        restore_empty("bkmu", file)
        checks.same(work.check_values("bkmu"), before, "KCVs and states")
        site.generate_key("payment", "cn-after", cards.PAYMENT_LINE)
        work.same_on_both()

    with check("key management unit: restored onto an empty machine with its records; a card filled before is refilled after"):
        before = work.check_values("kmu")
        file = back_up("kmu")
        restore_empty("kmu", file)
        site.keyfill("audit", "accept", "--unit", "kmu:main", "--reason", "restored onto another machine", config="officer-bkmu")
        site.keyfill("key", "pull", config="officer-kmu")
        installation.wait_until("the same KCVs and states", lambda: work.check_values("kmu") == before)
        checks.same(counter.operation("card")["record"]["state"], "filled", "state of the card")
        refilled = counter.operation("refill")
        checks.same(refilled["generation"], 4, "generation")
        counter.operation("clear")
        checks.same(counter.operation("fill", "--number", "8613800000001")["generation"], 5, "generation of the fill after clear")

    with check("a backup goes into an empty vault only"):
        work.act_refused("restore", str(site.path("kmu.backup")), "--passphrase-file", work.passphrase_file(), unit="kmu",
                         because="KF_ERR_CONFLICT")


def audited(work, check):
    site = work.site

    def rows(unit):
        found, after = [], 0
        while True:
            page = site.keyfill_json("audit", "list", "--after", str(after), config=f"auditor-{unit}")["rows"]
            if not page:
                return found
            found += page
            after = page[-1]["seq"]

    for unit in ("bkmu", "kmu"):
        with check(f"{unit}: an audit row for each act, with who did it; rows and the vault's receipts are numbered without gaps"):
            found = rows(unit)
            checks.same([row["seq"] for row in found], list(range(1, len(found) + 1)), "row numbers")
            checks.that(all(later["previous"] == row["hash"] for row, later in zip(found, found[1:])), "the chain is broken")
            actions = {row["action"] for row in found}
            wanted = {"bkmu": ("key.generate", "key.import", "key.rotate", "key.suspend", "key.activate", "key.deactivate", "key.destroy",
                               "key.backup"),
                      "kmu": ("key.import", "key.backup", "fill", "refill", "clear")}[unit]
            missing = [each for each in wanted if not any(each in action for action in actions)]
            checks.same(missing, [], f"acts without a row in {sorted(actions)}")
            acts = [row for row in found if row["action"] == "key.suspend"] if unit == "bkmu" else []
            checks.that(all(row["actor"] == "officer:alice" for row in acts), f"actors: {acts}")
            check_receipts([row["receipt"] for row in found if row.get("receipt")])

    with check("a refused act has its row, too; only an auditor reads them"):
        work.refused("rotate", "--purpose", "payment", "--category", "cn-none", unit="bkmu", because="KF_ERR_NO_KEY")
        work.act_refused("activate", "--purpose", "payment", "--category", "cn-after", unit="bkmu", because="KF_ERR_STATE")
        last = [(row["action"], row["actor"], row["outcome"]) for row in rows("bkmu")[-2:]]
        checks.same(last, [("proposal.approved", "officer:carol", "ok"), ("key.activate", "officer:alice", "KF_ERR_STATE")], "last rows")
        checks.problem(clients.Client.of_role(site, "officer", "alice", "bkmu").get("/v1/audit"), 403, "KF_ERR_FORBIDDEN")


def check_receipts(receipts):
    """Each receipt begins with its version and its number (src/vault/receipt.h); rows may stand in another order."""
    numbers = sorted(int(receipt[2:18], 16) for receipt in receipts)
    checks.same(numbers, list(range(1, len(numbers) + 1)), "numbers of the receipts")


def alone(check):
    """A key management unit that has no base key management unit."""
    with checks.site() as site:
        site.lay_out()
        front = site.path("kmu", "front.yaml")
        text = "".join(line for line in front.read_text(encoding="utf-8").splitlines(True) if not line.startswith(("bkmu", "pair")))
        front.write_text(text, encoding="utf-8")
        site.start_kmu()
        key = site.path("kmu", "keys", "vault.pub").read_text(encoding="utf-8").strip()
        for folder in installation.OFFICERS:
            site.write_officer(folder, "kmu", site.ports["kmu"], f"vault_key: {key}\n")
        site.start_host()

        with check("a key management unit alone: the same key commands, and cards are filled"):
            maker = counters.Maker(site)
            maker.hand_over(unit="kmu")
            base_key, parts = cards.components()
            site.import_key("payment", "default", cards.PAYMENT_LINE, parts, unit="kmu")
            site.register("security-domain", "cn-test", prefixes=("86138",))
            counter = counters.Counter(site, "counter-1")
            card = counter.insert(maker.card(1))
            counter.operation("fill", "--number", "8613800000001")
            wanted = card_keys.check_values(card_keys.payment_keys(base_key, "8613800000001", 1))
            checks.same(counters.domain_keys(site, card), ("30", wanted), "key set on the card")
            rotated = site.agree("key", "rotate", "--purpose", "payment", unit="kmu")
            checks.same(counter.operation("refill")["base_key_version"], rotated["key"]["version"], "base key version")
            done = site.keyfill("key", "pull", "--json", config="officer-kmu", check=False)
            checks.that(done.returncode != 0 and "alone" in json.loads(done.stdout)["detail"], done.stdout)


def main():
    with checks.site() as site, checks.Checks(site) as check:
        work = Workplace(site)
        transport(work, check)
        ceremony(work, check)
        pushing(work, check)
        counter = filling(work, check)
        backups(work, check, counter)
        audited(work, check)
        alone(check)
    return check.status


if __name__ == "__main__":
    sys.exit(main())
