#!/usr/bin/env python3
"""Every value of the vectors counts: usage test_mutations.py PROGRAM VECTORS [SKIPPED FAMILY]...

Each published entry is changed in one place at a time. The known-answer program must notice each change of an
expected value, and of each input at least the change in one entry of the family: not every input matters in all.
"""
import copy
import json
import os
import re
import subprocess
import sys
import tempfile

# What describes an entry; a change of it changes nothing.
DESCRIPTIONS = {"name", "source", "verified", "how", "notes", "origin", "expected_origin", "quirk", "nonstandard",
                "non_minimal", "policy_dependent", "arithmetic_verified"}
# Inputs that no result depends on: parts of another one, or the key that a session without PUT KEY does not use.
ASIDE = {("an10922", "uid"), ("an10922", "aid"), ("an10922", "system_id"), ("scp03", "key_dek")}


def leaves(value, path=()):
    """The places of all single values."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield from leaves(member, path + (key,))
    elif isinstance(value, list):
        for number, member in enumerate(value):
            yield from leaves(member, path + (number,))
    elif value is not None:
        yield path, value


def change(value):
    """Another value of the same kind; None where there is none near."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if re.fullmatch(r"([0-9A-Fa-f]{2})+", value):
        # The second byte from the end where there is one: the lowest bits of DES keys are parity.
        place = len(value) - 1 if len(value) < 4 else len(value) - 3
        digit = f"{int(value[place], 16) ^ 6:X}"
        return value[:place] + digit + value[place + 1:]
    if re.fullmatch(r"\+?[0-9]+", value):
        return value[:-1] + str((int(value[-1]) + 1) % 10)
    return None


def put(entry, path, value):
    changed = copy.deepcopy(entry)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return changed


def mutations(entries):
    """All changed entries, and what was changed in each."""
    changed, places = [], {}
    for entry in entries:
        if entry.get("verified") is False:
            continue
        for path, value in leaves(entry):
            other = change(value)
            if path[0] in DESCRIPTIONS or other is None:
                continue
            name = f"mutation-{len(changed)}-of"
            changed.append(put(entry, path, other) | {"name": name})
            places[name] = (entry, path, value, other)
    return changed, places


def is_refused(entry):
    """What must be refused is refused with many other inputs, too."""
    return any((key == "error" and value) or (key.endswith("_ok") and value is False)
               for key, value in entry["expected"].items())


def is_unprotected(entry, path):
    """A response on the wire without its plain form: nothing to compare it with."""
    if path[-1] != "response_wire" or path[:2] != ("expected", "transcript"):
        return False
    return entry["expected"]["transcript"][path[2]].get("response_plain") is None


def run(program, family, changed):
    """The names of the entries that the program finds fault with."""
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, family + ".json"), "w", encoding="utf-8") as file:
            json.dump(changed, file)
        done = subprocess.run([program, folder], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{family}: exit status {done.returncode}: {done.stderr}")
    found = (re.match(r"  \w+/(mutation-\d+-of): (.*)", line) for line in done.stdout.splitlines())
    return {match.group(1) for match in found if match and not match.group(2).endswith("was not used")}


def check_family(program, family, entries):
    changed, places = mutations(entries)
    noticed = run(program, family, changed)
    failures, inputs = [], {}
    for name, (entry, path, value, other) in places.items():
        if path[0] == "expected":
            if name not in noticed and not is_unprotected(entry, path):
                failures.append(f"{entry['name']}: {'.'.join(map(str, path))} = {value!r} may as well be {other!r}")
        elif not is_refused(entry) and (family, path[0]) not in ASIDE:
            inputs[path[0]] = inputs.get(path[0], False) or name in noticed
    failures += [f"the input {member} makes no difference" for member, seen in inputs.items() if not seen]
    return len(changed), failures


def main():
    program, folder = sys.argv[1:3]
    skipped = set(sys.argv[3:])
    tried = failed = 0
    for file_name in sorted(os.listdir(folder)):
        family, ending = os.path.splitext(file_name)
        if ending != ".json" or family in skipped:
            continue
        with open(os.path.join(folder, file_name), encoding="utf-8") as file:
            count, failures = check_family(program, family, json.load(file))
        tried += count
        failed += len(failures)
        for failure in failures:
            print(f"FAILED: {family}: {failure}")
    print(f"{tried} changed entries, {failed} faults not noticed")
    return 1 if failed or not tried else 0


if __name__ == "__main__":
    sys.exit(main())
