"""What lets people in: which hashes and keys are taken, and why others are not."""

from __future__ import annotations

import base64
import struct
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.spec.credentials import KEY_FIELDS, check_password_hash, check_ssh_key
from support.specs import ED25519_KEY, SHA512_HASH

YESCRYPT = "$y$j9T$saltsaltsaltsalt$.Zt5W26jjocuW0wIHGgB6AJelofw6GEpOypHGyow2y5"


@pytest.mark.parametrize(
    "text",
    [
        YESCRYPT,
        "$gy$j9T$saltsaltsaltsalt$BBJRbPW2s14hnQwjOB5zpgb2NVqa6Gfb4kgKtS5Oda9",
        "$7$CU..../....2Q9obwLhin8qvQl6sisAO/$zLxvLFYPM5KAGpCZJUSlO9j165rU./sf1Adr0M4C5A4",
        "$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
        "$2y$12$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
        SHA512_HASH,
        SHA512_HASH.replace("$6$", "$6$rounds=656000$"),
        "$5$saltsaltsaltsalt$X0ra9qlY7TJaGBDgorLevriQfwysW8fXnbybcO4mF4/",
        "$5$rounds=5000$s$X0ra9qlY7TJaGBDgorLevriQfwysW8fXnbybcO4mF4/",
    ],
)
def test_hashes_that_are_not_broken_are_taken(text: str) -> None:
    assert check_password_hash(text) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("$1$saltsalt$9xy1btjgzLYfb7hivXtC//", "MD5 and DES"),
        ("abNANd1rDfiNc", "MD5 and DES"),
        ("", "is not a password hash"),
        ("secret", "is not a password hash"),
        ("*", "is not a password hash"),
        ("!", "is not a password hash"),
        ("x", "is not a password hash"),
        ("!" + SHA512_HASH, "is not a password hash"),
        (SHA512_HASH[:-1], "is not a password hash"),
        (SHA512_HASH + "\n", "is not a password hash"),
        (SHA512_HASH + ":0:0:99999:7:::", "is not a password hash"),
        (SHA512_HASH.replace("salt", "sa:t", 1), "is not a password hash"),
        (SHA512_HASH.replace("salt", "sa t", 1), "is not a password hash"),
        (SHA512_HASH.replace("salt", "sä", 1), "is not a password hash"),
        (SHA512_HASH.replace("$6$", "$6$rounds=10$"), "is not a password hash"),
        ("$2b$99$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a", "is not a password hash"),
    ],
)
def test_other_hashes_are_refused_without_being_repeated(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        check_password_hash(text)
    assert "mkpasswd" in str(caught.value)
    assert len(text) < 8 or text not in str(caught.value)


def generated(folder: Path, kind: str, bits: int | None) -> str:
    """Give a public key as ssh-keygen makes it."""
    sized = [] if bits is None else ["-b", str(bits)]
    argv = ["ssh-keygen", "-q", "-t", kind, *sized, "-N", "", "-C", "me@example.org", "-f", str(folder / "key")]
    subprocess.run(argv, check=True, timeout=60)
    return (folder / "key.pub").read_text()


def made(kind: str, *fields: bytes) -> str:
    """Give a public key of our own making."""
    blob = b"".join(struct.pack(">I", len(field)) + field for field in (kind.encode(), *fields))
    return f"{kind} {base64.b64encode(blob).decode()}"


@pytest.mark.parametrize(
    ("kind", "bits"), [("ed25519", None), ("ecdsa", 256), ("ecdsa", 384), ("ecdsa", 521), ("rsa", 2048)]
)
def test_keys_of_ssh_keygen_are_taken(tmp_path: Path, kind: str, bits: int | None) -> None:
    line = generated(tmp_path, kind, bits)
    assert check_ssh_key(line) == line


def test_short_rsa_keys_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is an RSA key of 1024 bits; at least 2048 are needed"):
        check_ssh_key(generated(tmp_path, "rsa", 1024))


def test_private_keys_are_refused_without_being_repeated(tmp_path: Path) -> None:
    generated(tmp_path, "ed25519", None)
    private = (tmp_path / "key").read_text()
    with pytest.raises(ValueError, match="is a private key; give the public key") as caught:
        check_ssh_key(private)
    assert private.splitlines()[1] not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        made("sk-ssh-ed25519@openssh.com", b"k" * 32, b"ssh:"),
        made("sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", b"\4" + b"k" * 64, b"ssh:"),
        ED25519_KEY,
        ED25519_KEY.rsplit(" ", 1)[0],
        f"{ED25519_KEY} on the desk",
        f"{ED25519_KEY}\n",
        f"no-pty,restrict {ED25519_KEY}",
        f'command="echo \\"ssh-rsa x\\" # y",from="10.0.0.0/8,*.example.org" {ED25519_KEY}',
    ],
)
def test_lines_as_sshd_reads_them_are_taken(line: str) -> None:
    assert check_ssh_key(line) == line


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("ssh-dss AAAAB3NzaC1kc3M= old", "does not name a key type that OpenSSH accepts"),
        ("me@example.org", "does not name a key type"),
        (f"# {ED25519_KEY}", "does not name a key type"),
        (f"no pty {ED25519_KEY}", "does not name a key type"),
        (f'command="x {ED25519_KEY}', "does not name a key type"),
        ("ssh-ed25519", "has a key type but no key after it"),
        ("ssh-ed25519 !!!", "is damaged: the key is not valid base64"),
        ("ssh-ed25519 ä", "is damaged: the key is not valid base64"),
        ("ssh-ed25519 AAAA", "is damaged: what follows ssh-ed25519 is not a key of that type"),
        (ED25519_KEY.replace("ssh-ed25519", "ssh-rsa"), "is damaged: what follows ssh-rsa is not a key of that type"),
        (ED25519_KEY.split(" ")[0] + " " + ED25519_KEY.split(" ")[1][:-4], "is damaged"),
        (made("ssh-ed25519", b"k" * 31), "is damaged: an Ed25519 key has 32 bytes"),
        (made("ssh-rsa", b"\1\0\1"), "is damaged: the key is cut off"),
        (made("ecdsa-sha2-nistp256"), "is damaged: the key is cut off"),
        (f"{ED25519_KEY}\n{ED25519_KEY}", "must be one line"),
        (f"{ED25519_KEY}\x00", "must be one line"),
    ],
)
def test_other_lines_are_refused_with_the_reason(line: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_ssh_key(line)


@given(st.text(max_size=80), st.sampled_from([*KEY_FIELDS, "ssh-dss"]), st.binary(max_size=80), st.text(max_size=20))
def test_no_line_does_anything_but_pass_or_be_refused(options: str, kind: str, blob: bytes, comment: str) -> None:
    with suppress(ValueError):
        check_ssh_key(f"{options} {kind} {base64.b64encode(blob).decode()} {comment}")
