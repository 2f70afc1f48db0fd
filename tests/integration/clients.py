"""Hand-made clients: a terminal that talks to a host, a host that talks to a key management unit, anybody.

    host = clients.Client.of_role(site, "host", "main", "kmu")
    status, answer = host.post("/v1/requests", clients.fill_request(...))
    final = clients.run_request(host, request, card)
"""
import http.client
import json
import os
import pathlib
import ssl

from installation import DEADLINE, Failure


def new_id():
    return os.urandom(16).hex()


class Answer:
    """What came back: status, headers, the bytes, and the JSON in them."""

    def __init__(self, response):
        self.status = response.status
        self.headers = dict(response.getheaders())
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body) if self.body else None

    def __iter__(self):
        return iter((self.status, self.json))


class Client:
    """A client certificate and a unit's address. Every call has a connection of its own, unless `keep` is set."""

    def __init__(self, port, ca, certificate=None, key=None, keep=False):
        self.port = port
        self.keep = keep
        self.context = ssl.create_default_context(cafile=str(ca))
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3
        if certificate is not None:
            self.context.load_cert_chain(str(certificate), str(key))
        self.connection = None

    @classmethod
    def of_role(cls, site, role, name, unit, keep=False):
        """A certificate of the site's authority, made at the first use. Terminals: of_terminal."""
        folder = f"clients/made/{role}-{name}"
        if not site.path(folder).exists():
            site.issue(role, name, 0, folder)
        return cls(site.ports[unit], site.path("ca.pem"), site.path(folder, f"{role}.pem"), site.path(folder, f"{role}.key"), keep)

    @classmethod
    def of_terminal(cls, site, name, unit="host", keep=False):
        """A terminal enrolled at the host, at the first use."""
        certificate, key = site.path("clients", f"terminal-{name}.pem"), site.path("clients", f"terminal-{name}.key")
        if not certificate.exists():
            code = site.keyfill_json("terminal", "code", name, config="administrator-host")["code"]
            site.keyfill("terminal", "enroll", "--host", f"https://127.0.0.1:{site.ports['host']}", "--ca",
                         str(site.path("ca.pem")), "--code", code, "--certificate", str(certificate), "--private-key", str(key))
        return cls(site.ports[unit], site.path("ca.pem"), certificate, key, keep)

    @classmethod
    def of_files(cls, site, unit, certificate, key):
        return cls(site.ports[unit], site.path("ca.pem"), pathlib.Path(certificate), pathlib.Path(key))

    @classmethod
    def nobody(cls, site, unit):
        """Without a certificate."""
        return cls(site.ports[unit], site.path("ca.pem"))

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def call(self, method, path, body=None, headers=None):
        """`body`: JSON to be written, or bytes as they are. Returns an Answer, which unpacks to status and JSON."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        sent = {} if body is None else {"Content-Type": "application/json"}
        sent.update(headers or {})
        if self.connection is None:
            self.connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=DEADLINE, context=self.context)
        try:
            self.connection.request(method, path, body=body, headers=sent)
            return Answer(self.connection.getresponse())
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        finally:
            if not self.keep:
                self.close()

    def get(self, path):
        return self.call("GET", path)

    def post(self, path, body):
        return self.call("POST", path, body)

    def put(self, path, body):
        return self.call("PUT", path, body)


# -- requests and scripts --

def request(operation, card, **more):
    """A request's body with an id of its own. `card`: what a terminal reports, e.g. {"iccid": …}."""
    return {"id": new_id(), "operation": operation, "card": card, **{name: value for name, value in more.items() if value is not None}}


def messages_path(body):
    return f"/v1/requests/{body['id']}/messages"


def follow(entry, index, status_word):
    """Where a script goes on: an index, or None where it ends."""
    for accept in entry["accept"]:
        mask = int(accept.get("mask", "FFFF"), 16)
        if status_word & mask == int(accept["sw"], 16) & mask:
            target = accept.get("goto", index + 1)
            return None if target == "end" else target
    return None


def run_script(card, script):
    """What the terminal does with a script. `card.transmit(command)` gives the response; returns the answers."""
    answers, index = [], 0
    while index is not None and index < len(script):
        entry = script[index]
        response = card.transmit(bytes.fromhex(entry["command"]))
        answers.append({"entry": index, "response": response.hex().upper()})
        index = follow(entry, index, int.from_bytes(response[-2:], "big"))
    return answers


def message(answer, answers, stopped=None):
    """The message that reports on the script in `answer`."""
    made = {"step": answer["step"], "attempt": answer["attempt"], "token": answer["token"], "answers": answers}
    if stopped is not None:
        made["stopped"] = stopped
    return made


def run_request(client, body, card, between=None, first=None):
    """A whole request. `between(number, answer)` is called after each answer: 1 for the first script. Returns the last answer's JSON."""
    answer = first if first is not None else client.post("/v1/requests", body)
    number = 1
    while True:
        if answer.status not in (200, 201):
            raise Failure(f"message {number}: {answer.status} {answer.body.decode(errors='replace')}")
        if between is not None:
            between(number, answer.json)
        if answer.json["state"] != "continue":
            return answer.json
        answer = client.post(messages_path(body), message(answer.json, run_script(card, answer.json["script"])))
        number += 1
