#!/usr/bin/env python3
"""The units of packaging/systemd: systemd finds nothing wrong with them, their exposure stays below a ceiling that docs/security.md tells, and
their filters of system calls have room for what the programs' own filters allow."""
import pathlib
import re
import subprocess
import sys

sys.dont_write_bytecode = True
import checks  # noqa: E402
from installation import ROOT, program  # noqa: E402

UNITS = ROOT / "packaging" / "systemd"
# `systemd-analyze security`: from 0 (nothing exposed) to 10. The monitors run as root, to give vault and front their users.
CEILING = {"keyfill-kmud": 2.6, "keyfill-bkmd": 2.6, "keyfill-hostd": 1.3, "keyfill-terminald": 1.3}
# What the programs' filter allows, but no library asks for as the units run: owners of files only root changes.
WITHOUT = {"fchown"}


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", "--no-pager", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)


def exposure(path):
    output = analyze("security", "--offline=yes", str(path)).stdout
    match = re.search(r"Overall exposure level for \S+: ([0-9.]+)", output)
    checks.that(match, f"no exposure level: {output[-300:]}")
    return float(match.group(1))


def settings(path, name):
    return re.findall(rf"^{name}=(.*)$", path.read_text(encoding="utf-8"), re.M)


def groups():
    """{"@network-io": {names and further groups}} of this systemd."""
    found, current = {}, None
    for line in analyze("syscall-filter").stdout.splitlines():
        word = line.strip()
        if line.startswith("@"):
            current = found.setdefault(word, set())
        elif current is not None and word and not word.startswith("#"):
            current.add(word)
    return found


def calls(words, known):
    return set().union(*(calls(known[word], known) if word.startswith("@") else {word} for word in words)) if words else set()


def filtered(path, known):
    """The system calls that the unit's SystemCallFilter= lines leave."""
    left = calls({"@default"}, known)
    for line in settings(path, "SystemCallFilter"):
        if line.startswith("~"):
            left -= calls(set(line[1:].split()), known)
        else:
            left |= calls(set(line.split()), known)
    return left


def own_calls(source, table):
    """Names in a table of SCMP_SYS(…) of a source file."""
    text = (ROOT / source).read_text(encoding="utf-8")
    body = re.search(rf"{table}\[\] = \{{(.*?)\n\}};", text, re.S).group(1)
    return set(re.findall(r"SCMP_SYS\((\w+)\)", body))


def verified(folder, path):
    """What systemd says of the unit with the programs of this build in it."""
    name = path.stem
    text = re.sub(r"^ExecStart=\S+", f"ExecStart={program(name)}", path.read_text(encoding="utf-8"), flags=re.M)
    copy = folder / path.name
    copy.write_text(text, encoding="utf-8")
    return analyze("verify", "--man=no", str(copy))


def main():
    with checks.folder() as folder, checks.Checks() as check:
        known = groups()
        units = {path.stem: path for path in sorted(UNITS.glob("*.service"))}
        with check("every daemon has a unit"):
            checks.same(sorted(units), sorted(CEILING), "units")
        told = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
        for name, path in units.items():
            with check(f"{name}: systemd-analyze verify finds nothing"):
                done = verified(folder, path)
                checks.same((done.returncode, done.stdout), (0, ""), "status and output")
            with check(f"{name}: systemd-analyze security stays below {CEILING[name]}, which docs/security.md tells"):
                checks.that(exposure(path) <= CEILING[name], f"{exposure(path)} is more than {CEILING[name]}")
                checks.that(re.search(rf"\| `{name}` \| {CEILING[name]} \|", told), "docs/security.md has no such line")
            with check(f"{name}: its filter has room for the program's own"):
                wanted = own_calls("src/wire/system_calls.c", "allowed_calls") - WITHOUT
                if name in ("keyfill-kmud", "keyfill-bkmd"):
                    wanted |= own_calls("src/vault/hardening.c", "allowed_calls") | {"mlockall", "setresuid", "setresgid", "setgroups", "kill"}
                wanted |= {"seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "prctl", "clone"}
                checks.same(sorted(wanted - filtered(path, known)), [], "left out")
        with check("the figures can fail: a unit without any of its limits is far above"):
            bare = folder / "keyfill-bare.service"
            bare.write_text(f"[Service]\nExecStart={program('keyfill-hostd')}\n", encoding="utf-8")
            checks.that(exposure(bare) > 9, f"{exposure(bare)}")
            bare.write_text("[Service]\nExecStart=/nowhere/keyfill\nProtectSysten=strict\n", encoding="utf-8")
            checks.different(analyze("verify", "--man=no", str(bare)).stdout, "", "what verify says of a wrong unit")
        with check("passphrases come as credentials, and the front may say when a unit is ready"):
            for name in ("keyfill-kmud", "keyfill-bkmd"):
                checks.same(settings(units[name], "NotifyAccess"), ["all"], "NotifyAccess")
                checks.that(any(each.startswith("passphrase:") for each in settings(units[name], "LoadCredential")), "LoadCredential")
    return check.status


if __name__ == "__main__":
    sys.exit(main())
