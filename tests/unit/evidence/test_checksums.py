from __future__ import annotations

from pathlib import Path

from image_composer.digest import file_sha256
from image_composer.evidence.checksums import sha256sums
from image_composer.run import Runner


def test_coreutils_accept_the_sums(tmp_path: Path) -> None:
    for name in ("b.raw", "a b.json", "odd\\name", "new\nline"):
        (tmp_path / name).write_text(name)
    sums = sha256sums({path.name: file_sha256(path) for path in tmp_path.iterdir()})
    (tmp_path / "SHA256SUMS").write_text(sums)
    Runner().run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path)


def test_the_lines_are_sorted_by_name() -> None:
    assert sha256sums({"b": "1" * 64, "a": "2" * 64}) == f"{'2' * 64} *a\n{'1' * 64} *b\n"
