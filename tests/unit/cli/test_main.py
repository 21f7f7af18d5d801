"""The command line: what is printed where, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner, Result

from image_composer import __version__
from image_composer.cli.main import cli
from image_composer.errors import EXIT_INTERRUPTED, EXIT_OURS, EXIT_USER
from image_composer.provider import load_providers
from image_composer.spec.reference import reference_markdown
from image_composer.spec.schema import image_schema
from image_composer.stages import STAGES
from support.composer import Composer, events, write_document
from support.specs import MINIMAL, SHA512_HASH, bare, manifest

SCREEN = 24
"""Lines of the smallest terminal in use."""


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def run(
    cache: Path, *words: str | Path, stdin: str | bytes = "", environment: Mapping[str, str] | None = None
) -> Result:
    """Run a command in this process."""
    settings = {"IMAGE_COMPOSER_CACHE_DIR": str(cache), "IMAGE_COMPOSER_HOST_SOURCES": "0", **(environment or {})}
    return CliRunner().invoke(cli, [str(word) for word in words], input=stdin, env=settings, prog_name="image-composer")


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Give the words of every command, groups too."""
    found = [path]
    for name, command in group.commands.items():
        found += commands(command, (*path, name)) if isinstance(command, click.Group) else [(*path, name)]
    return found


@pytest.mark.parametrize("words", commands(cli), ids=" ".join)
def test_every_command_explains_itself(cache: Path, words: tuple[str, ...]) -> None:
    for option in ("--help", "-h"):
        done = run(cache, *words, option)
        assert done.exit_code == 0
        assert done.stdout.startswith(f"Usage: image-composer {' '.join(words)}".rstrip())
        assert done.stderr == ""
    assert not cache.exists()


def test_the_version_is_the_package_s(cache: Path) -> None:
    assert run(cache, "--version").stdout == f"image-composer, version {__version__}\n"


@pytest.mark.parametrize(
    "words",
    [
        ("fly",),
        ("build",),
        ("validate",),
        ("cache", "fly"),
        ("stage", "fly", "--workspace", "w"),
        ("completion", "tcsh"),
        ("--log-format", "xml", "schema"),
        ("build", "-f", "edge.yaml", "--colour", "red"),
    ],
)
def test_wrong_arguments_are_the_user_s_mistake(cache: Path, words: tuple[str, ...]) -> None:
    done = run(cache, *words)
    assert done.exit_code == EXIT_USER
    assert done.stderr.startswith("Usage: ")
    assert "--help" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("document", [MINIMAL, manifest()])
def test_a_right_document_is_called_valid(cache: Path, tmp_path: Path, document: object) -> None:
    path = write_document(tmp_path, document)
    done = run(cache, "validate", path)
    assert (done.exit_code, done.stdout) == (0, f"{path}: valid\n")
    assert list((cache / "workspaces").iterdir()) == []


def test_a_document_is_read_from_standard_input(cache: Path) -> None:
    assert run(cache, "validate", "-", stdin=yaml.safe_dump(MINIMAL)).exit_code == 0
    done = run(cache, "validate", "-", stdin="a: [")
    assert done.exit_code == EXIT_USER
    assert "error: standard input is not valid YAML: line 1, column 5" in done.stderr


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            bare(version=1),
            [
                'error: version: must be text; quote it: "1"',
                "hint: 'image-composer schema' prints what a document may hold; docs/spec.md explains it",
                "[SPEC_INVALID]",
            ],
        ),
        (
            manifest(bare(colour="red", packages=["a*"])),
            [
                "error: 2 problems",
                "  spec.image.packages[0]: 'a*' has a wildcard; name each package, so that a new one can't slip in"
                " unnoticed",
                "  spec.image.colour: unknown field",
                "hint: 'image-composer schema' prints what a document may hold; docs/spec.md explains it",
                "[SPEC_INVALID]",
            ],
        ),
        (
            manifest(bare(target={"distribution": "beos", "release": "5"})),
            [
                "error: spec.image.target.distribution: 'beos' is not a known distribution;"
                f" known: {', '.join(sorted(load_providers()))}",
                "hint: 'image-composer providers' lists distributions, releases and architectures",
                "[SPEC_UNKNOWN_TARGET]",
            ],
        ),
        (
            bare(target={"distribution": "debian", "release": "5"}),
            [
                "error: target.release: '5' is not a known release of debian; known: 12, 13",
                "hint: 'image-composer providers' lists distributions, releases and architectures",
                "[SPEC_UNKNOWN_TARGET]",
            ],
        ),
        (
            bare(target={"distribution": "emt", "release": "3.0", "architecture": "aarch64"}),
            [
                "error: target.architecture: 'aarch64' is not a known architecture of Edge Microvisor Toolkit 3.0;"
                " known: x86_64",
                "hint: 'image-composer providers' lists distributions, releases and architectures",
                "[SPEC_UNKNOWN_TARGET]",
            ],
        ),
        (
            bare(mirrors={"ubuntu": "https://example.org"}),
            [
                "error: mirrors.ubuntu: Debian 12 (bookworm) has no archive of that name; known: debian,"
                " debian-security",
                "hint: 'image-composer schema' prints what a document may hold; docs/spec.md explains it",
                "[SPEC_INVALID]",
            ],
        ),
    ],
)
def test_an_error_says_where_what_and_what_to_do(
    cache: Path, tmp_path: Path, document: object, expected: list[str]
) -> None:
    done = run(cache, "validate", write_document(tmp_path, document))
    assert done.exit_code == EXIT_USER
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[lines.index(expected[0]) :] == expected
    assert len(lines) <= SCREEN


def test_machines_get_every_problem_as_json(cache: Path, tmp_path: Path) -> None:
    wrong = manifest(bare(version=1, packages=["a*"] * 30, users=[{"name": "a", "passwordHash": "secret"}]))
    done = run(cache, "--log-format", "json", "validate", write_document(tmp_path, wrong))
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.exit_code == EXIT_USER
    assert [line["kind"] for line in lines] == ["stage-started", "stage-failed", "error"]
    assert all(isinstance(line["time"], float) for line in lines)
    error = lines[-1]
    assert len(error["problems"]) == 32
    assert error["problems"][0] == {
        "path": "spec.image.version",
        "message": 'must be text; quote it: "1"',
        "code": "SPEC_INVALID",
    }
    assert (error["code"], error["retryable"], bool(error["hint"])) == ("SPEC_INVALID", False, True)
    assert "secret" not in done.stderr


@pytest.mark.parametrize("command", [("validate",), ("build", "-f"), ("lock", "-f")])
def test_a_missing_document_is_named(cache: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    done = run(cache, *command, tmp_path / "missing.yaml")
    assert done.exit_code == EXIT_USER
    assert f"error: {tmp_path}/missing.yaml: No such file or directory" in done.stderr
    assert done.stderr.endswith("[SPEC_UNREADABLE]\n")


def test_a_folder_or_an_endless_file_is_no_document(cache: Path, tmp_path: Path) -> None:
    assert "Is a directory" in run(cache, "validate", tmp_path).stderr
    assert "zero is larger than 1024 KiB" in run(cache, "validate", "/dev/zero").stderr


def test_wrong_settings_are_named_all_at_once(cache: Path, tmp_path: Path) -> None:
    wrong = {"IMAGE_COMPOSER_JOBS": "many", "IMAGE_COMPOSER_MIRROR_DEBIAN": "mirror"}
    done = run(cache, "validate", write_document(tmp_path, MINIMAL), environment=wrong)
    assert done.exit_code == EXIT_USER
    assert "IMAGE_COMPOSER_JOBS: must be a whole number of at least 1, not 'many'" in done.stderr
    assert "IMAGE_COMPOSER_MIRROR_DEBIAN: must be a URL" in done.stderr
    assert done.stderr.endswith("[SETTINGS_INVALID]\n")


def test_what_is_the_machine_s_fault_has_another_status(cache: Path, tmp_path: Path) -> None:
    offline = {"IMAGE_COMPOSER_OFFLINE": "1"}
    done = run(cache, "lock", "-f", write_document(tmp_path, MINIMAL), environment=offline)
    assert done.exit_code == EXIT_OURS
    assert done.stderr.endswith("[REPO_OFFLINE]\n")
    assert "hint: " in done.stderr


def test_a_cache_that_can_not_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run(tmp_path / "file", "validate", write_document(tmp_path, MINIMAL))
    assert done.exit_code == EXIT_OURS
    assert str(tmp_path / "file") in done.stderr
    assert "INTERNAL" not in done.stderr


def test_providers_are_listed_for_people_and_machines(cache: Path) -> None:
    rows = json.loads(run(cache, "providers", "--json").stdout)
    [debian] = [row for row in rows if (row["distribution"], row["release"]) == ("debian", "12")]
    assert debian.pop("profiles").keys() == {"minimal", "edge"}
    assert debian == {
        "distribution": "debian",
        "release": "12",
        "title": "Debian 12 (bookworm)",
        "architectures": ["aarch64", "x86_64"],
        "defaultProfile": "minimal",
    }
    header, *lines = run(cache, "providers").stdout.splitlines()
    assert header.split() == ["DISTRIBUTION", "RELEASE", "ARCHITECTURES", "PROFILES", "TITLE"]
    assert [line.split(maxsplit=4) for line in lines if line.startswith("debian")] == [
        ["debian", "12", "aarch64,x86_64", "minimal,edge", "Debian 12 (bookworm)"],
        ["debian", "13", "aarch64,x86_64", "minimal,edge", "Debian 13 (trixie)"],
    ]
    assert len({line.index(line.split(maxsplit=4)[4]) for line in lines}) == 1


def test_the_schema_and_its_explanation_are_printed(cache: Path) -> None:
    assert json.loads(run(cache, "schema").stdout) == image_schema()
    assert run(cache, "schema", "--markdown").stdout == reference_markdown()


def lock_file(folder: Path, name: str, **versions: str) -> Path:
    """Write a lock of packages by version."""
    packages: list[dict[str, Any]] = [
        {
            "name": package,
            "version": version,
            "architecture": "amd64",
            "url": f"https://example.org/{package}.deb",
            "sha256": "a" * 64,
            "size": 1,
            "installedSize": 1,
            "repository": "main",
            "source": package,
            "sourceVersion": version,
        }
        for package, version in versions.items()
    ]
    repository = {
        "id": "main",
        "url": "https://example.org",
        "suite": "a",
        "components": [],
        "releaseDigest": "b" * 64,
        "releaseTime": 0,
        "signedBy": [],
    }
    document = {
        "lockVersion": 1,
        "target": MINIMAL["target"],
        "requestDigest": "c" * 64,
        "repositories": [repository],
        "packages": packages,
    }
    return write_document(folder, document, name)


def test_two_locks_are_compared(cache: Path, tmp_path: Path) -> None:
    old = lock_file(tmp_path, "old.json", curl="1", vim="1")
    new = lock_file(tmp_path, "new.json", curl="2", vim="1")
    done = run(cache, "diff", old, new)
    assert done.exit_code == 0
    assert "curl" in done.stdout
    assert "vim" not in done.stdout
    assert "curl" in json.dumps(json.loads(run(cache, "diff", "--json", old, new).stdout))


def test_what_is_no_lock_is_refused(cache: Path, tmp_path: Path) -> None:
    broken = write_document(tmp_path, "{}", "broken.json")
    done = run(cache, "diff", broken, tmp_path / "missing.json")
    assert done.exit_code == EXIT_USER
    assert "broken.json" in done.stderr


@pytest.mark.parametrize(("shell", "current"), [("bash", "1"), ("zsh", "1"), ("fish", "va")])
def test_shells_complete_commands(cache: Path, shell: str, current: str) -> None:
    """What stands for the word that is being typed differs: its number, or the word."""
    script = run(cache, "completion", shell).stdout
    assert "_IMAGE_COMPOSER_COMPLETE" in script
    asked = {"_IMAGE_COMPOSER_COMPLETE": f"{shell}_complete", "COMP_WORDS": "image-composer va", "COMP_CWORD": current}
    done = CliRunner().invoke(cli, [], env=asked, prog_name="image-composer")
    assert "validate" in done.stdout


def test_the_cache_is_shown_trimmed_and_emptied(cache: Path) -> None:
    assert run(cache, "cache", "show").stdout == f"{cache}: 0 files, 0 B\n"
    assert run(cache, "cache", "trim").stdout == "removed 0 files, 0 B; 0 are in use\n"
    assert run(cache, "cache", "clear").stdout == "removed 0 files, 0 B; 0 are in use\n"
    assert list((cache / "workspaces").iterdir()) == []


def test_the_doctor_lists_what_it_looked_for(cache: Path) -> None:
    done = run(cache, "doctor")
    assert done.exit_code in (0, 1)
    assert "To compose images" in done.stdout
    assert str(cache) in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("stage", "validate"), "the stage validate needs --file"),
        (("stage", "publish"), "there is no place to publish to"),
    ],
)
def test_stages_say_what_they_need(cache: Path, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    done = run(cache, *words, "--workspace", tmp_path / "w")
    assert done.exit_code == EXIT_USER
    assert message in done.stderr


def test_a_stage_works_in_a_workspace_that_stays(cache: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "w"
    document = write_document(tmp_path, manifest(bare(users=[{"name": "me", "passwordHash": SHA512_HASH}])))
    assert run(cache, "stage", "validate", "--workspace", workspace, "-f", document).exit_code == 0
    spec = json.loads((workspace / "spec.json").read_text())
    assert (spec["path"], spec["image"]["name"]) == ("spec.image", "edge")
    assert not (cache / "workspaces").exists()


@pytest.mark.parametrize("stage", [stage.name for stage in STAGES if stage.reads])
def test_a_stage_out_of_order_names_what_is_missing(cache: Path, tmp_path: Path, stage: str) -> None:
    done = run(cache, "stage", stage, "--workspace", tmp_path / "w", "-o", tmp_path / "out")
    assert done.exit_code == EXIT_OURS
    assert done.stderr.endswith("[WORKSPACE_INCOMPLETE]\n")
    assert "image-composer stage --help" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_workspace_in_use_is_left_alone(cache: Path, tmp_path: Path) -> None:
    from image_composer.cli.workspaces import opened_workspace  # noqa: PLC0415 - the lock is what is tested

    with opened_workspace(tmp_path / "w", cache):
        done = run(cache, "stage", "resolve", "--workspace", tmp_path / "w")
    assert done.exit_code == EXIT_OURS
    assert done.stderr.endswith("[WORKSPACE_IN_USE]\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
@pytest.mark.parametrize("command", ["build", "lock"])
def test_an_interruption_ends_a_run_at_once_and_leaves_nothing(
    tmp_path: Path, number: signal.Signals, command: str
) -> None:
    """The mirror takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as mirror:
        mirror.settimeout(60)
        url = f"http://127.0.0.1:{mirror.getsockname()[1]}"
        archives = ("DEBIAN", "DEBIAN_SECURITY")
        composer = Composer(tmp_path / "cache", {f"IMAGE_COMPOSER_MIRROR_{name}": url for name in archives})
        with composer.start(command, "-f", write_document(tmp_path, MINIMAL), "-o", tmp_path / "out") as process:
            connection, _ = mirror.accept()
            with connection:
                connection.recv(1)
                assert len(composer.workspaces()) == 1
                process.send_signal(number)
                said = list(events(process))
                assert process.wait(20) == EXIT_INTERRUPTED
    assert [event["code"] for event in said if event["kind"] == "error"] == ["INTERRUPTED"]
    assert composer.workspaces() == []
    assert not (tmp_path / "out").exists()


def test_a_reader_that_goes_away_is_no_defect(tmp_path: Path) -> None:
    composer = Composer(tmp_path / "cache")
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(composer.argv("schema"), stdout=write, stderr=subprocess.PIPE, check=False, timeout=60)
    finally:
        os.close(write)
    assert done.returncode == EXIT_OURS
    assert done.stderr == b""


def test_the_program_makes_files_that_the_sandbox_can_read(tmp_path: Path) -> None:
    composer = Composer(tmp_path / "cache", prefix=["sh", "-c", 'umask 077; exec "$@"', "sh"])
    document = write_document(tmp_path, MINIMAL)
    assert composer.run("stage", "validate", "--workspace", tmp_path / "w", "-f", document).status == 0
    assert (tmp_path / "w/spec.json").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "w").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("command", ["validate", "render"])
def test_a_document_is_named_by_its_place_or_by_an_option_and_once(cache: Path, tmp_path: Path, command: str) -> None:
    document = write_document(tmp_path, MINIMAL)
    named, placed = run(cache, command, "-f", document), run(cache, command, document)
    assert (named.exit_code, named.stdout) == (placed.exit_code, placed.stdout) == (0, named.stdout)
    assert run(cache, command, "-", stdin=document.read_bytes()).exit_code == 0
    for words in ((), (document, "--file", document)):
        done = run(cache, command, *words)
        assert (done.exit_code, done.stdout) == (EXIT_USER, "")
        assert "document" in done.stderr
