from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from image_composer.verify.qemu import Hardware

DEBUG_EXIT = ("-device", "isa-debug-exit,iobase=0xf4,iosize=1")

ECHO = bytes.fromhex(
    "bafd03 ec a801 74fb"  # mov dx,0x3fd; 1: in al,dx; test al,1; jz 1b
    "baf803 ec 3c71 7502 e6f4"  # mov dx,0x3f8; in al,dx; cmp al,'q'; jne 2f; out 0xf4,al
    "ee ebeb"  # 2: out dx,al; jmp 0
)


def boot_sector(says: str) -> bytes:
    """A BIOS disk that says something on the first serial port and then echoes what is typed until `q`."""
    text = 0x7C80
    say = bytes.fromhex(f"fa 31c0 8ed8 be{text.to_bytes(2, 'little').hex()} baf803 ac 84c0 7403 ee ebf8")
    code = (say + ECHO).ljust(0x80, b"\xf4") + says.encode() + b"\0"
    return code.ljust(510, b"\0") + b"\x55\xaa"


@pytest.fixture
def disk(tmp_path: Path) -> Callable[[str], Path]:
    def make(says: str) -> Path:
        path = tmp_path / "disk, with a comma.raw"
        path.write_bytes(boot_sector(says).ljust(1024 * 1024, b"\0"))
        return path

    return make


@pytest.fixture
def hardware() -> Hardware:
    return Hardware(memory_mib=32, cpus=1, extra=DEBUG_EXIT)
