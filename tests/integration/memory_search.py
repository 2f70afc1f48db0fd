"""Finds values in the memory of processes and in files."""
import array
import errno
import mmap
import pathlib
import sys

sys.dont_write_bytecode = True
import checks  # noqa: E402
import installation  # noqa: E402

# A sanitizer's shadow: terabytes, nearly all of them never touched. Nothing else is as large.
REGION_MAX = 1 << 32
PAGE = mmap.PAGESIZE
UNDER_SANITIZER = b"__asan_init" in pathlib.Path(installation.program("keyfill-terminald")).read_bytes()


def forms(digits):
    """How a value may lie about: as bytes, as digits of either case."""
    raw = bytes.fromhex(digits)
    return (raw, raw.hex().encode(), raw.hex().upper().encode())


def own_regions(pid):
    """What the process may have written: anonymous memory whatever its rights are now, and writable memory of files."""
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace").splitlines():
        span, rights, _, _, inode, *name = line.split(maxsplit=5)
        if (inode != "0" and "w" not in rights) or (name and name[0] in ("[vvar]", "[vdso]", "[vsyscall]", "[vvar_vclock]")):
            continue
        start, end = (int(part, 16) for part in span.split("-"))
        if end - start > REGION_MAX:
            checks.that(UNDER_SANITIZER, f"process {pid} has a region of {end - start} bytes: {line}")
            continue
        yield start, end - start


def written_pages(pagemap, start, size):
    """(address, size) of what is there of a region: pages that nobody ever wrote hold nothing."""
    pagemap.seek(start // PAGE * 8)
    entries = array.array("Q")
    entries.frombytes(pagemap.read(size // PAGE * 8))
    first = None
    for index, entry in enumerate(entries):
        there = entry >> 62 != 0  # bit 63: present, 62: swapped out (Documentation/admin-guide/mm/pagemap.rst)
        if there and first is None:
            first = index
        elif not there and first is not None:
            yield start + first * PAGE, (index - first) * PAGE
            first = None
    if first is not None:
        yield start + first * PAGE, (len(entries) - first) * PAGE


def read_at(mem, address, length):
    content = b""
    mem.seek(address)
    try:
        while len(content) < length:
            content += mem.read(length - len(content))
    except OSError as failure:  # given back since it was listed
        checks.that(failure.errno == errno.EIO, f"memory at {address:x}: {failure}")
    return content


def memory(pid):
    """What the process has written into its memory, a gap between what does not lie side by side."""
    parts = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem, open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
        for start, size in own_regions(pid):
            for address, length in written_pages(pagemap, start, size):
                parts.append(read_at(mem, address, length))
    checks.that(parts, f"nothing of process {pid}'s memory can be read")
    return bytes(1).join(parts)


def files(*places):
    """The content of all files under these places."""
    for place in places:
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_file():
                yield path, path.read_bytes()


def found(values, content):
    """Names of those values that lie in the content in some form."""
    return [name for name, digits in values.items() if any(form in content for form in forms(digits))]
