#!/usr/bin/env python3
"""Writes the manual pages of section 3 from the public headers: what a function does, sizes, ownership, errors and clauses stand in
its comment there, and nowhere else. One page a header, and libkeyfill(3) over all of them.

    man/from_headers.py          writes man/*.3
    man/from_headers.py --check  exit status 1 where a page is not what would be written
"""
import pathlib
import re
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADERS = ROOT / "include" / "keyfill"
EXAMPLE = ROOT / "tests" / "library" / "example.c"
DATE = "November 23, 2026"
WIDTH = 78

STANDARDS = [
    ("FIPS 180-4", "FIPS 180-4"), ("GB/T 32905", "GB/T 32905"),
    ("FIPS 197", "FIPS 197"), ("SP 800-38A", "NIST SP 800-38A"), ("SP 800-38B", "NIST SP 800-38B"), ("SP 800-67", "NIST SP 800-67"),
    ("SP 800-108", "NIST SP 800-108"), ("X9.24", "ANSI X9.24-1"), ("X9.143", "ANSI X9.143"), ("ISO 20038", "ISO 20038"),
    ("X9.19", "ANSI X9.19"), ("ISO/IEC 9797-1", "ISO/IEC 9797-1"), ("GB/T 15852", "GB/T 15852.1"), ("GB/T 32907", "GB/T 32907"),
    ("JR/T 0025", "JR/T 0025"), ("AN10922", "NXP AN10922"), ("EMV", "EMV Book 2, Security and Key Management"),
    ("EMV CPS", "EMV Card Personalization Specification"), ("ISO/IEC 7816-3", "ISO/IEC 7816-3"), ("ISO/IEC 7816-4", "ISO/IEC 7816-4"),
    ("ISO/IEC 7816-5", "ISO/IEC 7816-5"), ("Card Specification", "GlobalPlatform Card Specification 2.3.1"),
    ("Amendment D", "GlobalPlatform Card Specification Amendment D 1.2"), ("TS 102 221", "ETSI TS 102 221"),
    ("TS 102 225", "ETSI TS 102 225"), ("TS 102 226", "ETSI TS 102 226"), ("TS 31.102", "3GPP TS 31.102"), ("RFC 4648", "RFC 4648"),
    ("E.118", "ITU-T E.118"), ("E.164", "ITU-T E.164"),
]


class Function:
    def __init__(self, declaration, text, follows):
        match = re.match(r"(.*?)\b(kf_[a-z0-9_]+)\((.*)\)[^()]*(?:\(.*\))?$", declaration)
        self.type, self.name = match.group(1).strip(), match.group(2)
        self.arguments = split_arguments(match.group(3))
        self.text = text
        self.follows = follows # the function before it without a blank line between


def split_arguments(text):
    arguments, depth, start = [], 0, 0
    for place, letter in enumerate(text + ","):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            arguments.append(" ".join(text[start:place].split()))
            start = place + 1
    return arguments


def comment_text(comment):
    """The lines of a comment without its frame, indentation kept."""
    lines = comment.strip()[2:-2].splitlines()
    lines = [re.sub(r"^\s?\*? ?", "", line, count=1) if number else line.strip() for number, line in enumerate(lines)]
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def items(text):
    """The header as comments, blank lines, definitions and declarations, in order."""
    place = 0
    while place < len(text):
        if text[place] == "\n" and text[place - 1:place] in ("\n", ""):
            yield "blank", ""
            place += 1
        elif text[place].isspace():
            place += 1
        elif text.startswith("/*", place):
            end = text.index("*/", place) + 2
            yield ("comment" if text[place - 1:place] in ("\n", "") else "trailing"), text[place:end]
            place = end
        elif text[place] == "#":
            end = re.compile(r"(?:[^\n\\]|\\\n|\\.)*").match(text, place).end()
            yield "preprocessor", text[place:end]
            place = end
        else:
            end = statement_end(text, place)
            yield "statement", text[place:end]
            place = end


def statement_end(text, place):
    depth = 0
    while True:
        if text.startswith("/*", place):
            place = text.index("*/", place) + 2
            continue
        depth += (text[place] == "{") - (text[place] == "}")
        place += 1
        if text[place - 1] == ";" and depth == 0:
            return place


class Header:
    def __init__(self, path):
        self.name = path.name
        self.stem = path.stem
        self.text = path.read_text(encoding="utf-8")
        self.intro = ""
        self.functions = []
        self.definitions = []
        self.read()

    def read(self):
        comment, fresh, shown = "", False, False
        guard = f"KEYFILL_{self.stem.upper()}_H"
        for kind, text in items(self.text):
            if kind == "comment":
                if not self.intro:
                    self.intro = comment_text(text)
                    continue
                comment, fresh, shown = text, True, False
            elif kind == "blank":
                self.last = ""
                if comment and not fresh:
                    comment = ""
            elif kind == "trailing":
                if self.functions and self.last == "function" and not self.functions[-1].text:
                    self.functions[-1].text = comment_text(text)
                elif self.last == "definition":
                    self.definitions[-1] += " " + text
            elif kind == "preprocessor":
                if re.match(r"#\s*(include|ifndef|endif|define\s+" + guard + ")", text):
                    continue
                self.define(text, "" if shown else comment)
                fresh, shown = False, True
            else:
                flat = " ".join(re.sub(r"/\*.*?\*/", " ", text, flags=re.S).split())
                if re.match(r"(?!typedef|struct|enum|static)[a-z_].*\bkf_[a-z0-9_]+\(", flat):
                    flat = re.sub(r"\s*(KF_MUST_USE|KF_PRINTF\([^)]*\));$", ";", flat).rstrip(";").strip()
                    own = comment_text(comment) if comment and (fresh or self.last == "definition") else ""
                    self.functions.append(Function(flat, own, self.last == "function"))
                    self.last = "function"
                    fresh, shown = False, True
                else:
                    self.define(text, "" if shown else comment)
                    fresh, shown = False, True

    last = ""

    def define(self, text, comment):
        self.definitions.append((comment + "\n" if comment else "") + text)
        self.last = "definition"


def escape(line):
    line = line.replace("\\", "\\e")
    return "\\&" + line if line[:1] in (".", "'") else line


def prose(text):
    """Paragraphs as mdoc: a sentence a line at least; indented blocks as they stand."""
    out = []
    block = []
    lines = text.split("\n") + [""]
    literal = False
    for line in lines:
        indented = line.startswith("    ") or (literal and line.startswith("  "))
        if block and (indented != literal or not line.strip()):
            out += paragraph(block, literal, bool(out))
            block = []
        if not line.strip():
            continue
        literal = indented
        block.append(line)
    if block:
        out += paragraph(block, literal, bool(out))
    return out


def paragraph(block, literal, later):
    if literal:
        indent = min(len(line) - len(line.lstrip()) for line in block)
        return [".Bd -literal -offset indent", *(escape(line[indent:]) for line in block), ".Ed"]
    out = [".Pp"] if later else []
    words = " ".join(" ".join(block).split())
    for sentence in re.split(r"(?<=[.:;])\s+(?=[A-Z`])", words):
        out += [escape(line) for line in textwrap.wrap(sentence, WIDTH, break_on_hyphens=False, break_long_words=False)]
    return out


def first_sentence(text):
    words = " ".join(text.split("\n\n")[0].split())
    sentence = re.split(r"(?<=[a-z0-9)])[.:](?:\s|$)", words)[0].rstrip(".")
    return sentence if len(sentence) < 120 else sentence[:sentence.rindex(" ", 0, 117)] + " …"


def codes():
    table = (HEADERS / "error.h").read_text(encoding="utf-8")
    return dict(re.findall(r'X\((KF_[A-Z_0-9]+), -?\d+, \w+, \d+, "([^"]*)"\)', table))


def function_synopsis(function):
    out = [f".Ft {quoted(function.type)}" if " " not in function.type else f".Ft {function.type}"]
    out.append(f".Fo {function.name}")
    out += [f'.Fa "{argument}"' for argument in function.arguments]
    return out + [".Fc"]


def quoted(text):
    return f'"{text}"'


def described(functions):
    """Functions that share one text stand together; the text follows the last of them."""
    groups = []
    for function in functions:
        if function.text or not groups or not function.follows:
            groups.append([function])
        else:
            groups[-1].append(function)
    out = [".Bl -tag -width Ds"]
    for group in groups:
        for number, function in enumerate(group):
            out.append(f".It Fn {function.name}")
            if number == 0:
                out += prose(function.text)
            elif function.name.endswith("_free"):
                out += ["Frees what the function above gave, and sets the pointer to NULL."]
            else:
                out += ["What is said of", f".Fn {group[0].name}", "holds for this one too."]
    return out + [".El"]


def page(header, all_headers, meanings):
    names = [function.name for function in header.functions]
    whole = header.text
    out = [f'.\\" Written by man/from_headers.py from include/keyfill/{header.name}; change that.', f".Dd {DATE}",
           f".Dt KF_{header.stem.upper()} 3", ".Os keyfill", ".Sh NAME"]
    out += [f".Nm {name} ," for name in names[:-1]] + [f".Nm {names[-1]}"]
    out += [f".Nd {first_sentence(header.intro)}", ".Sh LIBRARY", "libkeyfill (-lkeyfill)", ".Sh SYNOPSIS", f".In keyfill/{header.name}"]
    for function in header.functions:
        out += function_synopsis(function)
    out += [".Sh DESCRIPTION", *prose(header.intro)]
    if header.definitions:
        out += [".Ss Types and limits", ".Bd -literal"]
        for definition in header.definitions:
            out += [escape(line) for line in definition.split("\n")]
        out += [".Ed"]
    out += [".Ss Functions", *described(header.functions)]
    if any(function.type == "kf_code" for function in header.functions):
        out += [".Sh RETURN VALUES", "Functions of type", ".Vt kf_code", "give", ".Dv KF_OK",
                "or the code of what failed.", "Arguments whose names begin with", ".Fa ret_",
                "are written on success alone, unless said otherwise above; a", ".Vt kf_error ,",
                "which may be NULL, receives the code and a sentence for a person.",
                "Objects that are returned are the caller's, who frees them with the function of the same family",
                "that ends in", ".Ql _free", "or", ".Ql _clear ."]
    named = sorted(set(re.findall(r"\bKF_ERR_[A-Z_0-9]+\b", re.sub(r"X\(.*?\)", "", whole))))
    if header.stem == "error":
        named = sorted(meanings)
    named = [code for code in named if code in meanings]
    if named:
        out += [".Sh ERRORS", "Any function that allocates may also give", ".Dv KF_ERR_MEMORY",
                "or, where it holds a secret,", ".Dv KF_ERR_SECRET_MEMORY .", ".Bl -tag -width Er"]
        for code in named:
            out += [f".It Bq Dv {code}", meanings[code][:1].upper() + meanings[code][1:] + "."]
        out += [".El"]
    others = sorted(f"kf_{other.stem}" for other in all_headers if f"{other.stem}.h" in whole and other is not header)
    out += [".Sh SEE ALSO"] + [f".Xr {name} 3 ," for name in others] + [".Xr libkeyfill 3"]
    standards = [full for short, full in STANDARDS if re.search(r"\b" + re.escape(short), whole)]
    if standards:
        out += [".Sh STANDARDS", *textwrap.wrap("; ".join(standards) + ".", WIDTH), "The clauses are named above."]
    return "\n".join(out) + "\n"


def overview(headers):
    out = ['.\\" Written by man/from_headers.py; change that.', f".Dd {DATE}", ".Dt LIBKEYFILL 3", ".Os keyfill", ".Sh NAME",
           ".Nm libkeyfill", ".Nd payment keys and smart cards", ".Sh LIBRARY", "libkeyfill (-lkeyfill)", ".Sh DESCRIPTION",
           "The library of", "keyfill: ciphers, MACs, key derivation and key blocks; the host's side of GlobalPlatform and SIM cards.",
           "It does no input and output; commands come out as bytes and answers go in as bytes.",
           "Objects are not shared between threads; different objects are.", ".Bl -tag -width Ds"]
    for header in headers:
        out += [f".It Xr kf_{header.stem} 3", first_sentence(header.intro)[:1].upper() + first_sentence(header.intro)[1:] + "."]
    out += [".El", ".Sh EXAMPLES", "Compile with", ".Ql cc example.c $(pkg-config --cflags --libs keyfill) .", ".Bd -literal",
            *(escape(line) for line in EXAMPLE.read_text(encoding="utf-8").rstrip("\n").split("\n")), ".Ed", ".Sh SEE ALSO",
            ".Xr keyfill 1"]
    return "\n".join(out) + "\n"


def pages():
    headers = [Header(path) for path in sorted(HEADERS.glob("*.h"))]
    meanings = codes()
    made = {f"kf_{header.stem}.3": page(header, headers, meanings) for header in headers if header.functions}
    made["libkeyfill.3"] = overview([header for header in headers if header.functions])
    return made


def undocumented():
    """Functions that have no comment and do not stand directly under one that has."""
    bare = []
    for path in sorted(HEADERS.glob("*.h")):
        for function in Header(path).functions:
            if not function.text and not function.follows:
                bare.append(f"{path.name}: {function.name}")
    return bare


def main():
    made = pages()
    present = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "man").glob("*.3")}
    bare = undocumented()
    for name in bare:
        print(f"{name}: no comment in its header says what it does")
    if bare:
        return 1
    if sys.argv[1:] == ["--check"]:
        stale = sorted(name for name in made.keys() | present.keys() if made.get(name) != present.get(name))
        for name in stale:
            print(f"man/{name} is not what the headers say; run man/from_headers.py")
        return 1 if stale else 0
    for name in present.keys() - made.keys():
        (ROOT / "man" / name).unlink()
    for name, text in made.items():
        (ROOT / "man" / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
