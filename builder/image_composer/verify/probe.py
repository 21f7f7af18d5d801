"""The smallest guest that shows whether a virtual machine really runs.

There are hosts whose /dev/kvm opens, creates machines and then hangs in them, or fails on the first instruction that
their hypervisor doesn't pass on. A few real-mode instructions run even there, so the probe does what every firmware
and kernel starts with: protected mode, the floating point unit, paging, long mode, SSE. At its end it writes to
QEMU's debug exit device, which ends QEMU with a status of its own.
"""

from __future__ import annotations

from typing import Final

EXIT_PORT: Final = 0xF4
"""I/O port of isa-debug-exit; 0xf4 is unused on PCs and the port by custom."""

PASSED: Final = (2 * 0x2A << 1) | 1
"""QEMU's exit status: the device turns the value written, here 2 * 42, into value * 2 + 1."""

_ROM_SIZE = 64 * 1024
"""Bytes; the smallest that QEMU maps as firmware, just below 1 MiB and just below 4 GiB."""

_START = 0xFF00
_RESET_VECTOR = 0xFFF0
"""Offsets in the ROM, and of the segment 0xf000 that shows it."""

_CODE = bytes.fromhex(
    # 16 bit, as the processor starts
    "fa"  # cli
    "2e660f0116b0ff"  # lgdtl %cs:gdt_pointer
    "0f20c0 0c01 0f22c0"  # movl %cr0,%eax; orb $1,%al; movl %eax,%cr0
    "66ea18ff0f000800"  # ljmpl $0x08,$0xfff18
    # 32 bit, at 0xfff18
    "66b81000 8ed8 8ed0"  # movw $0x10,%ax; movw %ax,%ds; movw %ax,%ss
    "dbe3 9b"  # fninit; fwait
    "b801000000 0fa2"  # movl $1,%eax; cpuid
    "c7050010000003200000"  # movl $0x2003,0x1000: the page tables map the first 2 MiB
    "c7050020000003300000"  # movl $0x3003,0x2000
    "c7050030000083000000"  # movl $0x0083,0x3000
    "b800100000 0f22d8"  # movl $0x1000,%eax; movl %eax,%cr3
    "b820060000 0f22e0"  # movl $0x620,%eax; movl %eax,%cr4: PAE, OSFXSR, OSXMMEXCPT
    "b9800000c0 0f32 0d00010000 0f30"  # movl $0xc0000080,%ecx; rdmsr; orl $0x100,%eax; wrmsr: EFER.LME
    "b823000080 0f22c0"  # movl $0x80000023,%eax; movl %eax,%cr0: PG, NE, MP, PE
    "ea75ff0f001800"  # ljmpl $0x18,$0xfff75
    # 64 bit, at 0xfff75
    "b82a000000"  # movl $42,%eax
    "66480f6ec0 660fd4c0 66480f7ec0"  # movq %rax,%xmm0; paddq %xmm0,%xmm0; movq %xmm0,%rax
    "e6f4"  # outb %al,$0xf4
    "f4 ebfd"  # 1: hlt; jmp 1b
    "0f1f00"  # to a multiple of 8
    # the descriptors, at 0xfff90: none, 32 bit code, data, 64 bit code
    "0000000000000000 ffff0000009acf00 ffff00000092cf00 ffff0000009aaf00"
    # gdt_pointer, at 0xfffb0: limit and address
    "1f00 90ff0f00"
)


def probe_rom() -> bytes:
    """Give the probe as a firmware image for `qemu -bios`."""
    rom = bytearray(b"\xf4" * _ROM_SIZE)  # hlt
    rom[_START : _START + len(_CODE)] = _CODE
    jump = b"\xea" + _START.to_bytes(2, "little") + b"\x00\xf0"  # ljmpw $0xf000,$0xff00
    rom[_RESET_VECTOR : _RESET_VECTOR + len(jump)] = jump
    return bytes(rom)
