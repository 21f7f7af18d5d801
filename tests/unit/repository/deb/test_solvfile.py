from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from image_composer.digest import bytes_sha256
from image_composer.errors import RepositoryError, StoreError
from image_composer.repository.deb.pool import DebPool
from image_composer.repository.deb.release import ListedFile, PackageIndex
from image_composer.repository.deb.solvfile import decompress, readable_for_libsolv, write_solv_file
from image_composer.repository.sources import DebSource
from support.debrepo import COMPRESS
from support.debs import index, paragraph

SOURCE = DebSource(
    id="main", url="https://deb.example.org", suite="stable", components=("main",), architecture="amd64", keys=()
)
TEXT = index(paragraph("a"), paragraph("b"))


def packed(tmp_path: Path, content: bytes, suffix: str, plain: bytes | None = None) -> tuple[Path, PackageIndex]:
    path = tmp_path / "index"
    path.write_bytes(content)
    listed = ListedFile("Packages", bytes_sha256(plain), len(plain)) if plain is not None else None
    return path, PackageIndex(ListedFile(f"Packages{suffix}", bytes_sha256(content), len(content)), suffix, listed)


def loaded(tmp_path: Path, text: bytes) -> DebPool:
    file = tmp_path / "index.solv"
    write_solv_file(text, file, "amd64", "main")
    pool = DebPool("amd64")
    pool.add(SOURCE, file)
    pool.prepare([], [])
    return pool


def test_all_that_the_lock_needs_survives(tmp_path: Path) -> None:
    text = index(
        paragraph("a", "1:2+b1", source="src (1:2)", size="77", essential="yes", installed_size="3", depends="z, b | c")
    )
    pool = loaded(tmp_path, text)
    package = pool.candidate("a")
    assert package is not None
    facts = pool.facts(package)
    assert (facts.name, facts.version, facts.architecture) == ("a", "1:2+b1", "all")
    assert (facts.source, facts.source_version) == ("src", "1:2")
    assert (facts.size, facts.installed_size, facts.essential) == (77, 3072, True)
    assert facts.filename == "pool/a_1:2+b1_all.deb"
    assert facts.sha256 == bytes_sha256(b"a 1:2+b1")
    assert [need.text for need in pool.needs(package)] == ["z", "b | c"]


def test_the_lock_is_made_of_sha256_where_there_is_a_longer_digest_too(tmp_path: Path) -> None:
    pool = loaded(tmp_path, (paragraph("a") + f"SHA512: {'0' * 128}\n").encode())
    package = pool.candidate("a")
    assert package is not None
    assert pool.facts(package).sha256 == bytes_sha256(b"a 1.0")


def test_our_own_architecture_is_taken_off_dependencies_only() -> None:
    text = b"Depends: a:amd64, b:amd64 (>= 1) | c:amd64|d:i386\nFilename: x:amd64.deb\nRecommends: e:amd64\n"
    assert readable_for_libsolv(text, "amd64") == (
        b"Depends: a, b (>= 1) | c|d:i386\nFilename: x:amd64.deb\nRecommends: e\n"
    )


def test_an_empty_index_is_fine(tmp_path: Path) -> None:
    assert loaded(tmp_path, b"").names() == set()


def test_a_paragraph_that_reads_in_two_ways_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="can be read in two ways"):
        loaded(tmp_path, (paragraph("a") + "package: b\n").encode())


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken").write_bytes(b"no solv file")
    with pytest.raises(StoreError) as caught:
        DebPool("amd64").add(SOURCE, tmp_path / "broken")
    assert caught.value.code == "STORE_FAILED"


@pytest.mark.parametrize("suffix", COMPRESS)
def test_an_index_is_unpacked(tmp_path: Path, suffix: str) -> None:
    content = COMPRESS[suffix](TEXT)
    assert decompress(*packed(tmp_path, content, suffix, TEXT), "main") == TEXT
    assert decompress(*packed(tmp_path, content, suffix), "main") == TEXT


@pytest.mark.parametrize(
    ("content", "plain", "code"),
    [
        (b"no xz", TEXT, "REPO_MALFORMED"),
        (lzma.compress(TEXT)[:-20], TEXT, "REPO_MALFORMED"),
        (lzma.compress(TEXT), TEXT[:-1], "REPO_TOO_LARGE"),
        (lzma.compress(TEXT), TEXT[::-1], "REPO_DIGEST_MISMATCH"),
        (lzma.compress(TEXT), TEXT + b"\n", "REPO_DIGEST_MISMATCH"),
    ],
)
def test_an_index_that_does_not_unpack_to_what_is_listed_is_refused(
    tmp_path: Path, content: bytes, plain: bytes, code: str
) -> None:
    with pytest.raises(RepositoryError) as caught:
        decompress(*packed(tmp_path, content, ".xz", plain), "main")
    assert caught.value.code == code
