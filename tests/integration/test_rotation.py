#!/usr/bin/env python3
"""Base keys change while cards are filled: new versions, sizes and key version numbers, states; group and transport keys under running requests."""
import csv
import json
import re
import sys
import threading

sys.dont_write_bytecode = True
import cards  # noqa: E402
import checks  # noqa: E402
import clients  # noqa: E402
import counters  # noqa: E402
import installation  # noqa: E402
import relay  # noqa: E402

CATEGORY = "cn-test"
NUMBER = "861380000{:04d}"
PROFILE = (installation.ROOT / "profiles" / "security-domain.yaml").read_text(encoding="utf-8")
LARGE_PROFILE = PROFILE.replace("key_version: 0x30", "key_version: 0x30\n  key_size: 32")
OTHER_VERSION = PROFILE.replace("key_version: 0x30", "key_version: 0x35\n  key_size: 32")


class Scene:
    def __init__(self, site):
        self.site = site
        site.lay_out()
        site.start_units()
        site.make_transport_key()
        self.maker = counters.Maker(site)
        self.maker.hand_over()
        self.base_key, parts = cards.components()
        site.import_key("payment", "default", cards.PAYMENT_LINE, parts)
        self.wait_for_version(1, "active")
        site.register("security-domain", CATEGORY, prefixes=("86138",), iccid_prefixes=("898600",))
        self.counter = counters.Counter(site, "counter-1")

    def versions(self, purpose="payment"):
        listed = self.site.keyfill_json("key", "list", config="officer-kmu")["keys"]
        return {key["version"]: key for key in listed if key["purpose"] == purpose}

    def wait_for_version(self, version, state):
        installation.wait_until(f"version {version} to be {state} at the key management unit",
                                lambda: self.versions().get(version, {}).get("state") == state)

    def act(self, *arguments, unit="bkmu"):
        return self.site.agree("key", *arguments, unit=unit)

    def state_of(self, version, act, state):
        self.act(act, "--purpose", "payment", "--version", str(version))
        self.wait_for_version(version, state)

    def cards_of(self):
        """{version: (cards, being refilled)} as keyfill key show has it."""
        shown = self.site.keyfill("key", "show", "--purpose", "payment", config="officer-kmu").stdout
        found, at, decoder = {}, 0, json.JSONDecoder()
        while shown[at:].strip():
            key, used = decoder.raw_decode(shown[at:].lstrip())
            at = len(shown) - len(shown[at:].lstrip()) + used
            found[key["version"]] = (key["cards"], key["cards_pending"])
        return found

    def refill_list(self, version, *more):
        file = self.site.path(f"list-{version}.csv")
        file.unlink(missing_ok=True)
        self.site.keyfill("refill-list", "--key-version", str(version), "--output", str(file), *(more or ("--category", CATEGORY)),
                          config="officer-kmu")
        with open(file, newline="", encoding="ascii") as stream:
            return list(csv.DictReader(stream))

    def put_card(self, index, tear=None):
        if not self.site.path("cards", f"card-{index}.card").exists():
            self.maker.card(index)
        return self.counter.insert(f"card-{index}", tear)

    def fill(self, index):
        self.put_card(index)
        return self.counter.operation("fill", "--number", NUMBER.format(index))

    def refill(self, index):
        self.put_card(index)
        return self.counter.operation("refill")

    def key_set(self, index):
        """Key versions of the card's domain, by the card itself."""
        shown = self.site.show_card(f"card-{index}")
        part = re.search(rf"(?m)^security domain {installation.DOMAIN_AID}:.*\n((?:  .*\n?)*)", shown).group(1)
        return re.findall(r"key set (\w\w):", part)


def versions(scene, check):
    counter = scene.counter

    with check("cards are counted under the version that they are filled from, and written into a list"):
        for index in (1, 2, 3, 4):
            scene.fill(index)
        checks.same(scene.cards_of(), {1: (4, 0)}, "counts")
        rows = scene.refill_list(1)
        checks.same([row["number"] for row in rows], [NUMBER.format(index) for index in (1, 2, 3, 4)], "numbers")
        checks.same({(row["category"], row["key_version"]) for row in rows}, {(CATEGORY, "1")}, "category and version")
        checks.same(rows[0]["iccid"], counters.NUMBER_OF_CARD.format(1), "ICCID")
        checks.same(len(scene.refill_list(1, "--base-key", "default")), 4, "cards of the base key")

    with check("a rotation is pushed: new fills use the new version, a refill moves a card to it"):
        scene.act("rotate", "--purpose", "payment")
        scene.wait_for_version(1, "deactivated")
        checks.same(scene.fill(5)["base_key_version"], 2, "base key version of a new fill")
        refilled = scene.refill(1)
        checks.same((refilled["base_key_version"], refilled["generation"]), (2, 2), "version and generation")
        checks.same(scene.cards_of(), {1: (3, 0), 2: (2, 0)}, "counts")
        checks.same([row["number"] for row in scene.refill_list(1)], [NUMBER.format(index) for index in (2, 3, 4)], "list of version 1")

    with check("the base key management unit shows how many cards the other unit has on each version"):
        scene.site.keyfill("key", "pull", config="officer-kmu")

        def told():
            listed = scene.site.keyfill_json("key", "list", config="officer-bkmu")["keys"]
            return {key["version"]: key["peers"][0].get("cards") for key in listed if key["purpose"] == "payment"}
        installation.wait_until("the counts to be told", lambda: told() == {1: 3, 2: 2})

    with check("after a second rotation a card that never had the version between goes on to the newest"):
        scene.act("rotate", "--purpose", "payment")
        scene.wait_for_version(2, "deactivated")
        checks.same(scene.refill(2)["base_key_version"], 3, "base key version")
        checks.same(scene.cards_of(), {1: (2, 0), 2: (2, 0), 3: (1, 0)}, "counts")

    with check("an administrator writes the list, too; a clerk's host does not"):
        done = scene.site.keyfill("refill-list", "--key-version", "1", "--category", CATEGORY, config="administrator-kmu").stdout
        checks.same(done.splitlines()[0], "number,iccid,category,key_version", "heading")
        host = clients.Client.of_role(scene.site, "host", "main", "kmu")
        checks.problem(host.get(f"/v1/cards?category={CATEGORY}&key_version=1"), 403, "KF_ERR_FORBIDDEN")
    return counter


def sizes(scene, check):
    site, counter = scene.site, scene.counter

    with check("a larger base key: refused while the profile says otherwise, and the card keeps its key"):
        site.generate_key("payment", "default", cards.PAYMENT_LINE, "--size", "32")
        scene.wait_for_version(4, "active")
        scene.put_card(1)
        detail = counter.refused("refill", because="KF_ERR_PROFILE")
        checks.that("key_size 32" in detail, detail)
        checks.same(scene.key_set(1), ["30"], "key sets on the card")

    with check("with a profile that has it, the card gets the larger key beside the old one, proves it, and loses the old one"):
        site.register("security-domain", CATEGORY, prefixes=("86138",), iccid_prefixes=("898600",), profile_text=LARGE_PROFILE)
        refilled = scene.refill(1)
        checks.same((refilled["base_key_version"], refilled["generation"]), (4, 3), "version and generation")
        counter.remove()
        checks.same(scene.key_set(1), ["31"], "key sets on the card")
        checks.same(scene.fill(6)["base_key_version"], 4, "a new fill")

    with check("power goes in the middle of that, before and after the new key is there, before and after the old one is gone: the next refill settles it"):
        torn = 0
        for at in (4, 5, 7, 9, 10):
            index = 20 + at
            scene.state_of(4, "suspend", "suspended")
            scene.site.register("security-domain", CATEGORY, prefixes=("86138",), iccid_prefixes=("898600",), profile_text=PROFILE)
            checks.same(scene.fill(index)["base_key_version"], 3, "base key version before")
            scene.state_of(4, "activate", "active")
            scene.site.register("security-domain", CATEGORY, prefixes=("86138",), iccid_prefixes=("898600",), profile_text=LARGE_PROFILE)
            scene.put_card(index, tear=f"{at}:after")
            done = site.keyfill("refill", "--json", config=counter.name, check=False)
            torn += done.returncode != 0
            scene.put_card(index)
            if done.returncode != 0:
                counter.operation("refill")
            checks.same(counter.operation("card")["record"]["base_key_version"], 4, f"base key version, torn after {at}")
            counter.remove()
            checks.same(len(scene.key_set(index)), 1, f"key sets on the card, torn after {at}")
        checks.same(torn, 5, "refills that were torn")

    with check("another key version number in the profile: the next refill moves the card there"):
        site.register("security-domain", CATEGORY, prefixes=("86138",), iccid_prefixes=("898600",), profile_text=OTHER_VERSION)
        said = scene.refill(6)
        checks.same(said["generation"], 2, "generation")
        counter.remove()
        checks.same(scene.key_set(6), ["35"], "key sets on the card")


def states(scene, check):
    counter = scene.counter

    with check("a suspended base key fills nothing and moves nothing, until it is active again"):
        for version in (1, 2, 3):
            if scene.versions()[version]["state"] != "deactivated":
                scene.state_of(version, "deactivate", "deactivated")
        scene.state_of(4, "suspend", "suspended")
        scene.put_card(7)
        counter.refused("fill", "--number", NUMBER.format(7), because="KF_ERR_NO_KEY")
        scene.put_card(6)
        detail = counter.refused("refill", because="KF_ERR_KEY_POLICY")
        checks.that("suspended" in detail, detail)
        detail = counter.refused("clear", because="KF_ERR_KEY_POLICY")
        scene.state_of(4, "activate", "active")
        checks.same(scene.refill(6)["generation"], 3, "generation")

    with check("a card whose base key is deactivated meanwhile is proven and refilled to the new version"):
        checks.same(scene.refill(3)["base_key_version"], 4, "base key version")

    with check("a destroyed base key is gone: its card proves nothing any more, and says why"):
        scene.state_of(1, "destroy", "destroyed")
        scene.put_card(4)
        detail = counter.refused("refill", because="KF_ERR_KEY_POLICY")
        checks.that("payment/default/1 is destroyed" in detail, detail)
        checks.same(scene.cards_of()[1], (1, 0), "cards of version 1")


def group_keys(scene, check):
    site = scene.site
    host = clients.Client.of_role(site, "host", "main", "kmu")

    def slot(index):
        scene.counter.remove()
        scene.maker.card(index)
        site.stop_one("card")
        site.insert_socket(f"card-{index}")
        return site.path("card.sock")

    def body_of(operation, index, **more):
        return clients.request(operation, {"iccid": counters.NUMBER_OF_CARD.format(index)}, terminal="counter-1", **more)

    with check("the group key is rotated between any two messages of a fill, and the fill ends well"):
        for after in (1, 2, 3):
            index = 100 + after
            rotated = []

            def rotate(number, _, after=after, rotated=rotated):
                if number == after:
                    rotated.append(scene.act("rotate", "--purpose", "group", unit="kmu")["key"]["version"])
            with relay.SocketCard(slot(index)) as card:
                final = clients.run_request(host, body_of("fill", index, number=NUMBER.format(index)), card, rotate)
            checks.same((final["state"], len(rotated)), ("done", 1), f"fill with a rotation after message {after}")
        states_of = [key["state"] for _, key in sorted(scene.versions("group").items())]
        checks.same(states_of, ["deactivated"] * 3 + ["active"], "states of the group keys")

    with check("a group key of components: it waits for its KCV to be confirmed, then seals; a fill that began before goes on"):
        _, parts = cards.components(2, 32)
        entered = site.give_components("kmu", ("key", "import", "--purpose", "group", "--size", "32", "--components", "2"), parts)[-1]
        checks.same(entered["key"]["state"], "pre-active", "state before that")
        activated = []

        def activate(number, _):
            if number == 2:
                activated.append(site.activate(entered["key"], "kmu")["key"]["state"])
        with relay.SocketCard(slot(110)) as card:
            final = clients.run_request(host, body_of("fill", 110, number=NUMBER.format(110)), card, activate)
        checks.same((final["state"], activated), ("done", ["active"]), "the fill")


def under_load(scene, check):
    site = scene.site
    failures, done, stop = [], [], threading.Event()

    def work(name, first):
        counter = counters.Counter(site, name)
        index = first
        try:
            while not stop.is_set() or index < first + 2:
                scene.maker.card(index)
                counter.insert(f"card-{index}")
                for operation in (("fill", "--number", NUMBER.format(index)), ("refill",), ("clear",)):
                    counter.operation(*operation)
                    done.append(operation[0])
                index += 1
        except Exception as failure:  # what is tested for
            failures.append(f"{name}: {failure}")

    with check("group, transport and payment keys are rotated under running fills, refills and clears: none fails, and all arrives"):
        threads = [threading.Thread(target=work, args=(f"counter-{number}", 100 * number)) for number in (2, 3)]
        for thread in threads:
            thread.start()
        began = len(done)
        for _ in range(2):
            scene.act("rotate", "--purpose", "group", unit="kmu")
            transport = scene.act("rotate", "--purpose", "transport", "--category", "main")["key"]
            scene.act("rotate", "--purpose", "payment")
            newest = max(scene.site.keyfill_json("key", "list", config="officer-bkmu")["keys"],
                         key=lambda key: key["version"] if key["purpose"] == "payment" else 0)
            scene.wait_for_version(newest["version"], "active")
            scene.act("deactivate", "--purpose", "transport", "--category", "main", "--version", str(transport["version"] - 1))
        installation.wait_until("operations after the last rotation", lambda: len(done) > began + 6 or failures)
        stop.set()
        for thread in threads:
            thread.join()
        checks.same(failures, [], "failures")
        here = scene.versions("transport")
        checks.same(here[max(here)]["kcv"], transport["kcv"], "KCV of the transport key that arrived")
        checks.same(here[max(here)]["origin"], "main", "where it came from")
        row = site.keyfill_json("key", "unit", "list", config="officer-bkmu")["kmus"][0]
        installation.wait_until("everything to have arrived",
                                lambda: site.keyfill_json("key", "unit", "list", config="officer-bkmu")["kmus"][0]["up_to_date"])
        checks.same(row["last_error"], "", "what the push says")

    with check("the audit logs of both units are whole"):
        for unit in ("bkmu", "kmu"):
            site.keyfill("audit", "verify", config=f"auditor-{unit}")


def main():
    with checks.site() as site, checks.Checks(site) as check:
        scene = Scene(site)
        versions(scene, check)
        sizes(scene, check)
        states(scene, check)
        group_keys(scene, check)
        under_load(scene, check)
    return check.status


if __name__ == "__main__":
    sys.exit(main())
