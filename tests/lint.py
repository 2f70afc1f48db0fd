#!/usr/bin/env python3
"""./dev lint: formatter, layers, sizes, public headers that compile alone, cppcheck. Exit status 1 where one finds something."""
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = "build"
FUNCTION_LINES_MAX = 120
FILE_LINES_MAX = 1000


def tracked(*patterns):
    done = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns], cwd=ROOT, check=True,
                          stdout=subprocess.PIPE, text=True)
    return [name for name in done.stdout.splitlines() if (ROOT / name).exists()]


def report(name, problems):
    print(f"{'ok  ' if not problems else 'FAIL'} {name}")
    for problem in problems:
        print(f"     {problem}")
    return len(problems)


def check_format(files):
    done = subprocess.run(["clang-format", "--dry-run", "--Werror", *files], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    return sorted({line.split(":")[0] + ": not formatted; run ./dev fmt" for line in done.stderr.splitlines()
                   if "clang-format-violations" in line})


def check_layers():
    done = subprocess.run([sys.executable, "tests/layers.py"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    return [] if done.returncode == 0 else done.stdout.splitlines()


def check_named_tests():
    done = subprocess.run([sys.executable, "tests/named_tests.py"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    return [] if done.returncode == 0 else done.stdout.splitlines()


def check_sizes(files):
    problems = []
    for name in files:
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        if len(lines) > FILE_LINES_MAX:
            problems.append(f"{name}: {len(lines)} lines; at most {FILE_LINES_MAX}")
        start = None
        for number, line in enumerate(lines, 1):
            if line == "{":
                start = number
            elif line == "}" and start is not None:
                if number - start > FUNCTION_LINES_MAX:
                    problems.append(f"{name}:{start}: a function of {number - start} lines; at most {FUNCTION_LINES_MAX}")
                start = None
    return problems


def check_public_headers():
    """Each compiles alone and includes nothing of ours that is private."""
    problems = []
    for header in sorted((ROOT / "include" / "keyfill").glob("*.h")):
        with tempfile.NamedTemporaryFile("w", suffix=".c") as source:
            source.write(f"#include <keyfill/{header.name}>\n")
            source.flush()
            done = subprocess.run(["gcc", "-std=c17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-Iinclude", source.name],
                                  cwd=ROOT, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            problems.append(f"{header.name} does not compile alone: {done.stderr.splitlines()[0]}")
        if re.search(r'#\s*include\s*"', header.read_text(encoding="utf-8")):
            problems.append(f"{header.name} includes a private header")
    return problems


def check_leftovers(files):
    pattern = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    problems = []
    for name in files:
        for number, line in enumerate((ROOT / name).read_text(encoding="utf-8").splitlines(), 1):
            if pattern.search(line):
                problems.append(f"{name}:{number}: {line.strip()}")
    return problems


def check_cppcheck():
    done = subprocess.run(["cppcheck", "--quiet", "--enable=warning,performance,portability", "--inline-suppr", "--std=c11",
                           "--error-exitcode=1", "--suppress=missingInclude", "--suppress=unknownMacro",
                           "--suppress=normalCheckLevelMaxBranches", "-Iinclude", "-Isrc", "-D__GNUC__", "-j2", "src"],
                          cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return [] if done.returncode == 0 else done.stdout.splitlines()


def check_tidy(folder):
    """clang-tidy over the sources of a configured build folder."""
    files = [name for name in tracked("src/*.c", "src/**/*.c")]
    done = subprocess.run(["xargs", "-P2", "-n6", "clang-tidy", "--quiet", "-p", folder], cwd=ROOT, input="\n".join(sorted(set(files))),
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    problems = sorted({line for line in done.stdout.splitlines() if ": error: " in line or ": warning: " in line})
    return problems if problems or done.returncode == 0 else ["clang-tidy failed"]


def main():
    if not (ROOT / BUILD / "compile_commands.json").exists():
        subprocess.run(["meson", "setup", BUILD], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    sources = tracked("*.c", "*.h")
    found = 0
    found += report("format", check_format(sources))
    found += report("layers", check_layers())
    found += report("named tests", check_named_tests())
    found += report("sizes", check_sizes(sources))
    found += report("public headers", check_public_headers())
    found += report("leftovers", check_leftovers(tracked("src/*", "include/*")))
    found += report("cppcheck", check_cppcheck())
    found += report("clang-tidy", check_tidy(BUILD))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
