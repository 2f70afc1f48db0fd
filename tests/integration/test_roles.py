#!/usr/bin/env python3
"""Who may call what: every route that the daemons list, with every role's certificate, with none, with another authority's; docs/security.md has the table."""
import collections
import http.client
import os
import re
import socket
import subprocess
import sys

import checks
import clients
from installation import ROOT, USERS, program, wait_until

ROLES = ("bkmu", "kmu", "host", "terminal", "bank", "officer", "auditor", "administrator", "issuing-server")
UNITS = ("bkmu", "kmu", "host")
PROGRAMS = {"bkmu": "keyfill-bkm-front", "kmu": "keyfill-kmu-front", "host": "keyfill-hostd", "terminal": "keyfill-terminald"}
NAME = "role-test"
IDS = {"id": "0" * 32, "name": NAME, "terminal": NAME}
NOBODY = 65534  # a user who owns nothing

Route = collections.namedtuple("Route", "unit method path")


def served():
    """What the daemons themselves say: route -> the roles they let in ("anyone", "local")."""
    found = {}
    for unit, name in PROGRAMS.items():
        lines = subprocess.run([program(name), "--routes"], stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()
        for line in lines:
            method, path, roles = line.split(" ")
            found[Route(unit, method, path)] = set(roles.split(","))
    return found


def documented():
    """The table of docs/security.md: route -> the callers that are marked in its row."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    section = text.partition("## Who may call what")[2].partition("\n## ")[0]
    columns, found = None, {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if cells[:2] == ["unit", "route"]:
            columns = cells[2:]
        named = re.fullmatch(r"`([A-Z]+) (/\S*)`", cells[1]) if columns and len(cells) == len(columns) + 2 else None
        if named is None:
            continue
        marks = dict(zip(columns, cells[2:]))
        if not set(marks.values()) <= {"", "x"}:
            raise checks.Wrong(f"docs/security.md: {line}: a cell is empty or x")
        route = Route(cells[0], *named.groups())
        if route in found:
            raise checks.Wrong(f"docs/security.md has {route} twice")
        found[route] = {column for column, mark in marks.items() if mark == "x"}
    return found


def in_messages():
    """The routes of docs/messages.md with what its column of roles says for each."""
    text = (ROOT / "docs" / "messages.md").read_text(encoding="utf-8")
    section = text.partition("## Routes")[2].partition("\n## ")[0]
    found = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("| ") or cells[0] == "unit":
            continue
        units = UNITS if cells[0] == "all" else [unit.split(" ")[0] for unit in cells[0].split(", ")]
        for method, path in re.findall(r"`([A-Z]+) (/[^`]*)`", cells[1]):
            for unit in units:
                found[Route(unit, method, path)] = roles_in_words(cells[2], method)
    return found


def roles_in_words(text, method):
    """"administrator (GET also host, officer)"."""
    if text.startswith("anyone"):
        return set(ROLES) | {"none"}
    if text.startswith("whoever"):
        return {"local"}
    plain, _, also = text.partition(" (")
    roles = set(plain.split(", "))
    if also:
        also_method, more = re.fullmatch(r"([A-Z]+) also (.*)\)", also).groups()
        roles |= set(more.split(", ")) if method == also_method else set()
    return roles


def is_open(route):
    return route.path.endswith("z")


def check_documents(check):
    said, table, listed = served(), documented(), in_messages()
    with check("docs/security.md has a row for each route that the daemons list, and none more"):
        checks.same(set(table) ^ set(said), set(), "routes in one but not the other")
    with check("each row marks the roles that the daemon lets in"):
        for route, roles in said.items():
            local = "local" if route.unit == "terminal" else None
            wanted = ({local} if local else set(ROLES) | {"none"}) if roles == {"anyone"} else roles
            checks.same(table[route], wanted, f"{route}")
    with check("docs/messages.md lists the same routes with the same roles"):
        plain = {route: roles for route, roles in table.items() if not is_open(route)}
        checks.same({route: roles for route, roles in listed.items() if not is_open(route)}, plain, "routes")
    return table


def callers(site, unit):
    """A client for each role and one without certificate; connections are kept."""
    made = {role: clients.Client.of_role(site, role, NAME, unit, keep=True) for role in ROLES if role != "terminal"}
    made["terminal"] = clients.Client.of_terminal(site, NAME, unit, keep=True)
    made["none"] = clients.Client(site.ports[unit], site.path("ca.pem"), keep=True)
    return made


def foreign_callers(site, unit):
    """The same roles and names under an authority that nobody here trusts."""
    made, folder = {}, site.path("foreign")
    if not folder.exists():
        site.keyfill("pki", "init", str(folder))
        for role in ROLES:
            site.keyfill("pki", "issue", "--role", role, "--name", NAME, str(folder))
    for role in ROLES:
        files = [folder / f"{role}-{NAME}.{ending}" for ending in ("pem", "key")]
        made[role] = clients.Client(site.ports[unit], site.path("ca.pem"), *files, keep=True)
    return made


def path_of(route):
    return re.sub(r"\{(\w+)\}", lambda found: IDS[found.group(1)], route.path)


def call(client, route):
    return client.call(route.method, path_of(route), None if route.method in ("GET", "DELETE") else {})


def try_route(route, who):
    """Calls it as everybody; returns the roles that were refused for who they are."""
    refused = set()
    for role, client in who.items():
        answer = call(client, route)
        if answer.status == 403:
            checks.same(answer.headers.get("Content-Type"), "application/problem+json", "content type")
            words = "no client certificate was shown" if role == "none" else f"{role}:{NAME} may not {route.method} {route.path}"
            checks.problem(answer, 403, "KF_ERR_FORBIDDEN", words)
            refused.add(role)
    return refused


def refusals(site, unit):
    """How often the unit's audit log has (actor's role, subject) of a refused call."""
    auditor = clients.Client.of_role(site, "auditor", "audit-reader", unit, keep=True)
    found, after = collections.Counter(), 0
    while True:
        rows = auditor.get(f"/v1/audit?after={after}").json["rows"]
        if not rows:
            return found
        for row in rows:
            after = row["seq"]
            if row["action"] == "route.forbidden":
                found[(row["actor"].partition(":")[0], row["subject"])] += 1


def check_routes(site, check, unit, table):
    routes = [route for route in table if route.unit == unit]
    who = callers(site, unit)
    expected = collections.Counter()
    for route in routes:
        allowed = table[route]
        title = "anyone" if allowed == set(who) else ", ".join(sorted(allowed)) + " and nobody else"
        with check(f"{unit} {route.method} {route.path}: {title}"):
            refused = try_route(route, who)
            expected.update((role, f"{route.method} {path_of(route)}") for role in refused)
            checks.same(refused, set(who) - allowed, "refused")
    strangers = foreign_callers(site, unit)
    with check(f"{unit}: another authority's certificates open what is anyone's and nothing more, whatever role they name"):
        for route in routes:
            for client in strangers.values():
                answer = call(client, route)
                if "none" in table[route]:
                    checks.different(answer.status, 403, f"{route}")
                else:
                    checks.problem(answer, 403, "KF_ERR_CERTIFICATE", "was not issued by the CA")
                    expected[("none", f"{route.method} {path_of(route)}")] += 1
    with check(f"{unit}: every refusal has an audit row with caller and route, and nothing else has one"):
        checks.same(refusals(site, unit), expected, "audit rows")
    with check(f"{unit}: the certificate of the terminals' authority opens no connection"):
        authority = site.path("pki", "terminal-authority.pem")
        client = clients.Client.of_files(site, unit, authority, authority.with_suffix(".key"))
        try:
            answer = client.get("/healthz")
        except (OSError, http.client.HTTPException):
            pass
        else:
            raise checks.Wrong(f"it was answered: {answer.status}")


class LocalConnection(http.client.HTTPConnection):
    """HTTP over the terminal's socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def can_connect(path, user):
    """Whether a process of that user may open the socket."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(path))
            status = 0
        except PermissionError:
            status = 3
        finally:
            os._exit(status)
    return {0: True, 3: False}[os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])]


def check_local_socket(site, check, table):
    path = site.path("terminal", "terminal.sock")
    for route in (route for route in table if route.unit == "terminal"):
        with check(f"terminal {route.method} {route.path}: whoever may open the socket"):
            connection = LocalConnection(path)
            body = None if route.method == "GET" else "{}"
            connection.request(route.method, path_of(route), body=body, headers={"Content-Type": "application/json"})
            answer = connection.getresponse()
            checks.different(answer.status, 403, "status")
            checks.different(answer.status, 404, "status")
            connection.close()
    with check("another user may not open the socket; its owner may"):
        os.chmod(path.parent, 0o711)
        checks.same(can_connect(path, NOBODY), False, "a stranger's connection")
        checks.same(can_connect(path, USERS["terminal"]), True, "its owner's connection")


def revoked_files(site):
    """Certificates of the roles as callers() made them."""
    found = {role: site.path("clients", "made", f"{role}-{NAME}", f"{role}.pem") for role in ROLES if role != "terminal"}
    found["terminal"] = site.path("clients", f"terminal-{NAME}.pem")
    return found


def check_revocation(site, check, table):
    """All roles' certificates are revoked while their connections are open."""
    everybody = {unit: callers(site, unit) for unit in UNITS}
    for who in everybody.values():
        for client in who.values():
            client.get("/healthz")
    site.revoke(*revoked_files(site).values())
    for unit, who in everybody.items():
        with check(f"{unit}: revoked certificates open nothing from the next request on, on connections that were open"):
            before = sum(refusals(site, unit).values())
            refused = 0
            for route in (route for route in table if route.unit == unit and "none" not in table[route]):
                for role in table[route]:
                    checks.problem(call(who[role], route), 403, "KF_ERR_CERTIFICATE", f"urn:keyfill:{role}:{NAME} was revoked")
                    refused += 1
            checks.same(sum(refusals(site, unit).values()), before + refused, "audit rows")
    with check("a newer certificate of the same role and name is let in"):
        site.issue("officer", NAME, 0, "clients/newer")
        newer = clients.Client(site.ports["kmu"], site.path("ca.pem"), site.path("clients/newer/officer.pem"), site.path("clients/newer/officer.key"))
        checks.same(newer.get("/v1/vault").status, 200, "status")
    with check("an older list put back opens nothing again, and SIGHUP says so"):
        empty = site.write("crl.pem.old", site.path("crl.first").read_text(encoding="utf-8"))
        empty.rename(site.path("crl.pem"))
        checks.problem(everybody["kmu"]["officer"].get("/v1/vault"), 403, "KF_ERR_CERTIFICATE", "was revoked")
        site.processes["kmu"].handle.send_signal(1)
        wait_until("the front to refuse the older list", lambda: site.processes["kmu"].said(r"SIGHUP: all stays as it was: .*older than the one in force"))


def main():
    with checks.site() as site, checks.Checks(site) as check:
        table = check_documents(check)
        site.lay_out()
        site.write("crl.first", site.path("crl.pem").read_text(encoding="utf-8"))
        site.start_units()
        for unit in UNITS:
            check_routes(site, check, unit, table)
        site.enroll()
        site.start_terminal()
        check_local_socket(site, check, table)
        check_revocation(site, check, table)
    sys.exit(check.status)


if __name__ == "__main__":
    main()
