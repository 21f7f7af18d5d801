"""Settings as environment variables give them."""

from __future__ import annotations

from pathlib import Path

import pytest

from image_composer.errors import SpecError
from image_composer.settings import GIB, MIB, Settings


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"IMAGE_COMPOSER_CACHE_DIR": "/var/cache/ic", "HOME": "/home/me"}, "/var/cache/ic"),
        ({"XDG_CACHE_HOME": "/xdg", "HOME": "/home/me"}, "/xdg/image-composer"),
        ({"HOME": "/home/me"}, "/home/me/.cache/image-composer"),
        ({"IMAGE_COMPOSER_CACHE_DIR": "", "HOME": "/home/me"}, "/home/me/.cache/image-composer"),
    ],
)
def test_the_cache_is_where_the_user_keeps_caches(environment: dict[str, str], expected: str) -> None:
    assert Settings.from_environment(environment).cache_dir == Path(expected)


def test_numbers_are_read_and_default_when_empty() -> None:
    environment = {"IMAGE_COMPOSER_CACHE_SIZE_MIB": "512", "IMAGE_COMPOSER_RETRIES": "", "IMAGE_COMPOSER_OFFLINE": "1"}
    settings = Settings.from_environment(environment)
    assert (settings.cache_bytes, settings.retries, settings.offline) == (512 * MIB, 4, True)
    assert Settings.from_environment({}).cache_bytes == 10 * GIB


def test_every_wrong_number_is_named() -> None:
    with pytest.raises(SpecError) as caught:
        Settings.from_environment(
            {
                "IMAGE_COMPOSER_JOBS": "0",
                "IMAGE_COMPOSER_TIMEOUT": "soon",
                "IMAGE_COMPOSER_RETRIES": "9" * 5000,
                "IMAGE_COMPOSER_MIRROR_DEBIAN": "mirror.example",
            }
        )
    assert [problem.path.removeprefix("IMAGE_COMPOSER_") for problem in caught.value.problems] == [
        "JOBS",
        "TIMEOUT",
        "RETRIES",
        "MIRROR_DEBIAN",
    ]


def test_mirrors_are_read_by_archive() -> None:
    environment = {
        "IMAGE_COMPOSER_MIRROR_DEBIAN": "http://mirror.example/debian/",
        "IMAGE_COMPOSER_MIRROR_DEBIAN_SECURITY": "file:///srv/security",
        "IMAGE_COMPOSER_MIRROR_OTHER": "",
    }
    assert Settings.from_environment(environment).mirrors == {
        "debian": "http://mirror.example/debian",
        "debian-security": "file:///srv/security",
    }


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, {}),
        ({"http_proxy": "http://proxy:3128"}, {"http": "http://proxy:3128"}),
        ({"HTTPS_PROXY": "http://proxy:3128"}, {"https": "http://proxy:3128"}),
        ({"https_proxy": "http://a:1", "HTTPS_PROXY": "http://b:1"}, {"https": "http://a:1"}),
        ({"https_proxy": "", "HTTPS_PROXY": ""}, {}),
        ({"http_proxy": "proxy:3128"}, {"http": "http://proxy:3128"}),
        (
            {"all_proxy": "http://all:1", "http_proxy": "http://one:1"},
            {"http": "http://one:1", "https": "http://all:1"},
        ),
    ],
)
def test_proxies_are_read_as_other_programs_read_them(environment: dict[str, str], expected: dict[str, str]) -> None:
    assert Settings.from_environment(environment).proxies == expected


def test_hosts_without_a_proxy_are_read_in_either_case() -> None:
    assert Settings.from_environment({"NO_PROXY": "example.org"}).no_proxy == "example.org"


def test_what_a_pod_is_told_is_read() -> None:
    environment = {
        "IMAGE_COMPOSER_S3_CREDENTIALS": "/var/run/image-composer/s3",
        "IMAGE_COMPOSER_PUBLISH_PATIENCE": "60",
        "IMAGE_COMPOSER_FOLDER": "edge/team/gateway/1.0+2-0123456789ab/",
        "IMAGE_COMPOSER_ATTEMPT": "gateway-7f-x2x4z",
        "SSL_CERT_FILE": "/etc/ca.pem",
    }
    settings = Settings.from_environment(environment)
    assert settings.s3_credentials == Path("/var/run/image-composer/s3")
    assert settings.publish_patience == 60
    assert settings.folder == "edge/team/gateway/1.0+2-0123456789ab/"
    assert settings.attempt == "gateway-7f-x2x4z"
    assert settings.ca_file == Path("/etc/ca.pem")
    nothing = Settings.from_environment({"IMAGE_COMPOSER_FOLDER": "", "IMAGE_COMPOSER_S3_CREDENTIALS": ""})
    assert (nothing.folder, nothing.s3_credentials, nothing.attempt) == (None, None, "build")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FOLDER", "no/slash/at/the/end"),
        ("FOLDER", "/"),
        ("FOLDER", "/a/"),
        ("FOLDER", "a//b/"),
        ("FOLDER", "a/../b/"),
        ("ATTEMPT", "../pod"),
        ("ATTEMPT", "a/b"),
        ("PUBLISH_PATIENCE", "-1"),
    ],
)
def test_what_can_not_become_part_of_a_key_is_refused(name: str, value: str) -> None:
    with pytest.raises(SpecError) as caught:
        Settings.from_environment({f"IMAGE_COMPOSER_{name}": value})
    assert [problem.path for problem in caught.value.problems] == [f"IMAGE_COMPOSER_{name}"]
