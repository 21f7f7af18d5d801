"""One image of each release is composed and started once; all tests look at these. The releases come in turn."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator

import pytest

from image_composer.settings import Settings
from support.boots import BOOTS
from support.composer import Composer
from support.guest import FirstBoot, first_boot
from support.image import CANARY, RELEASES, Credentials, Image, compose, make_credentials


def pytest_configure() -> None:
    """Let failures of shared tests say what was compared, as those of other tests do."""
    pytest.register_assert_rewrite("support.started")


@pytest.fixture(scope="session", params=RELEASES, ids=lambda release: f"debian-{release}")
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    return make_credentials(tmp_path_factory.mktemp("credentials"), secrets.token_urlsafe(12))


@pytest.fixture(scope="session")
def composer() -> Composer:
    """The composer with the user's own cache, so that packages are fetched once a machine."""
    return Composer(Settings.from_environment(os.environ).cache_dir, {"SECRET_TOKEN": CANARY})


@pytest.fixture(scope="session")
def image(
    release: str, composer: Composer, credentials: Credentials, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Image]:
    folder = tmp_path_factory.mktemp(f"image-{release}")
    yield compose(composer, release, credentials, folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def booted(
    request: pytest.FixtureRequest,
    image: Image,
    credentials: Credentials,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[FirstBoot]:
    seen = first_boot(image, credentials, tmp_path_factory.mktemp("machine"))
    told = f"{image.spec.name}: login after {seen.login_seconds:.0f} s. {seen.facts['time'].text}"
    request.config.stash.setdefault(BOOTS, []).append(told.replace("\n", " "))
    yield seen
    seen.disk.unlink()
