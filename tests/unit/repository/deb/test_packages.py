from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.errors import RepositoryError
from image_composer.repository.deb.packages import PRIORITIES, IndexEntry, scan_packages
from support.debs import index, paragraph

NAMES = st.from_regex(r"[a-z0-9][a-z0-9+.-]{1,20}", fullmatch=True)
VERSIONS = st.from_regex(r"[0-9][0-9A-Za-z.+~-]{0,15}", fullmatch=True)
ENTRIES = st.builds(
    IndexEntry,
    name=NAMES,
    version=VERSIONS,
    architecture=st.sampled_from(["all", "amd64"]),
    filename=st.from_regex(r"pool/[a-z]/[!-~]{1,20}", fullmatch=True).filter(lambda path: ".." not in path),
    size=st.integers(0, 10**12),
    sha256=st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
    source=NAMES,
    source_version=VERSIONS,
    essential=st.booleans(),
    priority=st.integers(0, len(PRIORITIES) - 1),
    depends=st.sampled_from(["", "a, b (>= 1) | c"]),
    pre_depends=st.sampled_from(["", "dpkg (>= 1.17)"]),
    recommends=st.sampled_from(["", "d"]),
    suggests=st.sampled_from(["", "e,\n f"]).map(lambda text: text.replace("\n", "")),
)
NOISE = st.lists(
    st.sampled_from(["Description: a\n Package: inner\n .\n end", "Tag: x::y,\n z", "Installed-Size: 5", "MD5sum: x"]),
    unique=True,
)


def written(entry: IndexEntry, noise: list[str]) -> str:
    fields = [
        f"Package: {entry.name}",
        *noise,
        f"Source: {entry.source} ({entry.source_version})",
        f"Version: {entry.version}",
        f"Architecture:{entry.architecture} ",
        f"Filename: {entry.filename}",
        f"Size: {entry.size}",
        f"SHA256: {entry.sha256}",
        f"Priority: {PRIORITIES[entry.priority]}",
        f"Depends: {entry.depends}",
        *([f"Pre-Depends: {entry.pre_depends}"] if entry.pre_depends else []),
        *([f"Recommends: {entry.recommends}"] if entry.recommends else []),
        "Suggests: " + entry.suggests.replace(", ", ",\n "),
        *(["Essential: yes"] if entry.essential else []),
    ]
    return "\n".join(fields) + "\n"


@given(st.lists(st.tuples(ENTRIES, NOISE), max_size=5), st.sampled_from(["\n", "\n\n", ""]))
def test_what_is_written_is_read(entries: list[tuple[IndexEntry, list[str]]], end: str) -> None:
    text = "\n".join(written(*entry) for entry in entries) + end
    expected = [
        entry._replace(depends=", ".join(need for need in (entry.pre_depends, entry.depends) if need))
        for entry, _ in entries
    ]
    assert list(scan_packages(text.encode(), "main")) == expected


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with suppress(RepositoryError):
        list(scan_packages(b"Package: a\n" + content, "main"))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"sha256": ""}, "lacks SHA256"),
        ({"sha256": "0" * 63}, "an unacceptable SHA256"),
        ({"filename": "", "size": ""}, "lacks Filename, Size"),
        ({"filename": "../x.deb"}, "file name"),
        ({"filename": "pool/../../x.deb"}, "file name"),
        ({"filename": "pool/.."}, "file name"),
        ({"filename": "/x.deb"}, "file name"),
        ({"filename": "pool/a b.deb"}, "file name"),
        ({"size": "-1"}, "an unacceptable size"),
        ({"version": "1/2"}, "an unacceptable version"),
        ({"source": "a (b c)"}, "an unacceptable source"),
        ({"package": "../a"}, "an unacceptable name"),
    ],
)
def test_a_broken_paragraph_is_refused(fields: dict[str, str], said: str) -> None:
    with pytest.raises(RepositoryError, match=said) as caught:
        list(scan_packages(index(paragraph("good"), paragraph("bad", **fields)), "repository main: Packages"))
    assert caught.value.code == "REPO_MALFORMED"
    assert caught.value.message.startswith("repository main: Packages: ")


@pytest.mark.parametrize("path", ["./a.deb", "a..b.deb", "pool/..a/b.deb", "pool/a%2e.deb"])
def test_an_odd_path_that_stays_inside_is_fine(path: str) -> None:
    assert [entry.filename for entry in scan_packages(index(paragraph("a", filename=path)), "main")] == [path]


def test_a_field_given_twice_is_refused() -> None:
    with pytest.raises(RepositoryError, match="has the field Filename twice"):
        list(scan_packages((paragraph("a") + "Filename: other.deb\n").encode(), "main"))


def test_the_source_is_the_package_unless_it_says_otherwise() -> None:
    entries = scan_packages(
        index(
            paragraph("plain", "1"), paragraph("named", "1", source="src"), paragraph("both", "1+b1", source="src (1)")
        ),
        "main",
    )
    assert [(entry.source, entry.source_version) for entry in entries] == [("plain", "1"), ("src", "1"), ("src", "1")]


def test_what_must_be_there_before_unpacking_comes_first() -> None:
    (entry,) = scan_packages(index(paragraph("a", depends="c", pre_depends="b")), "main")
    assert entry.depends == "b, c"
