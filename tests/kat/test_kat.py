#!/usr/bin/env python3
"""The known-answer program can fail: usage test_kat.py PROGRAM."""
import json
import os
import subprocess
import sys
import tempfile

GOOD = {"name": "good", "key": "2B7E151628AED2A6ABF7158809CF4F3C", "message": "",
        "expected": {"mac": "BB1D6929E95937287FA37D129B756746"}, "verified": True}


def changed(**members):
    entry = json.loads(json.dumps(GOOD))
    entry.update(members)
    return entry


def run(program, files, *arguments):
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(content if isinstance(content, str) else json.dumps(content))
        done = subprocess.run([program, folder, *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()


CASES = [
    # name, files, further arguments, exit status, last line, a part of the output
    ("a right answer passes", {"aes_cmac.json": [GOOD]}, [], 0, "1 passed, 0 failed", "aes_cmac: 1 passed"),
    ("a wrong answer fails", {"aes_cmac.json": [changed(expected={"mac": "BB1D6929E95937287FA37D129B756747"})]}, [], 1,
     "0 passed, 1 failed", "expected BB1D6929E95937287FA37D129B756747"),
    ("another input fails", {"aes_cmac.json": [changed(message="00")]}, [], 1, "0 passed, 1 failed", "aes_cmac/good"),
    ("a truncated answer is compared", {"aes_cmac.json": [changed(expected={"mac": "BB1D6928"})]}, [], 1,
     "0 passed, 1 failed", "expected BB1D6928, got BB1D6929"),
    ("an entry that compares nothing fails", {"aes_cmac.json": [changed(expected={})]}, [], 1, "0 passed, 1 failed",
     "nothing was compared"),
    ("an entry without its key fails", {"aes_cmac.json": [changed(key=None)]}, [], 1, "0 passed, 1 failed", '"key"'),
    ("an unverified entry is shown and not counted",
     {"aes_cmac.json": [GOOD, changed(name="odd", verified=False, expected={"mac": "00"})]}, [], 0,
     "1 passed, 0 failed", "aes_cmac/odd: not verified by a second source, differs"),
    ("an unknown file fails", {"aes_cmac.json": [GOOD], "nobody.json": [GOOD]}, [], 1, "1 passed, 1 failed",
     "nobody: no checker"),
    ("an unknown member is named", {"aes_cmac.json": [changed(salt="00")]}, [], 0, "1 passed, 0 failed",
     '"salt" was not used'),
    ("a description is not", {"aes_cmac.json": [changed(notes="x", how="y", origin="z")]}, [], 0, "1 passed, 0 failed",
     "aes_cmac: 1 passed, 0 failed"),
    ("an expected value that is not compared fails",
     {"aes_cmac.json": [changed(expected=GOOD["expected"] | {"tag": "00"})]}, [], 1, "0 passed, 1 failed",
     "expected.tag is not compared"),
    ("an expected null is not compared", {"aes_cmac.json": [changed(expected=GOOD["expected"] | {"tag": None})]}, [], 0,
     "1 passed, 0 failed", ""),
    ("a refusal for an unknown reason fails",
     {"ber_tlv.json": [{"name": "cut", "input": "9C02", "strict": True, "expected": {"error": True}}]}, [], 1,
     "0 passed, 1 failed", '"strict" is not known here'),
    ("a refusal without reason fails",
     {"ber_tlv.json": [{"name": "whole", "input": "9C0100", "expected": {"error": True}}]}, [], 1,
     "0 passed, 1 failed", "accepted; it must be refused"),
    ("a MAC of another length fails",
     {"aes_cmac.json": [changed(mac_length=4)]}, [], 1, "0 passed, 1 failed", "got BB1D6929"),
    ("a file skipped with its ending is left out", {"aes_cmac.json": [GOOD], "nobody.json": [GOOD]},
     ["--skip=nobody.json"], 0, "1 passed, 0 failed", "nobody: skipped"),
    ("a skipped file is left out", {"aes_cmac.json": [GOOD], "nobody.json": [GOOD]}, ["--skip", "nobody"], 0,
     "1 passed, 0 failed", "nobody: skipped"),
    ("a file that is no JSON fails", {"aes_cmac.json": "[{"}, [], 1, "0 passed, 1 failed", "not a list of vectors"),
    ("an empty list fails", {"aes_cmac.json": []}, [], 1, "0 passed, 1 failed", "not a list of vectors"),
    ("other files do not count", {"aes_cmac.json": [GOOD], "README.md": "x"}, [], 0, "1 passed, 0 failed", ""),
    ("nothing at all fails", {}, [], 1, "0 passed, 0 failed", "no vector was checked"),
]


def main():
    program = sys.argv[1]
    failed = 0
    for name, files, arguments, status, last, part in CASES:
        got_status, lines = run(program, files, *arguments)
        good = got_status == status and lines and lines[-1] == last and any(part in line for line in lines)
        print(f"{'ok' if good else 'FAILED'}: {name}")
        if not good:
            failed += 1
            print(f"  exit status {got_status}", *lines, sep="\n  ")
    for arguments in ([], ["--skip"], ["a", "b"], ["--unknown", "a"]):
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 2 or "usage" not in done.stderr:
            failed += 1
            print(f"FAILED: usage {arguments}")
    if subprocess.run([program, "/nonexistent"], capture_output=True, check=False).returncode == 0:
        failed += 1
        print("FAILED: a folder that is not there")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
