"""Files and folders of the document."""

from __future__ import annotations

from typing import Any

import pytest

from image_composer.errors import AssemblyError
from image_composer.root import operations
from image_composer.root.customise.files import file_changes, folder_changes
from image_composer.root.operations import Operation
from image_composer.spec.files import File, Folder
from support.customised import only, root

PLACE = "/etc/gate.conf"
KEY = {"name": "gate", "key": "token"}


@pytest.mark.parametrize(
    ("wanted", "given", "expected"),
    [
        ({"content": "a\r\n$(id)"}, None, operations.write(PLACE, "a\r\n$(id)")),
        ({"content": ""}, None, operations.write(PLACE, "")),
        ({"contentBase64": "AAEC\n Aw=="}, None, operations.write(PLACE, b"\0\1\2\3")),
        ({"url": "https://example.org/x", "sha256": "0" * 64}, b"\xff", operations.write(PLACE, b"\xff")),
        ({"configMapRef": KEY}, b"x", operations.write(PLACE, b"x")),
        ({"secretRef": KEY}, b"x", operations.write(PLACE, b"x", mode=0o600)),
        ({"secretRef": KEY, "mode": "0640"}, b"x", operations.write(PLACE, b"x", mode=0o640)),
        ({"link": "/srv/gate"}, None, operations.link(PLACE, "/srv/gate")),
        (
            {"content": "x", "mode": "0750", "owner": "alice", "group": "operators"},
            None,
            operations.write(PLACE, "x", mode=0o750, uid=1000, gid=900),
        ),
    ],
)
def test_a_file_is_what_its_one_source_says(wanted: dict[str, Any], given: bytes | None, expected: Operation) -> None:
    file = File.model_validate({"path": PLACE, **wanted})
    assert only(file_changes([file], {} if given is None else {0: given}, root())) == expected


def test_a_folder_has_owner_and_mode() -> None:
    folder = Folder(path="/srv/gate", mode="2775", owner="alice", group="operators")
    expected = operations.folder("/srv/gate", mode=0o2775, uid=1000, gid=900)
    assert only(folder_changes([folder], root())) == expected


@pytest.mark.parametrize(("field", "kind"), [("owner", "user"), ("group", "group")])
def test_an_owner_that_the_image_lacks_is_told(field: str, kind: str) -> None:
    wanted = {"path": PLACE, field: "nobody-here"}
    expected = f"{PLACE} is to belong to the {kind} nobody-here, which the image doesn't have"
    with pytest.raises(AssemblyError, match=expected):
        file_changes([File.model_validate({**wanted, "content": ""})], {}, root())
    with pytest.raises(AssemblyError, match=expected):
        folder_changes([Folder.model_validate(wanted)], root())
