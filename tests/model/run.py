#!/usr/bin/env python3
"""Has spin search the models for a state that breaks a property: all states of each model as it is, and of each model with
one mistake in it until the mistake shows. Prints `ok model: CHECK` or `FAIL model: CHECK`; for a failure, the steps that lead there."""
import argparse
import concurrent.futures
import pathlib
import re
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
DEPTH = 400000      # steps without a repeated state; a search that needs more fails
MEMORY_MAX = 950    # MiB
SECONDS_MAX = 600   # of one search

# name: (model, definitions, states that there are at least). All states are searched; none may break a property.
SOUND = {
    "no key is lost and every card can be settled": ("card_keys", [], 1_000_000),
    "nor in the sources as they stand, as long as no base key is rotated under way":
        ("card_keys", ["OLD_CONTACT_TAKEN", "GIVEN_UP_TWICE", "NO_ROTATION"], 1_000_000),
    "nor where a card is presented twice to one request":
        ("card_keys", ["TWO_READINGS", "NO_ROTATION", "NO_LIES"], 1_000_000),
    "no number is on two cards, bound without proof, or lost": ("numbers", [], 1_000_000),
}

# name: (model, definitions, what the assertion that breaks has in it).
NAMED, TRUE_RECORD, PROOF_COUNTS = "has_pending", "record_state!=0", "given_way"
MISTAKES = {
    "the intent is not durable before the script leaves": ("card_keys", ["INTENT_NOT_DURABLE"], NAMED),
    "the script leaves before the commit": ("card_keys", ["SCRIPT_BEFORE_COMMIT"], NAMED),
    "a pending key is forgotten": ("card_keys", ["PENDING_FORGOTTEN"], NAMED),
    "a previous key is forgotten": ("card_keys", ["PREVIOUS_FORGOTTEN"], NAMED),
    "a card is claimed by nobody": ("card_keys", ["CLAIM_MISSING"], PROOF_COUNTS),
    "a status word moves a record": ("card_keys", ["STATUS_WORD_MOVES"], TRUE_RECORD),
    "a contact older than the record is believed": ("card_keys", ["OLD_CONTACT_TAKEN"], NAMED),
    "a second key is given up without a proof that the first is gone": ("card_keys", ["GIVEN_UP_TWICE"], NAMED),
    "a number is bound before the card is proven": ("numbers", ["NUMBER_BOUND_BEFORE_PROOF"], "row["),
    "a number is written without a look at whose it is": ("numbers", ["NUMBER_NOT_CHECKED"], "record_number[1]"),
    "a card that gets a number keeps another one": ("numbers", ["OTHER_STAYS_BOUND"], "state[0]!=3"),
}

# A model in which nothing happens breaks nothing: each operation has to come to its end somewhere.
HAPPENS = {f"a {name} comes to its end": ("card_keys", [f"ENDS={code}"], "operation")
           for code, name in ((1, "fill"), (2, "refill"), (3, "clear"))}


def call(folder, *command):
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", timeout=SECONDS_MAX)
    return done.returncode, done.stdout


def search(folder, model, definitions):
    """What the search printed, or what kept it from running."""
    flags = [f"-D{name}" for name in definitions]
    status, output = call(folder, "spin", "-a", *flags, str(HERE / f"{model}.pml"))
    if status != 0 or "rror" in output:
        return f"spin: {output}"
    status, output = call(folder, "gcc", "-O3", "-w", "-DSAFETY", "-DNOREDUCE", "-DNOBOUNDCHECK", "-DNOFAIR", f"-DMEMLIM={MEMORY_MAX}",
                          "-DVECTORSZ=512", "-o", "pan", "pan.c")
    if status != 0:
        return f"gcc: {output}"
    return call(folder, "./pan", "-w23", f"-m{DEPTH}")[1]


def steps(folder, model, definitions):
    trail = folder / f"{model}.pml.trail"
    if not trail.exists():
        return []
    flags = [f"-D{name}" for name in definitions]
    output = call(folder, "spin", "-t", "-k", str(trail), *flags, str(HERE / f"{model}.pml"))[1]
    told = [line.strip() for line in output.splitlines()]
    end = next((number for number, line in enumerate(told) if "Error:" in line), len(told))
    return told[max(0, end - 40):end + 2]


def judge(model, definitions, least, wanted):
    """Whether it was as it should be, and what to say if it was not. `wanted`: in the assertion that has to break; None: nothing may."""
    with tempfile.TemporaryDirectory(prefix="keyfill-model-") as name:
        folder = pathlib.Path(name)
        output = search(folder, model, definitions)
        errors = re.search(r"errors: (\d+)", output)
        stored = re.search(r"(\d+)(?:\.\d+)?(e\+\d+)? states, stored", output)
        broken = re.search(r"assertion violated (.*) \(at depth", output)
        states = int(float(stored.group(1) + (stored.group(2) or ""))) if stored else 0
        if wanted is not None:
            good = broken is not None and wanted in broken.group(1)
            return good, states, [] if good else ["the search found nothing, or something else:", *output.splitlines()[:20]]
        whole = "max search depth too small" not in output and "out of memory" not in output and "Search not completed" not in output
        good = errors is not None and errors.group(1) == "0" and whole and states >= least
        return good, states, [] if good else [*output.splitlines()[:20], *steps(folder, model, definitions)]


def checks():
    """Name, arguments of judge; the long searches apart, since each takes half of the memory that a run may have."""
    long = [(f"model: {name}", (model, definitions, least, None)) for name, (model, definitions, least) in SOUND.items()]
    short = [(f"model: caught: {name}", (model, definitions, 0, wanted)) for name, (model, definitions, wanted) in MISTAKES.items()]
    short += [(f"model: {name}", (model, definitions, 0, wanted)) for name, (model, definitions, wanted) in HAPPENS.items()]
    return long, short


def run(listed):
    good = True
    for name, arguments in listed:
        start = time.monotonic()
        try:
            passed, states, told = judge(*arguments)
        except (OSError, subprocess.TimeoutExpired) as failure:
            passed, states, told = False, 0, [str(failure)]
        good = good and passed
        print("\n".join([f"{'ok' if passed else 'FAIL'} {name} ({states} states, {time.monotonic() - start:.1f} s)",
                         *[f"     {line}" for line in told]]), flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", default="", help="only checks with this in their name (all)")
    part = parser.parse_args().part
    lists = [[check for check in listed if part in check[0]] for listed in checks()]
    if not any(lists):
        sys.exit(f"no check has '{part}' in its name")
    with concurrent.futures.ThreadPoolExecutor(len(lists)) as pool:
        return 0 if all(list(pool.map(run, lists))) else 1


if __name__ == "__main__":
    sys.exit(main())
