#!/usr/bin/env python3
"""Monitor, front and vault are kept apart: whoever takes over the front gets neither at the keys nor at the vault. To be run as root."""
import json
import os
import pathlib
import re
import subprocess
import sys

sys.dont_write_bytecode = True
import cards  # noqa: E402
import checks  # noqa: E402
import ready  # noqa: E402
from installation import USERS  # noqa: E402
from memory_search import UNDER_SANITIZER, found, memory  # noqa: E402

CAP_IPC_LOCK = 1 << 14

# Becomes another user (the interpreter may stand where that one cannot start it), tries everything on its arguments and prints what was possible.
PROBE = r"""
import ctypes, json, os, resource, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
user, files, folder, victim = json.loads(sys.argv[1])
os.setgroups([])
os.setresgid(user, user, user)
os.setresuid(user, user, user)
possible = []

def attempt(name, work):
    try:
        work()
    except (PermissionError, ProcessLookupError, FileNotFoundError):
        return
    possible.append(name)

def call(function, *arguments):
    if function(*arguments) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

def read(path):
    with open(path, "rb") as opened:
        opened.read(1)

def read_memory():
    with open(f"/proc/{victim}/maps") as maps:
        start = next(int(line.split("-")[0], 16) for line in maps if " rw-p " in line)
    with open(f"/proc/{victim}/mem", "rb", buffering=0) as mem:
        mem.seek(start)
        mem.read(16)

class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]

def read_vector():
    place = ctypes.create_string_buffer(16)
    local = Vector(ctypes.cast(place, ctypes.c_void_p), 16)
    remote = Vector(ctypes.c_void_p(0x400000), 16)
    libc.process_vm_readv.restype = ctypes.c_ssize_t
    try:
        call(libc.process_vm_readv, victim, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)
    except OSError as failure:
        if failure.errno == 14:  # EFAULT: allowed, nothing stands there
            return
        raise

def trace():
    attach, detach = 16, 17
    call(libc.ptrace, attach, victim, None, None)
    os.waitpid(victim, 0x40000000)  # __WALL
    libc.ptrace(detach, victim, None, None)

for path in files:
    attempt(f"read {os.path.basename(path)}", lambda: read(path))
    attempt(f"write {os.path.basename(path)}", lambda: open(path, "r+b").close())
attempt("list the folder", lambda: os.listdir(folder))
attempt("make a file in the folder", lambda: open(f"{folder}/planted", "x").close())
attempt("environ", lambda: read(f"/proc/{victim}/environ"))
attempt("maps", lambda: read(f"/proc/{victim}/maps"))
attempt("fd", lambda: os.listdir(f"/proc/{victim}/fd"))
attempt("mem", read_memory)
attempt("process_vm_readv", read_vector)
attempt("ptrace", trace)
attempt("setpriority", lambda: os.setpriority(os.PRIO_PROCESS, victim, 19))
attempt("prlimit", lambda: resource.prlimit(victim, resource.RLIMIT_CORE, (-1, -1)))
for number in (0, signal.SIGCONT, signal.SIGSTOP, signal.SIGTERM, signal.SIGKILL):
    attempt(f"signal {int(number)}", lambda: os.kill(victim, number))
print(json.dumps(possible))
"""


def probe(user, files, folder, victim):
    """What that user can do to these files, this folder and this process."""
    done = subprocess.run([sys.executable, "-c", PROBE, json.dumps([user, [str(path) for path in files], str(folder), victim])],
                          cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    checks.same(done.returncode, 0, f"exit status of the probe: {done.stderr}")
    return json.loads(done.stdout)


def status(pid):
    """/proc/PID/status as {name: text}."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


def descriptors(pid):
    return {int(each): os.readlink(f"/proc/{pid}/fd/{each}") for each in os.listdir(f"/proc/{pid}/fd")}


def sockets(pid):
    return {match.group(1) for target in descriptors(pid).values() if (match := re.fullmatch(r"socket:\[(\d+)\]", target))}


def inodes(*tables):
    """Inodes of the sockets that the kernel lists in /proc/net/TABLE."""
    listed = set()
    for table in tables:
        path = pathlib.Path("/proc/net") / table
        if not path.exists():
            continue
        column = {"unix": 6, "packet": 8, "netlink": 9}.get(table, 9)
        listed |= {line.split()[column] for line in path.read_text(encoding="utf-8").splitlines()[1:] if len(line.split()) > column}
    return listed


def network_sockets(pid):
    return sockets(pid) & inodes("tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6", "packet", "netlink")


class Unit:
    """Monitor, front and vault of one unit."""

    def __init__(self, site, name):
        self.site = site
        self.name = name
        self.monitor = site.processes[name].pid
        self.pids = ready.children(site, name)
        self.front, self.vault = self.pids["front"], self.pids["vault"]
        self.keys = site.path(name, "keys")
        self.secret_files = [path for path in sorted(self.keys.iterdir()) if path.suffix != ".pub"] + [site.path(name, "passphrase")]

    def log(self):
        return self.site.path("logs", f"{self.name}.log").read_text(encoding="utf-8", errors="replace")


def user_of_the_front(unit, check):
    with check(f"{unit.name}: the front's user can do nothing to key files, passphrase and vault"):
        checks.that(len(unit.secret_files) >= 2, f"there are no key files: {unit.secret_files}")
        checks.same(probe(USERS[f"{unit.name}-front"], unit.secret_files, unit.keys, unit.vault), [], "possible")
    with check(f"{unit.name}: the front's user can do nothing to the monitor and its configuration"):
        configuration = unit.site.path(unit.name, "monitor.yaml")
        possible = probe(USERS[f"{unit.name}-front"], [configuration], unit.site.path("programs"), unit.monitor)
        checks.same([each for each in possible if each not in ("read monitor.yaml", "list the folder")], [], "possible")
    with check(f"{unit.name}: the probe can fail: the vault's user may read and write, and trace a process of its own"):
        own = USERS[f"{unit.name}-vault"]
        with subprocess.Popen(["cat"], user=own, group=own, extra_groups=[], cwd="/", bufsize=0, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as victim:
            victim.stdin.write(b"\n")
            victim.stdout.readline()  # it runs
            possible = set(probe(own, unit.secret_files[:1], unit.keys, victim.pid))
        (unit.keys / "planted").unlink(missing_ok=True)
        name = unit.secret_files[0].name
        for each in (f"read {name}", f"write {name}", "list the folder", "make a file in the folder", "environ", "maps", "fd", "mem",
                     "process_vm_readv", "ptrace", "signal 0", "signal 15"):
            checks.among(each, possible, "possible")


def users_and_parents(unit, check):
    name = unit.name
    with check(f"{name}: front and vault are two users without groups, both children of the monitor"):
        checks.same(sorted(unit.pids), ["front", "vault"], "children of the monitor")
        for who, pid in unit.pids.items():
            found_status = status(pid)
            user = str(USERS[f"{name}-{who}"])
            checks.same(found_status["Uid"].split(), [user] * 4, f"users of the {who}")
            checks.same(found_status["Gid"].split(), [user] * 4, f"groups of the {who}")
            checks.same(found_status["Groups"].split(), [], f"further groups of the {who}")
            checks.same(int(found_status["PPid"]), unit.monitor, f"parent of the {who}")
            checks.same(found_status["NoNewPrivs"], "1", f"no new privileges of the {who}")
            checks.same(pathlib.Path(f"/proc/{pid}/environ").read_bytes(), b"", f"environment of the {who}")
    with check(f"{name}: the front has no capability, the vault none but that of locking memory"):
        for kind in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
            checks.same(int(status(unit.front)[kind], 16), 0, f"{kind} of the front")
            checks.among(int(status(unit.vault)[kind], 16), (0, CAP_IPC_LOCK), f"{kind} of the vault")


def doors_of_the_vault(unit, check):
    name = unit.name
    with check(f"{name}: the vault has one socket, to the front, and none of the network"):
        checks.same(len(sockets(unit.vault)), 1, "sockets of the vault")
        checks.that(sockets(unit.vault) <= inodes("unix"), "the vault's socket is not a local one")
        checks.same(network_sockets(unit.vault), set(), "network sockets of the vault")
        checks.that(network_sockets(unit.front), "the search can fail: the front, which listens, has none either")
        held = {target for target in descriptors(unit.vault).values() if not target.startswith("socket:")}
        allowed = {"/dev/null", str(unit.site.path("logs", f"{name}.log"))} | {str(each) for each in unit.keys.iterdir()}
        checks.that(str(unit.site.path(name, "passphrase")) not in held, "the passphrase file is still open")
        checks.that(held <= allowed, f"open: {held - allowed}")
    with check(f"{name}: the vault leaves no core"):
        limits = pathlib.Path(f"/proc/{unit.vault}/limits").read_text(encoding="utf-8")
        checks.same(re.search(r"Max core file size\s+(\S+)\s+(\S+)", limits).groups(), ("0", "0"), "core limits")
    if UNDER_SANITIZER:
        with check(f"{name}: a vault with a sanitizer says what it does without"):
            checks.that("built with a sanitizer: memory is not locked" in unit.log(), "the log does not say it")
        return
    with check(f"{name}: the vault is not dumpable, locks its memory and filters system calls"):
        # What is not dumpable belongs to root in /proc (proc(5)).
        checks.same(os.stat(f"/proc/{unit.vault}/mem").st_uid, 0, "owner of /proc/VAULT/mem")
        found_status = status(unit.vault)
        checks.same(found_status["Seccomp"], "2", "seccomp mode")
        checks.that(int(found_status["VmLck"].split()[0]) >= int(found_status["RssAnon"].split()[0]), f"locked: {found_status['VmLck']}")
        checks.same(int(found_status["VmSwap"].split()[0]), 0, "swapped out")


def doors_of_a_unit(site, name, pid, check):
    """Of a process that serves a network: a front, host or terminal."""
    log = site.path("logs", f"{name}.log").read_text(encoding="utf-8", errors="replace")
    with check(f"{name}: whoever takes the place of what serves the network gets no new privileges"):
        checks.same(status(pid)["NoNewPrivs"], "1", "no new privileges")
        if UNDER_SANITIZER:
            checks.that("built with a sanitizer: files and system calls are not limited" in log, "the log does not say what is left out")
            return
        checks.same(status(pid)["Seccomp"], "2", "seccomp mode")
        checks.same(os.stat(f"/proc/{pid}/mem").st_uid, 0, "owner of /proc/PID/mem: it can be dumped")
        checks.that(re.search(rf"\[{pid}\] info: files and ports are limited by Landlock \d|this kernel has no Landlock", log),
                    "the log says nothing of Landlock")


def monitor_knows_nothing(unit, check, values):
    name = unit.name
    with check(f"{name}: the monitor has no socket at all, and no file of the vault's open"):
        checks.same(sockets(unit.monitor), set(), "sockets of the monitor")
        held = [target for target in descriptors(unit.monitor).values() if str(unit.keys) in target or target.endswith("passphrase")]
        checks.same(held, [], "open")
    with check(f"{name}: neither monitor nor front hold a base key or the passphrase, the vault does"):
        passphrase = unit.site.path(name, "passphrase").read_text(encoding="utf-8").strip()
        searched = {**values, "passphrase": passphrase.encode().hex()}
        checks.same(found(searched, memory(unit.monitor)), [], "in the monitor")
        checks.same(found(searched, memory(unit.front)), [], "in the front")
        checks.same(sorted(found(values, memory(unit.vault))), sorted(values), "in the vault")
        checks.same(found({"passphrase": searched["passphrase"]}, memory(unit.vault)), [], "in the vault")


def main():
    with checks.site() as site, checks.Checks(site) as check:
        made = ready.Ready(site)
        keys = {"payment": made.payment, "card-manager": made.maker, "adm": made.adm}
        own, parts = cards.components()
        site.import_key("payment", "default", cards.PAYMENT_LINE, parts, unit="bkmu")
        for name, values in (("kmu", keys), ("bkmu", {"payment": own})):
            unit = Unit(site, name)
            users_and_parents(unit, check)
            doors_of_the_vault(unit, check)
            doors_of_a_unit(site, name, unit.front, check)
            monitor_knows_nothing(unit, check, values)
            user_of_the_front(unit, check)
        for name in ("host", "terminal"):
            doors_of_a_unit(site, name, site.processes[name].pid, check)
    return check.status


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("test_isolation.py takes the place of other users: run it as root")
    sys.exit(main())
