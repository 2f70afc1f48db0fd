"""Small hosts of GlobalPlatform's secure channels for tests, written from the specifications with the openssl program: they see a card
as other people's programs do, and share nothing with keyfill."""
import os
import subprocess

import card_keys

TEST_KEY = bytes.fromhex("404142434445464748494A4B4C4D4E4F")


class Refused(Exception):
    """A status word other than 9000."""

    def __init__(self, command, status):
        super().__init__(f"{command.hex().upper()}: {status:04X}")
        self.status = status


def _triple_des(key, data, vector=None):
    """CBC, or ECB without a vector. Eight bytes of key, three times, are single DES."""
    key = key * 3 if len(key) == 8 else key + key[:8]
    mode = ["-des-ede3", "-nopad"] if vector is None else ["-des-ede3-cbc", "-nopad", "-iv", vector.hex()]
    return subprocess.run(["openssl", "enc", *mode, "-K", key.hex()], input=data, check=True, stdout=subprocess.PIPE).stdout


def _aes(key, data, vector=None):
    mode = ["-aes-128-ecb", "-nopad"] if vector is None else ["-aes-128-cbc", "-nopad", "-iv", vector.hex()]
    return subprocess.run(["openssl", "enc", *mode, "-K", key.hex()], input=data, check=True, stdout=subprocess.PIPE).stdout


def _padded(data, block):
    return data + b"\x80" + bytes(-(len(data) + 1) % block)


class Scp03:
    """Amendment D 1.2, S8 mode. `transmit`: bytes to (data, status word)."""

    def __init__(self, transmit, key=TEST_KEY, version=0, level=0x01):
        self.transmit, self.level, self.chaining, self.counter = transmit, level, bytes(16), 0
        challenge = os.urandom(8)
        answer = self.ask(bytes([0x80, 0x50, version, 0, 8]) + challenge + b"\x00")
        self.key_version, self.parameter = answer[10], answer[12]
        context = challenge + answer[13:21]
        self.enc, self.mac, self.rmac = (self._derive(key, constant, context, 128) for constant in (4, 6, 7))
        if self._derive(self.mac, 0, context, 64) != answer[21:29]:
            raise ValueError("the card cryptogram is another")
        self._send(bytes([0x84, 0x82, level, 0]), self._derive(self.mac, 1, context, 64), b"")

    @staticmethod
    def _derive(key, constant, context, bits):
        return card_keys.cmac(key, bytes(11) + bytes([constant, 0, bits >> 8, bits & 0xFF, 1]) + context)[:bits // 8]

    def ask(self, command):
        data, status = self.transmit(command)
        if status != 0x9000:
            raise Refused(command, status)
        return data

    def _send(self, head, data, le):
        length = len(data) + 8
        self.chaining = card_keys.cmac(self.mac, self.chaining + head + bytes([length]) + data)
        command = head + bytes([length]) + data + self.chaining[:8] + le
        answer, status = self.transmit(command)
        if status not in (0x9000, 0x6310):
            raise Refused(command, status)
        return answer, status

    def send(self, head, data=b"", le=b"\x00"):
        """Class, instruction, P1, P2 as hex; answers data and status word."""
        head = bytes.fromhex(head)
        head = bytes([head[0] | 4]) + head[1:]
        if self.level & 2:
            self.counter += 1
            if data:
                vector = _aes(self.enc, self.counter.to_bytes(16, "big"))
                data = _aes(self.enc, _padded(data, 16), vector)
        answer, status = self._send(head, data, le)
        if self.level & 0x10:
            answer, given = answer[:-8], answer[-8:]
            if card_keys.cmac(self.rmac, self.chaining + answer + status.to_bytes(2, "big"))[:8] != given:
                raise ValueError("the response MAC is another")
        return answer, status

    def put_key_data(self, version, key, dek=TEST_KEY, with_length=True):
        """Three equal AES-128 keys."""
        cryptogram = _aes(dek, key, bytes(16))
        one = bytes([0x88]) + (b"\x11\x10" if with_length else b"\x10") + cryptogram + b"\x03" + _aes(key, b"\x01" * 16)[:3]
        return bytes([version]) + 3 * one


class Scp02:
    """GlobalPlatform 2.3.1 appendix E, i=15 and 55, C-MAC alone."""

    def __init__(self, transmit, key=TEST_KEY, version=0):
        self.transmit, self.vector = transmit, None
        challenge = os.urandom(8)
        answer, status = transmit(bytes([0x80, 0x50, version, 0, 8]) + challenge + b"\x00")
        if status != 0x9000:
            raise Refused(challenge, status)
        self.key_version, card = answer[10], answer[12:20]
        enc, self.mac, self.dek = (_triple_des(key, bytes.fromhex(constant) + card[:2] + bytes(12), bytes(8))
                                   for constant in ("0182", "0101", "0181"))
        if _triple_des(enc, _padded(challenge + card, 8), bytes(8))[-8:] != answer[20:28]:
            raise ValueError("the card cryptogram is another")
        self.send("80820100", _triple_des(enc, _padded(card + challenge, 8), bytes(8))[-8:], le=b"")

    def send(self, head, data=b"", le=b"\x00"):
        head = bytes.fromhex(head)
        message = bytes([head[0] | 4]) + head[1:] + bytes([len(data) + 8]) + data
        vector = bytes(8) if self.vector is None else _triple_des(self.mac[:8], self.vector)
        padded = _padded(message, 8)
        last = vector if len(padded) == 8 else _triple_des(self.mac[:8], padded[:-8], vector)[-8:]
        self.vector = _triple_des(self.mac, padded[-8:], last)
        command = message + self.vector + le
        answer, status = self.transmit(command)
        if status not in (0x9000, 0x6310):
            raise Refused(command, status)
        return answer, status
