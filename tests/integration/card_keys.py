"""Card keys computed with the openssl program, beside keyfill's own code: what a test compares keyfill's check values with."""
import subprocess

ROLES = (1, 2, 3)  # ENC, MAC, DEK


def _openssl(arguments, data):
    return subprocess.run(["openssl", *arguments], input=data, check=True, stdout=subprocess.PIPE).stdout


def cmac(key, message):
    """AES-CMAC (NIST SP 800-38B) under 16 bytes of key."""
    digits = _openssl(["mac", "-cipher", "AES-128-CBC", "-macopt", f"hexkey:{key.hex()}", "-in", "-", "CMAC"], message)
    return bytes.fromhex(digits.decode().strip())


def check_value(key):
    """GlobalPlatform Card Specification 2.3.1, B.6, for AES: the first three bytes of a block of 01 encrypted."""
    return _openssl(["enc", "-aes-128-ecb", "-nopad", "-K", key.hex()], b"\x01" * 16)[:3].hex().upper()


def sp800_108(base_key, given):
    """NIST SP 800-108, 5.1, as the line `sp800-108-aes(…)` has it: one block is the whole key."""
    return cmac(base_key, b"\x01keyfill\x00" + given + (128).to_bytes(2, "big"))


def an10922(base_key, given):
    """NXP AN10922, 2.2, for inputs of 16 to 31 bytes, where it is the CMAC of 01 and the input."""
    assert 16 <= len(given) <= 31
    return cmac(base_key, b"\x01" + given)


def bcd(digits, size):
    """Two digits a byte, filled up with F on the right."""
    return bytes.fromhex(digits.ljust(2 * size, "F"))


def payment_keys(base_key, number, generation, method=sp800_108, more=b""):
    """The keys of cards.PAYMENT_LINE: role, number, generation; `more` is what a longer line takes behind them."""
    return [method(bytes.fromhex(base_key), bytes([role]) + bcd(number, 8) + generation.to_bytes(4, "big") + more)
            for role in ROLES]


def check_values(keys):
    return [check_value(key) for key in keys]


def adm(master_key, iccid):
    """The administrative code ADM1 by cards.ADM_LINE: the leftmost eight bytes."""
    return sp800_108(bytes.fromhex(master_key), iccid.encode().ljust(20, b" "))[:8]
