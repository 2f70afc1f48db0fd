#!/usr/bin/env python3
"""Who may call what: every route of docs/messages.md's table, with every role's certificate and with none."""
import collections
import http.client
import re
import sys

import checks
import clients
from installation import ROOT

ROLES = ("bkmu", "kmu", "host", "terminal", "bank", "officer", "auditor", "administrator", "issuing-server")
UNITS = ("bkmu", "kmu", "host")
NAME = "role-test"
IDS = {"id": "0" * 32, "name": NAME}

Route = collections.namedtuple("Route", "unit method path roles")  # roles None: anyone


def roles_of(text, method):
    """What the table's third column says for that method: "administrator (GET also host, officer)"."""
    if text.startswith(("anyone", "whoever")):
        return None
    plain, _, also = text.partition(" (")
    roles = set(plain.split(", "))
    if also:
        also_method, more = re.fullmatch(r"([A-Z]+) also (.*)\)", also).groups()
        if method == also_method:
            roles |= set(more.split(", "))
    unknown = roles - set(ROLES)
    if unknown:
        raise checks.Wrong(f"docs/messages.md names roles that do not exist: {unknown}")
    return roles


def table():
    """The routes of docs/messages.md, one for each unit that has it."""
    text = (ROOT / "docs" / "messages.md").read_text(encoding="utf-8")
    section = text.partition("## Routes")[2].partition("\n## ")[0]
    routes = []
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("| ") or cells[0] == "unit":
            continue
        units = UNITS if cells[0] == "all" else cells[0].split(", ")
        for method, path in re.findall(r"`([A-Z]+) (/[^`]*)`", cells[1]):
            routes += [Route(unit, method, path, roles_of(cells[2], method)) for unit in units]
    return routes


def in_code():
    """What the units' tables of routes hold."""
    found = set()
    for unit, name in (("bkmu", "bkmu/routes.c"), ("kmu", "kmu/routes.c"), ("host", "host/routes.c"),
                       ("terminal (local socket)", "terminal/service.c")):
        text = (ROOT / "src" / name).read_text(encoding="utf-8")
        for method, path in re.findall(r'\{"([A-Z]+)", "(/[^"]*)"', text):
            if path not in ("/healthz", "/readyz"):
                found.add((unit, method, path))
    return found


def callers(site, unit):
    """A client for each role and one without certificate; connections are kept."""
    made = {role: clients.Client.of_role(site, role, NAME, unit, keep=True) for role in ROLES if role != "terminal"}
    made["terminal"] = clients.Client.of_terminal(site, NAME, unit, keep=True)
    made["none"] = clients.Client(site.ports[unit], site.path("ca.pem"), keep=True)
    return made


def path_of(route):
    return re.sub(r"\{(\w+)\}", lambda found: IDS[found.group(1)], route.path)


def call(client, route):
    return client.call(route.method, path_of(route), None if route.method in ("GET", "DELETE") else {})


def try_route(route, who):
    """Calls it as everybody; returns the roles that were refused."""
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


def check_routes(site, check, unit, routes):
    who = callers(site, unit)
    expected = collections.Counter()
    for route in routes:
        allowed = set(who) if route.roles is None else route.roles
        title = "anyone" if route.roles is None else ", ".join(sorted(allowed)) + " and nobody else"
        with check(f"{unit} {route.method} {route.path}: {title}"):
            refused = try_route(route, who)
            expected.update((role, f"{route.method} {path_of(route)}") for role in refused)
            checks.same(refused, set(who) - allowed, "refused")
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


def main():
    with checks.site() as site, checks.Checks(site) as check:
        routes = table()
        with check("docs/messages.md lists exactly the routes that the units have"):
            listed = {(route.unit, route.method, route.path) for route in routes if not route.path.endswith("z")}
            checks.same(in_code() ^ listed, set(), "routes in one but not the other")
        site.lay_out()
        site.start_units()
        for unit in UNITS:
            check_routes(site, check, unit, [route for route in routes if route.unit == unit])
    sys.exit(check.status)


if __name__ == "__main__":
    main()
