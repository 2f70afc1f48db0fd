#!/usr/bin/env python3
"""Over the real pcscd and vpcd: insertion and removal, a fill, cards torn out at every stretch of it, a PC/SC service that goes away."""
import json
import sys

sys.dont_write_bytecode = True
import card_keys  # noqa: E402
import cards  # noqa: E402
import checks  # noqa: E402
import counters  # noqa: E402
import installation  # noqa: E402

TEARS = range(8, 80, 1 if checks.LONG else 4)  # commands since the card was put in


class Workplace:
    def __init__(self, site):
        self.site = site
        self.base_key, parts = cards.components()
        site.lay_out()
        site.start_units()
        self.maker = counters.Maker(site)
        self.maker.hand_over(unit="kmu")
        site.import_key("payment", "default", cards.PAYMENT_LINE, parts, unit="kmu")
        site.register("security-domain", "cn-test", prefixes=("86138",), iccid_prefixes=("898600",))
        site.enroll()
        site.start_pcscd()
        site.start_terminal()

    def operation(self, *arguments):
        return self.site.keyfill_json(*arguments, config="terminal")

    def attempt(self, *arguments):
        """Exit status and what was printed as JSON."""
        done = self.site.keyfill(*arguments, "--json", config="terminal", check=False)
        return done.returncode, json.loads(done.stdout)

    def refused(self, *arguments, because, status=4):
        got, problem = self.attempt(*arguments)
        checks.same((got, problem.get("type")), (status, f"urn:keyfill:error:{because}"), f"refusal ({problem.get('detail')})")
        return problem["detail"]


def insertion(work, check):
    site = work.site

    with check("an empty reader: no card is in it, and what to do, exit status 4"):
        checks.same(site.terminal_status()["card"], False, "card")
        checks.that("insert" in site.terminal_status()["detail"], json.dumps(site.terminal_status()))
        checks.that("insert" in work.refused("card", because="KF_ERR_NO_CARD"), "what to do is not said")

    with check("insertion and removal are noticed, again and again, and whose card it is"):
        names = [work.maker.card(index) for index in (1, 2, 1)]
        for name in names:
            site.insert(name)  # returns when the terminal says that a card is there
            shown = work.operation("card")
            checks.that("Virtual PCD" in shown["reader"], json.dumps(shown))
            checks.that(f"iccid: {shown['card']['iccid']}\n" in site.show_card(name), json.dumps(shown))
            site.remove()      # returns when the terminal says that none is there

    with check("over PC/SC a card is filled in 4 round trips, refilled and cleared in 3"):
        site.insert("card-1")
        site.keyfill("number", "add", "8613800000001", config="administrator-host")
        filled = work.operation("fill", "--allocate", "--plan", "5G-59")
        keys = card_keys.payment_keys(work.base_key, "8613800000001", 1)
        checks.same((filled["number"], filled["round_trips"], filled["kcv"]), ("8613800000001", 4, card_keys.check_value(keys[0])), "fill")
        checks.same(counters.domain_keys(site, "card-1"), ("30", card_keys.check_values(keys)), "key set on the card")
        checks.same(work.operation("refill")["round_trips"], 3, "round trips of refill")
        checks.same(work.operation("clear")["round_trips"], 3, "round trips of clear")
        site.remove()


def torn(work, check):
    """One card for each place where the power goes; all fill with a number of their own."""
    site = work.site
    broken = {"before": 0, "after": 0}

    def fill_torn(index, tear):
        """The fill, with the power gone at that command; then the card again. True if the fill broke off."""
        card, number = work.maker.card(index), f"86138{index:08d}"
        fill = ("fill", "--number", number, "--plan", "5G-59")
        site.insert(card, tear=tear)
        status, said = work.attempt(*fill)
        if status == 0:
            site.remove()
            return False
        checks.same((status, said["type"]), (4, "urn:keyfill:error:KF_ERR_CARD_REMOVED"), f"torn at {tear} ({said['detail']})")
        checks.that("present" in said["detail"] or "insert" in said["detail"], f"torn at {tear}, what to do is not said: {said['detail']}")
        site.stop_one("card")
        site.insert(card)
        finished = work.operation(*fill)
        wanted = card_keys.check_values(card_keys.payment_keys(work.base_key, number, finished["generation"]))
        checks.same(counters.domain_keys(site, card), ("30", wanted), f"key set of the card torn at {tear}")
        checks.same(counters.domain_data(site, card), {"0045": 5}, f"data of the card torn at {tear}")
        record = work.operation("card")["record"]
        checks.same((record["state"], record["number"]), ("filled", number), f"record of the card torn at {tear}")
        checks.same(work.operation("refill")["generation"], finished["generation"] + 1, "generation")
        site.remove()
        return True

    for when in ("before", "after"):
        with check(f"a card pulled out {when} a command took effect: status 4 and what to do; presented again, the fill is finished"):
            for position in TEARS:
                if not fill_torn(position + (1000 if when == "before" else 2000), f"{position}:{when}"):
                    break
                broken[when] += 1
            checks.that(broken[when] >= 3, f"only {broken[when]} fills broke off: the test tears too late")
        site.stop_one("card")


def service(work, check):
    site = work.site

    with check("a PC/SC service that stops is said to be gone, exit status 4; when it is back, the terminal works again by itself"):
        site.stop_one("card")
        site.stop_one("pcscd")
        status, said = work.attempt("card")
        checks.same(status, 4, f"exit status ({said})")
        checks.among(said["type"].rpartition(":")[2], ("KF_ERR_NO_READER", "KF_ERR_READER"), "code")
        site.start_pcscd()
        site.insert("card-2")
        checks.that("iccid" in work.operation("card")["card"], "the card is not read")
        work.operation("fill", "--number", "8613877777777")


def main():
    with checks.site() as site, checks.Checks(site) as check:
        work = Workplace(site)
        for part in (insertion, torn, service):
            part(work, check)
    return check.status


if __name__ == "__main__":
    sys.exit(main())
