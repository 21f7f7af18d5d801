"""What a document takes from elsewhere: brought by those who may, checked by those who use it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from image_composer.errors import RepositoryError, SpecError
from image_composer.spec.document import read_document
from image_composer.steps import inputs
from image_composer.steps.inputs import artifact_files, check_inputs, fetch_inputs, given_content
from support.httpserver import Content, HttpServer, Status, Truncated
from support.specs import bare, image_spec
from support.staged import build

CONTENT = b"\0content\xff"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
KEY = {"name": "gate", "key": "token"}


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of inputs as the operator mounts it and people make it."""
    for kind, content in (("configmaps", "from a ConfigMap"), ("secrets", "from a Secret")):
        place = tmp_path / "inputs" / kind / "gate"
        place.mkdir(parents=True)
        (place / "token").write_text(content)
    return tmp_path / "inputs"


def download(url: str, digest: str = DIGEST) -> dict[str, Any]:
    return {"path": "/etc/gate", "url": url, "sha256": digest}


def test_downloads_are_brought_once_and_used_from_the_workspace(server: HttpServer, tmp_path: Path) -> None:
    url = server.serve("/x", CONTENT)
    script = {"name": "a", "url": url, "sha256": DIGEST}
    own = {"path": "/etc/own", "content": "own"}
    current = build(tmp_path / "work", files=[own, download(url)], scripts=[script])
    fetch_inputs(current)
    assert given_content(current) == {"files[1]": CONTENT, "scripts[0]": CONTENT}
    fetch_inputs(build(tmp_path / "work", files=[download(url)]))
    assert len(server.requested("/x")) == 1


def test_another_content_than_the_document_s_is_refused_and_not_kept(server: HttpServer, tmp_path: Path) -> None:
    url = server.serve("/x", CONTENT, Content(b"something else"))
    current = build(tmp_path / "work", files=[download(url)])
    with pytest.raises(RepositoryError, match=r"files\[0\]: what http://.*/x gives has the SHA-256 .*, not") as caught:
        fetch_inputs(current)
    assert (caught.value.code, caught.value.retryable) == ("DOWNLOAD_WRONG_DIGEST", False)
    fetch_inputs(current)
    assert given_content(current) == {"files[0]": CONTENT}


@pytest.mark.parametrize("step", [Status(404), Status(403), Status(500), Truncated(2)])
def test_what_can_not_be_had_is_told_with_its_field(server: HttpServer, tmp_path: Path, step: Any) -> None:
    url = server.serve("/x", CONTENT, *[step] * 5)
    with pytest.raises(RepositoryError, match=r"files\[0\]"):
        fetch_inputs(build(tmp_path / "work", files=[download(url)]))


def test_a_download_has_its_limit(server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "LARGEST_DOWNLOAD", 4)
    with pytest.raises(RepositoryError, match="larger than the 4 bytes allowed") as caught:
        fetch_inputs(build(tmp_path / "work", files=[download(server.serve("/x", CONTENT))]))
    assert caught.value.code == "REPO_TOO_LARGE"


def test_what_somebody_changes_in_the_workspace_is_noticed(server: HttpServer, tmp_path: Path) -> None:
    artifact = {"path": "/srv/a", "url": server.serve("/x", CONTENT), "sha256": DIGEST, "size": len(CONTENT)}
    current = build(tmp_path / "work", files=[download(server.url("/x"))], artifacts=[artifact])
    fetch_inputs(current)
    assert [path.read_bytes() for path in artifact_files(current)] == [CONTENT]
    for name, use in (("files[0]", given_content), ("artifacts[0]", artifact_files)):
        place = current.workspace.input(name)
        place.unlink()
        place.write_bytes(b"changed")
        with pytest.raises(RepositoryError) as caught:
            use(current)
        assert caught.value.code == "DOWNLOAD_WRONG_DIGEST"


REFERRING = [{"path": "/a", "configMapRef": KEY}, {"path": "/b", "secretRef": KEY}]


def test_config_maps_and_secrets_are_read_where_they_lie(folder: Path, tmp_path: Path) -> None:
    current = build(tmp_path / "work", given=folder, files=REFERRING, scripts=[{"name": "c", "configMapRef": KEY}])
    assert given_content(current) == {
        "files[0]": b"from a ConfigMap",
        "files[1]": b"from a Secret",
        "scripts[0]": b"from a ConfigMap",
    }


def test_no_copy_of_a_secret_is_made(folder: Path, tmp_path: Path) -> None:
    current = build(tmp_path / "work", given=folder, files=REFERRING)
    fetch_inputs(current)
    given_content(current)
    assert not any(b"from a Secret" in path.read_bytes() for path in (tmp_path / "work").rglob("*") if path.is_file())


def test_without_them_a_document_is_refused_before_the_work(folder: Path, tmp_path: Path) -> None:
    document = read_document(str(bare(files=REFERRING)).replace("'", '"').encode(), "edge.json")
    (folder / "secrets/gate/token").unlink()
    current = build(tmp_path / "work", given=folder)
    check_inputs(current, document)  # where a cluster can be asked, nobody looks here
    with pytest.raises(SpecError) as caught:
        check_inputs(replace(current, stands_alone=True), document)
    assert [str(problem) for problem in caught.value.problems] == [
        f"files[1]: names the key token of the Secret gate, but there is no {folder}/secrets/gate/token"
    ]
    assert "IMAGE_COMPOSER_INPUTS" in (caught.value.hint or "")


def test_what_is_missing_when_it_is_needed_is_told(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        given_content(build(tmp_path / "work", files=REFERRING))
    assert str(caught.value.problems[0]) == (
        "spec.image.files[0]: names the key token of the ConfigMap gate, but no folder of inputs is given"
    )


def test_a_key_has_its_limit(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "LARGEST_INPUT", 4)
    with pytest.raises(SpecError) as caught:
        given_content(build(tmp_path / "work", given=folder, files=REFERRING))
    assert caught.value.problems[0].code == "SPEC_INPUT_TOO_LARGE"


@pytest.mark.parametrize("key", ["..", "."])
def test_a_key_that_is_a_folder_is_none(folder: Path, tmp_path: Path, key: str) -> None:
    files = [{"path": "/a", "configMapRef": {"name": "gate", "key": key}}]
    with pytest.raises(SpecError, match="names the key"):
        given_content(build(tmp_path / "work", given=folder, files=files))


@pytest.mark.parametrize("key", ["a/../../x", "/etc/passwd", "a\0b"])
def test_a_key_leads_to_no_other_place(key: str) -> None:
    with pytest.raises(ValueError, match=r"configMapRef[.]key"):
        image_spec(files=[{"path": "/a", "configMapRef": {"name": "gate", "key": key}}])
