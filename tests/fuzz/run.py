#!/usr/bin/env python3
"""Runs the fuzz targets of a build folder made with -Dfuzz=true, two or more side by side, each for some seconds. Prints
`ok fuzz: TARGET` or `FAIL fuzz: TARGET` for each, and for a failure the saved input and how to replay it."""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HERE = ROOT / "tests" / "fuzz"
INPUT_MAX = 4096  # bytes of what is tried, or as long as the longest seed: longer ones would be cut
SANITIZERS = {"ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=0:allocator_may_return_null=1",
              "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
              "LSAN_OPTIONS": "report_objects=1",
              "CMOCKA_TEST_ABORT": "1"}


def targets():
    return re.findall(r"^  '(\w+)': \[", (HERE / "meson.build").read_text(encoding="utf-8"), re.M)


def make_seeds(build, vectors):
    """Anew each time: what was a seed once may have another meaning now."""
    folder = build / "fuzz" / "seeds"
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    folder.mkdir(parents=True)
    subprocess.run([sys.executable, str(HERE / "seeds.py"), str(vectors), str(folder)], check=True)
    subprocess.run([str(build / "tests" / "fuzz" / "fuzz-samples"), str(folder)], check=True, env=dict(os.environ, **SANITIZERS))
    return folder


def replay_line(build, target, path):
    options = " ".join(f"{name}={shlex.quote(value)}" for name, value in SANITIZERS.items())
    return f"{options} {build / 'tests' / 'fuzz' / ('fuzz-' + target)} {path}"


def run_target(build, target, seeds, seconds):
    """The lines to print, and whether it was good."""
    folder = build / "fuzz" / target
    corpus, crashes = folder / "corpus", folder / "crashes"
    for path in (corpus, crashes):
        path.mkdir(parents=True, exist_ok=True)
    before = set(crashes.iterdir())
    regressions = HERE / "regressions" / target
    given = [str(path) for path in (seeds / target, regressions) if path.is_dir()]
    longest = max((path.stat().st_size for name in given for path in pathlib.Path(name).iterdir()), default=0)
    command = [str(build / "tests" / "fuzz" / f"fuzz-{target}"), f"-max_total_time={seconds}", f"-max_len={max(INPUT_MAX, longest)}",
               "-timeout=20",
               "-rss_limit_mb=3000", "-print_final_stats=1", f"-artifact_prefix={crashes}/", str(corpus), *given]
    try:
        done = subprocess.run(command, cwd=ROOT, env=dict(os.environ, **SANITIZERS), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=4 * seconds + 120)
        output, status = done.stdout, done.returncode
    except subprocess.TimeoutExpired as expired:
        output, status = (expired.stdout or b"").decode(errors="replace") + "\nno end", 1
    runs = re.search(r"stat::number_of_executed_units: (\d+)", output)
    count = int(runs.group(1)) if runs else 0
    covered = re.findall(r"cov: (\d+)", output)
    # Without its seeds and regressions a target has tried nothing that matters.
    if status == 0 and count > 0 and given:
        return True, [f"ok fuzz: {target} ({count} inputs, {covered[-1] if covered else 0} edges)"]
    told = [line[:300] for line in output.splitlines() if not re.match(r"#\d+\s", line)]
    lines = [f"FAIL fuzz: {target}", *told[-60:]]
    for path in sorted(set(crashes.iterdir()) - before):
        lines += [f"     the input: {path}", f"     to replay: {replay_line(build, target, path)}",
                  f"     once it is mended: mv {path} {HERE / 'regressions' / target}/"]
    return False, lines


def find_planted(build):
    """A harness that finds nothing is no harness: a program with a read out of bounds has to be stopped, by AddressSanitizer."""
    folder = build / "fuzz" / "planted"
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(build / "tests" / "fuzz" / "fuzz-planted"), "-max_total_time=60", "-max_len=16", f"-artifact_prefix={folder}/"]
    done = subprocess.run(command, cwd=ROOT, env=dict(os.environ, **SANITIZERS), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", timeout=180)
    found = done.returncode != 0 and "heap-buffer-overflow" in done.stdout
    return found, [f"{'ok' if found else 'FAIL'} fuzz: a planted read out of bounds is found", *([] if found else [done.stdout[-3000:]])]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--build", default=str(ROOT / "build-sanitized"))
    parser.add_argument("--vectors", default=str(ROOT.parent / "shared" / "vectors"))
    parser.add_argument("target", nargs="*", help="only these (all)")
    arguments = parser.parse_args()
    known = targets()
    unknown = [name for name in arguments.target if name not in known]
    if unknown:
        sys.exit(f"there is no target {unknown[0]}; there are {', '.join(known)}")
    build = pathlib.Path(arguments.build).resolve()
    seeds = make_seeds(build, arguments.vectors)
    good = True
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        runs = [] if arguments.target else [pool.submit(find_planted, build)]
        runs += [pool.submit(run_target, build, name, seeds, arguments.seconds) for name in arguments.target or known]
        for run in concurrent.futures.as_completed(runs):
            passed, lines = run.result()
            good = good and passed
            print("\n".join(lines), flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
