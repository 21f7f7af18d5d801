"""The joined log of a pod."""

from __future__ import annotations

from pathlib import Path

from image_composer.pod.log import joined_log


def logs(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / f"{name[1:].replace('_', '-')}.log").write_text(text)
    return folder


def test_logs_are_joined_in_the_order_of_the_stages(tmp_path: Path) -> None:
    logs(tmp_path, _10_publish="c\n", _02_resolve="b\n", _01_validate="a\n")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "99.log").symlink_to("/etc/passwd")
    assert joined_log(tmp_path) == b"a\nb\nc\n"
    assert joined_log(tmp_path / "absent") == b""


def test_the_end_of_a_long_log_is_kept(tmp_path: Path) -> None:
    logs(tmp_path, _01="first\nsecond\n", _02="third\nfourth\n")
    assert joined_log(tmp_path, 25) == b"[the first 6 bytes are left out]\nsecond\nthird\nfourth\n"
    assert joined_log(tmp_path, 16) == b"[the first 13 bytes are left out]\nthird\nfourth\n"
    assert joined_log(tmp_path, 8) == b"[the first 19 bytes are left out]\nfourth\n"
    assert joined_log(tmp_path, 1000) == b"first\nsecond\nthird\nfourth\n"
