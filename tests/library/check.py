#!/usr/bin/env python3
"""Checks libkeyfill: its symbols are the functions of include/keyfill and no others, and a program builds and runs against the
installed tree, shared and static.

    check.py BUILD        the checks
    check.py --write-map  adds functions that the headers have and the version script has not to its newest version
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import public

EXAMPLE = pathlib.Path(__file__).resolve().parent / "example.c"
problems = []


def problem(text):
    problems.append(text)
    print("FAIL " + text)


def run(command, **options):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        problem(f"{' '.join(str(word) for word in command)}: status {done.returncode}\n{done.stdout[-3000:]}")
    return done.stdout


def exported(library):
    output = run(["nm", "-D", "--defined-only", "--with-symbol-versions", library])
    symbols = {}
    for line in output.splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[1] != "A":
            name, _, version = fields[2].partition("@")
            symbols[name] = version.strip("@")
    return symbols


def compare(what, left, right):
    for name in sorted(left - right):
        problem(f"{name}: {what}")
    return not left - right


def check_symbols(library):
    declared = set(public.all_functions())
    symbols = exported(library)
    # What the sanitizers and the linker add begins otherwise.
    own = {name for name in symbols if not name.startswith("_")}
    if len(declared) < 100:
        problem(f"only {len(declared)} functions were found in the headers")
    compare("declared in include/keyfill, but not in src/library/libkeyfill.map (check.py --write-map)", declared, public.mapped())
    compare("in src/library/libkeyfill.map, but declared in no public header", public.mapped(), declared)
    compare("declared in include/keyfill, but the library has it not", declared, own)
    compare("exported by the library, but declared in no public header", own, declared)
    for name in sorted(own):
        if not re.fullmatch(r"KEYFILL_\d+\.\d+", symbols[name]):
            problem(f"{name}: without a version")


def check_static(library):
    output = run(["nm", "--defined-only", library])
    names = set(re.findall(r" [TR] (kf_\w+)$", output, flags=re.M))
    compare("declared in include/keyfill, but the static library has it not", set(public.all_functions()), names)


def build_and_run(folder, name, flags, environment):
    program = pathlib.Path(folder) / name
    if shutil.which("cc") is None:
        problem("there is no cc")
        return
    run(["cc", "-std=c17", "-Wall", "-Wextra", "-Werror", EXAMPLE, "-o", program, *flags])
    if not program.exists():
        return
    output = run([program], env=environment)
    if output != "57BC18\n":
        problem(f"{name}: the example printed {output!r}")


def check_installed(build):
    with tempfile.TemporaryDirectory(prefix="keyfill-installed-") as folder:
        run([shutil.which("meson") or "meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", folder])
        configurations = list(pathlib.Path(folder).rglob("keyfill.pc"))
        if len(configurations) != 1:
            problem(f"{len(configurations)} files keyfill.pc are installed")
            return
        environment = dict(os.environ, PKG_CONFIG_PATH=str(configurations[0].parent), PKG_CONFIG_SYSROOT_DIR=folder)
        libraries = configurations[0].parent.parent
        shared = run(["pkg-config", "--cflags", "--libs", "keyfill"], env=environment).split()
        whole = run(["pkg-config", "--cflags", "--libs", "--static", "keyfill"], env=environment).split()
        static = [libraries / "libkeyfill.a" if word == "-lkeyfill" else word for word in whole]
        if list(pathlib.Path(folder).rglob("man3/*.3*")) == []:
            problem("no manual pages are installed")
        headers = {path.name for path in pathlib.Path(folder).rglob("include/keyfill/*.h")}
        compare("is not installed", {path.name for path in public.HEADERS}, headers)
        loading = dict(os.environ, LD_LIBRARY_PATH=str(libraries))
        build_and_run(folder, "shared", shared, loading)
        build_and_run(folder, "static", static, dict(os.environ))


def write_map():
    text = public.MAP.read_text(encoding="utf-8")
    missing = sorted(set(public.all_functions()) - public.mapped())
    newest = text.rindex("\nlocal:") if "\nlocal:" in text else text.index("local:")
    start = text.rindex("{", 0, newest)
    names = sorted(set(re.findall(r"kf_[a-z0-9_]+", text[start:newest])) | set(missing))
    body = "{\nglobal:\n" + "".join(f"    {name};\n" for name in names).rstrip("\n")
    public.MAP.write_text(text[:start] + body + text[newest:], encoding="utf-8")
    print(f"{len(missing)} added")


def main():
    if sys.argv[1:] == ["--write-map"]:
        write_map()
        return 0
    build = pathlib.Path(sys.argv[1])
    sanitized = len(sys.argv) > 2 and sys.argv[2] == "sanitized"
    folder = build / "src" / "library"
    check_symbols(folder / "libkeyfill.so")
    check_static(folder / "libkeyfill.a")
    if not sanitized: # a program would have to be linked with the sanitizers too
        check_installed(build)
    print(f"{len(public.all_functions())} functions, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
