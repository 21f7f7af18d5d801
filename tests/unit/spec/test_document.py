"""Reading documents: manifests and bare specs, and everything that is said about wrong ones."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from image_composer.errors import EXIT_USER, SpecError
from image_composer.spec.destination import S3Destination
from image_composer.spec.document import Placement, check_manifest, read_document, read_placement
from image_composer.spec.image import ImageSpec
from image_composer.spec.imagebuild import BuildRequest
from support.cluster.certificates import Authority
from support.specs import MINIMAL, PARTITIONS, SHA512_HASH, bare, manifest, problems, read, refused

OBJECT_NAME = "^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"
EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.yaml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_are_right(example: Path) -> None:
    assert read_document(example.read_bytes(), example.name).prefix == "spec.image"


@pytest.mark.parametrize("dump", [json.dumps, yaml.safe_dump])
@pytest.mark.parametrize(("document", "prefix"), [(MINIMAL, ""), (manifest(), "spec.image")])
def test_both_languages_and_both_forms_give_the_same_spec(dump: Any, document: object, prefix: str) -> None:
    found = read(dump(document).encode())
    assert (found.spec, found.prefix) == (ImageSpec.model_validate(MINIMAL), prefix)


def test_a_document_knows_where_its_fields_stand() -> None:
    assert read(manifest()).path("target") == "spec.image.target"
    assert read(MINIMAL).path("target") == "target"


def test_what_the_cluster_adds_to_a_manifest_is_passed_over() -> None:
    read(manifest(status={"conditions": []}, metadata={"name": "edge", "uid": "x", "labels": {"a": "b"}}))


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            manifest(apiVersion="imagecomposer.dev/v1", kind="Image"),
            [
                "apiVersion: must be 'imagecomposer.dev/v1alpha1', not 'imagecomposer.dev/v1'",
                "kind: must be 'ImageBuild', not 'Image'",
            ],
        ),
        ({"spec": {"image": MINIMAL}}, ["apiVersion: is missing", "kind: is missing", "metadata.name: is missing"]),
        (manifest(apiVersion=None), ["apiVersion: must be 'imagecomposer.dev/v1alpha1', not nothing"]),
        (manifest(metadata={}), ["metadata.name: is missing"]),
        (manifest(metadata=[]), ["metadata: must be a mapping, not a list"]),
        (manifest(metadata={"name": 12}), ['metadata.name: must be text; quote it: "12"']),
        (manifest(spec=None), ["spec: is missing"]),
        (manifest(spec="x"), ["spec: must be a mapping, not 'x'"]),
        (manifest(spec={}), ["spec.image: is missing"]),
        (manifest(spec={"image": []}), ["spec.image: must be a mapping, not a list"]),
        (manifest(extra=1), ["extra: unknown field"]),
        (
            manifest(spec={"image": MINIMAL, "destination": {}, "build": {"x": 1}, "suspend": "yes", "mood": 1}),
            [
                "spec.destination.s3: is missing",
                "spec.build.x: unknown field",
                "spec.suspend: input should be a valid boolean",
                "spec.mood: unknown field",
            ],
        ),
        (manifest(metadata={"name": "Edge_1"}), [f"metadata.name: 'Edge_1' does not match {OBJECT_NAME}"]),
        (
            manifest(metadata={"name": "edge", "namespace": "../other"}),
            [f"metadata.namespace: '../other' does not match {OBJECT_NAME}"],
        ),
        (
            manifest({**MINIMAL, "packages": ["*"]}, kind="Image"),
            [
                "kind: must be 'ImageBuild', not 'Image'",
                "spec.image.packages[0]: '*' has a wildcard; name each package, so that a new one can't slip in"
                " unnoticed",
            ],
        ),
    ],
)
def test_what_is_wrong_around_the_spec_is_said(document: object, expected: list[str]) -> None:
    assert problems(document) == expected


def requesting(**request: Any) -> dict[str, Any]:
    """Give an ImageBuild with something beside the image."""
    return manifest(spec={"image": MINIMAL, **request})


def to_s3(**fields: Any) -> dict[str, Any]:
    return requesting(destination={"s3": {"bucket": "images", **fields}})


def test_what_stands_beside_the_image_is_read() -> None:
    found = read(
        requesting(
            destination={"s3": {"bucket": "images", "prefix": "edge", "credentialsSecretRef": {"name": "s3"}}},
            build={
                "timeout": "1h",
                "resources": {"assemble": {"limits": {"memory": "4Gi"}}},
                "cache": {"hostPath": "/c"},
            },
            retention={"objects": "delete", "ttlAfterFinished": "24h"},
            lockRef={"name": "edge-lock"},
            suspend=True,
        )
    )
    assert found.request.destination is not None
    assert found.request.destination.s3.prefix == "edge"
    assert found.request.build.resources["assemble"].limits.memory == "4Gi"
    assert found.request.suspend
    assert not found.request.cancel


def test_a_document_knows_its_name_and_namespace() -> None:
    assert (read(manifest()).name, read(manifest()).namespace) == ("edge", "default")
    assert read(manifest(metadata={"name": "a.b", "namespace": "team"})).namespace == "team"
    assert read(manifest(metadata={"name": "a", "namespace": None})).namespace == "default"
    bare_one = read(bare(name="gateway"))
    assert (bare_one.name, bare_one.namespace, bare_one.request) == ("gateway", "default", BuildRequest())


def test_a_manifest_that_is_parsed_already_is_checked_in_the_same_way() -> None:
    cluster = {"uid": "1", "resourceVersion": "7", "managedFields": [{"manager": "x"}], "generation": 3}
    tree = manifest(metadata={"name": "edge", "namespace": "team", **cluster}, status={"conditions": []})
    assert check_manifest(tree) == read(tree)
    with pytest.raises(SpecError) as caught:
        check_manifest({**tree, "spec": {"image": bare(colour=1), "suspend": 1}})
    assert [problem.path for problem in caught.value.problems] == ["spec.suspend", "spec.image.colour"]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (requesting(destination={}), ["spec.destination.s3: is missing"]),
        (requesting(destination="s3://images"), ["spec.destination: must be a mapping, not 's3://images'"]),
        (requesting(destination={"s3": {}}), ["spec.destination.s3.bucket: is missing"]),
        (
            to_s3(bucket="My_Bucket"),
            ["spec.destination.s3.bucket: 'My_Bucket' does not match ^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"],
        ),
        (to_s3(accessKey="x"), ["spec.destination.s3.accessKey: unknown field"]),
        (to_s3(credentialsSecretRef={}), ["spec.destination.s3.credentialsSecretRef.name: is missing"]),
        (
            to_s3(endpoint="http://s3.example.org", caBundle="x"),
            [
                "spec.destination.s3.caBundle: is without use: the endpoint is http, where no certificate is shown",
                "spec.destination.s3.caBundle: must be certificates in PEM, each between BEGIN CERTIFICATE and END"
                " CERTIFICATE",
            ],
        ),
        (
            to_s3(caBundle="-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n"),
            ["spec.destination.s3.caBundle: holds a private key; give certificates only"],
        ),
        (
            to_s3(caBundle="-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"),
            [
                "spec.destination.s3.caBundle: must be certificates in PEM, each between BEGIN CERTIFICATE and END"
                " CERTIFICATE"
            ],
        ),
        (
            requesting(build={"cache": {}}),
            ["spec.build.cache: must hold exactly one of persistentVolumeClaim and hostPath"],
        ),
        (
            requesting(build={"cache": {"hostPath": "/c", "persistentVolumeClaim": "c"}}),
            ["spec.build.cache: must hold exactly one of persistentVolumeClaim and hostPath"],
        ),
        (
            requesting(build={"workspace": {"medium": "memory", "ephemeralVolume": {}}}),
            ["spec.build.workspace.medium: 'memory' and ephemeralVolume exclude each other"],
        ),
        (
            requesting(build={"workspace": {"medium": "tape"}}),
            ["spec.build.workspace.medium: must be 'disk' or 'memory', not 'tape'"],
        ),
        (
            requesting(build={"resources": {"bake": {}}}),
            [
                "spec.build.resources.bake: must be 'validate', 'resolve', 'fetch', 'assemble', 'image',"
                " 'attest', 'verify' or 'publish', not 'bake'"
            ],
        ),
        (requesting(build={"retries": 11}), ["spec.build.retries: input should be less than or equal to 10"]),
        (requesting(build={"retries": "1"}), ["spec.build.retries: input should be a valid integer"]),
        (
            requesting(retention={"objects": "burn", "ttlAfterFinished": 5}),
            [
                "spec.retention.objects: must be 'keep' or 'delete', not 'burn'",
                'spec.retention.ttlAfterFinished: must be text; quote it: "5"',
            ],
        ),
        (requesting(lockRef={}), ["spec.lockRef.name: is missing"]),
        (
            requesting(inputs={"s3": {"endpoint": "http://s3.example.org", "caBundle": "x", "bucket": "b"}}),
            ["spec.inputs.s3.bucket: unknown field"],
        ),
        (
            requesting(inputs={"s3": {"endpoint": "http://s3.example.org", "caBundle": "PRIVATE KEY"}}),
            [
                "spec.inputs.s3.caBundle: is without use: the endpoint is http, where no certificate is shown",
                "spec.inputs.s3.caBundle: holds a private key; give certificates only",
            ],
        ),
        (
            requesting(inputs={"s3": {}}),
            ["spec.inputs: is without use: nothing of the image comes from s3://BUCKET/KEY"],
        ),
        (
            requesting(secureBoot={"key": "x"}),
            ["spec.secureBoot.keySecretRef: is missing", "spec.secureBoot.key: unknown field"],
        ),
        (
            requesting(secureBoot={"keySecretRef": {"name": "key"}}),
            ["spec.secureBoot: is without use: image.secureBoot says for what"],
        ),
        (
            requesting(build={"cache": {}, "retries": -1}, destination={"s3": {"bucket": "b", "caBundle": "x"}}),
            [
                "spec.destination.s3.bucket: 'b' does not match ^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
                "spec.build.retries: input should be greater than or equal to 0",
            ],
        ),
    ],
)
def test_what_is_wrong_beside_the_image_is_said_with_its_path(document: object, expected: list[str]) -> None:
    assert problems(document) == expected


def test_what_spans_fields_is_checked_where_another_one_is_wrong() -> None:
    found = problems(requesting(build={"cache": {}}, retention={"objects": "burn"}))
    assert [problem.split(":")[0] for problem in found] == ["spec.retention.objects", "spec.build.cache"]


def test_certificates_are_accepted(tmp_path: Path) -> None:
    bundle = "# ours\n" + Authority.at(tmp_path, "ca").certificate.read_text() * 2
    found = read(to_s3(endpoint="https://s3.example.org:9000", caBundle=bundle)).request.destination
    assert found is not None
    assert found.s3.ca_bundle == bundle


def test_messages_never_repeat_the_password_of_an_address() -> None:
    error = refused(to_s3(endpoint="https://me:secret@s3.example.org"))
    assert "secret" not in error.message
    assert "//***@s3.example.org" in error.message


def test_the_placement_is_read_whatever_is_wrong_with_the_image() -> None:
    tree = {**to_s3(prefix="edge"), "spec": {"image": [], "suspend": 7, "destination": {"s3": {"bucket": "images"}}}}
    expected = Placement(S3Destination(bucket="images"), "default", "edge")
    assert read_placement(json.dumps(tree).encode(), "x") == expected


@pytest.mark.parametrize("document", [MINIMAL, manifest(), manifest(spec=[])])
def test_a_document_may_say_nothing_of_its_placement(document: object) -> None:
    assert read_placement(json.dumps(document).encode(), "x") is None


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (to_s3(bucket="-"), "spec.destination.s3.bucket"),
        (to_s3(caBundle="x"), "spec.destination.s3.caBundle"),
        ({**to_s3(), "metadata": {"name": "../.."}}, "metadata.name"),
        ({**to_s3(), "metadata": {"name": ""}}, "metadata.name"),
        ({**to_s3(), "metadata": {}}, "metadata.name"),
        (requesting(destination=[]), "spec.destination"),
    ],
)
def test_a_placement_that_is_wrong_is_refused(document: object, path: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_placement(json.dumps(document).encode(), "x")
    assert [problem.path for problem in caught.value.problems] == [path]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, ["name: is missing", "version: is missing", "target: is missing"]),
        (bare(colour="red"), ["colour: unknown field"]),
        (bare(install_recommends=True, installRecommends=True), ["install_recommends: unknown field"]),
        (bare(target={"distribution": "debian", "release": "12", "arch": "x"}), ["target.arch: unknown field"]),
        (bare(kernel={"cmdline": []}), ["kernel.cmdline: unknown field"]),
        (bare(users=[{"name": "me", "password": "x"}]), ["users[0].password: unknown field"]),
        (bare(disk={"partitions": [*PARTITIONS, 7]}), ["disk.partitions[2]: must be a mapping, not 7"]),
        (bare(outputs=[{"format": "raw", "x": 1}]), ["outputs[0].x: unknown field"]),
        (bare(**{"a b\x1b": 1}), [r"['a b\x1b']: unknown field"]),
        (bare(version=1), ['version: must be text; quote it: "1"']),
        (bare(version=1.1), ["version: must be text; put it in quotes"]),
        (bare(version=True), ["version: must be text; put it in quotes"]),
        (bare(version=None), ["version: must be text"]),
        (bare(version=["1"]), ["version: must be text"]),
        (bare(target={"distribution": "debian", "release": 12}), ['target.release: must be text; quote it: "12"']),
        (bare(target="debian"), ["target: must be a mapping, not 'debian'"]),
        (bare(packages="curl"), ["packages: must be a list, not 'curl'"]),
        (bare(mirrors=["x"]), ["mirrors: must be a mapping, not a list"]),
        (bare(packages=["curl", 7]), ['packages[1]: must be text; quote it: "7"']),
        (bare(mutability="soft"), ["mutability: must be 'mutable' or 'immutable', not 'soft'"]),
        (bare(mutability={}), ["mutability: must be 'mutable' or 'immutable', not a mapping"]),
        (bare(name="No"), ["name: 'No' does not match ^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$"]),
        (bare(name="a\n"), [r"name: 'a\n' does not match ^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$"]),
        (bare(outputs=[]), ["outputs: list should have at least 1 item after validation, not 0"]),
        (bare(users=[{"name": "a", "uid": 1}]), ["users[0].uid: input should be greater than or equal to 1000"]),
        (bare(mirrors={"debian": "x"}), ["mirrors.debian: 'x' does not match ^(https?|file)://[!-~]+$"]),
        (bare(mirrors={"A B": "https://example.org"}), ["mirrors['A B']: 'A B' does not match ^[a-z0-9-]{1,64}$"]),
        (bare(users=[{"name": "a", "home": "/a/../b"}]), ["users[0].home: must not hold '.' or '..' between slashes"]),
        (bare(sourceDateEpoch=0), ["sourceDateEpoch: input should be greater than or equal to 315532800"]),
    ],
)
def test_what_is_wrong_with_fields_is_said_with_their_paths(document: object, expected: list[str]) -> None:
    assert problems(document) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{name: a, version: 2024-01-01}", "version: must be text; put it in quotes"),
        ("{name: a, version: 0x" + "f" * 5000 + "}", 'version: must be text; quote it: "a long number"'),
    ],
    ids=["a date", "a long number"],
)
def test_what_yaml_takes_for_something_else_is_to_be_quoted(text: str, expected: str) -> None:
    assert expected in problems(text.replace("{", "").replace("}", "").replace(", ", "\n").encode())


def test_every_problem_is_found_at_once() -> None:
    """Those of fields, those that span fields which are right, and those around the spec."""
    image = bare(
        name="Edge",
        packages=["curl", "vim", "curl=1", "a b"],
        users=[{"name": "me", "uid": 1000}, {"name": "me", "sudo": "password"}],
        kernel={"commandLine": ["quiet", "root=/dev/sda"]},
        disk={"partitions": PARTITIONS[:1]},
        immutable={"etc": "volatile"},
        outputs=[{"format": "floppy"}],
    )
    error = refused(manifest(image, kind="Image"))
    assert [problem.path for problem in error.problems] == [
        "kind",
        "spec.image.name",
        "spec.image.packages[3]",
        "spec.image.outputs[0].format",
        "spec.image.kernel.commandLine[1]",
        "spec.image.users",
        "spec.image.users[1].sudo",
        "spec.image.immutable",
        "spec.image.disk.partitions",
    ]
    assert error.exit_status == EXIT_USER
    assert "image-composer schema" in (error.hint or "")


def test_codes_tell_machines_what_kind_of_problem_it_is() -> None:
    error = refused(manifest({"name": "a", "colour": 1, "version": "1"}, extra=1))
    assert {problem.path: problem.code for problem in error.problems} == {
        "extra": "SPEC_UNKNOWN_FIELD",
        "spec.image.colour": "SPEC_UNKNOWN_FIELD",
        "spec.image.target": "SPEC_MISSING_FIELD",
    }


@pytest.mark.parametrize("wrong", [SHA512_HASH + "x", "$1$saltsalt$9xy1btjgzLYfb7hivXtC//", "secret", ["secret"]])
def test_messages_never_repeat_a_password(wrong: object) -> None:
    error = refused(bare(users=[{"name": "me", "passwordHash": wrong, "sudo": "no"}]))
    assert "users[0].passwordHash" in error.message
    said = f"{error.message}{error.hint}"
    assert not any(secret in said for secret in ("secret", "saltsalt"))


def test_models_never_repeat_a_password_when_they_refuse() -> None:
    with pytest.raises(ValueError, match="users") as caught:
        ImageSpec.model_validate(bare(users=[{"name": "me", "passwordHash": "secret"}]))
    assert "secret" not in str(caught.value)


def test_long_values_are_not_repeated_in_whole() -> None:
    document = manifest(bare(name="x" * 100_000, **{"y" * 100_000: 1}), apiVersion="z" * 100_000)
    assert len(refused(document).message) < 1000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
FULL: dict[str, Any] = bare(
    packages=["curl"],
    excludePackages=["nano"],
    installRecommends=True,
    kernel={"package": "linux", "version": "6.*", "commandLine": ["quiet"]},
    repositories=[{"id": "mine", "url": "https://example.org", "suite": "a", "key": "k", "priority": 1}],
    mirrors={"debian": "https://example.org"},
    hostname="edge",
    users=[{"name": "me", "groups": ["audio"], "sshAuthorizedKeys": ["x"], "uid": 1000, "shell": "/bin/sh"}],
    disk={"size": "4GiB", "partitions": PARTITIONS},
    mutability="mutable",
    outputs=[{"format": "raw", "compression": "zstd"}],
    sourceDateEpoch=1_700_000_000,
)
REQUEST: dict[str, Any] = {
    "destination": {"s3": {"bucket": "images", "endpoint": "https://s3.example.org", "forcePathStyle": True}},
    "build": {
        "timeout": "1h",
        "resources": {"assemble": {"limits": {"memory": "4Gi"}}},
        "workspace": {"size": "10Gi", "medium": "memory"},
        "cache": {"hostPath": "/cache"},
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "nodeSelector": {"kubernetes.io/os": "linux"},
    },
    "retention": {"objects": "keep"},
    "lockRef": {"name": "lock"},
    "suspend": False,
}


def places(tree: object, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Give the way to every value of a tree."""
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [at, *(place for key, child in children for place in places(child, (*at, key)))]


@settings(deadline=None)  # other work on the machine is no defect
@given(st.sampled_from(places(manifest(spec={"image": FULL, **REQUEST}))[1:]), JSON)
def test_whatever_stands_in_a_field_is_read_or_refused(place: tuple[Any, ...], value: object) -> None:
    document = json.loads(json.dumps(manifest(spec={"image": FULL, **REQUEST})))
    parent = document
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = value
    read_or_refuse(document)


@settings(deadline=None)  # other work on the machine is no defect
@given(st.dictionaries(st.sampled_from([*FULL, *manifest()]) | st.text(max_size=5), JSON, max_size=5))
def test_whatever_a_mapping_holds_is_read_or_refused(document: dict[str, Any]) -> None:
    read_or_refuse(document)


@pytest.mark.parametrize(
    "text", [r'{"\ud800": 1}', r'{"name": "\ud800"}', r'{"mirrors": {"\ud800": "x"}}', '{"sourceDateEpoch": NaN}']
)
def test_what_json_can_say_and_text_can_not_is_refused(text: str) -> None:
    read_or_refuse(text.encode())


def read_or_refuse(document: object) -> None:
    with suppress(SpecError):
        read(document)
