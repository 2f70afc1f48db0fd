#!/usr/bin/env python3
"""Base keys in tokens at both units: they arrive wrapped, cards are filled with them, and a helper or token that is lost is missed with 503 and
Retry-After and serves again by itself. To be run as root."""
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
import cards  # noqa: E402
import checks  # noqa: E402
import clients  # noqa: E402
import ready  # noqa: E402
import relay  # noqa: E402
from installation import DEADLINE, TOKEN_MODULE, USERS, wait_until  # noqa: E402
from memory_search import UNDER_SANITIZER, found, memory  # noqa: E402

LOAD_THREADS = 6
LOAD_CARDS = 8  # a thread


def helper(site, unit="kmu"):
    return ready.children(site, unit).get("hsm")


def kill_helper(site):
    """Once its token is open: SoftHSM writes the token's file at every login, in place, and one killed meanwhile has lost it."""
    def is_open():
        said = site.processes["kmu"].tail(None)
        return helper(site) is not None and said.rfind(" is open") > said.rfind(f"keyfill-hsm {helper(site)} started")
    wait_until("a helper with its token open", is_open)
    pid = helper(site)
    os.kill(pid, signal.SIGKILL)
    wait_until("the helper's end", lambda: helper(site) != pid)
    return pid


def token_objects(site, unit):
    """What the token says of the keys in it."""
    configuration = site.path(unit, "token", "softhsm2.conf")
    pin = site.path(unit, "pin").read_text(encoding="utf-8").strip()
    done = subprocess.run(["pkcs11-tool", "--module", TOKEN_MODULE, "--login", "--pin", pin, "--list-objects"],
                          env={**os.environ, "SOFTHSM2_CONF": str(configuration)}, check=True, capture_output=True, text=True)
    return done.stdout


def body_of(operation, index):
    more = {"number": ready.NUMBER.format(index)} if operation == "fill" else {}
    return clients.request(operation, ready.Ready.report(index), terminal="counter-1", **more)


class Probe:
    """One card's fill, brought to where the next message needs the token; the message can be sent again and again."""

    def __init__(self, host, made, index):
        self.host = host
        self.body = body_of("fill", index)
        first = host.post("/v1/requests", self.body)
        checks.same(first.status, 200, f"the first message: {first.body}")
        with relay.SocketCard(made.insert(index)) as card:
            self.message = clients.message(first.json, clients.run_script(card, first.json["script"]))

    def send(self):
        return self.host.post(clients.messages_path(self.body), self.message)


def is_missed(answer):
    """503 with Retry-After and the reason, as a problem document."""
    checks.same(answer.status, 503, f"status: {answer.body}")
    checks.that(int(answer.headers.get("Retry-After", "0")) > 0, f"no Retry-After: {answer.headers}")
    checks.that(answer.json["detail"], "no detail")


def wait_for_healing(probe):
    def heals():
        answer = probe.send()
        if answer.status == 503:
            is_missed(answer)
            return False
        checks.same(answer.status, 200, f"status: {answer.body}")
        return True
    wait_until("the token to serve again", heals)


def wait_for_room(host, made, index):
    """A vault that has just been started works on no new card before its derivations a minute have room (src/vault/derivation_cap.h)."""
    probes = []

    def answers():
        try:
            probes.append(Probe(host, made, index))
        except (OSError, checks.Wrong):  # the front is not there yet
            return False
        return True
    wait_until("the unit to answer", answers)
    wait_for_healing(probes[0])


def keys_arrive(site, check):
    with check("a base key goes from token to token and has the same KCV"):
        site.make_transport_key()
        made = site.generate_key("payment", "cn-token", cards.PAYMENT_LINE)["key"]

        def here():
            listed = site.keyfill_json("key", "list", config="officer-kmu")["keys"]
            return [key for key in listed if key["category"] == "cn-token"]
        wait_until("the key to arrive", here)
        checks.same(here()[0]["kcv"], made["kcv"], "KCV")
    with check("at the key management unit the token gives no base key out, at the base key management unit under trusted keys alone"):
        for unit, access in (("kmu", "sensitive"), ("bkmu", "extractable")):
            listed = token_objects(site, unit)
            part = listed[listed.index("keyfill payment/cn-token/1"):].split("Secret Key Object")[0]
            checks.that("sensitive" in part, f"{unit}: {part}")
            checks.same("extractable" in part.replace("never extractable", ""), access == "extractable", f"{unit}: {part}")
    with check("the helper is a process of its own user, and the vault has no module"):
        pids = ready.children(site, "kmu")
        status = pathlib.Path(f"/proc/{pids['hsm']}/status").read_text(encoding="utf-8")
        checks.that(f"Uid:\t{USERS['kmu-hsm']}\t" in status, status)
        checks.that("softhsm" in pathlib.Path(f"/proc/{pids['hsm']}/maps").read_text(encoding="utf-8"), "the helper has no module")
        for name in ("vault", "front"):
            checks.that("softhsm" not in pathlib.Path(f"/proc/{pids[name]}/maps").read_text(encoding="utf-8"), f"{name} has the module")


def cards_are_worked_on(site, made, check, host):
    index = 1
    with relay.SocketCard(made.insert(index)) as card:
        for operation in ("fill", "refill", "refill", "clear", "fill"):
            with check(f"{operation} with base keys in the token"):
                final = clients.run_request(host, body_of(operation, index), card)
                checks.same(final["state"], "done", "state")
    with check("after that no base key lies in the memory of vault or front"):
        if UNDER_SANITIZER:
            return
        values = {"payment": made.payment, "card-manager": made.maker, "adm": made.adm}
        pids = ready.children(site, "kmu")
        for name in ("vault", "front"):
            checks.same(found(values, memory(pids[name])), [], f"keys in the {name}'s memory")


def helper_is_killed(site, made, check, host):
    with check("the helper is killed: 503 with Retry-After, and it heals by itself"):
        missed = 0
        for _ in range(3):
            probe = Probe(host, made, 2)
            before = kill_helper(site)
            missed += probe.send().status == 503
            wait_for_healing(probe)
            checks.different(helper(site), before, "the helper")
        checks.that(missed > 0, "every request was answered: the helper came back too fast to tell")
    with check("front and vault are the same processes as before"):
        checks.same(len(ready.children(site, "kmu")), 3, "processes")


def token_is_away(site, made, check, host):
    folder = site.path("kmu", "token")
    with check("the token's files are away: 503 with Retry-After; they are back: it heals by itself"):
        probe = Probe(host, made, 3)
        kill_helper(site)
        (folder / "tokens").rename(folder / "away")
        wait_until("the loss to be noticed", lambda: probe.send().status == 503)
        for _ in range(5):
            is_missed(probe.send())
        (folder / "away").rename(folder / "tokens")
        wait_for_healing(probe)


def killed_under_load(site, made, check):
    """Each request is another card's, since one that comes again is answered without the vault."""
    loads = []
    for thread in range(LOAD_THREADS):
        host = clients.Client.of_role(site, "host", "main", "kmu", keep=True)
        loads.append([Probe(host, made, 10 + thread * LOAD_CARDS + index) for index in range(LOAD_CARDS)])
    outcomes = []

    def load(probes):
        for probe in probes:
            end = time.monotonic() + DEADLINE
            answer = None
            while time.monotonic() < end and (answer is None or answer.status == 503):
                answer = probe.send()
                outcomes.append(answer)
    with check("the helper is killed under load: every request gets its answer or 503 with Retry-After, and all are served in the end"):
        threads = [threading.Thread(target=load, args=(probes,)) for probes in loads]
        for thread in threads:
            thread.start()
        for share in (4, 2):
            wait_until("some of the load", lambda: sum(answer.status == 200 for answer in list(outcomes)) >=
                       LOAD_THREADS * LOAD_CARDS // share)  # pylint: disable=cell-var-from-loop
            kill_helper(site)
        for thread in threads:
            thread.join()
        served = [answer for answer in outcomes if answer.status == 200]
        checks.same(len(served), LOAD_THREADS * LOAD_CARDS, "requests that were served")
        for answer in outcomes:
            if answer.status != 200:
                is_missed(answer)
        checks.that(len(outcomes) > len(served), "nothing was missed: the load was too light to tell")


def vault_is_killed(site, made, check, host):
    with check("the vault is killed: all three processes start again and keys are found by what the key file says"):
        before = ready.children(site, "kmu")
        os.kill(before["vault"], signal.SIGKILL)
        wait_until("new processes", lambda: set(ready.children(site, "kmu")) == {"vault", "front", "hsm"}
                   and not set(ready.children(site, "kmu").values()) & set(before.values()))

        wait_for_room(host, made, 4)


def main():
    with checks.site(hsm=True) as site, checks.Checks(site) as check:
        made = ready.Ready(site, terminal=False)
        host = clients.Client.of_role(site, "host", "main", "kmu")
        keys_arrive(site, check)
        wait_for_room(host, made, 98)
        cards_are_worked_on(site, made, check, host)
        helper_is_killed(site, made, check, host)
        killed_under_load(site, made, check)
        token_is_away(site, made, check, host)
        vault_is_killed(site, made, check, host)
    return check.status


if __name__ == "__main__":
    sys.exit(main())
