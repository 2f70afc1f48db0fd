#!/usr/bin/env python3
"""A whole keyfill installation on one machine, under one folder: certificates, configurations, units, readers, cards.

`installation.py up DIR` and `installation.py down DIR` are what ./dev up and ./dev down call; tests and the demonstration use the class Site. Nothing
listens but on loopback (vpcd, the virtual reader, listens on all addresses: it is for tests and demonstrations only).
"""
import contextlib
import fcntl
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("KEYFILL_BUILD", ROOT / "build"))
VPCD_DRIVER = pathlib.Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
PCSCD_SOCKET = "/run/pcscd/pcscd.comm"
TOKEN_MODULE = "/usr/lib/softhsm/libsofthsm2.so"

# Users without a passwd entry: fronts and vaults, host and terminal each have one of their own.
USERS = {"bkmu-front": 64001, "bkmu-vault": 64002, "kmu-front": 64003, "kmu-vault": 64004, "host": 64005, "terminal": 64006,
         "bkmu-hsm": 64007, "kmu-hsm": 64008}

# Officers of both units, and the configurations with which each calls: officer-kmu, officer2-kmu …
OFFICERS = {"officer": "alice", "officer2": "carol", "officer3": "dora"}

DOMAIN_AID = "A00000015153504B4601"  # of profiles/security-domain*.yaml

DEADLINE = 60.0  # seconds for anything that is waited for


class Failure(Exception):
    """Something did not do what it should."""


def free_ports(count):
    """Ports that nobody listens on at the moment, in a row."""
    for _ in range(200):
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(socket.socket())
            first.bind(("127.0.0.1", 0))
            base = first.getsockname()[1]
            if base + count > 65535:
                continue
            try:
                for offset in range(1, count):
                    other = stack.enter_context(socket.socket())
                    other.bind(("127.0.0.1", base + offset))
            except OSError:
                continue
            return [base + offset for offset in range(count)]
    raise Failure("no free ports")


def wait_until(what, condition, deadline=DEADLINE):
    """Asks until the condition holds; there is nothing that tells."""
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            raise Failure(f"waited {deadline:.0f} s in vain for: {what}")
        time.sleep(0.01)


class PcscdTurn:
    """pcscd exists once on a machine, and tests run side by side: whoever starts one waits until it is their turn."""
    FILE = "/run/lock/keyfill-pcscd"
    WAIT = 600.0  # seconds: all that other tests do with theirs

    def __init__(self):
        self.file = None

    def take(self):
        # A test that has the turn passes it on to the programs that it runs.
        if self.file is not None or os.environ.get("KEYFILL_PCSCD_TURN") == "taken":
            return
        self.file = open(self.FILE, "w", encoding="utf-8")
        wait_until("the turn to start pcscd", self.locked, self.WAIT)

    def locked(self):
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def give_back(self):
        if self.file is not None:
            self.file.close()
        self.file = None


def pcscd_runs():
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(PCSCD_SOCKET) == 0


def program(name):
    """The built program of that name."""
    found = [path for path in BUILD.glob(f"src/*/{name}") if path.is_file()]
    if len(found) != 1:
        raise Failure(f"{name} is not built; run ./dev build")
    return str(found[0])


class Process:
    """A program that runs, with its log in a file."""

    def __init__(self, name, arguments, log, user=None):
        self.name = name
        self.log = pathlib.Path(log)
        self.offset = self.log.stat().st_size if self.log.exists() else 0
        options = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        with open(self.log, "ab") as output:
            self.handle = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                           start_new_session=True, **options)
        self.pid = self.handle.pid

    def said(self, pattern):
        """What of its log since the start matches, or None."""
        with open(self.log, "rb") as log:
            log.seek(self.offset)
            return re.search(pattern, log.read().decode(errors="replace"))

    def tail(self, size=4000):
        """The end of its log since the start; None: all of it."""
        with open(self.log, "rb") as log:
            log.seek(self.offset)
            text = log.read().decode(errors="replace")
        return text if size is None else text[-size:]

    def wait_for(self, pattern):
        def there():
            if self.said(pattern):
                return True
            if self.handle.poll() is not None:
                raise Failure(f"{self.name} ended with {self.handle.returncode}:\n{self.tail()}")
            return False
        try:
            wait_until(f"{self.name} to say \"{pattern}\"", there)
        except Failure as failure:
            raise Failure(f"{failure}\n{self.tail()}") from None
        return self.said(pattern)

    def stop(self, how=signal.SIGTERM):
        """Ends it and what it started."""
        if self.handle.poll() is None:
            if how == signal.SIGKILL:
                os.killpg(self.pid, signal.SIGKILL)
            else:
                os.kill(self.pid, how)
            try:
                self.handle.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                os.killpg(self.pid, signal.SIGKILL)
                self.handle.wait(DEADLINE)
                raise Failure(f"{self.name} did not end on {how.name}:\n{self.tail()}") from None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


def stop_pid(pid):
    """Ends a process that an earlier run of this script started."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)

    def gone():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return stat.rpartition(")")[2].split()[0] == "Z"
    wait_until(f"process {pid} to end", gone)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


class Site:
    """An installation. `with Site(folder) as site:` stops everything at the end. `hsm`: both units keep base keys in tokens (SoftHSM2)."""

    def __init__(self, folder, hsm=False):
        self.folder = pathlib.Path(folder).resolve()
        self.hsm = hsm
        self.processes = {}
        self.ports = {}
        self.vpcd_ports = []
        self.pcscd_turn = PcscdTurn()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def path(self, *parts):
        return self.folder.joinpath(*parts)

    # -- laying out --

    def write(self, path, text, user=0, mode=0o644):
        path = self.path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        os.chmod(path, mode)
        os.chown(path, user, user)
        return path

    def make_folder(self, name, user, mode=0o700):
        path = self.path(name)
        path.mkdir(parents=True, exist_ok=True)
        os.chmod(path, mode)
        os.chown(path, user, user)
        return path

    def keyfill(self, *arguments, config=None, check=True, text_input=None):
        """Runs the program `keyfill`. Returns the finished process."""
        command = [program("keyfill"), *arguments]
        if config is not None:
            command += ["--config", str(self.path("clients", f"{config}.yaml"))]
        done = subprocess.run(command, stdin=subprocess.DEVNULL if text_input is None else None, input=text_input,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=180)
        if check and done.returncode != 0:
            raise Failure(f"keyfill {' '.join(arguments)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def keyfill_json(self, *arguments, config=None):
        return json.loads(self.keyfill(*arguments, "--json", config=config).stdout)

    def issue(self, role, name, user, folder):
        """A certificate and key in `folder`, for that user alone."""
        self.keyfill("pki", "issue", "--role", role, "--name", name, "--dns", "localhost", "--ip", "127.0.0.1",
                     str(self.path("pki")))
        for ending, mode in (("pem", 0o644), ("key", 0o600)):
            target = self.path(folder, f"{role}.{ending}")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.path("pki", f"{role}-{name}.{ending}"), target)
            os.chmod(target, mode)
            os.chown(target, user, user)

    def lay_out(self, development=False):
        """Certificates and configurations of every unit."""
        self.folder.mkdir(parents=True, exist_ok=True)
        os.chmod(self.folder, 0o755)
        self.path("logs").mkdir(exist_ok=True)
        self.path("cards").mkdir(exist_ok=True)
        self.path("clients").mkdir(mode=0o700, exist_ok=True)
        bkmu, kmu, host = free_ports(3)
        self.ports = {"bkmu": bkmu, "kmu": kmu, "host": host}
        self.keyfill("pki", "init", str(self.path("pki")))
        ca = self.write("ca.pem", self.path("pki", "ca.pem").read_text(encoding="utf-8"))
        self.write("crl.pem", self.path("pki", "crl.pem").read_text(encoding="utf-8"))
        roster = None if development else self.make_officers()
        self.lay_out_unit("bkmu", "central", ca, roster)
        self.lay_out_unit("kmu", "main", ca, roster,
                          f"bkmu: https://127.0.0.1:{bkmu}\nbkmu_name: central\npair: main\nhosts: open\n")
        self.lay_out_host(ca)
        self.lay_out_terminal(ca)
        self.lay_out_clients(ca)
        self.save()

    def make_officers(self):
        """Each officer's own key; returns the founding roster."""
        lines = ["quorum keys 2\n", "quorum roster 2\n"]
        for name in OFFICERS.values():
            passphrase = self.write(f"clients/{name}.passphrase", f"a passphrase of {name}, for tests only\n", mode=0o600)
            lines.append(self.keyfill("officer", "new", name, "--out", str(self.path("clients", f"{name}.officer")),
                                      "--officer-passphrase-file", str(passphrase)).stdout)
        return "".join(lines)

    def revoke(self, *certificates):
        """Puts them on the revocation lists: files in pki (\"host-main\"), or paths."""
        self.keyfill("pki", "revoke", str(self.path("pki")), *(str(name) for name in certificates))
        new = self.write("crl.pem.new", self.path("pki", "crl.pem").read_text(encoding="utf-8"))
        new.rename(self.path("crl.pem"))

    def lay_out_unit(self, unit, name, ca, roster, more=""):
        """`roster` None: a unit of development, where a certificate's word suffices."""
        front, vault = USERS[f"{unit}-front"], USERS[f"{unit}-vault"]
        self.issue(unit, name, front, unit)
        records = self.make_folder(f"{unit}/records", front)
        keys = self.make_folder(f"{unit}/keys", vault, 0o711)
        self.write(f"{unit}/passphrase", "a passphrase for tests only, " + os.urandom(12).hex() + "\n", vault, 0o400)
        self.write(f"{unit}/front.yaml", f"""address: 127.0.0.1
port: {self.ports[unit]}
ca: {ca}
certificate: {self.path(unit, unit)}.pem
private_key: {self.path(unit, unit)}.key
crl: {self.path('crl.pem')}
database: sqlite:{records}/{unit}.db
log_level: debug
{more}""")
        founding = "" if roster is None else f"  roster: {self.write(f'{unit}/roster', roster)}\n"
        self.write(f"{unit}/monitor.yaml", f"""development: {'true' if roster is None else 'false'}
programs: {self.programs()}
vault:
  user: "{vault}"
  directory: {keys}
  passphrase_file: {self.path(unit, 'passphrase')}
{founding}front:
  user: "{front}"
  config: {self.path(unit, 'front.yaml')}
{self.lay_out_token(unit) if self.hsm else ''}""")

    def lay_out_token(self, unit):
        """An empty token, initialised, and the lines of the monitor's configuration that name it."""
        user = USERS[f"{unit}-hsm"]
        folder = self.make_folder(f"{unit}/token", user)
        (folder / "tokens").mkdir()
        configuration = self.write(f"{unit}/token/softhsm2.conf",
                                   f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n", user, 0o400)
        pins = {name: os.urandom(8).hex() for name in ("pin", "so-pin")}
        for name, pin in pins.items():
            self.write(f"{unit}/{name}", pin + "\n", user, 0o400)
        subprocess.run(["softhsm2-util", "--init-token", "--free", "--label", f"keyfill-{unit}", "--pin", pins["pin"], "--so-pin",
                        pins["so-pin"]], env={**os.environ, "SOFTHSM2_CONF": str(configuration)}, check=True, stdout=subprocess.DEVNULL)
        for path in [folder / "tokens", *(folder / "tokens").rglob("*")]:
            os.chown(path, user, user)
        return f"""hsm:
  user: "{user}"
  uri: pkcs11:token=keyfill-{unit}
  module: {TOKEN_MODULE}
  pin_file: {self.path(unit, 'pin')}
  so_pin_file: {self.path(unit, 'so-pin')}
  environment:
    - SOFTHSM2_CONF={configuration}
"""

    def programs(self):
        """One folder with links to what the monitors start."""
        folder = self.path("programs")
        folder.mkdir(exist_ok=True)
        for name in ("keyfill-vault", "keyfill-hsm", "keyfill-kmu-front", "keyfill-bkm-front"):
            link = folder / name
            if not link.is_symlink():
                link.symlink_to(program(name))
        return folder

    def lay_out_host(self, ca):
        user = USERS["host"]
        self.issue("host", "main", user, "host")
        self.make_folder("host/records", user)
        for ending, mode in (("pem", 0o644), ("key", 0o600)):
            text = self.path("pki", f"terminal-authority.{ending}").read_text(encoding="utf-8")
            self.write(f"host/terminal-authority.{ending}", text, user, mode)
        self.write_host_config(ca, "")

    def write_host_config(self, ca, more):
        self.write("host/host.yaml", f"""address: 127.0.0.1
port: {self.ports['host']}
ca: {ca}
certificate: {self.path('host', 'host.pem')}
private_key: {self.path('host', 'host.key')}
crl: {self.path('crl.pem')}
terminal_authority_certificate: {self.path('host', 'terminal-authority.pem')}
terminal_authority_key: {self.path('host', 'terminal-authority.key')}
database: sqlite:{self.path('host', 'records', 'host.db')}
kmu: https://127.0.0.1:{self.ports['kmu']}
kmu_name: main
log_level: debug
{more}""")

    def lay_out_terminal(self, ca, reader="pcsc:"):
        self.make_folder("terminal", USERS["terminal"])
        self.write("terminal/terminal.yaml", f"""reader: "{reader}"
socket: {self.path('terminal', 'terminal.sock')}
host: https://127.0.0.1:{self.ports['host']}
ca: {ca}
certificate: {self.path('terminal', 'terminal.pem')}
private_key: {self.path('terminal', 'terminal.key')}
crl: {self.path('crl.pem')}
log_level: debug
""")

    def lay_out_clients(self, ca):
        for role, name in (("auditor", "ulla"), ("administrator", "bob")):
            self.issue(role, name, 0, f"clients/{role}")
            for unit, port in self.ports.items():
                self.write_client(f"{role}-{unit}", unit, port, ca, role)
        for folder, name in OFFICERS.items():
            self.issue("officer", name, 0, f"clients/{folder}")
            for unit, port in self.ports.items():
                self.write_officer(folder, unit, port)
        self.write("clients/terminal.yaml", f"terminal_socket: {self.path('terminal', 'terminal.sock')}\n")

    def write_client(self, name, unit, port, ca, role, more="", folder=None):
        self.write(f"clients/{name}.yaml", f"""url: https://127.0.0.1:{port}
role: {unit}
ca: {ca}
certificate: {self.path('clients', folder or role, role)}.pem
private_key: {self.path('clients', folder or role, role)}.key
{more}""")

    def write_officer(self, folder, unit, port, more=""):
        """What an officer calls with; where officers have keys, each act is signed."""
        name = OFFICERS[folder]
        if self.path("clients", f"{name}.officer").exists():
            more += f"officer_key: {self.path('clients', name)}.officer\nofficer_passphrase_file: {self.path('clients', name)}.passphrase\n"
        self.write_client(f"{folder}-{unit}", unit, port, self.path("ca.pem"), "officer", more, folder)

    def pin_vaults(self):
        """An officer's configuration names the public key of the vault that components are sealed to."""
        for unit in ("bkmu", "kmu"):
            key = self.path(unit, "keys", "vault.pub").read_text(encoding="utf-8").strip()
            for folder in OFFICERS:
                self.write_officer(folder, unit, self.ports[unit], f"vault_key: {key}\n")

    # -- running --

    def start(self, name, arguments, user=None):
        process = Process(name, arguments, self.path("logs", f"{name}.log"), user)
        self.processes[name] = process
        self.save()
        return process

    def start_bkmu(self):
        process = self.start("bkmu", [program("keyfill-bkmd"), "--config", str(self.path("bkmu", "monitor.yaml"))])
        process.wait_for(r"listening on 127\.0\.0\.1:\d+")

    def start_kmu(self):
        process = self.start("kmu", [program("keyfill-kmud"), "--config", str(self.path("kmu", "monitor.yaml"))])
        process.wait_for(r"listening on 127\.0\.0\.1:\d+")

    def start_host(self):
        process = self.start("host", [program("keyfill-hostd"), "--config", str(self.path("host", "host.yaml"))],
                             USERS["host"])
        process.wait_for(r"listening on 127\.0\.0\.1:\d+")

    def start_terminal(self):
        process = self.start("terminal", [program("keyfill-terminald"), "--config", str(self.path("terminal", "terminal.yaml"))],
                             USERS["terminal"])
        wait_until("the terminal's socket", lambda: process.handle.poll() is not None or self.terminal_answers())
        if process.handle.poll() is not None:
            raise Failure(f"the terminal ended:\n{process.tail()}")

    def terminal_answers(self):
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.path("terminal", "terminal.sock")))
            except OSError:
                return False
            return True

    def start_units(self):
        self.start_bkmu()
        self.start_kmu()
        self.pin_vaults()
        self.start_host()

    def enroll(self, name="counter-1"):
        """Key made on the terminal, one-time code from the host, certificate signed."""
        code = self.keyfill_json("terminal", "code", name, config="administrator-host")["code"]
        done = self.keyfill("terminal", "enroll", "--host", f"https://127.0.0.1:{self.ports['host']}", "--ca",
                            str(self.path("ca.pem")), "--code", code, "--certificate", str(self.path("terminal", "terminal.pem")),
                            "--private-key", str(self.path("terminal", "terminal.key")))
        for ending in ("pem", "key"):
            os.chown(self.path("terminal", f"terminal.{ending}"), USERS["terminal"], USERS["terminal"])
        return done

    # -- keys and what the units know --

    def approve(self, identifier, unit, officer="officer2"):
        """Another officer signs, and it is done. Returns what came of it."""
        done = self.keyfill_json("proposal", "approve", identifier, "--yes", config=f"{officer}-{unit}")
        if done["state"] != "done":
            raise Failure(f"proposal {identifier} is {done['state']} after it was approved: {done}")
        return done.get("result", {})

    def agree(self, *arguments, unit, officers=("officer", "officer2")):
        """An act that one officer proposes and another approves. Returns what came of it."""
        proposed = self.keyfill_json(*arguments, config=f"{officers[0]}-{unit}")
        return self.approve(proposed["id"], unit, officers[1])

    def give_components(self, unit, command, parts):
        """Each component by another officer; `parts` holds digits, or None for one that the program makes. Returns the answers."""
        answers = []
        for index, (folder, digits) in enumerate(zip(OFFICERS, parts, strict=False)):
            arguments = list(command)
            if digits is not None:
                arguments += ["--component-file", str(self.write(f"clients/component-{index}", digits + "\n", mode=0o600))]
            if answers:
                arguments += ["--import", answers[0]["import"], "--first", str(index + 1)]
            answers.append(self.keyfill_json(*arguments, config=f"{folder}-{unit}"))
            self.path(f"clients/component-{index}").unlink(missing_ok=True)
        return answers

    def activate(self, key, unit):
        """A key of components is taken into use once officers have confirmed its KCV."""
        return self.agree("key", "activate", "--purpose", key["purpose"], "--category", key["category"], "--version", str(key["version"]),
                          "--kcv", key["kcv"], unit=unit)

    def exchange_transport_key(self, pair="main"):
        """Two components made at the base key management unit by two officers, entered at the key management unit by two officers."""
        made = self.give_components("bkmu", ("key", "transport", "create", pair), (None, None))
        digits = [answer["components"][0] for answer in made]
        entered = self.give_components("kmu", ("key", "transport", "enter", pair), digits)
        if made[-1]["key"]["kcv"] != entered[-1]["key"]["kcv"]:
            raise Failure(f"the units have different transport keys: {made[-1]} and {entered[-1]}")
        self.activate(made[-1]["key"], "bkmu")
        self.activate(entered[-1]["key"], "kmu")
        return {"kcv": made[-1]["key"]["kcv"]}

    def make_transport_key(self, pair="main"):
        """The same, and the key management unit is registered: keys are pushed from now on."""
        made = self.exchange_transport_key(pair)
        self.keyfill("key", "unit", "put", "main", "--url", f"https://127.0.0.1:{self.ports['kmu']}", "--pair", pair,
                     config="officer-bkmu")
        return made

    def generate_key(self, purpose, category, line, *more, unit="bkmu"):
        return self.agree("key", "generate", "--purpose", purpose, "--category", category, "--diversification", line, *more, unit=unit)

    def import_key(self, purpose, category, line, parts, *more, unit="bkmu"):
        command = ("key", "import", "--purpose", purpose, "--category", category, "--diversification", line, "--components", str(len(parts)),
                   *more)
        return self.activate(self.give_components(unit, command, parts)[-1]["key"], unit)

    def put_module(self, name, file):
        """Registered by an administrator, permitted by officers."""
        registered = self.keyfill_json("module", "put", name, str(file), config="administrator-kmu")
        self.agree("module", "permit", name, str(file), unit="kmu")
        return registered

    def register(self, profile, category, prefixes=(), iccid_prefixes=(), profile_text=None):
        """A profile of profiles/, or the given text, and a category that follows it."""
        text = profile_text or (ROOT / "profiles" / f"{profile}.yaml").read_text(encoding="utf-8")
        file = str(self.write(f"{profile}.yaml", text))
        self.keyfill("profile", "put", file, config="administrator-kmu")
        self.agree("profile", "permit", file, unit="kmu")
        numbers = "".join(f'\n    - "{prefix}"' for prefix in prefixes) or " []"
        iccids = "".join(f'\n    - "{prefix}"' for prefix in iccid_prefixes) or " []"
        category_file = self.write(f"category-{category}.yaml", f"""name: {category}
profile: {profile}
number:
  prefixes:{numbers}
iccid:
  prefixes:{iccids}
  hexadecimal: true
""")
        self.keyfill("category", "put", str(category_file), config="administrator-kmu")

    # -- readers and cards --

    def start_pcscd(self, readers=1):
        """pcscd with that many virtual readers of two slots each; each needs a copy of the driver of its own."""
        self.pcscd_turn.take()
        if pcscd_runs():
            raise Failure(f"a pcscd runs already ({PCSCD_SOCKET}); stop it first")
        configuration = self.path("readers")
        shutil.rmtree(configuration, ignore_errors=True)
        configuration.mkdir()
        self.vpcd_ports = []
        for index in range(readers):
            port = free_ports(2)[0]
            driver = self.path(f"driver-{index}.so")
            shutil.copyfile(VPCD_DRIVER, driver)
            (configuration / f"vpcd-{index}").write_text(
                f'FRIENDLYNAME "Virtual PCD {index}"\nDEVICENAME /dev/null:0x{port:04X}\nLIBPATH {driver}\n'
                f"CHANNELID 0x{port:04X}\n", encoding="utf-8")
            self.vpcd_ports.append(port)
        os.makedirs("/run/pcscd", exist_ok=True)
        process = self.start("pcscd", ["pcscd", "--foreground", "--config", str(configuration)])

        def listening():
            if process.handle.poll() is not None:
                raise Failure(f"pcscd ended:\n{process.tail()}")
            return all(self.port_taken(port) for port in self.vpcd_ports)
        wait_until("pcscd's virtual readers", listening)

    @staticmethod
    def port_taken(port):
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                return True
        return False

    def make_card(self, name, blueprint):
        """A card of its maker's: YAML text in, state file out."""
        config = self.write(f"cards/{name}.yaml", blueprint)
        subprocess.run([program("keyfill-softcard"), "create", "--state", str(self.path("cards", f"{name}.card")), "--config",
                        str(config), "--force"], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def terminal_status(self):
        """GET /v1/status of the terminal's local socket."""
        connection = http.client.HTTPConnection("localhost", timeout=DEADLINE)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self.path("terminal", "terminal.sock")))
        with contextlib.closing(connection):
            connection.request("GET", "/v1/status")
            return json.load(connection.getresponse())

    def insert(self, name, tear=None):
        """Puts the card into the first virtual reader; pcscd has seen it when this returns."""
        arguments = [program("keyfill-softcard"), "run", "--state", str(self.path("cards", f"{name}.card")), "--vpcd",
                     f"127.0.0.1:{self.vpcd_ports[0]}"]
        if tear is not None:
            arguments += ["--tear", tear]
        self.start("card", arguments).wait_for(r"(?m)^ready")
        if "terminal" in self.processes:
            wait_until("the reader to notice the card", lambda: self.terminal_status().get("card") is True)

    def insert_socket(self, name, path="card.sock", tear=None):
        """Puts the card behind a local socket, without pcscd."""
        arguments = [program("keyfill-softcard"), "run", "--state", str(self.path("cards", f"{name}.card")), "--socket",
                     str(self.path(path))]
        if tear is not None:
            arguments += ["--tear", tear]
        self.start("card", arguments).wait_for(r"(?m)^ready")
        os.chmod(self.path(path), 0o666)

    def remove(self):
        """Takes the card out; pcscd has noticed when this returns."""
        if "card" not in self.processes:
            return
        self.stop_one("card")
        if "pcscd" in self.processes and "terminal" in self.processes:
            wait_until("the reader to notice the removal", lambda: self.terminal_status().get("card") is False)

    def show_card(self, name):
        """What the card holds, keys as KCVs; without the counters that every INITIALIZE UPDATE moves."""
        done = subprocess.run([program("keyfill-softcard"), "show", "--state", str(self.path("cards", f"{name}.card"))], check=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        return re.sub(r"counter [0-9A-F]+, ", "", done.stdout)

    def make_card_with_foreign_key(self, like, name):
        """The same card to all appearance, but its security domain holds a key that is not on record."""
        text = self.path("cards", f"{like}.yaml").read_text(encoding="utf-8")
        foreign = os.urandom(16).hex().upper()
        self.make_card(name, text + f"""domains:
  - aid: "{DOMAIN_AID}"
    key_version: "30"
    keys: "{foreign}"
""")
        return name

    # -- ending --

    def stop_one(self, name, how=signal.SIGTERM):
        process = self.processes.pop(name, None)
        if process is not None:
            process.stop(how)
        self.save()

    def stop(self):
        order = ["card", "terminal", "issuing-server", "host", "kmu", "bkmu", "pcscd"]
        problems = []
        for name in sorted(self.processes, key=lambda each: order.index(each) if each in order else -1):
            try:
                self.stop_one(name)
            except Failure as failure:
                problems.append(str(failure))
        self.pcscd_turn.give_back()
        if problems:
            raise Failure("\n".join(problems))

    def save(self):
        state = {"ports": self.ports, "vpcd_ports": self.vpcd_ports,
                 "pids": {name: process.pid for name, process in self.processes.items()}}
        self.path("site.json").write_text(json.dumps(state, indent=1), encoding="utf-8")


def down(folder):
    state_file = pathlib.Path(folder) / "site.json"
    if not state_file.exists():
        raise Failure(f"{folder} holds no installation that ./dev up made")
    state = json.loads(state_file.read_text(encoding="utf-8"))
    order = ["card", "terminal", "host", "kmu", "bkmu", "pcscd"]
    for name in sorted(state["pids"], key=lambda each: order.index(each) if each in order else -1):
        stop_pid(state["pids"][name])
        print(f"{name} is stopped")
    state["pids"] = {}
    state_file.write_text(json.dumps(state, indent=1), encoding="utf-8")


def up(folder):
    """Starts the units and leaves them running."""
    site = Site(folder)
    if site.path("site.json").exists():
        raise Failure(f"{folder} holds an installation already; ./dev down {folder}, then remove it, or take another folder")
    site.lay_out()
    site.start_units()
    site.enroll()
    site.start_pcscd()
    site.start_terminal()
    keyfill = program("keyfill")
    print(f"""The units are running; their files are in {site.folder}.

  card in the reader          {keyfill} card --config {site.path('clients/terminal.yaml')}
  base keys                   {keyfill} key list --config {site.path('clients/officer-bkmu.yaml')}
  at the key management unit  {keyfill} key list --config {site.path('clients/officer-kmu.yaml')}
  categories, profiles        {keyfill} category list --config {site.path('clients/administrator-kmu.yaml')}
  terminals, numbers          {keyfill} terminal list --config {site.path('clients/administrator-host.yaml')}
  a simulated card            {program('keyfill-softcard')} run --state FILE --vpcd 127.0.0.1:{site.vpcd_ports[0]}

Stop them with ./dev down {folder}""")


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("up", "down"):
        print("installation.py up|down DIR", file=sys.stderr)
        return 2
    try:
        (up if sys.argv[1] == "up" else down)(sys.argv[2])
    except (Failure, subprocess.SubprocessError) as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
