#!/usr/bin/env python3
"""Units are killed at every point of an operation, and it completes; what was promised is on disk before the card is changed; a message that
comes again is answered as before."""
import base64
import contextlib
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys

sys.dont_write_bytecode = True
import checks  # noqa: E402
import clients  # noqa: E402
import ready  # noqa: E402
import relay  # noqa: E402
from installation import DEADLINE, Failure, program, wait_until  # noqa: E402

INITIALIZE_UPDATE, EXTERNAL_AUTHENTICATE, PUT_KEY, INSTALL, DELETE = 0x50, 0x82, 0xD8, 0xE6, 0xE4
PERSONALISATION = {"plan": "5G-59", "application_data": "https://pay.example/a"}

# How many scripts an operation has: after each of them the unit is killed once.
SCRIPTS = {"fill": 3, "refill": 2, "clear": 2}


def body_of(operation, index, terminal="counter-1", **more):
    if operation == "fill":
        more = {"number": ready.NUMBER.format(index), "personalisation": PERSONALISATION, **more}
    return clients.request(operation, ready.Ready.report(index), terminal=terminal, **more)


def row_of(site, index):
    return ready.card_row(site.path("kmu", "records", "kmu.db"), ready.ICCID.format(index))


# -- a hand-made client, the unit killed between messages --

def killed_between(site, made, check, host):
    index = 1
    cycles = [{"fill": 1, "refill": 1, "clear": 1}, {"fill": 2, "refill": 2, "clear": 2}, {"fill": 3}]
    with relay.SocketCard(made.insert(index)) as card:
        for cycle in cycles:
            for operation, after in cycle.items():
                with check(f"{operation}, hand-made client: the unit is killed after message {after} and the operation completes"):
                    killed_after(site, host, card, operation, after, index)


def killed_after(site, host, card, operation, after, index):
    def kill(number, _):
        if number == after:
            ready.restart_kmu(site)
    seen = []
    final = clients.run_request(host, body_of(operation, index), card,
                                lambda number, answer: (seen.append(answer["state"]), kill(number, answer)))
    checks.same(seen, ["continue"] * SCRIPTS[operation] + ["done"], "answers")
    row = row_of(site, index)
    checks.same(row.state, "blank" if operation == "clear" else "filled", "the card's state on record")
    if operation != "clear":
        checks.same((row.present, row.pending), (final["result"]["generation"], 0), "present and pending generation")


# -- the real terminal and host --

def operation_command(site, operation, index):
    command = [program("keyfill"), operation, "--json", "--config", str(site.path("clients", "terminal.yaml"))]
    if operation == "fill":
        command += ["--number", ready.NUMBER.format(index), "--plan", "5G-59"]
    return command


@contextlib.contextmanager
def running(site, operation, index):
    """`keyfill OPERATION` beside us; gives functions that wait for a gate, and for the end and check that it went well."""
    process = subprocess.Popen(operation_command(site, operation, index), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)

    def end():
        output, _ = process.communicate(timeout=2 * DEADLINE)
        if process.returncode != 0:
            raise Failure(f"keyfill {operation}: exit status {process.returncode}: {output}")
        return output

    def held(gate):
        wait_until(f"keyfill {operation} to come to the gate", lambda: gate.reached or process.poll() is not None)
        if not gate.reached:
            end()
            raise Failure(f"keyfill {operation} ended without the command that the gate is to hold back")
    try:
        yield held, end
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def killed_under(site, wire, operation, match, index, kill, again):
    """`kill()` while the card waits at a command of the operation; `again()` once somebody has noticed."""
    wire.clear()
    gate = wire.gate(match)
    with running(site, operation, index) as (held, end):
        held(gate)
        kill()
        gate.open()
        again()
        end()
    row = row_of(site, index)
    checks.same(row.state, "blank" if operation == "clear" else "filled", "the card's state on record")
    checks.same(row.pending, 0, "pending generation")


def killed_under_real_units(site, wire, check, index):
    points = [("fill", 1, relay.instruction(INITIALIZE_UPDATE, nth=1)), ("refill", 1, relay.instruction(INITIALIZE_UPDATE)),
              ("clear", 1, relay.instruction(INITIALIZE_UPDATE)), ("fill", 2, relay.instruction(INITIALIZE_UPDATE, nth=2)),
              ("refill", 2, relay.instruction(PUT_KEY)), ("clear", 2, relay.instruction(DELETE)),
              ("fill", 3, relay.instruction(PUT_KEY))]
    for operation, after, match in points:
        with check(f"{operation} at the terminal: the unit is killed after message {after} and the operation completes"):
            killed_under(site, wire, operation, match, index, lambda: site.stop_one("kmu", signal.SIGKILL), site.start_kmu)


def has_unread(port):
    """Whether something has arrived at that port that its owner has not read (proc_net_tcp: local address, state, tx:rx queue)."""
    for line in pathlib.Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        columns = line.split()
        if int(columns[1].rpartition(":")[2], 16) == port and columns[3] == "01" and int(columns[4].rpartition(":")[2], 16) > 0:
            return True
    return False


def killed_with_message_in_hand(site, wire, check, index):
    def again(unit, start):
        wait_until(f"a message for the {unit}", lambda: has_unread(site.ports[unit]))
        site.stop_one(unit, signal.SIGKILL)
        start()
    for unit, start, process in (("kmu", site.start_kmu, lambda: ready.children(site, "kmu")["front"]),
                                 ("host", site.start_host, lambda: site.processes["host"].pid)):
        with check(f"refill: the {unit} is killed with a message in hand that it has not answered, and the refill completes"):
            killed_under(site, wire, "refill", relay.instruction(INITIALIZE_UPDATE), index,
                         lambda process=process: os.kill(process(), signal.SIGSTOP),
                         lambda unit=unit, start=start: again(unit, start))


def one_process_killed(site, wire, check, index):
    for name in ("vault", "front"):
        with check(f"the {name} alone is killed during a refill: the monitor starts both again and the refill completes"):
            before = ready.children(site, "kmu")
            killed_under(site, wire, "refill", relay.instruction(PUT_KEY), index,
                         lambda who=before[name]: os.kill(who, signal.SIGKILL), lambda: None)
            after = ready.children(site, "kmu")
            checks.same(sorted(after), ["front", "vault"], "processes")
            checks.that(not set(before.values()) & set(after.values()), f"not both are new: {before}, {after}")


def relay_units_killed(site, wire, check, index):
    with check("the host is killed during a refill and started again: the refill completes"):
        killed_under(site, wire, "refill", relay.instruction(PUT_KEY), index,
                     lambda: site.stop_one("host", signal.SIGKILL), site.start_host)
    for reaches in (False, True):
        where = "after the card got its PUT KEY" if reaches else "before the card gets its PUT KEY"
        for operation in ("clear", "fill", "refill"):
            with check(f"the terminal is killed {where}: a new request finishes the {operation}" if operation != "clear"
                       else f"clear before the terminal is killed {where}"):
                if operation == "clear":
                    site.keyfill_json("clear", config="terminal")
                else:
                    terminal_killed(site, wire, operation, index, reaches)


def terminal_killed(site, wire, operation, index, reaches):
    wire.clear()
    generation = row_of(site, index).last_generation
    gate = wire.gate(relay.instruction(PUT_KEY), after=reaches)
    process = subprocess.Popen(operation_command(site, operation, index), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    gate.wait()
    site.stop_one("terminal", signal.SIGKILL)
    checks.different(process.wait(DEADLINE), 0, "exit status of the operation whose terminal was killed")
    if not reaches:
        wire.drop(relay.any_instruction(PUT_KEY))
        wire.cut()
    gate.open()
    row = row_of(site, index)
    checks.that(row.pending > generation, f"no generation is pending: {row.state}, {row.present}, {row.pending}")
    wire.clear()
    site.start_terminal()
    site.keyfill_json(*operation_command(site, operation, index)[1:2], *fill_options(operation, index), config="terminal")
    row = row_of(site, index)
    checks.same((row.state, row.pending, row.number), ("filled", 0, ready.NUMBER.format(index)), "the card on record")


def fill_options(operation, index):
    return ["--number", ready.NUMBER.format(index), "--plan", "5G-59"] if operation == "fill" else []


# -- the intent is on disk before the card is changed --

@contextlib.contextmanager
def refusing_database(path):
    """The database fails at every change of a card: an error, not a breach of a constraint."""
    def execute(*statements):
        with contextlib.closing(sqlite3.connect(path, timeout=DEADLINE)) as connection, connection:
            for statement in statements:
                connection.execute(statement)
    execute(*(f"CREATE TRIGGER refuse_{event} BEFORE {event} ON cards BEGIN SELECT no_such_function(); END"
              for event in ("INSERT", "UPDATE")))
    try:
        yield
    finally:
        execute("DROP TRIGGER refuse_INSERT", "DROP TRIGGER refuse_UPDATE")


def changes_card(script):
    """Whether some command of the script is more than reading, SELECT and INITIALIZE UPDATE."""
    return any(int(entry["command"][2:4], 16) not in (0xA4, 0xB0, 0xB2, 0xCA, INITIALIZE_UPDATE) for entry in script)


def intent_is_durable(site, made, check, host):
    index = 2
    states = {"fill": ("filling", 1, 0), "refill": ("refilling", 2, 1), "clear": ("clearing", 0, 2)}
    with relay.SocketCard(made.insert(index)) as card:
        for operation, (state, pending, present) in states.items():
            with check(f"{operation}: no command that changes the card leaves before the intent is on disk"):
                intended(site, host, card, index, (operation, state, pending, present))
        if checks.LONG:  # the unit waits for the lock as long as it may
            with check("a locked database: 503, no script; the same message again gives it"):
                locked(site, host, card, index)


def intended(site, host, card, index, wanted):
    operation, state, pending, present = wanted
    body = body_of(operation, index)
    first = host.post("/v1/requests", body)
    checks.same(first.status, 200, "status of the begin")
    checks.that(not changes_card(first.json["script"]), "the first script changes the card")
    reading = clients.message(first.json, clients.run_script(card, first.json["script"]))
    with refusing_database(made_database(site)):
        refused = host.post(clients.messages_path(body), reading)
        checks.problem(refused, 503, "KF_ERR_STORE")
        checks.that(b"script" not in refused.body, "a script left")
    second = host.post(clients.messages_path(body), reading)
    checks.same((second.status, second.json["state"]), (200, "continue"), "the same message again")
    checks.that(changes_card(second.json["script"]), "the second script changes nothing")
    site.stop_one("kmu", signal.SIGKILL)
    row = row_of(site, index)
    site.start_kmu()
    checks.same((row.state, row.pending, row.present), (state, pending, present), "state, pending, present on disk")
    clients.run_request(host, body, card, first=second)


def made_database(site):
    return site.path("kmu", "records", "kmu.db")


def locked(site, host, card, index):
    body = body_of("fill", index)
    first = host.post("/v1/requests", body)
    reading = clients.message(first.json, clients.run_script(card, first.json["script"]))
    with contextlib.closing(sqlite3.connect(made_database(site), isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        refused = host.post(clients.messages_path(body), reading)
        holder.execute("ROLLBACK")
    checks.problem(refused, 503, "KF_ERR_STORE_BUSY")
    checks.same(row_of(site, index).state, "blank", "the card's state after the refusal")
    second = host.post(clients.messages_path(body), reading)
    checks.same(second.status, 200, "status of the same message again")
    clients.run_request(host, body, card, first=second)


# -- the same again, something else instead --

def asked_twice(site, made, check, host):
    index = 3
    with relay.SocketCard(made.insert(index)) as card:
        with check("the same request and the same messages twice give the same bytes, also behind a restart"):
            same_bytes(site, host, card, index)
        with check("answers to a finished request that differ are refused; no second generation is recorded"):
            finished_stays(site, host, card, index)
        with check("the same id with another body: 409"):
            body = body_of("refill", index)
            first = host.post("/v1/requests", body)
            checks.same(first.status, 200, "status")
            checks.problem(host.post("/v1/requests", {**body, "operation": "clear"}), 409, "KF_ERR_CONFLICT", body["id"])
            clients.run_request(host, body, card, first=first)
        with check("other answers to an answered step: a new attempt with other host challenges"):
            new_attempt(site, host, card, index)


def same_bytes(site, host, card, index):
    body = body_of("fill", index)
    answer, sent = host.post("/v1/requests", body), None
    checks.same(host.post("/v1/requests", body).body, answer.body, "the first answer, asked twice")
    while answer.json["state"] == "continue":
        sent = clients.message(answer.json, clients.run_script(card, answer.json["script"]))
        answer = host.post(clients.messages_path(body), sent)
        checks.same(answer.status, 200, "status")
        checks.same(host.post(clients.messages_path(body), sent).body, answer.body, "an answer, asked twice")
    ready.restart_kmu(site)
    checks.same(host.post(clients.messages_path(body), sent).body, answer.body, "the last answer behind a restart")


def finished_stays(site, host, card, index):
    body = body_of("refill", index)
    answers = []
    clients.run_request(host, body, card, lambda _, answer: answers.append(answer))
    before = row_of(site, index)
    for answer in answers[:-1]:
        other = clients.message(answer, clients.run_script(card, answer["script"]))
        checks.problem(host.post(clients.messages_path(body), other), 409, "KF_ERR_CONFLICT", body["id"])
    checks.same(row_of(site, index).columns, before.columns, "the card on record")


def challenges(script):
    return [entry["command"][10:26] for entry in script if int(entry["command"][2:4], 16) == INITIALIZE_UPDATE]


def new_attempt(site, host, card, index):
    body = body_of("refill", index)
    generation = row_of(site, index).present
    first = host.post("/v1/requests", body).json
    card.reset()
    second = host.post(clients.messages_path(body), clients.message(first, clients.run_script(card, first["script"])))
    checks.same(second.json["step"], 2, "step")
    card.reset()
    again = host.post(clients.messages_path(body), clients.message(first, clients.run_script(card, first["script"])))
    checks.same((again.status, again.json["step"], again.json["attempt"]), (200, 1, 2), "status, step and attempt")
    checks.that(challenges(again.json["script"]), "the new attempt holds no INITIALIZE UPDATE")
    checks.that(not set(challenges(again.json["script"])) & set(challenges(first["script"])), "a host challenge came twice")
    stale = clients.message(second.json, [{"entry": 0, "response": "9000"}])
    checks.problem(host.post(clients.messages_path(body), stale), 409, "KF_ERR_CONFLICT")
    final = clients.run_request(host, body, card, first=again)
    row = row_of(site, index)
    checks.that(final["result"]["generation"] > generation, f"generation {final['result']['generation']} behind {generation}")
    checks.same((row.present, row.pending), (final["result"]["generation"], 0), "present and pending generation")


def tokens_and_claims(site, made, check, host):
    other_host = clients.Client.of_role(site, "host", "other", "kmu")
    with relay.SocketCard(made.insert(4)) as card:
        body = body_of("fill", 4)
        first = host.post("/v1/requests", body)
        answers = clients.run_script(card, first.json["script"])
        good = clients.message(first.json, answers)

        def refused(token, client=host, path=clients.messages_path(body)):
            checks.problem(client.post(path, {**good, "token": token}), 409, "KF_ERR_TOKEN")

        with check("a token of another request is refused"):
            another = body_of("fill", 5)
            strange = host.post("/v1/requests", another).json["token"]
            refused(strange)
        with check("a token of another caller is refused, even under the same id"):
            theirs = {**body_of("fill", 6), "id": body["id"]}
            answer = other_host.post("/v1/requests", theirs)
            checks.same(answer.status, 200, "status")
            refused(answer.json["token"])
            refused(first.json["token"], other_host)
        with check("a token with a flipped bit, a shorter and a longer one are refused"):
            for changed in broken(first.json["token"]):
                refused(changed)
        with check("after all that the right message goes on"):
            second = host.post(clients.messages_path(body), good)
            checks.same((second.status, second.json["state"]), (200, "continue"), "status and state")
        with check("a second request on the card of an open one: 409 with the first one's id"):
            busy = body_of("fill", 4, terminal="counter-2")
            told = host.post("/v1/requests", busy)
            if told.status == 200:
                card.reset()
                told = host.post(clients.messages_path(busy), clients.message(told.json, clients.run_script(card, told.json["script"])))
            checks.problem(told, 409, "KF_ERR_IN_PROGRESS", body["id"])
        with check("the first one goes on to its end"):
            card.reset()
            again = host.post(clients.messages_path(body), clients.message(first.json, clients.run_script(card, first.json["script"])))
            checks.same((again.status, again.json["attempt"]), (200, 2), "status and attempt")
            clients.run_request(host, body, card, first=again)
            checks.same(row_of(site, 4).state, "filled", "state on record")


def broken(token):
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    # Version, nonce, ciphertext and tag each lose a bit.
    for place in (0, 3, 4, len(raw) // 2, len(raw) - 1):
        yield base64.urlsafe_b64encode(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1:]).decode().rstrip("=")
    yield base64.urlsafe_b64encode(raw[:-1]).decode().rstrip("=")
    yield base64.urlsafe_b64encode(raw + b"\0").decode().rstrip("=")


def main():
    with checks.site() as site, checks.Checks(site) as check:
        made = ready.Ready(site)
        host = clients.Client.of_role(site, "host", "main", "kmu")
        killed_between(site, made, check, host)
        intent_is_durable(site, made, check, host)
        asked_twice(site, made, check, host)
        tokens_and_claims(site, made, check, host)
        with relay.Relay(site.path("reader.sock"), made.insert(7)) as wire:
            killed_under_real_units(site, wire, check, 7)
            killed_with_message_in_hand(site, wire, check, 7)
            one_process_killed(site, wire, check, 7)
            relay_units_killed(site, wire, check, 7)
    return check.status


if __name__ == "__main__":
    sys.exit(main())
