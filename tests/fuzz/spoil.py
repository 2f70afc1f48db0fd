#!/usr/bin/env python3
"""spoil.py SAMPLES PROGRAM TARGET: every truncation and every flipped bit of what our own code writes for a target."""
import pathlib
import subprocess
import sys
import tempfile


def main():
    samples, program, target = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([samples, folder], check=True)
        return subprocess.run([program, "--spoil", str(pathlib.Path(folder) / target)], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
