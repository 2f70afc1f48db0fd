"""A program at a terminal of its own, as a person sees it: what stands on the screen, and what is typed.

    with screen.Screen(command) as shown:
        shown.wait_for("passphrase")
        shown.type("secret")
        status = shown.end()
"""
import os
import pty
import select
import time

from installation import DEADLINE, Failure


class Screen:
    def __init__(self, command):
        self.text = ""
        self.seen = 0
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            try:
                os.execv(command[0], command)
            finally:
                os._exit(127)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.descriptor)
        if self.pid is not None:
            os.waitpid(self.pid, 0)

    def _read(self, end):
        """More of the screen; False where the program has ended."""
        if not select.select([self.descriptor], [], [], max(0.0, end - time.monotonic()))[0]:
            raise Failure(f"nothing more came to the screen:\n{self.text}")
        try:
            part = os.read(self.descriptor, 4096)
        except OSError:  # how Linux tells that nobody has the terminal open any more
            part = b""
        self.text += part.decode(errors="replace")
        return part != b""

    def wait_for(self, words):
        """Until these words stand behind those that were waited for last."""
        end = time.monotonic() + DEADLINE
        while words not in self.text[self.seen:]:
            if not self._read(end):
                raise Failure(f"the program ended without \"{words}\":\n{self.text}")
        self.seen = self.text.index(words, self.seen) + len(words)

    def type(self, line):
        os.write(self.descriptor, line.encode() + b"\n")

    def answer(self, words, line):
        self.wait_for(words)
        self.type(line)

    def end(self):
        """The exit status."""
        end = time.monotonic() + DEADLINE
        while self._read(end):
            pass
        _, status = os.waitpid(self.pid, 0)
        self.pid = None
        return os.waitstatus_to_exitcode(status)
