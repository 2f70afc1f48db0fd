#!/usr/bin/env python3
"""./dev test: builds every variant, runs every test, and ends with `N passed, N failed`."""
import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Tally:
    def __init__(self):
        self.passed = 0
        self.failures = []

    def add(self, name, good):
        if good:
            self.passed += 1
        else:
            self.failures.append(name)


def say(text):
    print(f"== {text}", flush=True)


def run(tally, name, command, environment=None, limit=900):
    """One check that passes or fails as a whole; its output is shown when it fails."""
    start = time.monotonic()
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, timeout=limit,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        good, output = done.returncode == 0, done.stdout
    except subprocess.TimeoutExpired as expired:
        good, output = False, f"{(expired.stdout or b'')!r}\nno end after {limit} s"
    tally.add(name, good)
    print(f"{'ok  ' if good else 'FAIL'} {name} ({time.monotonic() - start:.1f} s)", flush=True)
    if not good:
        print(output[-20000:], flush=True)
    return good


# Every variant: folder, compiler, meson options. Each builds all programs and tests with -Werror and runs the test programs.
VARIANTS = {
    "gcc": ("build", "gcc", []),
    "clang": ("build-clang", "clang", ["-Dbuildtype=debugoptimized"]),
    "sanitized": ("build-sanitized", "clang",
                  ["-Dfuzz=true", "-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dbuildtype=debug", "-Doptimization=1"]),
}


# The sanitizers' build is clang's, too; clang without them is for long runs.
USUAL = ("gcc", "sanitized")


def build(tally, variant):
    folder, compiler, options = VARIANTS[variant]
    environment = dict(os.environ, CC=compiler)
    if not (ROOT / folder / "build.ninja").exists():
        if not run(tally, f"configure {variant}", ["meson", "setup", folder, *options], environment):
            return False
    return run(tally, f"build {variant}", ["ninja", "-C", folder], limit=1800)


def sanitizer_environment():
    return dict(os.environ,
                ASAN_OPTIONS="detect_leaks=1:abort_on_error=1:strict_string_checks=1:detect_stack_use_after_return=0",
                UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1",
                LSAN_OPTIONS="report_objects=1")


def meson_tests(tally, variant):
    """Runs the variant's test programs; each is one check."""
    folder = ROOT / VARIANTS[variant][0]
    environment = sanitizer_environment() if variant == "sanitized" else dict(os.environ)
    log = folder / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    done = subprocess.run(["meson", "test", "-C", str(folder), "--no-rebuild", "--print-errorlogs", "--timeout-multiplier", "4"],
                          cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")
    counted = 0
    if log.exists():
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            result = json.loads(line)
            if result["result"] == "SKIP":
                print(f"skip {variant}: {result['name']}", flush=True)
                continue
            counted += 1
            tally.add(f"{variant}: {result['name']}", result["result"] in ("OK", "EXPECTEDFAIL"))
    if done.returncode != 0 or counted == 0:
        print(done.stdout[-30000:], flush=True)
    if counted == 0:
        tally.add(f"{variant}: meson test ran no test", False)
    print(f"     {variant}: {counted} test programs", flush=True)


def run_script(script, environment, long):
    """What a script printed, how it ended, and in which time."""
    start = time.monotonic()
    try:
        done = subprocess.run([sys.executable, str(script)], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                              timeout=3600 if long else 900)
        output, status = done.stdout, done.returncode
    except subprocess.TimeoutExpired as expired:
        output, status = (expired.stdout or b"").decode(errors="replace") + "\nno end", 1
    return output, status, time.monotonic() - start


def count_script(tally, variant, script, result):
    output, status, seconds = result
    oks = [line[3:] for line in output.splitlines() if line.startswith("ok ")]
    fails = [line[5:] for line in output.splitlines() if line.startswith("FAIL ")]
    if status != 0 and not fails:
        fails = [f"{script.name} ended with {status}"]
    if not oks and not fails:
        fails = [f"{script.name} checked nothing"]
    for name in oks:
        tally.add(name, True)
    for name in fails:
        tally.add(f"{variant}: {script.stem}: {name}", False)
    print(f"{'ok  ' if not fails else 'FAIL'} {variant}: {script.name}: {len(oks)} checks ({seconds:.1f} s)", flush=True)
    if fails:
        print(output[-30000:], flush=True)


SCRIPTS_AT_ONCE = 2  # they wait more than they work
# What these try is refused by locks that sanitizers need open: there they are for long runs.
GUARDED = ("test_attacks.py", "test_isolation.py", "test_systemd.py")


def integration(tally, variant, long):
    """Every script tests/integration/test_*.py: each prints `ok NAME` or `FAIL NAME` for what it checks."""
    folder = ROOT / VARIANTS[variant][0]
    environment = sanitizer_environment() if variant == "sanitized" else dict(os.environ)
    environment.update(KEYFILL_BUILD=str(folder), KEYFILL_LONG="1" if long else "0")
    scripts = [script for script in sorted((ROOT / "tests" / "integration").glob("test_*.py"))
               if long or variant != "sanitized" or script.name not in GUARDED]
    with concurrent.futures.ThreadPoolExecutor(SCRIPTS_AT_ONCE) as pool:
        running = {pool.submit(run_script, script, environment, long): script for script in scripts}
        for done in concurrent.futures.as_completed(running):
            count_script(tally, variant, running[done], done.result())


FUZZ_SECONDS, FUZZ_SECONDS_LONG = 5, 60


def fuzz(tally, long):
    """tests/fuzz/run.py: each target is one check; a crash says which input was saved and how to replay it."""
    start = time.monotonic()
    seconds = FUZZ_SECONDS_LONG if long else FUZZ_SECONDS
    done = subprocess.run([sys.executable, "tests/fuzz/run.py", "--seconds", str(seconds), "--build", VARIANTS["sanitized"][0]], cwd=ROOT,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    lines = done.stdout.splitlines()
    oks = [line[3:] for line in lines if line.startswith("ok ")]
    fails = [line[5:] for line in lines if line.startswith("FAIL ")]
    if not fails and (done.returncode != 0 or not oks):
        fails = [f"fuzz: run.py ended with {done.returncode} after {len(oks)} targets"]
    for name in oks:
        tally.add(name, True)
    for name in fails:
        tally.add(name, False)
    print(f"{'ok  ' if not fails else 'FAIL'} fuzz: {len(oks)} targets, {seconds} s each ({time.monotonic() - start:.1f} s)", flush=True)
    if fails:
        print(done.stdout[-30000:], flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--long", action="store_true", help="also what needs more time")
    parser.add_argument("--variant", action="append", choices=sorted(VARIANTS), help="only these")
    arguments = parser.parse_args()
    tally = Tally()
    variants = arguments.variant or (VARIANTS if arguments.long else USUAL)
    run(tally, "lint", [sys.executable, "tests/lint.py"])
    for variant in variants:
        say(variant)
        if not build(tally, variant):
            continue
        meson_tests(tally, variant)
        integration(tally, variant, arguments.long)
    if not arguments.variant:
        say("fuzz")
        fuzz(tally, arguments.long)
        say("model")
        script = ROOT / "tests" / "model" / "run.py"
        count_script(tally, "model", script, run_script(script, dict(os.environ), arguments.long))
    for name in tally.failures:
        print(f"FAILED {name}", flush=True)
    print(f"{tally.passed} passed, {len(tally.failures)} failed", flush=True)
    return 1 if tally.failures or tally.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
