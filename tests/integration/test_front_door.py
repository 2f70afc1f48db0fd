#!/usr/bin/env python3
"""./dev demo, ./dev up and ./dev down, as they are called. Starts pcscd."""
import os
import pathlib
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import checks  # noqa: E402
import installation  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent


def run(script, *arguments):
    return subprocess.run([sys.executable, str(HERE / script), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=300, env=dict(os.environ, KEYFILL_PCSCD_TURN="taken"))


def processes_of(folder):
    """Command lines of processes that name the folder."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(str(folder).encode() in word for word in words):
            found.append(b" ".join(words).decode(errors="replace"))
    return found


def demonstration(check):
    with check("the demonstration does every operation and ends with status 0"):
        done = run("demo.py")
        last = done.stdout.splitlines()[-1] if done.stdout else ""
        checks.that(done.returncode == 0 and re.fullmatch(r"demo: [1-9]\d* passed, 0 failed", last), done.stdout[-4000:])


def up_and_down(check, place):
    with check("up starts the units in the background and says how to talk to them"):
        done = run("installation.py", "up", str(place))
        checks.that(done.returncode == 0 and f"./dev down {place}" in done.stdout, done.stdout)
    with check("what up started answers"):
        listed = subprocess.run([installation.program("keyfill"), "terminal", "list", "--config",
                                 str(place / "clients" / "administrator-host.yaml")], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        checks.that(listed.returncode == 0 and "counter-1" in listed.stdout, listed.stdout)
    with check("up refuses a folder that holds an installation"):
        done = run("installation.py", "up", str(place))
        checks.that(done.returncode == 1 and "holds an installation already" in done.stdout, done.stdout)
    with check("down stops them all"):
        done = run("installation.py", "down", str(place))
        checks.that(done.returncode == 0, done.stdout)
        checks.same(processes_of(place), [], "processes that are left")


def main():
    turn = installation.PcscdTurn()
    turn.take()
    with checks.folder() as folder, checks.Checks() as check:
        demonstration(check)
        up_and_down(check, folder / "units")
    turn.give_back()
    return check.status


if __name__ == "__main__":
    sys.exit(main())
