#!/usr/bin/env python3
"""Numbers, orders and terminals at the issuing host, over the running units: what is given out, bound, released, refused."""
import concurrent.futures
import json
import sys

sys.dont_write_bytecode = True
import cards  # noqa: E402
import checks  # noqa: E402
import clients  # noqa: E402
import counters  # noqa: E402
import installation  # noqa: E402

CARDS_EACH = 8      # that two counters fill at the same time
REQUESTS = 16       # that one terminal has under way at once
POOL = ("8613800000000", "8613800000059")


class Workplace:
    def __init__(self, site):
        self.site = site
        site.lay_out()
        site.start_units()
        self.maker = counters.Maker(site)
        self.maker.hand_over(unit="kmu")
        site.generate_key("payment", "default", cards.PAYMENT_LINE, unit="kmu")
        site.register("security-domain", "cn-test", prefixes=("86138",), iccid_prefixes=("898600",))
        site.keyfill("number", "add", "--first", POOL[0], "--last", POOL[1], config="administrator-host")
        self.first = counters.Counter(site, "counter-1")
        self.second = counters.Counter(site, "counter-2")
        self.made = 0

    def insert_blank(self, counter=None):
        self.made += 1
        return (counter or self.first).insert(self.maker.card(self.made))

    def numbers(self, state=None):
        """{number: row} of the host's list."""
        more = ("--state", state) if state else ()
        listed = self.site.keyfill_json("number", "list", *more, config="administrator-host")
        return {row["number"]: row for row in listed["numbers"]}

    def state(self, number):
        return self.numbers()[number]["state"]


def pool(work, check):
    first, second = work.first, work.second

    def fill_many(counter, names):
        numbers = []
        for name in names:
            counter.insert(name)
            numbers.append(counter.operation("fill", "--allocate")["number"])
        return numbers

    with check("two counters that fill at the same time never get the same number; each is bound to its card"):
        names = [[work.maker.card(1000 * side + index) for index in range(CARDS_EACH)] for side in (1, 2)]
        with concurrent.futures.ThreadPoolExecutor(2) as threads:
            given = [number for numbers in threads.map(fill_many, (first, second), names) for number in numbers]
        checks.same(len(set(given)), 2 * CARDS_EACH, f"different numbers of {sorted(given)}")
        bound = work.numbers("bound")
        checks.same(sorted(bound), sorted(given), "bound numbers")
        checks.that(all(row["card"].startswith("kdd:") for row in bound.values()), f"cards: {bound}")
        checks.same(len({row["card"] for row in bound.values()}), 2 * CARDS_EACH, "different cards")

    with check("requests that begin at the same time reserve different numbers, each under its request"):
        terminal = clients.Client.of_terminal(work.site, "counter-3")  # a client serves one thread: others are made of its files
        bodies = [clients.request("fill", {"iccid": f"898600999999999{index:05d}"}, number_source="allocate") for index in range(REQUESTS)]
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda body: clients.Client.of_terminal(work.site, "counter-3").post("/v1/requests", body), bodies))
        checks.same({answer.status for answer in answers}, {200}, "answers")
        reserved = work.numbers("reserved")
        checks.same(len(reserved), REQUESTS, "reserved numbers")
        checks.same(sorted(row["request"].rpartition("/")[2] for row in reserved.values()), sorted(body["id"] for body in bodies), "requests")
        again = terminal.post("/v1/requests", bodies[0])
        checks.same(again.body, answers[0].body, "the same request again")
        checks.same(len(work.numbers("reserved")), REQUESTS, "reserved numbers after the same request again")

    with check("a number that was reserved for a card whose request went no further is that card's, and is bound when the card is filled"):
        work.insert_blank()
        report = first.operation("card")["card"]
        begun = clients.Client.of_terminal(work.site, "counter-3").post("/v1/requests", clients.request("fill", report, number_source="allocate"))
        checks.same(begun.json["state"], "continue", "state of the first request")
        number = [each for each, row in work.numbers("reserved").items() if begun.json["id"] in row["request"]][0]
        checks.same(first.operation("fill", "--allocate")["number"], number, "number of the second request")
        checks.same(work.state(number), "bound", "state")

    with check("a fill that fails gives its number back to the pool"):
        free = work.numbers("free")
        work.insert_blank()
        first.refused("fill", "--allocate", "--category", "cn-nowhere", because="KF_ERR_CATEGORY", status=1)
        imitation = "imitation"
        work.site.make_card(imitation, cards.blueprint("89860055555555555555", "460001234567891", cards.published_test_keys()))
        first.insert(imitation)
        first.refused("fill", "--allocate", because="KF_ERR_CRYPTOGRAM", status=4)
        installation.wait_until("the numbers to be free again", lambda: work.numbers("free") == free, 10)

    with check("the number of a cleared card is released, not given out again"):
        work.insert_blank()
        number = first.operation("fill", "--allocate")["number"]
        checks.same(work.state(number), "bound", "state after fill")
        first.operation("clear")
        checks.same(work.state(number), "released", "state after clear")
        checks.different(first.operation("fill", "--allocate")["number"], number, "number")

    with check("a number is in the pool once: adding it again adds nothing"):
        before = work.numbers()
        done = work.site.keyfill("number", "add", "8613800000061", POOL[0], "--json", config="administrator-host", check=False)
        checks.same((done.returncode, json.loads(done.stdout)["type"]), (1, "urn:keyfill:error:KF_ERR_CONFLICT"), "refusal")
        checks.that(POOL[0] in json.loads(done.stdout)["detail"], done.stdout)
        checks.same(work.numbers(), before, "the pool")

    with check("an empty pool says so, exit status 1"):
        work.site.keyfill("number", "add", "--category", "cn-other", "8613899999999", config="administrator-host")
        free = [number for number in work.numbers("free") if not number.startswith("86138999")]
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda index: clients.Client.of_terminal(work.site, "counter-3").post("/v1/requests", clients.request(
                "fill", {"iccid": f"898600888888888{index:05d}"}, number_source="allocate", category="cn-test")), range(len(free))))
        work.insert_blank()
        first.refused("fill", "--allocate", "--category", "cn-test", because="KF_ERR_NO_NUMBER", status=1)


def taken(work, check):
    first, second, site = work.first, work.second, work.site

    with check("a number that another card has is refused with its name, and the card stays blank"):
        work.insert_blank()
        first.operation("fill", "--number", "8613811111111")
        other = work.insert_blank(second)
        before = site.show_card(other)
        detail = second.refused("fill", "--number", "8613811111111", because="KF_ERR_NUMBER_TAKEN", status=1)
        checks.that("8613811111111" in detail, detail)
        checks.same(site.show_card(other), before, "the card")

    with check("a number that breaks the rule for numbers is named"):
        for wrong in ("12", "86138x", "861380000000000000"):
            detail = second.refused("fill", "--number", wrong, because="KF_ERR_NUMBER", status=1)
            checks.that(wrong in detail, detail)

    with check("the card that has the number keeps it through refill, and may take it again after clear"):
        checks.same(first.operation("refill")["number"], "8613811111111", "number")
        first.operation("clear")
        checks.same(first.operation("fill", "--number", "8613811111111")["number"], "8613811111111", "number")


def orders(work, check):
    first, site = work.first, work.site

    with check("an order gives number, category and personalisation"):
        site.keyfill("order", "put", "A-1", "--number", "8613822222222", "--category", "cn-test", "--field", "plan=5G-59",
                     "--write-number", "yes", config="administrator-host")
        card = work.insert_blank()
        filled = first.operation("fill", "--allocate", "--order", "A-1")
        checks.same((filled["number"], filled["category"], filled["personalised"]), ("8613822222222", "cn-test", ["plan"]), "fill")
        checks.that("msisdn: 8613822222222\n" in site.show_card(card), site.show_card(card))
        listed = site.keyfill_json("order", "list", config="administrator-host")["orders"]
        checks.same([(order["name"], order["number"]) for order in listed], [("A-1", "8613822222222")], "orders")

    with check("what contradicts the order is refused with both values; an order that is not there by its name"):
        work.insert_blank()
        detail = first.refused("fill", "--allocate", "--order", "A-1", "--plan", "5G-99", because="KF_ERR_CONFLICT", status=1)
        checks.that("5G-59" in detail and "5G-99" in detail, detail)
        detail = first.refused("fill", "--allocate", "--order", "A-2", because="KF_ERR_NOT_FOUND", status=1)
        checks.that("A-2" in detail, detail)


def terminals(work, check):
    site = work.site

    def listed(name):
        rows = site.keyfill_json("terminal", "list", config="administrator-host")["terminals"]
        return [row for row in rows if row["name"] == name][0]

    with check("terminals are listed with state and last contact"):
        row = listed("counter-1")
        checks.that(row["state"] == "enrolled" and row["last_contact_ms"] > 0, json.dumps(row))
        site.keyfill("terminal", "code", "counter-9", config="administrator-host")
        checks.same(listed("counter-9")["state"], "invited", "state of a terminal that has a code only")

    with check("a disabled terminal is refused from its next request on, also on a connection that was open; enabled, it is heard again"):
        work.insert_blank()
        open_connection = clients.Client.of_terminal(site, "counter-3", keep=True)
        checks.same(open_connection.get("/v1/modules").status, 200, "before")
        kept = open_connection.connection.sock
        for name in ("counter-1", "counter-3"):
            site.keyfill("terminal", "disable", name, config="administrator-host")
        checks.problem(open_connection.get("/v1/modules"), 403, "KF_ERR_DISABLED", "counter-3")
        work.first.refused("fill", "--number", "8613833333333", because="KF_ERR_DISABLED", status=1)
        checks.same(listed("counter-1")["state"], "disabled", "state")
        for name in ("counter-1", "counter-3"):
            site.keyfill("terminal", "enable", name, config="administrator-host")
        checks.same(open_connection.get("/v1/modules").status, 200, "after")
        checks.that(kept is not None and open_connection.connection.sock is kept, "the connection was not the same one all the time")
        open_connection.close()
        work.first.operation("fill", "--number", "8613833333333")

    with check("a one-time code is good once; a wrong one is refused"):
        code = site.keyfill_json("terminal", "code", "counter-9", config="administrator-host")["code"]

        def enroll(word):
            return site.keyfill("terminal", "enroll", "--host", f"https://127.0.0.1:{site.ports['host']}", "--ca", str(site.path("ca.pem")),
                                "--code", word, "--certificate", str(site.path("nine.pem")), "--private-key", str(site.path("nine.key")),
                                "--json", check=False)
        checks.same(enroll("AAAA-AAAA-AAAA-AAAA").returncode, 1, "exit status with a wrong code")
        checks.same(enroll(code).returncode, 0, "exit status")
        again = enroll(code)
        checks.same((again.returncode, json.loads(again.stdout)["type"]), (1, "urn:keyfill:error:KF_ERR_CODE"), "the code again")

    with check("a terminal that was enrolled anew is not heard with its former certificate"):
        work.second.insert(work.maker.card(5000))
        code = site.keyfill_json("terminal", "code", "counter-2", config="administrator-host")["code"]
        site.keyfill("terminal", "enroll", "--host", f"https://127.0.0.1:{site.ports['host']}", "--ca", str(site.path("ca.pem")),
                     "--code", code, "--certificate", str(site.path("new.pem")), "--private-key", str(site.path("new.key")))
        work.second.refused("fill", "--number", "8613844444444", because="KF_ERR_FORBIDDEN", status=1)


def main():
    with checks.site() as site, checks.Checks(site) as check:
        work = Workplace(site)
        for part in (pool, taken, orders, terminals):
            part(work, check)
    return check.status


if __name__ == "__main__":
    sys.exit(main())
