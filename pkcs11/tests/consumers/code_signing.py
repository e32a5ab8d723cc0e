"""osslsigncode, which signs programs for Windows."""

import struct

from harness import check, recipe
from openssl import ENGINE_FILE


def program():
    """A small PE file without code."""
    dos = bytearray(64)
    dos[:2] = b"MZ"
    dos[60:64] = struct.pack("<I", 64)
    header = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 240, 0x22)
    optional = struct.pack("<HBBIIIII", 0x20B, 14, 0, 512, 0, 0, 0x1000, 0x1000)
    optional += struct.pack("<QIIHHHHHHIIIIHH", 0x140000000, 0x1000, 512, 6, 0, 0, 0, 6, 0, 0, 0x2000, 512, 0, 3, 0x8160)
    optional += struct.pack("<QQQQII", 0x100000, 0x1000, 0x100000, 0x1000, 0, 16) + bytes(16 * 8)
    section = b".text\0\0\0" + struct.pack("<IIIIIIHHI", 1, 0x1000, 512, 512, 0, 0, 0, 0, 0x60000020)
    start = bytes(dos) + header + optional + section
    return start.ljust(512, b"\0") + b"\xc3".ljust(512, b"\0")


@check("osslsigncode", "openssl", ENGINE_FILE)
def osslsigncode_signs(work):
    """The signature and the chain verify."""
    for alias in ("web", "rsa"):
        work.use_key(alias)
        (work.folder / "app.exe").write_bytes(program())
        (work.folder / "signed.exe").unlink(missing_ok=True)
        command = recipe("Code signing", "osslsigncode sign").replace("web.pem", f"{alias}.pem")
        said = work.signatures(1, lambda: work.run(command))
        assert "Succeeded" in said, said
        said = work.run("osslsigncode verify -CAfile ca.pem -in signed.exe")
        assert "Signature verification: ok" in said and "Succeeded" in said, said
