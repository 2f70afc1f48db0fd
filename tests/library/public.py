"""The public functions of libkeyfill, as include/keyfill declares them."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HEADERS = sorted((ROOT / "include" / "keyfill").glob("*.h"))
MAP = ROOT / "src" / "library" / "libkeyfill.map"


def strip(text):
    """Without comments and preprocessor lines."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", "", text, flags=re.M)


def without_braces(text):
    """Without the bodies of structures, enumerations and inline functions."""
    while True:
        shorter = re.sub(r"\{[^{}]*\}", "{}" if "{}" not in text else "", text)
        shorter = shorter.replace("{}", "")
        if shorter == text:
            return text
        text = shorter


def functions(header):
    """Name -> declaration, in the header's order."""
    found = {}
    for statement in without_braces(strip(header.read_text(encoding="utf-8"))).split(";"):
        statement = " ".join(statement.split())
        match = re.match(r"(?!typedef\b|static\b|extern\b)[a-z_].*?\b(kf_[a-z0-9_]+)\(", statement)
        if match:
            found[match.group(1)] = statement
    return found


def all_functions():
    return {name: header.name for header in HEADERS for name in functions(header)}


def mapped():
    """Symbols of the version script."""
    return set(re.findall(r"^\s*(kf_[a-z0-9_]+);", MAP.read_text(encoding="utf-8"), flags=re.M))
