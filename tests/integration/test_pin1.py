#!/usr/bin/env python3
"""PIN1, which a clerk types in, passes the terminal in clear. It is in the terminal's memory while the operation lasts, and nowhere in it
afterwards; never at the host, and in no file."""
import contextlib
import http.client
import json
import random
import socket
import subprocess
import sys

sys.dont_write_bytecode = True
import checks  # noqa: E402
import installation  # noqa: E402
import ready  # noqa: E402
import relay  # noqa: E402
from memory_search import files, found, memory  # noqa: E402

PUT_KEY = 0xD8
INDEX = 1


def new_pin():
    """Eight digits that occur nowhere by themselves."""
    return "".join(random.SystemRandom().choice("0123456789") for _ in range(8))


def searched(site, name, value):
    """Whether the value is in the memory of that process."""
    return bool(found(value, memory(site.processes[name].pid)))


def held_fill(site, wire, pin, look):
    """A fill with PIN1; `look()` while the card waits for its key."""
    gate = wire.gate(relay.instruction(PUT_KEY), False)
    command = [installation.program("keyfill"), "fill", "--number", ready.NUMBER.format(INDEX), f"--pin1={pin}", "--json",
               "--config", str(site.path("clients", "terminal.yaml"))]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            installation.wait_until("the fill, before PUT KEY", lambda: gate.reached or process.poll() is not None)
            checks.that(gate.reached, "the fill ended before PUT KEY")
            look()
            gate.open()
            output, _ = process.communicate(timeout=installation.DEADLINE)
        finally:
            gate.open()
            process.kill()
    checks.same(process.returncode, 0, f"exit status of the fill: {output}")


def kept_alive(site, body):
    """A connection to the terminal that has had its answer to this operation and stays open: its buffers do, too."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.sock.settimeout(installation.DEADLINE)
    connection.sock.connect(str(site.path("terminal", "terminal.sock")))
    connection.request("POST", "/v1/operations", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return connection, answer.status, answer.read()


def main():
    pin = new_pin()
    value = {"PIN1": pin.encode().hex()}
    with checks.site() as site, checks.Checks(site) as check:
        made = ready.Ready(site)
        made.insert(INDEX, more=f'pin1: "{pin}"\nimsi_needs_pin: true\nmsisdn_needs_pin: true\n')
        with relay.Relay(site.path("reader.sock"), site.path("card.sock")) as wire:
            def look():
                with check("the search can fail: while the card is written, PIN1 is in the terminal's memory"):
                    checks.that(searched(site, "terminal", value), "not found")
                with check("and never at the host"):
                    checks.that(not searched(site, "host", value), "found at the host")
            held_fill(site, wire, pin, look)
            with check("PIN1 went to the card"):
                verify = [each for each in wire.exchanges if each.command[:4] == bytes.fromhex("00200001") and pin.encode() in each.command]
                checks.that(verify and verify[0].answer == b"\x90\x00", f"no VERIFY that the card took: {verify}")
            with check("when it is over, PIN1 is not in the terminal's memory any more"):
                checks.that(not searched(site, "terminal", value), "found")
            with check("nor while the caller's connection stays open; and one that is refused, however long, is gone as well"):
                # The end of a long text: the allocator writes over the beginning of what it is given back.
                for name, typed, status in (("right", pin, 200), ("too long", new_pin() * 8 + new_pin(), 400)):
                    connection, got, answer = kept_alive(site, {"operation": "refill", "pin1": typed})
                    with contextlib.closing(connection):
                        checks.same(got, status, f"status with the {name} one: {answer}")
                        checks.that(not searched(site, "terminal", {"PIN1": typed[-8:].encode().hex()}), f"found the {name} one")
        with check("it is in no file of terminal, host and key management unit, and in no log"):
            for folder in ("terminal", "host", "kmu", "logs"):
                for path, content in files(site.path(folder)):
                    checks.that(not found(value, content), f"found in {path}")
    return check.status


if __name__ == "__main__":
    sys.exit(main())
