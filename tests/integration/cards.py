"""Cards as their makers deliver them, and CAP files, for tests and the demonstration."""
import os
import struct
import zipfile

# One line for card maker and base key: the same key comes out on both sides (include/keyfill/diversify.h).
MAKER_LINE = "sp800-108-aes(role,kdd/hex/10)"
PAYMENT_LINE = "sp800-108-aes(role,number/bcd/8/right-F,generation/binary/4)"
ADM_LINE = "sp800-108-aes(iccid/ascii/20/right-20)"


def components(count=2, size=16):
    """A key and so many components whose XOR it is."""
    parts = [os.urandom(size) for _ in range(count)]
    key = bytearray(size)
    for part in parts:
        for index, byte in enumerate(part):
            key[index] ^= byte
    return bytes(key).hex().upper(), [part.hex().upper() for part in parts]


def blueprint(iccid, imsi, issuer, msisdn="", more=""):
    """YAML for `keyfill-softcard create`. `issuer`: the lines that give the issuer domain's keys."""
    number = f'msisdn: "{msisdn}"\n' if msisdn else ""
    return f"""iccid: "{iccid}"
imsi: "{imsi}"
{number}issuer:
  key_version: "01"
{issuer}
{more}"""


def maker_keys(master, line=MAKER_LINE):
    return f'  master_key: "{master}"\n  diversification: "{line}"'


def published_test_keys():
    return "  published-test-keys: true"


def _component(tag, body):
    return struct.pack(">BH", tag, len(body)) + body


def cap_file(path, package, applets, padding=0):
    """A CAP file with that package and those applets; its method component holds `padding` bytes."""
    header = struct.pack(">I", 0xDECAFFED) + bytes([1, 2, 4, 0, 1, len(package)]) + package
    applet = bytes([len(applets)]) + b"".join(bytes([len(aid)]) + aid + b"\x00\x10" for aid in applets)
    parts = {
        "Header": _component(1, header), "Directory": _component(2, bytes(31)), "Applet": _component(3, applet),
        "Import": _component(4, b"\x00"), "ConstantPool": _component(5, b"\x00\x00"), "Class": _component(6, b"\x00"),
        "Method": _component(7, b"\x00" + os.urandom(padding)), "StaticField": _component(8, bytes(10)),
        "RefLocation": _component(9, bytes(4)),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
        for name, content in parts.items():
            archive.writestr(f"com/example/javacard/{name}.cap", content)
    return path
