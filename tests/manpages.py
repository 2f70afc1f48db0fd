#!/usr/bin/env python3
"""Checks the manual pages of section 3: they name the functions that the library exports and no others, are what the headers say, and
mandoc finds nothing wrong with them (where it is installed).

    tests/manpages.py [LIBRARY]     LIBRARY: a libkeyfill.so; without it the version script tells what is exported
"""
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAN = ROOT / "man"
MAP = ROOT / "src" / "library" / "libkeyfill.map"


def exported(library):
    if library is None:
        return set(re.findall(r"^\s*(kf_\w+);", MAP.read_text(encoding="utf-8"), flags=re.M))
    done = subprocess.run(["nm", "-D", "--defined-only", library], check=True, stdout=subprocess.PIPE, text=True)
    return set(re.findall(r" T (kf_\w+)", done.stdout))


def documented():
    """Function -> pages in which it has a synopsis and a description."""
    pages = {}
    for page in sorted(MAN.glob("*.3")):
        text = page.read_text(encoding="utf-8")
        named = set(re.findall(r"^\.Nm (kf_\w+)", text, flags=re.M))
        synopsis = set(re.findall(r"^\.Fo (kf_\w+)", text, flags=re.M))
        described = set(re.findall(r"^\.It Fn (kf_\w+)", text, flags=re.M))
        for name in named & synopsis & described:
            pages.setdefault(name, []).append(page.name)
        for name in sorted((named | synopsis | described) - (named & synopsis & described)):
            yield name, f"{page.name} does not have it in NAME, SYNOPSIS and DESCRIPTION"
    for name, places in sorted(pages.items()):
        yield name, None if len(places) == 1 else f"in several pages: {', '.join(places)}"


def main():
    problems = []
    symbols = exported(sys.argv[1] if len(sys.argv) > 1 else None)
    found = set()
    for name, problem in documented():
        found.add(name)
        if problem:
            problems.append(f"{name}: {problem}")
    problems += [f"{name}: exported, but in no manual page; run man/from_headers.py" for name in sorted(symbols - found)]
    problems += [f"{name}: in a manual page, but not exported" for name in sorted(found - symbols)]
    if len(symbols) < 100:
        problems.append(f"only {len(symbols)} functions are exported")
    done = subprocess.run([sys.executable, str(MAN / "from_headers.py"), "--check"], stdout=subprocess.PIPE, text=True)
    problems += done.stdout.splitlines() if done.returncode != 0 else []
    if shutil.which("mandoc"):
        done = subprocess.run(["mandoc", "-Tlint", "-Wwarning", *map(str, sorted(MAN.glob("*.[1-9]")))], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        problems += [line for line in done.stdout.splitlines() if line]
    for problem in problems:
        print(problem)
    print(f"{len(found)} functions in {len(list(MAN.glob('*.3')))} pages, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
