#!/usr/bin/env python3
"""The simulated card behind the real pcscd, as other people's programs see it: pyscard with hosts of its own for either secure channel and
either transmission protocol, OpenSC's tools, pcsc-tools, and the smart card classes of Java where there is one."""
import contextlib
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
try:
    import smartcard.CardConnection as contacts
    import smartcard.scard as scard
    import smartcard.System
except ImportError:
    DEBIAN_PYTHON = "/usr/bin/python3"  # Debian's python3-pyscard belongs to Debian's Python
    if os.path.realpath(sys.executable) == os.path.realpath(DEBIAN_PYTHON):
        raise
    os.execv(DEBIAN_PYTHON, [DEBIAN_PYTHON, *sys.argv])
import checks  # noqa: E402
import installation  # noqa: E402
import other_hosts  # noqa: E402

TOOL_LIMIT = 60.0
PACKAGE = bytes.fromhex("D2760000850101")
APPLET = bytes.fromhex("D276000085010101")
NEW_KEY = bytes.fromhex("A0112233445566778899AABBCCDDEEF1")
GP_ISSUER, VISA_ISSUER = "A000000151000000", "A000000003000000"
DOMAIN = bytes.fromhex("A00000015153504B46AA")
T1_ATR = "3BF71300008131FE454B455946494C4CB7"


def counted(*fields):
    return b"".join(bytes([len(field)]) + field for field in fields)


def load_file_data():
    header = bytes.fromhex("DECAFFED0102040001") + counted(PACKAGE)
    applet = b"\x01" + counted(APPLET) + b"\x00\x10"
    method = bytes(600)
    components = ((1, header), (3, applet), (7, method))
    content = b"".join(bytes([tag]) + len(part).to_bytes(2, "big") + part for tag, part in components)
    return b"\xC4\x82" + len(content).to_bytes(2, "big") + content


class Bench:
    """A reader of pcscd with one card after another."""

    def __init__(self, site):
        self.site = site
        site.path("logs").mkdir()
        site.start_pcscd()

    @staticmethod
    def reader():
        return smartcard.System.readers()[0]

    def card_is_there(self):
        """What pcscd has noticed, which is later than what is so."""
        status, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
        checks.same(status, scard.SCARD_S_SUCCESS, "context")
        try:
            status, states = scard.SCardGetStatusChange(context, 0, [(str(self.reader()), scard.SCARD_STATE_UNAWARE)])
            if status != scard.SCARD_S_SUCCESS:
                return None
            return states[0][1] & (scard.SCARD_STATE_PRESENT | scard.SCARD_STATE_MUTE) == scard.SCARD_STATE_PRESENT
        finally:
            scard.SCardReleaseContext(context)

    @contextlib.contextmanager
    def card(self, personality, *options):
        """Made with nothing but the published keys, as an outsider would."""
        state = str(self.site.path(f"{personality}.card"))
        program = installation.program("keyfill-softcard")
        subprocess.run([program, "create", "--state", state, "--personality", personality, "--published-test-keys", "--force", *options],
                       check=True, stdin=subprocess.DEVNULL)
        arguments = [program, "run", "--state", state, "--vpcd", f"127.0.0.1:{self.site.vpcd_ports[0]}"]
        self.site.start("card", arguments).wait_for(r"(?m)^ready")
        installation.wait_until("the reader to notice the card", self.card_is_there)
        try:
            yield
        finally:
            self.site.stop_one("card")
            installation.wait_until("the reader to notice the removal", lambda: self.card_is_there() is False)

    @contextlib.contextmanager
    def connection(self, protocol):
        """`transmit` of bytes, as pyscard gives it, without any help with 61xx."""
        connection = self.reader().createConnection()
        connection.connect(protocol)

        def transmit(command):
            data, first, second = connection.transmit(list(command))
            return bytes(data), first << 8 | second
        transmit.atr = bytes(connection.getATR())
        try:
            yield transmit
        finally:
            connection.disconnect()


def with_get_response(transmit):
    """What programs do with T=0: no Le behind data, GET RESPONSE after 61xx, the right Le after 6Cxx; and GET RESPONSE also after 9000 to
    a command that might have had an answer, where 6D00 means that there is none."""
    def ask(command):
        has_data = len(command) > 5
        wants_answer = has_data and len(command) == 6 + command[4]
        data, status = transmit(command[:-1] if wants_answer else command)
        if wants_answer and status == 0x9000 and not data:
            rest, after = transmit(bytes.fromhex("00C0000000"))
            return (data, status) if after in (0x6D00, 0x6E00) else (rest, after)
        while status >> 8 == 0x61:
            rest, status = transmit(bytes([command[0] & 0x80, 0xC0, 0, 0, status & 0xFF]))
            data += rest
        if status >> 8 == 0x6C:
            data, status = transmit(command[:4] + bytes([status & 0xFF]))
        return data, status
    return ask


def select(transmit, aid):
    return transmit(bytes.fromhex("00A40400") + (counted(aid) if aid else b"") + b"\x00")


def listed(channel, scope):
    """GET STATUS with tags, further occurrences until they end."""
    data, status = channel.send(f"80F2{scope}02", b"\x4F\x00")
    while status == 0x6310:
        more, status = channel.send(f"80F2{scope}03", b"\x4F\x00")
        data += more
    return data


def whole_life(transmit, issuer, open_channel):
    """Load, install, list, lock, unlock, a domain of its own, delete: what GlobalPlatform hosts do with a card on a desk."""
    data, status = select(transmit, b"")
    checks.same((status, data[4:12].hex().upper()), (0x9000, issuer), "default selection")
    checks.same(transmit(bytes.fromhex("80CA006600"))[1], 0x9000, "recognition data")
    channel = open_channel(transmit)
    checks.that(bytes.fromhex(issuer) in listed(channel, "80"), "the issuer's domain is not listed")
    channel.send("80E60200", counted(PACKAGE, bytes.fromhex(issuer), b"", b"\xEF\x04\xC6\x02\x02\x80", b""))
    content = load_file_data()
    blocks = [content[place:place + 239] for place in range(0, len(content), 239)]
    for number, block in enumerate(blocks):
        last = number == len(blocks) - 1
        channel.send(f"80E8{'80' if last else '00'}{number:02X}", block, le=b"\x00" if last else b"")
    channel.send("80E60C00", counted(PACKAGE, APPLET, APPLET, b"\x00", b"\xC9\x00", b""))
    checks.that(APPLET in listed(channel, "40"), "the application is not listed")
    checks.that(PACKAGE in listed(channel, "20") and APPLET in listed(channel, "10"), "the load file is not listed")
    channel.send("80F04080", APPLET)
    checks.same(select(transmit, APPLET)[1], 0x6A82, "selection of a locked application")
    select(transmit, bytes.fromhex(issuer))
    channel = open_channel(transmit)
    channel.send("80F04000", APPLET)
    channel.send("80E60C00", counted(bytes.fromhex("A0000001515350"), bytes.fromhex("A000000151535041"), DOMAIN, b"\x80", b"\xC9\x00", b""))
    channel.send("80E40080", b"\x4F" + counted(PACKAGE))
    channel.send("80E40000", b"\x4F" + counted(DOMAIN))
    try:
        channel.send("80F24002", b"\x4F\x00")
    except other_hosts.Refused as refused:
        checks.same(refused.status, 0x6A88, "list of no applications")
    else:
        raise checks.Wrong("something is left")


def by_pyscard(bench, check):
    t0, t1 = contacts.CardConnection.T0_protocol, contacts.CardConnection.T1_protocol
    with bench.card("usual"):
        with check("the ATR of a card made with defaults is one of T=1, and it tells who it is"), bench.connection(t1) as transmit:
            checks.same(transmit.atr.hex().upper(), T1_ATR, "ATR")
            transmit(bytes.fromhex("00A4080C022FE2"))
            checks.same(transmit(bytes.fromhex("00B000000A")), (bytes.fromhex("988812010000000010F5"), 0x9000), "EF.ICCID")
        for level in (0x01, 0x03, 0x13):
            with check(f"SCP03, T=1, level {level:02X}: a card's whole life on a desk"), bench.connection(t1) as transmit:
                whole_life(transmit, GP_ISSUER, lambda ask, level=level: other_hosts.Scp03(ask, level=level))
        for with_length in (True, False):
            with check(f"SCP03: keys replaced, {'with' if with_length else 'without'} their length before the cryptogram, and back"), \
                    bench.connection(t1) as transmit:
                select(transmit, b"")
                for old, new in ((other_hosts.TEST_KEY, NEW_KEY), (NEW_KEY, other_hosts.TEST_KEY)):
                    channel = other_hosts.Scp03(transmit, key=old)
                    channel.send("80D80181", channel.put_key_data(1, new, dek=old, with_length=with_length))
                other_hosts.Scp03(transmit)
    with bench.card("scp02-i15"):
        with check("SCP02 i=15, T=1: a card's whole life on a desk"), bench.connection(t1) as transmit:
            whole_life(transmit, VISA_ISSUER, other_hosts.Scp02)
    with bench.card("sim"):
        with check("SCP02, T=0, with GET RESPONSE after everything: a card's whole life on a desk"), bench.connection(t0) as transmit:
            whole_life(with_get_response(transmit), VISA_ISSUER, lambda ask: other_hosts.Scp02(ask, version=0x20))
        with check("SCP03, T=0, on key version 30 of the same card"), bench.connection(t0) as transmit:
            ask = with_get_response(transmit)
            select(ask, bytes.fromhex(VISA_ISSUER))
            channel = other_hosts.Scp03(ask, version=0x30, level=0x03)
            checks.that(bytes.fromhex(VISA_ISSUER) in listed(channel, "80"), "the issuer's domain is not listed")
    with bench.card("usual", "--atr", "3B800181"):
        with check("another ATR by option"), bench.connection(t1) as transmit:
            checks.same(transmit.atr.hex().upper(), "3B800181", "ATR")


def sim_files(bench, check):
    """What programs for SIM cards read: files by SELECT with P2 = 04 and no Le, sizes of the control parameters."""
    def objects(data):
        place, found = 0, {}
        while place < len(data):
            found[data[place]] = data[place + 2:place + 2 + data[place + 1]]
            place += 2 + data[place + 1]
        return found

    with bench.card("sim"), bench.connection(contacts.CardConnection.T0_protocol) as transmit:
        ask = with_get_response(transmit)

        def parameters(path):
            for identifier in path:
                data, status = transmit(bytes.fromhex("00A4000402" + identifier))
                checks.same(status >> 8, 0x61, f"SELECT {identifier}")
                data, status = transmit(bytes([0x00, 0xC0, 0, 0, status & 0xFF]))
                checks.same(status, 0x9000, f"GET RESPONSE of {identifier}")
            checks.same(data[:2], bytes([0x62, len(data) - 2]), "template")
            return objects(data[2:])

        def binary(*path):
            size = int.from_bytes(parameters(path)[0x80], "big")
            data, status = transmit(bytes([0x00, 0xB0, 0, 0, size]))
            checks.same((status, len(data)), (0x9000, size), f"READ BINARY of {path}")
            return data

        with check("a SIM card is found out: a UICC, not a card of the class A0"):
            checks.same(transmit(bytes.fromhex("A0A40000023F00"))[1], 0x6E00, "class A0")
            checks.same(transmit(bytes.fromhex("00A40004023F00"))[1] >> 8, 0x61, "class 00")
        with check("EF.DIR lists the applications with files, in as many records as its parameters say"):
            found = parameters(("3F00", "2F00"))
            length, count = int.from_bytes(found[0x82][2:4], "big"), found[0x82][4]
            checks.same(int.from_bytes(found[0x80], "big"), length * count, "size")
            for number, name in ((1, "A0000000871002"), (2, "A0000000871004")):
                data, status = transmit(bytes([0x00, 0xB2, number, 0x04, length]))
                checks.same((status, data[0], data[4:11].hex().upper()), (0x9000, 0x61, name), f"record {number}")
            checks.same(count, 2, "records")
        with check("each file that they read without asking is there"):
            binary("3F00", "2FE2")
            for identifier in ("6F07", "6F30", "6F38", "6F3E", "6F3F", "6F46", "6F60", "6F61", "6F62", "6F78", "6FAD"):
                binary("3F00", "7F20", identifier)
            for identifier in ("6F40", "6F42"):
                found = parameters(("3F00", "7F10", identifier))
                length = int.from_bytes(found[0x82][2:4], "big")
                checks.same(transmit(bytes([0x00, 0xB2, 1, 0x04, length]))[1], 0x9000, f"record of {identifier}")
        with check("applications are selected by the whole name and by its beginning, their files read"):
            for name, identifier in (("A0000000871002FF86FFFF89FFFFFFFF", "6F38"), ("A0000000871004", "6F02")):
                checks.same(ask(bytes.fromhex("00A40404") + counted(bytes.fromhex(name)) + b"\x00")[1], 0x9000, name)
                binary(identifier)
        with check("the administrative code opens a file for writing; the code's tries are told"):
            checks.same(transmit(bytes.fromhex("0020000A"))[1], 0x63CA, "tries")
            checks.same(ask(bytes.fromhex("0020000A08") + b"88888888")[1], 0x9000, "VERIFY")
            binary("3F00", "7F20", "6F78")
            checks.same(ask(bytes.fromhex("00D60000020004"))[1], 0x9000, "UPDATE")
            checks.same(binary("3F00", "7F20", "6F78"), b"\x00\x04", "EF.ACC")


def run_tool(*arguments, given=""):
    done = subprocess.run(arguments, input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=TOOL_LIMIT)
    return done.returncode, done.stdout


def by_tools(bench, check):
    for personality, atr in (("usual", T1_ATR), ("sim", "3B9E96801FC78031E073FE211B63E2010407830")):
        with bench.card(personality):
            with check(f"{personality}: opensc-tool shows the ATR, no name, and what commands answer"):
                status, text = run_tool("opensc-tool", "-a")
                checks.same(status, 0, "exit status of -a")
                checks.that(atr in text.replace(":", "").upper(), text)
                checks.that("Unsupported card" in run_tool("opensc-tool", "-n")[1], "a name")
                status, text = run_tool("opensc-tool", "-s", "00A4040000", "-s", "80CA9F7F00", "-s", "80CA00E000")
                checks.same((status, text.count("SW1=0x90, SW2=0x00")), (0, 3), text)
            with check(f"{personality}: opensc-explorer walks through the files"):
                status, text = run_tool("opensc-explorer", given="cat 2FE2\ncd 7F20\ninfo 6F07\ncat 6F07\ncd ..\napdu 00A4040000\nquit\n")
                checks.same(status, 0, text)
                checks.that("98 88 12 01" in text and "08 09 10 10" in text and "9 bytes" in text, text)
            with check(f"{personality}: pkcs15-tool is told politely that there is no PKCS#15"):
                status, text = run_tool("pkcs15-tool", "-D")
                checks.that(status > 0 and ("cannot be handled" in text or "not supported" in text.lower() or "not found" in text.lower()), text)
            with check(f"{personality}: pcsc_scan names the card, scriptor talks to it"):
                checks.that(" ".join(atr[place:place + 2] for place in range(0, 20, 2)) in run_tool("pcsc_scan", "-c", "-t", "1")[1], "ATR")
                status, text = run_tool("scriptor", given="00 A4 04 00 00\n")
                checks.that(status == 0 and "6F 10 84 08" in text, text)


JAVA_HOST = """
import javax.smartcardio.*;
import java.util.*;

public class Host {
    static void expect(CardChannel channel, int wanted, int... bytes) throws Exception {
        byte[] command = new byte[bytes.length];
        for (int i = 0; i < bytes.length; i++) command[i] = (byte) bytes[i];
        ResponseAPDU answer = channel.transmit(new CommandAPDU(command));
        System.out.printf("%04X %d%n", answer.getSW(), answer.getData().length);
        if (answer.getSW() != wanted) throw new IllegalStateException(String.format("%04X", answer.getSW()));
    }

    public static void main(String[] arguments) throws Exception {
        CardTerminal terminal = TerminalFactory.getDefault().terminals().list().get(0);
        Card card = terminal.connect("*");
        card.beginExclusive();
        System.out.println(card.getProtocol());
        CardChannel channel = card.getBasicChannel();
        expect(channel, 0x9000, 0x00, 0xA4, 0x04, 0x00, 0x00);
        expect(channel, 0x9000, 0x80, 0xCA, 0x9F, 0x7F, 0x00);
        expect(channel, 0x9000, 0x80, 0xCA, 0x00, 0x66, 0x00);
        expect(channel, 0x9000, 0x80, 0xCA, 0x00, 0xE0, 0x00);
        expect(channel, 0x9000, 0x80, 0x50, 0x00, 0x00, 0x08, 1, 2, 3, 4, 5, 6, 7, 8, 0x00);
        expect(channel, 0x6982, 0x80, 0xF2, 0x80, 0x02, 0x02, 0x4F, 0x00, 0x00);
        expect(channel, 0x6A82, 0x00, 0xA4, 0x04, 0x00, 0x05, 1, 2, 3, 4, 5, 0x00);
        card.endExclusive();
        card.disconnect(false);
    }
}
"""


def by_java(bench, check):
    library = "/usr/lib/x86_64-linux-gnu/libpcsclite.so.1"
    if shutil.which("javac") is None or not os.path.exists(library):
        check.skip("the smart card classes of Java", "no JDK here")
        return
    source = bench.site.path("Host.java")
    source.write_text(JAVA_HOST, encoding="utf-8")
    for personality, protocol, size in (("usual", "T=1", 29 + 3), ("sim", "T=0", 28)):
        with bench.card(personality), check(f"{personality}: Java's smart card classes select, read and begin a channel by {protocol}"):
            status, text = run_tool("java", f"-Dsun.security.smartcardio.library={library}", str(source))
            checks.same(status, 0, text)
            checks.that(text.startswith(protocol) and f"9000 {size}\n" in text, text)


def main():
    with checks.site() as site, checks.Checks(site) as check:
        bench = Bench(site)
        by_pyscard(bench, check)
        sim_files(bench, check)
        by_tools(bench, check)
        by_java(bench, check)
    return check.status


if __name__ == "__main__":
    sys.exit(main())
