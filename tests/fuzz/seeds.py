#!/usr/bin/env python3
"""Inputs to begin with, for every fuzz target: seeds.py VECTORS FOLDER writes FOLDER/TARGET/*. Published values are read from
the vectors here and now, samples from documents and headers of this tree; what has no published form is written down below."""
import hashlib
import json
import pathlib
import re
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+\Z")

# What cards say and are told.
CARD_FAMILIES = ["apdu_parse", "atr", "ber_tlv", "card_capability", "card_recognition_data", "cplc", "ef_acc", "ef_iccid", "ef_imsi",
                 "ef_msisdn", "ef_spn", "get_status", "key_information_template", "plmn", "put_key", "scp02", "scp03", "scp80"]
TLV_FAMILIES = ["ber_tlv", "card_capability", "card_recognition_data", "get_status", "key_information_template"]

CARD_VALUES = [
    "62398202782183027FF0840CA0000000871002FF86FF03898A01058B032F0601A50C80017183040001BC6887010CC609900140830101",
    "62168205422100220283026F408A01058002004488008B00", "08112233445566778802000706420102030405",
    "61094F07A000000151535061094F07A0000001515350", "07A00000015153500F9E0208A00000015100000007A0000001515350",
    "AB0D80010223046F21900023026A82", "AF802302900023029000230C9888120100004086081490000000",
    "027100000E0AB0001100000000000000016132", "00150D00193535B0000000000000000000A40000023F00", "804E2D56FDFFFF", "81051341D3A5A92E",
]
# Plain commands to a card, of every kind that it knows.
COMMANDS = [
    "00A4040000", "00A4040008A00000015100000000", "80CA006600", "80CA00E000", "80CA9F7F00", "80CA00CF00", "80F28002024F0000",
    "80F24002024F0000", "80F21002024F0000", "80F22002024F0000", "80E602001C07A00000015153500F0000EF08C60200FFC7020000C8020000000000",
    "80E60C002807A000000151535008A00000015153504108A000000151535041018007C90581020370000000",
    "80E400000A4F08A00000015153504100", "80E408000A4F08A00000015153504100", "80F040800708A000000151535041", "80F0800700",
    "80E2800006420401020304", "80E288000900700642040102030400", "80E20000064204010203", "80E6200010000008A00000015153504100000000",
    "80E80000", "80E880000C" + "C40A01000700000000000000", "80501000080102030405060708", "8050000008010203040506070800",
    "00A4000C023F00", "00A4080C047F106F40", "00A40004022FE200", "00B000000A", "00B2010400", "00B201041C", "00DC01041C" + "FF" * 28,
    "00D6000002AABB", "0020000A083132333435363738", "00200001", "0070000001", "0070800100", "00C0000010", "80C2000000", "00A4000402FFFF",
    "80D8000043" + "01" + ("88" + "10" + "AA" * 16 + "03" + "BBCCDD") * 3, "80E40000" + "04" + "D00101D2" + "00",
    "80E610001C08A00000015100000000" + "08A000000151535041" + "000000" + "00",
]
LINES = ["none()", "sp800-108-aes(role,number/bcd/10/right-F,generation/binary/2)", "sp800-108-sm4(role,kdd/hex)",
         "an10922-aes128(kdd/hex,'0102')", "an10922-2tdea(kdd/hex/10)", "emv-option-a(pan/bcd/left-0,psn/bcd/1/left-0)",
         "emv-option-b(pan/bcd/left-0,psn/bcd/1/left-0)", "pboc-3des(iccid/hex/8/last)", "pboc-sm4(iccid/ascii/8/last)",
         "visa2(kdd/hex/10,role)", "emv-cps(kdd/hex/10,role)", "kdf3(kdd/hex/10,role)",
         "sp800-108-aes(iccid/ascii/20/right-00) > sp800-108-aes(role,number/bcd/10/right-F)", "emv-option-c(pan/bcd/16/left-0)"]
FIELDS = "kdd\n00112233445566778899\niccid\n89860012345678901234\nnumber\n8613800000001\ngeneration\n1\npan\n6225880123456789\npsn\n1\n"
REQUEST = {"id": "0123456789abcdef0123456789abcdef", "operation": "fill", "number": "8613800000001", "number_source": "typed",
           "write_number": True, "category": "cn-north", "terminal": "till-1", "order": "o1", "personalise": "if-absent",
           "personalisation": {"plan": "5G-59"}, "module": "wallet",
           "card": {"atr": "3B80", "iccid": "89860012345678901234", "imsi": "460001234567890", "number": "8613800000001", "cplc": "9F7F",
                    "recognition_data": "66", "key_information": "E0", "diversification_data": "CF0A00112233445566778899"}}
BODIES = [
    REQUEST, {k: v for k, v in REQUEST.items() if k not in ("number_source", "write_number", "terminal", "module")},
    {"id": REQUEST["id"], "operation": "app-load", "module": "wallet", "card": {"atr": "3B00"}},
    {"step": 1, "attempt": 1, "token": "AAAA", "answers": [{"entry": 0, "response": "6F009000"}, {"entry": 1, "response": "9000"}],
     "stopped": "card-removed"},
    {"script": [{"command": "00A4040000", "label": "SELECT", "accept": [{"sw": "9000"}, {"sw": "6A82", "goto": 1},
                                                                       {"sw": "6100", "mask": "FF00", "goto": "end"}]},
                {"command": "0020000A083132333435363738", "label": "VERIFY", "secret": True, "accept": [{"sw": "9000"}]}]},
    {"act": "generate", "purpose": "payment", "category": "cn-north", "algorithm": "aes", "size": 16, "valid_from": 0,
     "valid_until": 1800000000, "policy": {"profiles": ["00" * 32], "least_channel": "scp03", "least_level": 51,
                                           "refill": "generation", "exportable": True, "diversification": LINES[1]}},
    {"act": "import", "purpose": "card-manager", "import": "00" * 16, "components": 2, "component": 1, "sealed": "AAAA",
     "policy": {"diversification": LINES[2]}},
    {"act": "suspend", "purpose": "payment", "category": "default", "version": 1},
]
CAP_COMPONENTS = [(0, "010014DECAFFED010204000109A00000006203010C01FF"), (1, "02000192"), (2, "04000194"),
                  (3, "03000C0108A0000000620301AA0010"), (4, "06000196"), (5, "07000197"), (6, "08000198"), (7, "05000195"), (8, "09000191"),
                  (9, "0A00019A"), (10, "0B00019B"), (11, "4D")]


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)


def is_hex(text):
    return isinstance(text, str) and HEX.match(text) is not None


def part16(data):
    return struct.pack(">H", len(data)) + data


class Seeds:
    def __init__(self, vectors, folder):
        self.vectors = pathlib.Path(vectors)
        self.folder = pathlib.Path(folder)

    def put(self, target, data):
        path = self.folder / target
        path.mkdir(parents=True, exist_ok=True)
        (path / hashlib.sha1(data).hexdigest()).write_bytes(data)

    def entries(self, family):
        path = self.vectors / f"{family}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []

    def values(self, families, longest=1200):
        for family in families:
            for text in strings(self.entries(family)):
                if is_hex(text) and len(text) <= 2 * longest:
                    yield bytes.fromhex(text)

    # -- cards --

    def cards(self):
        own = [bytes.fromhex(text) for text in CARD_VALUES + COMMANDS]
        for data in [*self.values(CARD_FAMILIES, 600), *own]:
            self.put("card_answer", data)
        for data in [*self.values(TLV_FAMILIES), *own]:
            self.put("tlv", data)
        for text in ["FF00700642040102030400B903010203", "0A8113FF0100" + "11" * 256, "40" + "00010401020304" * 3]:
            self.put("dgi", bytes.fromhex(text))

    def channels(self):
        plain = [bytes.fromhex(text) for text in COMMANDS]
        sessions = [[bytes.fromhex(step["plain"]) for step in entry["expected"].get("transcript") or [] if is_hex(step.get("plain"))]
                    for family in ("scp02", "scp03") for entry in self.entries(family)]
        sessions = [session for session in sessions if session] + [plain[i:i + 6] for i in range(0, len(plain), 3)]
        for number, session in enumerate(sessions):
            steps = b"".join(b"\x05" + part16(command) for command in session)
            spoilt = b"".join(b"\x03\x40\x00\x07" + part16(command) + b"\x04\x01\x00\x02" + part16(command) for command in session[:2])
            for kind in range(9) if number % 8 == 0 else [number % 9]:
                self.put("card_channel", bytes([kind, number % 6]) + steps)
            self.put("card_channel", bytes([number % 9, 0]) + spoilt)
            framed = b"".join(part16(command) for command in session)
            self.put("card_contacts", bytes([number % 9]) + part16(b"\x01") + framed + part16(b"\x04"))

    def packets(self):
        for entry in self.entries("scp80"):
            for text in strings(entry):
                if not is_hex(text) or len(text) < 20:
                    continue
                data = bytes.fromhex(text)
                self.put("card_remote", b"\x00\x00" + part16(data) + b"\x01" + part16(data))
                self.put("ota_packet", bytes.fromhex("0016193535B0001100000001") + data)
        for spi, choice, kinds in [("0E19", 3, 0), ("1621", 0, 0x11), ("0201", 2, 0x00), ("0121", 0, 0x22), ("0000", 1, 0)]:
            script = bytes.fromhex("00A40000023F00" + "00A4000002" + "2FE2" + "00B000000A")
            sealed = bytes.fromhex("03" + spi) + bytes([choice, kinds, 1, 0]) + part16(script)
            for card in (0, 1):
                self.put("card_remote", bytes([card]) + sealed)
            for algorithm in range(4):
                self.put("ota_packet", bytes([algorithm]) + bytes.fromhex(spi + "0000B00001000001") + script)

    def cap_files(self):
        files = b"C" + b"".join(bytes([index]) + part16(bytes.fromhex(content)) for index, content in CAP_COMPONENTS)
        self.put("cap_file", files)
        self.put("cap_file", b"D" + b"".join(bytes.fromhex(content) for index, content in CAP_COMPONENTS if index < 10))

    # -- crypto --

    def key_blocks(self):
        for entry in self.entries("tr31"):
            for text in strings(entry):
                if len(text) > 40 and text[0] in "ABCDE" and text[1:5].isdigit():
                    self.put("key_block", text.encode())
        for version, unit in (("A", 8), ("B", 8), ("C", 8), ("D", 16), ("E", 16)):
            header = f"{version}0000P0TE00N0000"
            optional = f"{version}0000D0AB00E0{'02' if unit == 16 else '01'}00KC0C000169E3" + ("PB0C00000000" if unit == 16 else "")
            for text in (header, optional):
                field = struct.pack(">H", 128) + bytes(range(16)) + bytes((-18) % unit)
                self.put("key_block", b"S\x00" + part16(text.encode()) + field)
        for version, size in (("B", 0), ("C", 1), ("D", 2), ("E", 2)):
            self.put("key_block", b"W" + bytes([size, 15, 24]) + version.encode() + b"E5AB00E" + b"KC" + part16(b"00ABCDEF") + b"10" +
                     part16(b"cn-north"))

    def lines(self):
        for line in LINES:
            self.put("diversification", f"{line}\n{FIELDS}".encode())

    # -- units --

    def bodies(self):
        for body in BODIES:
            for target in ("json_kmu", "json_host"):
                self.put(target, json.dumps(body).encode())
        document = (ROOT / "docs" / "messages.md").read_text(encoding="utf-8")
        for block in re.findall(r"```json\n(.*?)```", document, re.S):
            block = re.sub(r"[0-9a-zA-Z+/:]*…", "00", block)
            for target in ("json_kmu", "json_host"):
                self.put(target, block.encode())

    def configurations(self):
        targets = ("configuration", "configuration_host")
        for path in [*(ROOT / "profiles").glob("**/*.yaml")]:
            self.put("configuration", path.read_bytes())
        for path in sorted((ROOT / "src").glob("*/*.h")):
            lines = re.findall(r"^ \*     (.*)$", path.read_text(encoding="utf-8"), re.M)
            if sum(": " in line for line in lines) > 3:
                text = "\n".join(re.sub(r"\s{3,}.*", "", line) for line in lines) + "\n"
                for target in targets:
                    self.put(target, text.encode())
        for path in sorted((ROOT / "docs").glob("*.md")):
            for block in re.findall(r"```(?:yaml)?\n(.*?)```", path.read_text(encoding="utf-8"), re.S):
                if ": " in block and "{" not in block[:1]:
                    self.put("configuration", block.encode())
        self.put("configuration", b"name: north\nprofile: p\nnumber: {prefixes: [\"86\"], length_min: 5, length_max: 15}\niccid:\n"
                                  b"  hexadecimal: true\n  check_digit: false\n")

    def texts(self):
        script = "# a script\n" + "".join(f"{command} = 9000,61xx\n" for command in COMMANDS)
        self.put("gp_text", script.encode())
        for data in self.values(["apdu_parse"]):
            self.put("gp_text", data.hex(" ").encode())

    def procedures(self):
        for operation in range(4):
            self.put("procedure", bytes([operation]))
            for message in range(4):
                for answer in range(0, 6, 2):
                    self.put("procedure", bytes([operation, message, answer, 1, 3, 1]))
                    self.put("procedure", bytes([operation, message, answer, 2, 0, 0, 2]) + b"\x6a\x82")
                    self.put("procedure", bytes([operation, message, answer, 3, 0, 0]))


def main():
    seeds = Seeds(sys.argv[1], sys.argv[2])
    for group in (seeds.cards, seeds.channels, seeds.packets, seeds.cap_files, seeds.key_blocks, seeds.lines, seeds.bodies,
                  seeds.configurations, seeds.texts, seeds.procedures):
        group()


if __name__ == "__main__":
    main()
