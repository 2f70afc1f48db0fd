#!/usr/bin/env python3
"""Checks who includes whom: ARCHITECTURE.md, "Layers". Prints each breach; exit status 1 where there is one."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# A folder may include itself and what stands before it.
ORDER = ["base", "crypto", "card", "reader", "wire", "store", "audit", "vault", "monitor",
         "bkmu", "kmu", "host", "terminal", "bank", "softcard", "cli"]
UNITS = {"bkmu", "kmu", "host", "terminal", "bank", "softcard"}

# System headers that only some places may include: pattern of the header -> pattern of the file.
ONLY = {
    r"pkcs11.*\.h|p11-kit/.*": r"src/vault/hsm.*",
    r"winscard\.h|wintypes\.h|PCSC/.*": r"src/reader/pcsc\.c",
    r"sqlite3\.h|libpq-fe\.h": r"src/store/.*",
    r"microhttpd\.h|curl/.*|gnutls/.*": r"src/wire/.*",
    r"openssl/.*": r"src/crypto/.*",
    r"sodium\.h|sodium/.*": r"src/crypto/.*",
}

# What a front may use of src/vault: messages, never the vault's own side.
VAULT_OWN = re.compile(r"vault/(key_store|key_custody|key_custody_token|hsm_client|key_table|key_slots|key_ceremony|key_seal|sealed_token|procedure_plan|"
                       r"procedure_requests|proposal_acts|proposal_spent|permits|roster_file|requests|hardening|vault)\.h")
VAULT_FOLDERS = {"vault"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
PUBLIC_LAYER = {"error": "base", "bytes": "base", "secret": "base", "hex": "base",
                "cipher": "crypto", "mac": "crypto", "kdf": "crypto", "diversify": "crypto", "kcv": "crypto", "emv": "crypto",
                "key_block": "crypto", "signature": "crypto", "digest": "crypto"}


def public_layer(header):
    """The layer of a public header: base or crypto by the list above, else card."""
    return PUBLIC_LAYER.get(header, "card")


def check_file(path, breaches):
    name = path.relative_to(ROOT).as_posix()
    text = path.read_text(encoding="utf-8")
    layer = name.split("/")[1] if name.startswith("src/") else public_layer(path.stem)
    if layer not in ORDER:
        breaches.append(f"{name}: the folder {layer} is not in the list of layers")
        return
    for kind, header in INCLUDE.findall(text):
        for pattern, place in ONLY.items():
            if re.fullmatch(pattern, header) and not re.fullmatch(place, name):
                breaches.append(f"{name}: <{header}> may be included by {place} only")
        target = None
        if header.startswith("keyfill/"):
            target = public_layer(pathlib.Path(header).stem)
        elif kind == '"':
            target = header.split("/")[0]
        if target is None or target == layer:
            continue
        if target not in ORDER:
            breaches.append(f'{name}: "{header}" names no layer; write "layer/file.h"')
        elif ORDER.index(target) > ORDER.index(layer):
            breaches.append(f"{name}: {layer} must not include {target} ({header})")
        elif target in UNITS and layer != "cli":
            breaches.append(f"{name}: units never include each other ({header})")
        elif layer == "softcard" and target in {"card"}:
            breaches.append(f"{name}: the simulated card must not share the host's side of cards ({header})")
        if VAULT_OWN.fullmatch(header) and layer not in VAULT_FOLDERS:
            breaches.append(f"{name}: keys are reached through the vault's messages only ({header})")


def main():
    files = sorted(ROOT.glob("src/**/*.[ch]")) + sorted(ROOT.glob("include/**/*.h"))
    breaches = []
    for path in files:
        check_file(path, breaches)
    for breach in breaches:
        print(breach)
    print(f"{len(files)} files, {len(breaches)} breaches")
    return 1 if breaches or not files else 0


if __name__ == "__main__":
    sys.exit(main())
