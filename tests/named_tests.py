#!/usr/bin/env python3
"""Tests that documents name as `FILE: FUNCTION` exist. Prints each one that does not; exit status 1 where there is one."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENTS = ("docs/security.md", "docs/audit.md", "SECURITY.md")
NAMED = re.compile(r"`([\w./]+\.(?:py|c)): (\w+)`")


def holds(path, name):
    """A function of that name; in C one that its program runs."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return re.search(rf"^def {name}\(", text, re.M) is not None
    return re.search(rf"^static void {name}\(void \*\*state\)", text, re.M) is not None and len(re.findall(rf"\b{name}\b", text)) > 1


def main():
    missing, count = [], 0
    for document in DOCUMENTS:
        for file, name in NAMED.findall((ROOT / document).read_text(encoding="utf-8")):
            count += 1
            found = [path for path in sorted((ROOT / "tests").rglob(pathlib.Path(file).name)) if path.as_posix().endswith(file)]
            if not any(holds(path, name) for path in found):
                missing.append(f"{document}: there is no {file}: {name}")
    for each in missing:
        print(each)
    print(f"{count} tests named, {len(missing)} of them missing")
    return 1 if missing or not count else 0


if __name__ == "__main__":
    sys.exit(main())
