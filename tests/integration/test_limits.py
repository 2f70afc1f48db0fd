#!/usr/bin/env python3
"""What hosts and terminals are bound to at the key management unit, and how many card keys its vault derives in a minute."""
import contextlib
import sqlite3
import sys
import threading

import checks
import clients
import ready
import relay
from installation import wait_until

HOST, STRANGER = "main", "stranger"
QUOTA = 37
CALLERS, CALLS = 6, 12
DERIVATIONS = 60  # a minute: the least that can be set


def put(site, *arguments):
    site.keyfill("kmu-host", "put", *arguments, config="administrator-kmu")


def fill_of(index, **more):
    return clients.request("fill", ready.Ready.report(index), number=ready.NUMBER.format(index), **more)


def outcomes(site, action):
    """Of the audit rows of that action: (actor, subject, outcome)."""
    found, after = [], 0
    while True:
        rows = site.keyfill_json("audit", "list", "--after", str(after), config="auditor-kmu")["rows"]
        if not rows:
            return found
        after = rows[-1]["seq"]
        found += [(row["actor"], row["subject"], row["outcome"]) for row in rows if row["action"] == action]


def change_config(site, old, new, file="kmu/front.yaml"):
    path = site.path(file)
    text = path.read_text(encoding="utf-8")
    checks.that(old in text, f"{file} does not say {old!r}")
    path.write_text(text.replace(old, new), encoding="utf-8")


def check_registration(site, check):
    host = clients.Client.of_role(site, "host", STRANGER, "kmu", keep=True)
    with check("hosts: open: a host that nobody registered is heard, and the log says so"):
        checks.same(host.get("/v1/categories").status, 200, "status")
        checks.that(site.processes["kmu"].said("hosts: open: every host"), "no warning")
    change_config(site, "hosts: open", "hosts: registered")
    ready.restart_kmu(site)
    host.close()
    with check("hosts: registered: it is refused on every route of hosts, each time with an audit row, and can still ask for the unit's health"):
        for method, path in (("GET", "/v1/categories"), ("POST", "/v1/requests"), ("POST", "/v1/cards/lookup")):
            checks.problem(host.call(method, path, None if method == "GET" else {}), 403, "KF_ERR_FORBIDDEN", "stranger is not registered")
        checks.same(host.get("/healthz").status, 200, "status")
        rows = [row for row in outcomes(site, "route.forbidden") if row[0] == f"host:{STRANGER}"]
        checks.same([row[2] for row in rows], ["KF_ERR_FORBIDDEN"] * 3, "outcomes")
    with check("registered, disabled and enabled, it is heard, refused and heard again on the same connection"):
        put(site, STRANGER)
        checks.same(host.get("/v1/categories").status, 200, "status")
        connection = host.connection
        site.keyfill("kmu-host", "disable", STRANGER, config="administrator-kmu")
        checks.problem(host.get("/v1/categories"), 403, "KF_ERR_DISABLED", "stranger is disabled")
        site.keyfill("kmu-host", "enable", STRANGER, config="administrator-kmu")
        checks.same(host.get("/v1/categories").status, 200, "status")
        checks.that(host.connection is connection, "another connection")
    with check("off the register it is refused again"):
        site.keyfill("kmu-host", "delete", STRANGER, config="administrator-kmu")
        checks.problem(host.get("/v1/categories"), 403, "KF_ERR_FORBIDDEN", "not registered")


def insert(made, index):
    """A blank card in the terminal's reader; its socket."""
    made.site.stop_one("card")
    made.site.insert_socket(made.make_card(index), path="reader.sock")
    return made.site.path("reader.sock")


def fill_at_counter(site, index):
    """A clerk's fill: exit status and what was said."""
    done = site.keyfill("fill", "--number", ready.NUMBER.format(index), config="terminal", check=False)
    return done.returncode, done.stderr


def check_bounds(made, check):
    site = made.site
    with check("a clerk is told that the host is bound to other categories, then to other numbers; the card is untouched"):
        socket = insert(made, 1)
        put(site, HOST, "--categories", "elsewhere")
        code, words = fill_at_counter(site, 1)
        checks.same(code, 1, "exit status")
        checks.that(f"host {HOST} is not registered for cards of category {ready.CATEGORY}" in words, words)
        put(site, HOST, "--categories", f"elsewhere,{ready.CATEGORY}", "--numbers", "8613900000000-8613999999999")
        code, words = fill_at_counter(site, 1)
        checks.same(code, 1, "exit status")
        checks.that("lies in none of its ranges" in words, words)
        checks.same(ready.card_row(made.database(), ready.ICCID.format(1)), None, "the card's row")
    with check("within its bounds it fills; the terminal's own bounds hold, too"):
        put(site, HOST, "--categories", ready.CATEGORY, "--numbers", "8613800000000-8613899999999,1-2")
        put(site, HOST, "--terminal", "counter-1", "--categories", "elsewhere")
        code, words = fill_at_counter(site, 1)
        checks.that(code == 1 and "terminal counter-1 of host main is not registered for cards" in words, words)
        put(site, HOST, "--terminal", "counter-1")
        checks.same(fill_at_counter(site, 1)[0], 0, "exit status")
        checks.same(ready.card_row(made.database(), ready.ICCID.format(1)).state, "filled", "state")
    with check("a disabled terminal is refused at the key management unit, whatever its host says of it"):
        site.keyfill("kmu-host", "disable", HOST, "--terminal", "counter-1", config="administrator-kmu")
        done = site.keyfill("refill", config="terminal", check=False)
        checks.that(done.returncode == 1 and "terminal counter-1 of host main is disabled" in done.stderr, done.stderr)
        site.keyfill("kmu-host", "enable", HOST, "--terminal", "counter-1", config="administrator-kmu")
        site.keyfill("refill", config="terminal")
    with check("another host, bound to other numbers, neither refills nor clears the card, nor sees it"):
        put(site, STRANGER, "--numbers", "8613900000000-8613999999999")
        other = clients.Client.of_role(site, "host", STRANGER, "kmu")
        for operation in ("refill", "clear"):
            checks.problem(other.post("/v1/requests", clients.request(operation, ready.Ready.report(1))), 403, "KF_ERR_FORBIDDEN", "ranges")
        checks.problem(other.post("/v1/cards/lookup", {"card": ready.Ready.report(1)}), 403, "KF_ERR_FORBIDDEN", "ranges")
        # It names another card and puts this one into the reader: the card's cryptogram says which it is.
        body = clients.request("clear", ready.Ready.report(777), category=ready.CATEGORY)
        with relay.SocketCard(socket) as card:
            first = other.post("/v1/requests", body)
            answers = clients.run_script(card, first.json["script"])
        checks.problem(other.post(clients.messages_path(body), clients.message(first.json, answers)), 403, "KF_ERR_FORBIDDEN", "ranges")
        checks.same(ready.card_row(made.database(), ready.ICCID.format(1)).state, "filled", "state")
    with check("keyfill kmu-host list shows all of it"):
        shown = site.keyfill("kmu-host", "list", config="administrator-kmu").stdout
        for words in (HOST, STRANGER, "counter-1", "8613900000000-8613999999999", ready.CATEGORY):
            checks.that(words in shown, shown)


class Crowd:
    """Callers that each begin requests of their own until they have had an answer to every one, whatever breaks meanwhile."""

    def __init__(self, site):
        self.site = site
        self.statuses = []
        self.retry_after = []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.work, args=(number,)) for number in range(CALLERS)]

    def work(self, number):
        client = clients.Client.of_role(self.site, "host", HOST, "kmu", keep=True)
        for call in range(CALLS):
            self.begin(client, fill_of(1000 + CALLS * number + call))

    def begin(self, client, body):
        wait_until("an answer", lambda: self.has_answer(client, body), 120)

    def has_answer(self, client, body):
        """Nobody answers, or the unit says that it is not ready, while it starts again: the same request is sent again then."""
        try:
            answer = client.post("/v1/requests", body)
        except (OSError, clients.http.client.HTTPException):
            return False
        if answer.status in (502, 503, 504):
            return False
        with self.lock:
            self.statuses.append(answer.status)
            if answer.status == 429:
                self.retry_after.append(int(answer.headers["Retry-After"]))
        return True

    def count(self, status):
        with self.lock:
            return self.statuses.count(status)

    def run(self, break_at):
        """Kills the whole unit when so many were let in."""
        for thread in self.threads:
            thread.start()
        wait_until(f"{break_at} requests to be begun", lambda: self.count(200) + self.count(201) >= break_at)
        ready.restart_kmu(self.site)
        for thread in self.threads:
            thread.join()


def used(site, name):
    hosts = site.keyfill_json("kmu-host", "list", config="administrator-kmu")["hosts"]
    return next(host["used"] for host in hosts if host["name"] == name)


def check_quota(made, check):
    site = made.site
    with check(f"{CALLERS} callers at once, killed in the middle: {QUOTA} requests are begun and not one more, as often as each is repeated"):
        clients.Client.of_role(site, "host", HOST, "kmu")  # its certificate is made before the threads start
        before = used(site, HOST)
        put(site, HOST, "--daily", str(before + QUOTA))
        with contextlib.closing(sqlite3.connect(made.database())) as records:
            rows_before = records.execute("SELECT COUNT(*) FROM requests").fetchone()[0]
        crowd = Crowd(site)
        crowd.run(QUOTA // 2)
        let_in = crowd.count(200) + crowd.count(201)
        checks.same((let_in, crowd.count(429)), (QUOTA, CALLERS * CALLS - QUOTA), f"let in and refused, of {crowd.statuses}")
        with contextlib.closing(sqlite3.connect(made.database())) as records:
            checks.same(records.execute("SELECT COUNT(*) FROM requests").fetchone()[0], rows_before + QUOTA, "rows")
        checks.same(used(site, HOST), before + QUOTA, "used")
        checks.that(all(0 < seconds <= 86400 for seconds in crowd.retry_after), f"Retry-After: {crowd.retry_after}")
    with check("after the restart it is used up still, with an audit row; a higher one lets in as many more"):
        host = clients.Client.of_role(site, "host", HOST, "kmu")
        checks.problem(host.post("/v1/requests", fill_of(5000)), 429, "KF_ERR_QUOTA", f"begun the {before + QUOTA} requests")
        checks.that(("KF_ERR_QUOTA" in [row[2] for row in outcomes(site, "request.refused")]), "no audit row")
        put(site, HOST, "--daily", str(before + QUOTA + 1))
        checks.same(host.post("/v1/requests", fill_of(5001)).status, 200, "status")
        checks.problem(host.post("/v1/requests", fill_of(5002)), 429, "KF_ERR_QUOTA")
        put(site, HOST)


def send_until_derived(host, path, message, refused):
    """Sends the same message until the vault may derive again; what was refused is appended."""
    answers = []

    def is_taken():
        answer = host.post(path, message)
        if answer.status == 503:
            checks.problem(answer, 503, "KF_ERR_RATE", f"the {DERIVATIONS} card keys")
            checks.that(int(answer.headers["Retry-After"]) > 0, "no Retry-After")
            refused.append(answer)
        else:
            answers.append(answer)
        return bool(answers)
    wait_until("the vault to derive again", is_taken, 90)
    return answers[0]


def check_derivations(made, check):
    site = made.site
    change_config(site, "vault:\n", f"vault:\n  derivations_per_minute: {DERIVATIONS}\n", "kmu/monitor.yaml")
    ready.restart_kmu(site)
    socket = insert(made, 2)
    host = clients.Client.of_role(site, "host", HOST, "kmu")
    with check(f"a front has {DERIVATIONS} card keys a minute derived, not more: 503 with Retry-After, and a receipt; the fill ends all the same"):
        body, refused = fill_of(2), []
        with relay.SocketCard(socket) as card:
            answer = host.post("/v1/requests", body)
            while answer.status == 200 and answer.json["state"] == "continue":
                message = clients.message(answer.json, clients.run_script(card, answer.json["script"]))
                answer = send_until_derived(host, clients.messages_path(body), message, refused)
        checks.same(answer.json.get("state"), "done", f"state of {answer.json}")
        checks.that(refused, "nothing was refused")
        rows = [row for row in outcomes(site, "card.fill") if row[2] == "KF_ERR_RATE"]
        checks.same(len(rows), len(refused), "receipts")
    with check("the audit log is whole"):
        site.keyfill("audit", "verify", config="auditor-kmu")


def main():
    with checks.site() as site, checks.Checks(site) as check:
        made = ready.Ready(site)
        check_registration(site, check)
        put(site, HOST)
        check_bounds(made, check)
        check_quota(made, check)
        check_derivations(made, check)
    sys.exit(check.status)


if __name__ == "__main__":
    main()
