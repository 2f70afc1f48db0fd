#!/usr/bin/env python3
"""Two officers for every act: proposed, read, approved, withdrawn; forged and altered; rosters, permits, shares, exports; the ceremony at the
screen."""
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys

sys.dont_write_bytecode = True
import card_keys  # noqa: E402
import cards  # noqa: E402
import checks  # noqa: E402
import clients  # noqa: E402
import installation  # noqa: E402
import screen  # noqa: E402
from memory_search import files, found, memory  # noqa: E402
from ready import CATEGORY, NUMBER, Ready, children  # noqa: E402

GENERATE = ("key", "generate", "--purpose", "payment", "--diversification", cards.PAYMENT_LINE, "--category")


class Desk:
    """What officers do at both units."""

    def __init__(self, site):
        self.site = site
        site.lay_out()
        site.start_bkmu()
        site.start_kmu()
        site.pin_vaults()
        self.write_bare()

    def write_bare(self):
        """An officer's certificate without an officer's key."""
        key = self.site.path("bkmu", "keys", "vault.pub").read_text(encoding="utf-8").strip()
        self.site.write_client("bare", "bkmu", self.site.ports["bkmu"], self.site.path("ca.pem"), "officer", f"vault_key: {key}\n")

    def say(self, *arguments, officer="officer", unit="bkmu"):
        return self.site.keyfill(*arguments, config=f"{officer}-{unit}").stdout

    def ask(self, *arguments, officer="officer", unit="bkmu"):
        return self.site.keyfill_json(*arguments, config=f"{officer}-{unit}")

    def refused(self, *arguments, config, because):
        done = self.site.keyfill(*arguments, "--json", config=config, check=False)
        checks.that(done.returncode != 0, f"not refused: {done.stdout}")
        problem = json.loads(done.stdout)
        checks.same(problem.get("type"), f"urn:keyfill:error:{because}", problem.get("detail"))
        return problem["detail"]

    def propose(self, category):
        return self.ask(*GENERATE, category)["id"]

    def keys(self, unit="bkmu"):
        listed = self.ask("key", "list", unit=unit)["keys"]
        return {(row["purpose"], row["category"], row["version"]): row for row in listed}

    def shown(self, identifier):
        return self.ask("proposal", "show", identifier)

    def database(self):
        return contextlib.closing(sqlite3.connect(self.site.path("bkmu", "records", "bkmu.db"), timeout=10))


def proposals(desk, check):
    with check("a certificate alone does nothing, and the refusal says what to do"):
        detail = desk.refused(*GENERATE, "cn-north", config="bare", because="KF_ERR_OFFICERS")
        checks.that("--officer-key" in detail, detail)
        checks.that(("payment", "cn-north", 1) not in desk.keys(), "the key is there")

    with check("proposed by one, said in words from the signed bytes, approved by another"):
        text = desk.say(*GENERATE, "cn-north")
        identifier = text.split()[-1]
        checks.that(f"keyfill proposal approve {identifier}" in text, text)
        checks.that(("payment", "cn-north", 1) not in desk.keys(), "the key is there before it is approved")
        words = desk.say("proposal", "show", identifier, officer="officer2")
        for each in ("by officer alice", "generate a payment base key of category cn-north", "aes, 16 bytes, active", cards.PAYMENT_LINE,
                     "signed by: alice", "pending"):
            checks.that(each in words, f"{each!r} is not in {words}")
        made = desk.site.approve(identifier, "bkmu")
        checks.same(desk.keys()[("payment", "cn-north", 1)]["kcv"], made["key"]["kcv"], "KCV")
        listed = [row for row in desk.ask("proposal", "list")["proposals"] if row["id"] == identifier]
        checks.same([(row["state"], [each["officer"] for each in row["signatures"]]) for row in listed], [("done", ["alice", "carol"])], "list")

    with check("the audit log names the proposer and the approver"):
        rows = desk.site.keyfill_json("audit", "list", config="auditor-bkmu")["rows"]
        acts = [(row["action"], row["actor"]) for row in rows if row["action"] in ("proposal.approved", "key.generate") and row["outcome"] == "ok"]
        checks.same(acts, [("proposal.approved", "officer:carol"), ("key.generate", "officer:alice")], "rows")


def refusals(desk, check):
    site = desk.site
    with check("whoever proposed it does not approve it; whoever is not in the roster neither; nobody signs twice"):
        identifier = desk.propose("cn-refused")
        approve = ("proposal", "approve", identifier, "--yes")
        checks.that("alice" in desk.refused(*approve, config="officer-bkmu", because="KF_ERR_OFFICERS"), "the refusal does not name alice")
        site.keyfill("officer", "new", "eve", "--out", str(site.path("clients/eve.officer")), "--officer-passphrase-file",
                     str(site.path("clients/alice.passphrase")))
        key = ("--officer-key", str(site.path("clients/eve.officer")), "--officer-passphrase-file", str(site.path("clients/alice.passphrase")))
        checks.that("eve is no officer" in desk.refused(*approve, *key, "--officer", "eve", config="officer2-bkmu", because="KF_ERR_OFFICERS"), "")
        detail = desk.refused(*approve, *key, "--officer", "carol", config="officer2-bkmu", because="KF_ERR_OFFICERS")
        checks.that("signature of officer carol does not verify" in detail, detail)
        detail = desk.refused(*approve, *key[:2], "--officer-passphrase-file", str(site.path("clients/carol.passphrase")), config="officer2-bkmu",
                              because="KF_ERR_AUTHENTICATION")
        checks.that("passphrase" in detail, detail)
        checks.same(desk.shown(identifier)["state"], "pending", "state")

    with check("a proposal is taken back by its proposer alone, and is not approved afterwards"):
        desk.refused("proposal", "withdraw", identifier, config="officer2-bkmu", because="KF_ERR_FORBIDDEN")
        desk.ask("proposal", "withdraw", identifier)
        desk.refused(*approve, config="officer2-bkmu", because="KF_ERR_STATE")
        checks.that(("payment", "cn-refused", 1) not in desk.keys(), "the key is there")

    with check("a proposal for another unit's vault is not signed, and not taken"):
        proposal = desk.ask(*GENERATE, "cn-elsewhere", unit="kmu")
        client = clients.Client.of_role(site, "officer", "mallory", "bkmu")
        body = {"proposal": proposal["proposal"], "signature": proposal["signatures"][0]["signature"]}
        checks.problem(client.post("/v1/proposals", body), 403, "KF_ERR_OFFICERS", "another vault")

    with check("without a terminal nobody is taken to have said yes"):
        identifier = desk.propose("cn-silent")
        done = screenless("proposal", "approve", identifier, "--config", str(site.path("clients/officer2-bkmu.yaml")))
        checks.that(done.returncode == 2 and "--yes" in done.stderr, f"{done.returncode}: {done.stderr}")
        checks.same(desk.shown(identifier)["state"], "pending", "state")


def consent(desk, check):
    with check("at a terminal nothing is signed without a yes, after the act was shown in words"):
        identifier = desk.propose("cn-consent")
        command = [installation.program("keyfill"), "proposal", "approve", identifier, "--config",
                   str(desk.site.path("clients/officer2-bkmu.yaml"))]
        with screen.Screen(command) as shown:
            shown.wait_for("generate a payment base key of category cn-consent")
            shown.answer("sign this?", "no")
            checks.same(shown.end(), 2, "exit status")
        checks.same(desk.shown(identifier)["state"], "pending", "state")
        with screen.Screen(command) as shown:
            shown.answer("sign this?", "perhaps, after lunch")
            shown.wait_for("type yes or no")
            shown.answer("sign this?", "yes")
            shown.wait_for("done: key.generate")
            checks.same(shown.end(), 0, "exit status")
        checks.same(desk.shown(identifier)["state"], "done", "state")


def screenless(*arguments):
    """In a session of its own, so that there is no terminal to open."""
    return subprocess.run([installation.program("keyfill"), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=60, start_new_session=True)


def forgeries(desk, check):
    with check("a front whose records were changed: an act altered after it was signed is done by nobody"):
        identifier = desk.propose("cn-forged")
        with desk.database() as database, database:
            signed = database.execute("SELECT bytes FROM proposals WHERE id = ?", (identifier,)).fetchone()[0]
            altered = signed.replace(b"cn-forged", b"cn-stolen")
            checks.different(altered, signed, "bytes")
            database.execute("UPDATE proposals SET bytes = ? WHERE id = ?", (altered, identifier))
        words = desk.say("proposal", "show", identifier, officer="officer2")
        checks.that("cn-stolen" in words, f"the words are not of the bytes: {words}")
        detail = desk.refused("proposal", "approve", identifier, "--yes", config="officer2-bkmu", because="KF_ERR_OFFICERS")
        checks.that("signature of officer alice does not verify" in detail, detail)
        checks.that(not any(key[1] in ("cn-forged", "cn-stolen") for key in desk.keys()), "the key is there")

    with check("a front whose records were changed: a forged approval is no approval"):
        identifier = desk.propose("cn-forged")
        with desk.database() as database, database:
            database.execute("INSERT INTO proposal_signatures (id, position, officer, signature) VALUES (?, 1, 'carol', ?)",
                             (identifier, os.urandom(64)))
        detail = desk.refused("proposal", "approve", identifier, "--yes", config="officer3-bkmu", because="KF_ERR_OFFICERS")
        checks.that("signature of officer carol does not verify" in detail, detail)
        checks.that(("payment", "cn-forged", 1) not in desk.keys(), "the key is there")

    with check("a front whose records were put back: what was done is not done again"):
        identifier = desk.propose("cn-once")
        desk.site.approve(identifier, "bkmu")
        with desk.database() as database, database:
            database.execute("UPDATE proposals SET state = 'pending' WHERE id = ?", (identifier,))
        again = desk.ask("proposal", "approve", identifier, "--yes", officer="officer3")
        checks.same(again["state"], "done", "state")
        checks.same([key for key in desk.keys() if key[1] == "cn-once"], [("payment", "cn-once", 1)], "keys")
        rows = desk.site.keyfill_json("audit", "list", config="auditor-bkmu")["rows"]
        checks.same([row["outcome"] for row in rows if row["action"] == "proposal.refused" and identifier in row["subject"]], ["KF_ERR_SPENT"],
                    "receipts of the refusal")


def rosters(desk, check):
    site = desk.site
    line = json.loads(site.keyfill("officer", "new", "frank", "--out", str(site.path("clients/frank.officer")), "--officer-passphrase-file",
                                   str(site.path("clients/alice.passphrase")), "--json").stdout)
    key = line["line"].split()[-1]

    with check("the roster changes by two officers: a new one is added and approves, then is taken off again"):
        site.agree("roster", "propose-add", "frank", key, unit="bkmu")
        text = desk.say("roster", "show")
        checks.that("frank" in text and line["fingerprint"] in text and "revision 2" in text, text)
        identifier = desk.propose("cn-frank")
        done = site.keyfill_json("proposal", "approve", identifier, "--yes", "--officer-key", str(site.path("clients/frank.officer")),
                                 "--officer-passphrase-file", str(site.path("clients/alice.passphrase")), "--officer", "frank", config="officer2-bkmu")
        checks.same(done["state"], "done", "state")
        site.agree("roster", "propose-remove", "frank", unit="bkmu")
        identifier = desk.propose("cn-frank")
        detail = desk.refused("proposal", "approve", identifier, "--yes", "--officer-key", str(site.path("clients/frank.officer")),
                              "--officer-passphrase-file", str(site.path("clients/alice.passphrase")), "--officer", "frank", config="officer2-bkmu",
                              because="KF_ERR_OFFICERS")
        checks.that("frank is no officer" in detail, detail)

    with check("a quorum of three takes three; no officer goes below it; the file of the first roster changes nothing any more"):
        site.agree("roster", "propose-quorum", "3", "2", unit="bkmu")
        identifier = desk.propose("cn-three")
        checks.same(desk.ask("proposal", "approve", identifier, "--yes", officer="officer2")["state"], "pending", "state after two")
        checks.same(desk.ask("proposal", "approve", identifier, "--yes", officer="officer3")["state"], "done", "state after three")
        proposed = desk.ask("roster", "propose-remove", "dora")["id"]
        detail = desk.refused("proposal", "approve", proposed, "--yes", config="officer2-bkmu", because="KF_ERR_FIELD")
        checks.that("quorum of 3" in detail, detail)
        site.agree("roster", "propose-quorum", "2", "2", unit="bkmu")
        site.stop_one("bkmu")
        site.write("bkmu/roster", f"officer frank {key}\n")
        site.start_bkmu()
        names = [each["name"] for each in desk.ask("roster", "show")["officers"]]
        checks.same(names, ["alice", "carol", "dora"], "officers")


def founding(check):
    with check("a roster that others can write, or that is wrong, keeps the unit from starting, and it says why"), checks.site() as site:
        site.lay_out()
        os.chmod(site.path("bkmu/roster"), 0o666)
        process = site.start("bkmu", [installation.program("keyfill-bkmd"), "--config", str(site.path("bkmu", "monitor.yaml"))])
        process.wait_for(r"nobody else can write")
        checks.different(process.handle.wait(installation.DEADLINE), 0, "exit status")
        site.write("bkmu/roster", "officer alice AAAA\n")
        process = site.start("bkmu", [installation.program("keyfill-bkmd"), "--config", str(site.path("bkmu", "monitor.yaml"))])
        process.wait_for(r"line 1")
        checks.different(process.handle.wait(installation.DEADLINE), 0, "exit status")


def shares(desk, check):
    site = desk.site
    file = site.path("shared.backup")

    def share_files(texts):
        return [part for index, text in enumerate(texts)
                for part in ("--share-file", str(site.write(f"clients/share-{index}", text + "\n", mode=0o600)))]

    with check("a backup opens with any three of five shares, on an empty machine, and with no fewer; a slip of the pen is found"):
        before = {key: row["kcv"] for key, row in desk.keys().items() if key[0] != "group"}
        proposed = desk.ask("key", "backup", str(file), "--shares", "5", "--threshold", "3")
        checks.same(len(proposed["shares"]), 5, "shares")
        site.approve(proposed["id"], "bkmu")
        desk.ask("proposal", "list")
        site.keyfill("proposal", "fetch", proposed["id"], str(file), config="officer-bkmu")
        site.stop_one("bkmu")
        for folder, user, mode in (("keys", "vault", 0o711), ("records", "front", 0o700)):
            shutil.rmtree(site.path("bkmu", folder))
            site.make_folder(f"bkmu/{folder}", installation.USERS[f"bkmu-{user}"], mode)
        founders = "".join(f"officer {name} {key}\n" for name, key in desk_keys(desk.ask("roster", "show", unit="kmu")))
        site.write("bkmu/roster", founders)
        site.start_bkmu()
        site.pin_vaults()
        some = [proposed["shares"][index] for index in (4, 0, 2)]
        detail = desk.refused("key", "restore", str(file), *share_files(some[:2]), config="officer-bkmu", because="KF_ERR_FIELD")
        checks.that("3 are needed" in detail, detail)
        wrong = some[0][:-1] + ("0" if some[0][-1] != "0" else "1")
        detail = desk.refused("key", "restore", str(file), *share_files([wrong, *some[1:]]), config="officer-bkmu", because="KF_ERR_CHECK_VALUE")
        checks.that("share 1" in detail, detail)
        site.agree("key", "restore", str(file), *share_files(some), unit="bkmu")
        checks.same({key: row["kcv"] for key, row in desk.keys().items() if key[0] != "group"}, before, "KCVs")


def desk_keys(roster):
    return [(each["name"], each["key"]) for each in roster["officers"]]


def exports(desk, check):
    site = desk.site
    with check("an exportable key leaves as a key block under the transport key, by two officers; a transport key does not"):
        desk.site.exchange_transport_key()
        site.generate_key("payment", "cn-out", cards.PAYMENT_LINE)
        proposed = desk.ask("key", "export", "--purpose", "payment", "--category", "cn-out", "--pair", "main")
        block = site.approve(proposed["id"], "bkmu")["block"]
        checks.that(block.startswith("D") and "E0" in block[:8], block[:16])
        target = site.path("cn-out.block")
        site.keyfill("proposal", "fetch", proposed["id"], str(target), config="officer-bkmu")
        checks.same(target.read_text(encoding="ascii"), block, "file")
        proposed = desk.ask("key", "export", "--purpose", "transport", "--category", "main", "--pair", "main")
        desk.refused("proposal", "approve", proposed["id"], "--yes", config="officer2-bkmu", because="KF_ERR_KEY_POLICY")


def permits(check):
    """What a changed profile, and a module, may do before officers have looked at it."""
    with checks.site() as site:
        made = Ready(site, terminal=False)
        host = clients.Client.of_role(site, "host", "main", "kmu")

        def fill(index):
            return host.post("/v1/requests", clients.request("fill", made.report(index), terminal="counter-1", number=NUMBER.format(index)))

        with check("a profile as officers permitted it is followed; changed by an administrator it is not, until they permit it; forbidden, no more"):
            checks.same(fill(1).status, 200, "as permitted")
            file = site.path("security-domain.yaml")
            changed = str(site.write("changed.yaml", file.read_text(encoding="utf-8") + "# changed\n"))
            site.keyfill("profile", "put", changed, config="administrator-kmu")
            checks.problem(fill(2), 422, "KF_ERR_PROFILE", "not approved by officers")
            site.agree("profile", "permit", changed, unit="kmu")
            checks.same(fill(3).status, 200, "permitted")
            site.agree("profile", "forbid", changed, unit="kmu")
            checks.problem(fill(4), 422, "KF_ERR_PROFILE", "not approved by officers")
            site.agree("profile", "permit", changed, unit="kmu")

        with check("a module that officers have not permitted is not loaded"):
            cap = cards.cap_file(site.path("transit.cap"), bytes.fromhex("F000000001"), [bytes.fromhex("F00000000101")])
            site.keyfill("module", "put", "transit", str(cap), config="administrator-kmu")
            load = clients.request("app-load", made.report(5), terminal="counter-1", category=CATEGORY, module="transit")
            checks.problem(host.post("/v1/requests", load), 422, "KF_ERR_MODULE", "not approved by officers")
            site.agree("module", "permit", "transit", str(cap), unit="kmu")
            load["id"] = clients.new_id()
            checks.same(host.post("/v1/requests", load).status, 200, "permitted")


def tokens(desk, check):
    """An officer whose key is on a PKCS#11 token."""
    site = desk.site
    configuration = site.write("clients/token/softhsm2.conf", f"directories.tokendir = {site.make_folder('clients/token/keys', 0)}\n")
    pin = site.write("clients/token/pin", "271828\n", mode=0o600)
    key = site.path("clients/token/key.pem")
    environment = {**os.environ, "SOFTHSM2_CONF": str(configuration)}
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(key)], check=True,
                   stderr=subprocess.DEVNULL)
    softhsm = ["softhsm2-util", "--label", "gina", "--pin", "271828"]
    subprocess.run([*softhsm, "--init-token", "--free", "--so-pin", "31415926"], env=environment, check=True, stdout=subprocess.DEVNULL)
    for identifier in ("01", "02"):
        subprocess.run(["softhsm2-util", "--import", str(key), "--token", "gina", "--label", f"officer {identifier}", "--id", identifier, "--pin",
                        "271828", "--force"], env=environment, check=True, stdout=subprocess.DEVNULL)
    uri = f"pkcs11:token=gina;id=%02?module-path={installation.TOKEN_MODULE}"
    own = ("--officer-key", uri, "--officer-passphrase-file", str(pin), "--officer", "gina")

    def with_token(*arguments, check_status=True):
        command = [installation.program("keyfill"), *arguments, "--config", str(site.path("clients/officer2-bkmu.yaml"))]
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        checks.that(not check_status or done.returncode == 0, done.stderr)
        return done

    with check("an officer's key on a PKCS#11 token goes into the roster, proposes and approves"):
        line = with_token("officer", "show", *own).stdout.split()
        site.agree("roster", "propose-add", "gina", line[2], unit="bkmu")
        identifier = desk.propose("cn-token")
        with_token("proposal", "approve", identifier, "--yes", *own)
        checks.that(("payment", "cn-token", 1) in desk.keys(), "the key is not there")
        proposed = json.loads(with_token(*GENERATE, "cn-token", *own, "--json").stdout)
        checks.same(proposed["proposer"], "gina", "proposer")
        site.approve(proposed["id"], "bkmu", "officer3")

    with check("a wrong PIN, a key that is not there, and a URI that fits two are refused in words"):
        identifier = desk.propose("cn-token")
        for change, words in ((("id=%02", "id=%07"), "no key"), (("id=%02", "object="), "no key"), ((";id=%02", ""), "more than one"),
                              (("token=gina", "token=nobody"), "token")):
            done = with_token("proposal", "approve", identifier, "--yes", "--officer-key", uri.replace(*change), *own[2:], check_status=False)
            checks.that(done.returncode != 0 and words in done.stderr, f"{change}: {done.returncode} {done.stderr}")
        wrong = str(site.write("clients/token/wrong-pin", "999999\n", mode=0o600))
        done = with_token("proposal", "approve", identifier, "--yes", *own[:2], "--officer-passphrase-file", wrong, "--officer", "gina",
                          check_status=False)
        checks.that(done.returncode != 0 and "PIN" in done.stderr, done.stderr)
        checks.same(desk.shown(identifier)["state"], "pending", "state")


# -- the ceremony --

def kcv_of(digits):
    return card_keys.cmac(bytes.fromhex(digits), bytes(16))[:3].hex().upper()


def guided(site, officer, *more):
    return screen.Screen([installation.program("keyfill"), "key", "import", "--guided", "--config", str(site.path(f"clients/{officer}-bkmu.yaml")), *more])


def nowhere(desk, digits):
    """The components are in nobody's memory but the vault's, and on no disk."""
    site = desk.site
    values = {f"component {index}": each for index, each in enumerate(digits)}
    places = [site.path("logs"), site.path("bkmu"), site.path("clients")]
    hits = [(name, str(path)) for path, content in files(*places) for name in found(values, content)]
    hits += [(name, "memory of the front") for name in found(values, memory(children(site, "bkmu")["front"]))]
    checks.same(hits, [], "found")
    checks.same(found({"the whole key": digits[-1]}, memory(children(site, "bkmu")["vault"])), ["the whole key"], "found in the vault")


def ceremony(desk, check):
    site = desk.site
    whole, parts = cards.components(3)
    passphrases = {name: f"a passphrase of {name}, for tests only" for name in installation.OFFICERS.values()}

    with check("the ceremony at the screen: asked for the key, a slip is typed again, nothing typed is shown, left after the first component"):
        with guided(site, "officer") as shown:
            shown.answer("purpose", "")
            shown.answer("category", "cn-guided")
            shown.answer("algorithm", "")
            shown.answer("bytes [16]", "")
            shown.answer("components", "3")
            shown.answer("component 1 of 3, 32 hexadecimal digits (not shown)", "")
            checks.same(shown.end(), 2, f"exit status after an empty component: {shown.text}")
        with guided(site, "officer", "--category", "cn-guided", "--components", "3", "--purpose", "payment", "--algorithm", "aes", "--size", "16",
                    "--diversification", cards.PAYMENT_LINE) as shown:
            shown.answer("(not shown)", parts[0][:-2])
            shown.wait_for("type it again")
            shown.answer("(not shown)", parts[0])
            shown.answer("the KCV on your sheet", "")
            shown.answer("(not shown)", parts[1])
            shown.wait_for("they differ; nothing was sent")
            shown.answer("(not shown)", parts[0])
            shown.wait_for(f"its KCV is {kcv_of(parts[0])}")
            shown.answer("the KCV on your sheet", kcv_of(parts[0]).lower())
            shown.wait_for(f"the vault says KCV {kcv_of(parts[0])}")
            shown.answer("name of the next officer", "")
            shown.wait_for("--guided --import ")
            checks.same(shown.end(), 0, f"exit status: {shown.text}")
        checks.that(parts[0] not in shown.text and parts[1] not in shown.text, "a component stands on the screen")
        checks.that(("payment", "cn-guided", 1) not in desk.keys(), "the key is there before it is whole")

    with check("taken up again by the next officer, then by a third at the same screen; the same officer twice is refused"):
        with guided(site, "officer") as shown:
            shown.answer("go on with it?", "yes")
            shown.answer("(not shown)", parts[1])
            shown.answer("the KCV on your sheet", kcv_of(parts[1]))
            shown.wait_for("officer:alice has given component 1")
            checks.different(shown.end(), 0, "exit status")
        with guided(site, "officer2") as shown:
            shown.answer("go on with it?", "maybe")
            shown.answer("type yes or no", "yes")
            shown.answer("component 2 of 3, 32 hexadecimal digits (not shown)", parts[1])
            shown.answer("the KCV on your sheet", kcv_of(parts[1]))
            shown.wait_for("2 of 3 components are given")
            shown.answer("name of the next officer", "dora")
            shown.answer("that officer's key", str(site.path("clients/dora.officer")))
            shown.answer("component 3 of 3, 32 hexadecimal digits (not shown)", parts[2])
            shown.answer("the KCV on your sheet", kcv_of(parts[2]))
            shown.answer("passphrase of your officer key", passphrases["dora"])
            shown.wait_for(f"version 1, KCV {kcv_of(whole)}. It waits, pre-active")
            shown.answer("the KCV of the whole key", kcv_of(whole))
            shown.answer("passphrase of your officer key", passphrases["dora"])
            shown.wait_for("keyfill proposal approve ")
            checks.same(shown.end(), 0, f"exit status: {shown.text}")
        identifier = shown.text.split("keyfill proposal approve ")[1].split()[0]
        checks.that(not any(part in shown.text for part in parts), "a component stands on the screen")
        checks.same(desk.keys()[("payment", "cn-guided", 1)]["state"], "pre-active", "state")
        checks.same(site.approve(identifier, "bkmu")["key"]["state"], "active", "state once another officer approved it")

    with check("no component is in a log, a file, the database or the memory of the front"):
        nowhere(desk, [*parts, whole])


def main():
    with checks.site() as site, checks.Checks(site) as check:
        desk = Desk(site)
        proposals(desk, check)
        refusals(desk, check)
        consent(desk, check)
        forgeries(desk, check)
        rosters(desk, check)
        exports(desk, check)
        tokens(desk, check)
        ceremony(desk, check)
        shares(desk, check)
        founding(check)
        permits(check)
    return check.status


if __name__ == "__main__":
    sys.exit(main())
