#!/usr/bin/env python3
"""No branch and no address depends on a secret: usage test_constant_time.py SOURCE-ROOT.

Comparisons, CMAC's own steps and hex around secrets are built with clang's MemorySanitizer, which stops where a
value marked as secret decides something. What leaks on purpose must be caught, or the check would be empty.
"""
import os
import subprocess
import sys
import tempfile

SOURCES = ["tests/unit/crypto/constant_time.c", "src/crypto/cmac.c", "src/base/secret.c", "src/base/bytes.c",
           "src/base/hex.c"]


def build(root, program):
    subprocess.run(["clang", "-std=gnu17", "-D_GNU_SOURCE", "-O1", "-g", "-fsanitize=memory",
                    "-fno-sanitize-recover=all", "-I", os.path.join(root, "include"), "-I", os.path.join(root, "src"),
                    *(os.path.join(root, source) for source in SOURCES), "-lpthread", "-o", program], check=True)


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "constant_time")
        build(sys.argv[1], program)
        names = subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()
        for name in names:
            done = subprocess.run([program, name], capture_output=True, text=True, check=False)
            caught = "use-of-uninitialized-value" in done.stderr
            good = caught and done.returncode != 0 if name.startswith("leak-") else done.returncode == 0
            print(f"{'ok' if good else 'FAILED'}: {name}{': caught' if caught else ''}")
            if not good:
                failed += 1
                print(done.stderr)
    return 1 if failed or len(names) < 2 else 0


if __name__ == "__main__":
    sys.exit(main())
