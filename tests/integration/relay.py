"""Between a reader and a card: a local socket that the terminal's reader (`socket:PATH`) takes for a card.

Behind it stands keyfill-softcard's socket, or a Python function. Frames are those of vpcd: two bytes of length, then a command, or one control
byte (00 power off, 01 power on, 02 reset, 04 give the ATR).

    with relay.Relay(site.path("relay.sock"), card=site.path("card.sock")) as wire:
        gate = wire.gate(relay.instruction(0xD8))     # stop before the first PUT KEY reaches the card
        ...
        gate.wait(); ...; gate.open()
        wire.rule(relay.instruction(0xCA), lambda command, answer: bytes.fromhex("6A88"))
"""
import contextlib
import os
import pathlib
import socket
import struct
import threading

from installation import DEADLINE, Failure

POWER_OFF, POWER_ON, RESET, ATR = 0, 1, 2, 4
TEST_ATR = bytes.fromhex("3B800181")  # T=1, no historical bytes

CUT = object()     # what a rule returns to end the connection: the card is torn out
SILENT = object()  # what a rule returns to never answer


def send_frame(connection, payload):
    connection.sendall(struct.pack(">H", len(payload)) + payload)


def receive_exactly(connection, size):
    parts = b""
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            raise ConnectionError("the other side is gone")
        parts += part
    return parts


def receive_frame(connection):
    return receive_exactly(connection, struct.unpack(">H", receive_exactly(connection, 2))[0])


def instruction(*wanted, nth=1):
    """Matches the nth command with one of those instruction bytes."""
    seen = [0]

    def match(command):
        if command[1] not in wanted:
            return False
        seen[0] += 1
        return seen[0] == nth
    return match


def any_instruction(*wanted):
    """Matches every command with one of those instruction bytes."""
    return lambda command: command[1] in wanted


class SocketCard:
    """The reader's side of a card behind a local socket, powered on."""

    def __init__(self, path):
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(DEADLINE)
        self.connection.connect(str(path))
        self.atr = self.reset()

    def reset(self):
        for control in (POWER_OFF, POWER_ON, ATR):
            send_frame(self.connection, bytes([control]))
        self.atr = receive_frame(self.connection)
        return self.atr

    def transmit(self, command):
        send_frame(self.connection, command)
        return receive_frame(self.connection)

    def close(self):
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Gate:
    """Holds one command back. `command` is the one that came, `answer` the card's where it stands behind the card."""

    def __init__(self, match, after):
        self.match = match
        self.after = after
        self.command = None
        self.answer = None
        self._reached = threading.Event()
        self._opened = threading.Event()

    def wait(self, deadline=DEADLINE):
        if not self._reached.wait(deadline):
            raise Failure(f"waited {deadline:.0f} s in vain for the command that the relay is to hold back")
        return self

    @property
    def reached(self):
        return self._reached.is_set()

    def open(self):
        self._opened.set()

    def pass_through(self, command, answer=None):
        if self._reached.is_set() or not self.match(command):
            return
        self.command, self.answer = command, answer
        self._reached.set()
        self._opened.wait(DEADLINE)


class Exchange:
    """One command and what the reader was given; `answer` is None where nothing came."""

    def __init__(self, command):
        self.command = command
        self.answer = None

    def __repr__(self):
        return f"{self.command.hex().upper()} -> {'nothing' if self.answer is None else self.answer.hex().upper()}"


class Relay:
    """`card`: the path of a card's socket, or a function from command to response (CUT and SILENT as for rules)."""

    def __init__(self, path, card, atr=TEST_ATR):
        self.path = pathlib.Path(path)
        self.card = card
        self.atr = atr
        self.exchanges = []
        self.controls = []
        self._rules = []
        self._gates = []
        self._lock = threading.Lock()
        self._listener = None
        self._thread = None
        self._connection = None

    # -- presence --

    def insert(self):
        """A reader finds the card from now on."""
        self.path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        os.chmod(self.path, 0o666)
        self._listener.listen(4)
        self._thread = threading.Thread(target=self._serve, args=(self._listener,), daemon=True)
        self._thread.start()
        return self

    def remove(self):
        """No reader finds a card any more, and one that has it loses it."""
        self.path.unlink(missing_ok=True)
        for gate in list(self._gates):
            gate.open()
        for end in (self._listener, self._connection):
            if end is not None:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        if self._thread is not None:
            self._thread.join(DEADLINE)
        self._listener = self._thread = None

    def cut(self):
        """The card is lost, and found again at the next look."""
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self.insert()

    def __exit__(self, *_):
        self.remove()

    # -- what happens to commands --

    def gate(self, match, after=False):
        """Holds the first command that matches: before the card gets it, or after it answered."""
        made = Gate(match, after)
        with self._lock:
            self._gates.append(made)
        return made

    def rule(self, match, change):
        """`change(command, answer)` gives what the reader gets in place of the card's answer: bytes, CUT or SILENT."""
        with self._lock:
            self._rules.append((match, change))

    def drop(self, match):
        """The card is torn out before it gets such a command."""
        with self._lock:
            self._rules.append((match, None))

    def clear(self):
        """Forgets rules, gates and what was recorded."""
        with self._lock:
            for gate in self._gates:
                gate.open()
            self._rules, self._gates = [], []
            self.exchanges, self.controls = [], []

    def commands(self, *instructions):
        """The commands so far, or those with these instruction bytes."""
        with self._lock:
            return [each.command for each in self.exchanges if not instructions or each.command[1] in instructions]

    # -- serving --

    def _serve(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self._connection = connection
            with connection, contextlib.suppress(OSError):
                self._relay(connection)
            self._connection = None
            if self._listener is not listener:
                listener.close()
                return

    def _relay(self, reader):
        with contextlib.ExitStack() as stack:
            card = None
            if not callable(self.card):
                card = stack.enter_context(socket.socket(socket.AF_UNIX))
                card.connect(str(self.card))
            while True:
                frame = receive_frame(reader)
                if len(frame) == 1:
                    self._control(reader, card, frame)
                elif not self._command(reader, card, frame):
                    return

    def _control(self, reader, card, frame):
        self.controls.append(frame[0])
        if card is not None:
            send_frame(card, frame)
        if frame[0] == ATR:
            send_frame(reader, receive_frame(card) if card is not None else self.atr)

    def _command(self, reader, card, command):
        """False: the connection ends."""
        with self._lock:
            exchange = Exchange(command)
            self.exchanges.append(exchange)
            gates = list(self._gates)
            changes = [change for match, change in self._rules if match(command)]
        for gate in gates:
            if not gate.after:
                gate.pass_through(command)
        if None in changes:
            return False
        answer = self._ask(card, command)
        for gate in gates:
            if gate.after:
                gate.pass_through(command, answer)
        for change in changes:
            answer = change(command, answer)
        if answer is CUT:
            return False
        if answer is SILENT:
            return True
        exchange.answer = answer
        send_frame(reader, answer)
        return True

    def _ask(self, card, command):
        if card is None:
            return self.card(command)
        send_frame(card, command)
        return receive_frame(card)
