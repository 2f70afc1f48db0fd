"""What every test_*.py of this folder shares: a count of checks, and a site that is taken down whatever happens.

    with checks.site() as site, checks.Checks(site) as check:
        with check("the sentence that is checked"):
            checks.same(got, wanted)

prints `ok the sentence` or `FAIL the sentence (why)`; `sys.exit(check.status)` at the end. An exception between the checks fails the
script, too.
"""
import contextlib
import os
import pathlib
import shutil
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import installation  # noqa: E402

LONG = os.environ.get("KEYFILL_LONG") == "1"
LOG_TAIL = 2500  # bytes of each log that a failure shows


class Wrong(Exception):
    """A check did not find what it should."""


def that(condition, text):
    if not condition:
        raise Wrong(text)


def same(got, wanted, what="value"):
    if got != wanted:
        raise Wrong(f"{what}: {got!r} instead of {wanted!r}")


def different(got, other, what="value"):
    if got == other:
        raise Wrong(f"{what}: {got!r} both times")


def among(got, wanted, what="value"):
    if got not in wanted:
        raise Wrong(f"{what}: {got!r} is none of {wanted!r}")


def problem(body, status, code, words=""):
    """`body` is (HTTP status, JSON): a problem document with that status and code, whose detail holds `words`."""
    got, document = body
    found = (got, document.get("type", "").rpartition(":")[2]) if isinstance(document, dict) else (got, document)
    if found != (status, code):
        raise Wrong(f"{found} instead of {(status, code)}: {document}")
    if words not in document.get("detail", ""):
        raise Wrong(f"the detail does not say {words!r}: {document.get('detail')}")
    if not document.get("detail"):
        raise Wrong(f"no detail: {document}")


@contextlib.contextmanager
def folder(prefix="keyfill-test-"):
    """A folder that other users may enter, gone afterwards."""
    path = tempfile.mkdtemp(prefix=prefix)
    os.chmod(path, 0o755)
    try:
        yield pathlib.Path(path)
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def site(prefix="keyfill-test-", **options):
    """An installation, not laid out yet; stopped and gone afterwards."""
    with folder(prefix) as path, installation.Site(path, **options) as made:
        yield made


class Checks:
    """Counts; `status` is the script's exit status."""

    def __init__(self, site=None):
        self.site = site
        self.passed = 0
        self.failed = 0

    @property
    def status(self):
        return 1 if self.failed or self.passed == 0 else 0

    @contextlib.contextmanager
    def __call__(self, name):
        start = time.monotonic()
        try:
            yield
        except Exception as failure:  # pylint: disable=broad-except
            self.fail(name, failure)
        else:
            self.passed += 1
            print(f"ok {name} ({time.monotonic() - start:.1f} s)", flush=True)

    def skip(self, name, reason):
        print(f"skip {name}: {reason}", flush=True)

    def fail(self, name, failure):
        self.failed += 1
        text = " ".join(str(failure).split()) or type(failure).__name__
        print(f"FAIL {name} ({text[:1500]})", flush=True)
        if not isinstance(failure, (Wrong, installation.Failure)):
            traceback.print_exception(failure, file=sys.stdout)
        self.show_logs()

    def show_logs(self):
        if self.site is None or not self.site.path("logs").exists():
            return
        for log in sorted(self.site.path("logs").glob("*.log")):
            text = log.read_bytes()[-LOG_TAIL:].decode(errors="replace")
            print(f"== {log.name}\n{text}", flush=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, failure, trace):
        if failure is not None and isinstance(failure, Exception):
            self.fail("the script came to its end", failure)
            return True
        return False
