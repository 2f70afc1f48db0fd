#!/usr/bin/env python3
"""Checks the manual pages. Section 3: they name the functions that the library exports and no others, and are what the headers say.
Section 1: keyfill-gp.1 has the commands and options that `keyfill gp` tells by --help, each with its command, and no others. mandoc finds
nothing wrong with any (where it is installed).

    tests/manpages.py [LIBRARY [PROGRAM]]   LIBRARY: a libkeyfill.so; without it the version script tells what is exported
                                            PROGRAM: keyfill; without it section 1 is not compared
"""
import os
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


SHARED_SECTIONS = ("Reader and card", "Keys of the card", "Delegated management")


def helped(program, *words):
    # The C library's own --help does not free all it takes.
    environment = dict(os.environ, ASAN_OPTIONS=f"{os.environ.get('ASAN_OPTIONS', '')}:detect_leaks=0")
    done = subprocess.run([program, "gp", *words, "--help"], check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return done.stdout


def commands_of(text):
    """What stands behind "Commands:"."""
    return re.findall(r"^  ([a-z][a-z-]*) +\S", text.partition("Commands:")[2], flags=re.M)


def sections(page):
    """Title of each .Ss -> the options that it describes; titles that follow each other share what comes."""
    found, waiting = {}, []
    for block in re.split(r"^\.Ss ", page, flags=re.M)[1:]:
        title, _, body = block.partition("\n")
        waiting.append(re.split(r" (?:Ar|Op)\b", title)[0])
        options = {name for line in re.findall(r"^\.It (.*)$", body, flags=re.M) for name in re.findall(r"Fl Fl ([a-z0-9-]+)", line)}
        if not body.strip():
            continue
        for name in waiting:
            found[name] = options
        waiting = []
    return found


def program_problems(program):
    page = (MAN / "keyfill-gp.1").read_text(encoding="utf-8")
    described = sections(page)
    shared = set().union(*(described.pop(title) for title in SHARED_SECTIONS))
    commands = [(name,) for name in commands_of(helped(program)) if name != "sim"]
    commands += [("sim", name) for name in commands_of(helped(program, "sim"))]
    everything = set()
    for words in commands:
        name = " ".join(words)
        options = set(re.findall(r"--([a-z][a-z0-9-]*)", "\n".join(
            line for line in helped(program, *words).splitlines() if re.match(r" {2,6}(-\S, )? *--", line))))
        everything |= options
        if name not in described:
            yield f"keyfill-gp.1: there is no section for {name}"
            continue
        own = described[name] | shared | (described["sim show"] if words[0] == "sim" else set())
        for option in sorted(options - own):
            yield f"keyfill-gp.1: --{option} of {name} is missing"
        for option in sorted(described[name] - options):
            yield f"keyfill-gp.1: {name} has no --{option}"
    for name in sorted(set(described) - {" ".join(words) for words in commands}):
        yield f"keyfill-gp.1: there is no command {name}"
    for option in sorted(shared - everything):
        yield f"keyfill-gp.1: nothing has --{option}"
    if len(everything) < 50:
        yield f"only {len(everything)} options were found in --help"


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
    if len(sys.argv) > 2:
        problems += list(program_problems(sys.argv[2]))
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
