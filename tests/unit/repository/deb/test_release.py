from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from image_composer.errors import RepositoryError
from image_composer.repository.deb.release import Release, check_release, choose_indexes, index_urls, parse_release
from image_composer.repository.sources import DebSource
from support.debrepo import PUBLISHED, DebRepository, release_text

SOURCE = DebSource(
    id="main",
    url="https://deb.example.org/debian/",
    suite="bookworm",
    components=("main",),
    architecture="amd64",
    keys=(b"",),
)
INDEX = {"main/binary-amd64/Packages": b"plain", "main/binary-amd64/Packages.xz": b"packed"}


def release(files: dict[str, bytes] | None = None, repository: DebRepository | None = None) -> Release:
    return parse_release(release_text(repository or DebRepository(), files or INDEX), "main")


def code_of(text: bytes) -> str:
    with pytest.raises(RepositoryError) as caught:
        parse_release(text, "main")
    return caught.value.code


@pytest.mark.parametrize("suite", ["stable", "bookworm"])
def test_a_suite_may_be_asked_for_by_either_of_its_names(suite: str) -> None:
    check_release(release(), replace(SOURCE, suite=suite), PUBLISHED)


def test_another_suite_than_the_one_asked_for_is_refused() -> None:
    with pytest.raises(RepositoryError, match="trixie was asked for, but its Release calls itself stable or bookworm"):
        check_release(release(), replace(SOURCE, suite="trixie"), PUBLISHED)


def test_a_flat_repository_needs_no_name() -> None:
    check_release(release(), replace(SOURCE, suite="./"), PUBLISHED)


@pytest.mark.parametrize("age", [timedelta(days=7), timedelta(0), timedelta(days=-1)])
def test_a_release_is_good_until_its_end_and_a_day_before_its_date(age: timedelta) -> None:
    check_release(release(), SOURCE, PUBLISHED + age)


@pytest.mark.parametrize(
    ("age", "code"), [(timedelta(days=8), "REPO_EXPIRED"), (timedelta(days=-1, seconds=-1), "REPO_FROM_FUTURE")]
)
def test_a_release_is_refused_outside_its_time(age: timedelta, code: str) -> None:
    with pytest.raises(RepositoryError) as caught:
        check_release(release(), SOURCE, PUBLISHED + age)
    assert caught.value.code == code


def test_a_release_without_an_end_never_expires() -> None:
    eternal = release(repository=DebRepository(valid_for=None))
    check_release(eternal, SOURCE, PUBLISHED + timedelta(days=10_000))


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("Date", "", "REPO_MALFORMED"),
        ("Date", "yesterday", "REPO_MALFORMED"),
        ("Valid-Until", "32 Foo 2024", "REPO_MALFORMED"),
        ("SHA256", "", "REPO_NO_SHA256"),
        ("SHA256", f"\n {'0' * 64} many main/binary-amd64/Packages", "REPO_MALFORMED"),
        ("SHA256", f"\n {'0' * 63} 5 main/binary-amd64/Packages", "REPO_MALFORMED"),
        ("SHA256", f"\n {'0' * 64} 5 ../../etc/passwd", "REPO_MALFORMED"),
        ("SHA256", f"\n {'0' * 64} 5 /etc/passwd", "REPO_MALFORMED"),
    ],
)
def test_a_broken_release_is_refused(field: str, value: str, code: str) -> None:
    assert code_of(release_text(DebRepository(fields={field: value}), INDEX)) == code


def test_a_repeated_field_does_not_count() -> None:
    text = release_text(DebRepository(), INDEX) + b"Suite: other\n"
    assert parse_release(text, "main").suite == "stable"


def test_the_best_compression_that_can_be_read_is_chosen() -> None:
    files = {f"main/binary-amd64/Packages{suffix}": suffix.encode() for suffix in ("", ".gz", ".bz2", ".xz", ".zst")}
    chosen = choose_indexes(release(files), SOURCE)
    assert [(index.file.path, index.suffix) for index in chosen] == [("main/binary-amd64/Packages.xz", ".xz")]
    assert chosen[0].plain is not None
    assert chosen[0].plain.path == "main/binary-amd64/Packages"


def test_an_index_in_an_unreadable_compression_is_named() -> None:
    with pytest.raises(RepositoryError, match=r"listed: main/binary-amd64/Packages\.zst"):
        choose_indexes(release({"main/binary-amd64/Packages.zst": b""}), SOURCE)


def test_an_unknown_component_is_told_with_those_there_are() -> None:
    files = {f"{component}/binary-amd64/Packages.xz": b"" for component in ("main", "contrib", "updates/main")}
    with pytest.raises(RepositoryError, match="no component universe; known: contrib, main, updates/main") as caught:
        choose_indexes(release(files), replace(SOURCE, components=("universe",)))
    assert caught.value.code == "REPO_COMPONENT_UNKNOWN"


def test_an_unknown_architecture_is_told_with_those_there_are() -> None:
    with pytest.raises(RepositoryError, match="has nothing for arm64; known: amd64") as caught:
        choose_indexes(release(), replace(SOURCE, architecture="arm64"))
    assert caught.value.code == "REPO_ARCHITECTURE_UNKNOWN"


@pytest.mark.parametrize(("declared", "count"), [("", 2), ("Packages", 1), ("Contents", 2)])
def test_packages_for_all_architectures_may_be_apart(declared: str, count: int) -> None:
    files = {**INDEX, "main/binary-all/Packages.xz": b""}
    repository = DebRepository(fields={"No-Support-for-Architecture-all": declared})
    assert len(choose_indexes(release(files, repository), SOURCE)) == count


def test_an_index_is_asked_for_by_its_digest_first_where_the_repository_has_that() -> None:
    found = release()
    index = choose_indexes(found, SOURCE)[0]
    assert index_urls(found, index, SOURCE) == (
        f"https://deb.example.org/debian/dists/bookworm/main/binary-amd64/by-hash/SHA256/{index.file.sha256}",
        "https://deb.example.org/debian/dists/bookworm/main/binary-amd64/Packages.xz",
    )
    without = release(repository=DebRepository(by_hash=False))
    assert len(index_urls(without, choose_indexes(without, SOURCE)[0], SOURCE)) == 1


@pytest.mark.parametrize(
    ("suite", "url"),
    [
        ("bookworm", "https://deb.example.org/debian/dists/bookworm/InRelease"),
        ("bookworm/updates", "https://deb.example.org/debian/dists/bookworm/updates/InRelease"),
        ("./", "https://deb.example.org/debian/InRelease"),
        ("/", "https://deb.example.org/debian/InRelease"),
        ("x86_64/", "https://deb.example.org/debian/x86_64/InRelease"),
        ("./x86_64/", "https://deb.example.org/debian/x86_64/InRelease"),
    ],
)
def test_release_is_where_the_suite_says(suite: str, url: str) -> None:
    assert replace(SOURCE, suite=suite).release_url("InRelease") == url
