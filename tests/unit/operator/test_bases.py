"""ImageBuilds that build on others: what is asked of the cluster, and what becomes of the document."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from image_composer.errors import SpecError
from image_composer.spec.document import check_manifest, read_document
from image_composer.spec.image import ImageSpec
from image_composer.spec.layers.compose import Address, Surroundings
from image_composer_operator.bases import Bases
from image_composer_operator.cluster import Cluster
from image_composer_operator.decide import WAIT_FOR_LOCK
from image_composer_operator.index import Index
from image_composer_operator.job import document
from image_composer_operator.metrics import Metrics
from image_composer_operator.model import Body, Plan, make_plan, read_build
from image_composer_operator.names import ANNOTATION_DOCUMENT
from image_composer_operator.reconcile import Reconciler, needs_nothing
from image_composer_operator.settings import Defaults
from support.builds import SETTINGS, build, decided, image, plan_of, standing

BASE = """\
packages: [vim]
mutability: immutable
hostname: gw-${SITE}
variables: [{name: SITE}]
users: [{name: alice, sudo: passwordless}]
messages: {motd: "$${x}"}
"""

ON_SITE = {"configMapRef": {"name": "site", "key": "image.yaml"}}


class Namespace(Cluster):
    """A cluster of which only ConfigMaps and ImageBuilds are asked."""

    def __init__(self, config_maps: Mapping[tuple[str, str], str], *builds: Body) -> None:
        self.config_maps = config_maps
        self.builds = {body["metadata"]["name"]: body for body in builds}
        self.asked: list[str] = []

    async def get(self, resource: Any, namespace: str, name: str) -> Body | None:
        assert namespace == "images"
        self.asked.append(f"{resource}/{name}")
        if resource == "imagebuilds":
            return self.builds.get(name)
        data = {key: text for (of, key), text in self.config_maps.items() if of == name}
        return {"data": data} if data else None


def defaulted(body: Body) -> Body:
    """Give an ImageBuild as an API server keeps it: with the defaults of the image's fields filled in."""
    given = body["spec"]["image"]
    full = ImageSpec.model_validate({**given, "extends": []}).model_dump(mode="json", by_alias=True, exclude_none=True)
    kept = {name: given[name] for name in ("extends", "remove", "variables", "values") if name in given}
    return {**body, "spec": {**body["spec"], "image": {**full, **kept}}}


def looked_up(cluster: Cluster, body: Body) -> tuple[Surroundings | None, str]:
    return asyncio.run(Bases(cluster, Index()).surroundings(read_build(body)))


def planned(cluster: Cluster, body: Body) -> Plan:
    surroundings, missing = looked_up(cluster, body)
    assert missing == ""
    return make_plan(read_build(body), Defaults(), None, surroundings=surroundings)


def site(text: str = BASE, **more: str) -> Namespace:
    return Namespace({("site", "image.yaml"): text, **{("site", key): value for key, value in more.items()}})


def test_the_pod_gets_the_document_that_a_laptop_would_build() -> None:
    body = defaulted(build(image=image(extends=[ON_SITE], values={"SITE": "berlin"}, packages=["chrony"])))
    plan = planned(site(), body)
    assert plan.spec.image.packages == ["vim", "chrony"]
    assert plan.spec.image.mutability == "immutable"
    assert plan.spec.image.hostname == "gw-berlin"
    in_the_pod = read_document(document(read_build(body), plan).encode(), "imagebuild.json")
    assert in_the_pod.spec == plan.spec.image
    assert in_the_pod.spec.messages.motd == "${x}"
    undefaulted = build(image=image(extends=[ON_SITE], values={"SITE": "berlin"}, packages=["chrony"]))
    surroundings, _ = looked_up(site(), body)
    on_a_laptop = check_manifest(undefaulted, surroundings)
    assert on_a_laptop.spec == plan.spec.image


def test_a_changed_base_is_another_build() -> None:
    body = build(image=image(extends=[ON_SITE], values={"SITE": "berlin"}))
    before, after = planned(site(), body), planned(site(BASE.replace("vim", "nano")), body)
    assert before.content_digest != after.content_digest
    assert before.job != after.job
    assert planned(site(BASE + "# a comment\n"), body).job == before.job


def test_another_imagebuild_is_built_on_with_what_it_builds_on() -> None:
    base = defaulted(
        build(
            metadata={"name": "base", "uid": "b"},
            image=image(name="base", extends=[ON_SITE], values={"SITE": "hamburg"}, packages=["curl"]),
        )
    )
    cluster = Namespace({("site", "image.yaml"): BASE}, base)
    body = defaulted(build(image=image(extends=[{"imageBuildRef": {"name": "base"}}], remove=["packages[vim]"])))
    plan = planned(cluster, body)
    assert plan.spec.image.name == "edge"
    assert plan.spec.image.hostname == "gw-hamburg"
    assert plan.spec.image.mutability == "immutable"
    assert plan.spec.image.packages == ["curl", "chrony"]
    assert cluster.asked == ["imagebuilds/base", "configmaps/site"]


def test_who_builds_on_nothing_asks_for_nothing() -> None:
    cluster = site()
    assert looked_up(cluster, build()) == (None, "")
    assert looked_up(cluster, {**build(), "spec": None}) == (None, "")
    assert cluster.asked == []


def test_what_is_missing_is_waited_for() -> None:
    body = build(image=image(extends=[ON_SITE]))
    _, missing = looked_up(Namespace({}), body)
    assert missing == "the ConfigMap site, or its key image.yaml, that spec.image.extends leads to is not there"
    decision = decided(body, base_missing=missing)
    assert standing(decision) == ("MissingBase", {"Ready": "False", "Reconciling": "True"})
    assert decision.again_after
    assert not decision.actions
    _, missing = looked_up(Namespace({}), build(image=image(extends=[{"imageBuildRef": {"name": "other"}}])))
    assert missing == "the ImageBuild other that spec.image.extends leads to is not there"


def test_a_finished_build_does_not_miss_its_base_until_its_spec_changes() -> None:
    body = build(image=image(extends=[{"imageBuildRef": {"name": "base"}}]))
    finished = {"finishedAt": "2026-01-01T00:00:00Z", "observedGeneration": 1, "jobName": "edge-1"}
    assert needs_nothing(read_build({**body, "status": finished}))
    changed = {**body, "metadata": {**body["metadata"], "generation": 2}, "status": finished}
    assert not needs_nothing(read_build(changed))
    waiting = decided(changed, base_missing="it is not there")
    assert not needs_nothing(read_build({**changed, "status": waiting.status.as_json()}))


@pytest.mark.parametrize(
    ("extends", "texts", "said"),
    [
        ([{"file": "base.yaml"}], {}, "spec.image.extends[0]: names a file, but there are none beside ImageBuild edge"),
        (
            [{"imageBuildRef": {"name": "edge"}}],
            {},
            "spec.image.extends[0]: leads back to where it came from: ImageBuild edge -> ImageBuild edge",
        ),
        ([ON_SITE], {"image.yaml": "a: &x\nb: *x"}, "ConfigMap site/image.yaml is not valid YAML"),
        ([ON_SITE], {"image.yaml": "packages: ['*']"}, "ConfigMap site/image.yaml: packages[0]: '*' has a wildcard"),
        (
            [ON_SITE],
            {"image.yaml": "extends: [{configMapRef: {name: site, key: image.yaml}}]"},
            "leads back to where it came from: ConfigMap site/image.yaml -> ConfigMap site/image.yaml",
        ),
    ],
)
def test_what_can_not_become_one_document_is_an_invalid_spec(
    extends: list[Body], texts: Mapping[str, str], said: str
) -> None:
    body = build(image=image(extends=extends))
    with pytest.raises(SpecError) as caught:
        planned(Namespace({("site", key): text for key, text in texts.items()}), body)
    assert said in str(caught.value)


def test_there_is_an_end_to_what_is_asked_for() -> None:
    def refs(*keys: str) -> list[Body]:
        return [{"configMapRef": {"name": "site", "key": key}} for key in keys]

    def keys(prefix: str) -> list[str]:
        return [f"{prefix}{number}" for number in range(9)]

    texts = {key: json.dumps({"extends": refs(*keys(key))}) for key in ["a", "b", *keys("a")]}
    texts |= {key: "packages: [vim]" for above in ["b", *keys("a")] for key in keys(above)}
    cluster = site(**texts)
    with pytest.raises(SpecError, match="is one document too many"):
        planned(cluster, build(image=image(extends=refs("a", "b"))))
    assert len(cluster.asked) == 32


def test_a_text_is_parsed_once() -> None:
    async def body() -> None:
        bases = Bases(site(), Index())
        builds = read_build(build(image=image(extends=[ON_SITE], values={"SITE": "x"})))
        first, _ = await bases.surroundings(builds)
        second, _ = await bases.surroundings(builds)
        assert first is not None
        assert second is not None
        address = Address("ConfigMap", "site", "image.yaml")
        assert first.load(address) is second.load(address)

    asyncio.run(body())


def test_documents_that_build_on_nothing_are_given_as_they_were_written() -> None:
    body = build()
    assert plan_of(body).image == body["spec"]["image"]


class Working(Namespace):
    """One in which Jobs can be made, too."""

    def __init__(self, config_maps: Mapping[tuple[str, str], str], *builds: Body) -> None:
        super().__init__(config_maps, *builds)
        self.jobs: list[Body] = []
        self.statuses: list[Body] = []

    async def create_job(self, manifest: Mapping[str, Any]) -> Body:
        self.jobs.append(manifest)
        added = {"uid": "job", "resourceVersion": "200", "creationTimestamp": "2026-01-01T00:00:00Z"}
        return {**manifest, "metadata": {**manifest["metadata"], **added}}

    async def patch_status(self, build: Body, patch: Mapping[str, Any]) -> Body:
        self.statuses.append(patch)
        metadata = {**build["metadata"], "resourceVersion": str(int(build["metadata"]["resourceVersion"]) + 1)}
        return {**build, "metadata": metadata, "status": {**(build.get("status") or {}), **patch}}

    async def post_event(self, build: Body, *, kind: str, reason: str, message: str, instance: str) -> None:
        pass


def test_a_build_waits_for_its_base_and_then_begins_with_it() -> None:
    async def body() -> None:
        cluster, index = Working({}), Index()
        index.put("imagebuilds", build(image=image(extends=[ON_SITE], values={"SITE": "berlin"})), "list")
        settings = SETTINGS.model_copy(update={"require_namespace_label": False})
        reconciler = Reconciler(cluster, index, settings, Metrics("1"), "test")
        assert await reconciler.reconcile(("images", "edge")) == WAIT_FOR_LOCK
        assert cluster.statuses[0]["conditions"][0]["reason"] == "MissingBase"
        assert cluster.jobs == []
        cluster.config_maps = {("site", "image.yaml"): BASE}
        await reconciler.reconcile(("images", "edge"))
        (job,) = cluster.jobs
        annotations = job["spec"]["template"]["metadata"]["annotations"]
        given = json.loads(annotations[ANNOTATION_DOCUMENT])["spec"]["image"]
        assert given["hostname"] == "gw-berlin"
        assert given["packages"] == ["vim", "chrony"]
        assert "extends" not in given

    asyncio.run(body())
