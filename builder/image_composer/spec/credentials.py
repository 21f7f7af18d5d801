"""Checks of what lets people in: password hashes and SSH public keys. Messages never repeat the value."""

from __future__ import annotations

import base64
import re
import struct

SALT = r"((?![$:;*!\\])[!-~]){1,16}"
"""Characters that crypt(5) takes in the salt of SHA-2 hashes."""

HASH_FORMS = (
    r"\$y\$[./A-Za-z0-9]+\$[./A-Za-z0-9]{1,86}\$[./A-Za-z0-9]{43}",
    r"\$gy\$[./A-Za-z0-9]+\$[./A-Za-z0-9]{1,86}\$[./A-Za-z0-9]{43}",
    r"\$7\$[./A-Za-z0-9]{11,97}\$[./A-Za-z0-9]{43}",
    r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}",
    rf"\$6\$(rounds=[1-9][0-9]{{3,8}}\$)?{SALT}\$[./0-9A-Za-z]{{86}}",
    rf"\$5\$(rounds=[1-9][0-9]{{3,8}}\$)?{SALT}\$[./0-9A-Za-z]{{43}}",
)
"""Hashes of crypt(5) that are not broken: yescrypt, gost-yescrypt, scrypt, bcrypt, SHA-512, SHA-256."""

KEY_FIELDS = {
    "ssh-ed25519": 2,
    "ssh-rsa": 3,
    "ecdsa-sha2-nistp256": 3,
    "ecdsa-sha2-nistp384": 3,
    "ecdsa-sha2-nistp521": 3,
    "sk-ssh-ed25519@openssh.com": 3,
    "sk-ecdsa-sha2-nistp256@openssh.com": 4,
}
"""Key types that today's OpenSSH accepts by default, each with the number of fields its keys have."""

KEY_LINE = re.compile(
    r'((?!#)([^ "]|"([^"\\]|\\.)*")+ +)??' rf"(?P<type>{'|'.join(map(re.escape, KEY_FIELDS))})( +(?P<key>[^ ]+)( .*)?)?"
)
"""A line of authorized_keys, see sshd(8): options, in which spaces stand in quotes only, type, key, comment."""

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
    found = KEY_LINE.fullmatch(line.strip())
    if found is None:
        raise ValueError(f"does not name a key type that OpenSSH accepts ({', '.join([*KEY_FIELDS][:3])}, ...)")
    if found["key"] is None:
        raise ValueError("has a key type but no key after it")
    _check_blob(found["type"], found["key"])
    return line


def _check_blob(kind: str, encoded: str) -> None:
    try:
        blob = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise ValueError("is damaged: the key is not valid base64") from None
    fields = list(_fields(blob))
    if not fields or fields[0] != kind.encode():
        raise ValueError(f"is damaged: what follows {kind} is not a key of that type")
    if len(fields) != KEY_FIELDS[kind]:
        raise ValueError("is damaged: the key is cut off")
    if kind == "ssh-rsa":
        bits = int.from_bytes(fields[2], "big").bit_length()
        if bits < MINIMUM_RSA_BITS:
            raise ValueError(f"is an RSA key of {bits} bits; at least {MINIMUM_RSA_BITS} are needed")
    elif kind == "ssh-ed25519" and len(fields[1]) != 32:
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
