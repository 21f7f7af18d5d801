"""Checks of what lets people in: password hashes and SSH public keys. Messages never repeat the value."""

from __future__ import annotations

import base64
import binascii
import re
import struct

HASH_FORMS = (
    r"\$y\$[./A-Za-z0-9]+\$[./A-Za-z0-9]{1,86}\$[./A-Za-z0-9]{43}",
    r"\$gy\$[./A-Za-z0-9]+\$[./A-Za-z0-9]{1,86}\$[./A-Za-z0-9]{43}",
    r"\$7\$[./A-Za-z0-9]{11,97}\$[./A-Za-z0-9]{43}",
    r"\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}",
    r"\$6\$(rounds=[1-9][0-9]+\$)?[^$:\n]{1,16}\$[./0-9A-Za-z]{86}",
    r"\$5\$(rounds=[1-9][0-9]+\$)?[^$:\n]{1,16}\$[./0-9A-Za-z]{43}",
)
"""Hashes of crypt(5) that are not broken: yescrypt, gost-yescrypt, scrypt, bcrypt, SHA-512, SHA-256."""

KEY_TYPES = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
"""Key types that today's OpenSSH accepts by default."""

MINIMUM_RSA_BITS = 2048


def check_password_hash(text: str) -> str:
    """Give the hash back when it is one that an image may carry.

    Raises:
        ValueError: with the sentence for the user.
    """
    if any(re.fullmatch(form, text) for form in HASH_FORMS):
        return text
    if re.match(r"\$1\$|[./A-Za-z0-9]{13}$", text):
        raise ValueError("MD5 and DES password hashes are broken; make one with 'mkpasswd' or 'openssl passwd -6'")
    raise ValueError("is not a password hash of crypt(5); make one with 'mkpasswd' or 'openssl passwd -6'")


def check_ssh_key(line: str) -> str:
    """Give the line back when it is one public key of an authorized_keys file, see sshd(8).

    Raises:
        ValueError: with the sentence for the user.
    """
    if "PRIVATE KEY" in line:
        raise ValueError("is a private key; give the public key, the line in the file ending in .pub")
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in line.strip()):
        raise ValueError("must be one line without control characters")
    words = line.split()
    position = next((number for number, word in enumerate(words) if word in KEY_TYPES), None)
    if position is None:
        raise ValueError(f"does not name a key type that OpenSSH accepts ({', '.join(KEY_TYPES[:3])}, ...)")
    if position + 1 == len(words):
        raise ValueError("has a key type but no key after it")
    _check_blob(words[position], words[position + 1])
    return line


def _check_blob(kind: str, encoded: str) -> None:
    try:
        blob = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise ValueError("is damaged: the key is not valid base64") from None
    fields = list(_fields(blob))
    if not fields or fields[0] != kind.encode():
        raise ValueError(f"is damaged: what follows {kind} is not a key of that type")
    if kind == "ssh-rsa":
        if len(fields) != 3:
            raise ValueError("is damaged: the RSA key is cut off")
        bits = int.from_bytes(fields[2], "big").bit_length()
        if bits < MINIMUM_RSA_BITS:
            raise ValueError(f"is an RSA key of {bits} bits; OpenSSH needs at least {MINIMUM_RSA_BITS}")
    elif kind == "ssh-ed25519" and (len(fields) != 2 or len(fields[1]) != 32):
        raise ValueError("is damaged: an Ed25519 key has 32 bytes")


def _fields(blob: bytes) -> list[bytes]:
    """Give the length-prefixed fields of a public key (RFC 4253, section 6.6); nothing when it is cut off."""
    found = []
    while blob:
        if len(blob) < 4:
            return []
        (length,) = struct.unpack(">I", blob[:4])
        if len(blob) < 4 + length:
            return []
        found.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    return found
