"""Settings of one run: where the cache is, how much runs in parallel, which mirrors are used.

They come from the environment and the command line, once, at the edge; the rest of the code gets them as arguments.
Nothing here changes what an image contains.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from image_composer.errors import Problem, SpecError

MIB = 1024 * 1024
GIB = 1024 * MIB

MIRROR_PREFIX = "IMAGE_COMPOSER_MIRROR_"
KEYS_PREFIX = "IMAGE_COMPOSER_KEYS_"

LARGEST_KEYS = 1024 * 1024
"""Bytes of a key file; that of a whole distribution with all its signatures has less than 100 KiB."""

FOLDER = r"([^/\x00-\x1f\x7f]+/)+"
"""What the keys of a build's objects begin with."""

ATTEMPT = r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}"
"""Name of a pod, which becomes part of a key."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the machine's owner decides."""

    cache_dir: Path
    """Content-addressed cache, shared by all builds of this user. IMAGE_COMPOSER_CACHE_DIR; default
    ~/.cache/image-composer (XDG_CACHE_HOME is honoured)."""

    cache_bytes: int = 10 * GIB
    """Size in bytes that the cache is trimmed to after a build. IMAGE_COMPOSER_CACHE_SIZE_MIB; lower it on small
    disks, raise it when many different images are built."""

    jobs: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    """Threads and processes used at once. IMAGE_COMPOSER_JOBS; default: the processors this process may use."""

    downloads: int = 8
    """Connections used at once. IMAGE_COMPOSER_DOWNLOADS; 8 filled a near mirror's line in our measurements."""

    timeout: float = 30.0
    """Seconds without a byte from a mirror before a try is given up. IMAGE_COMPOSER_TIMEOUT."""

    retries: int = 4
    """Further tries after a network failure, with growing pauses. IMAGE_COMPOSER_RETRIES."""

    mirrors: Mapping[str, str] = field(default_factory=dict)
    """Base URL by archive name, used instead of the provider's. IMAGE_COMPOSER_MIRROR_<ARCHIVE>, for example
    IMAGE_COMPOSER_MIRROR_DEBIAN and IMAGE_COMPOSER_MIRROR_DEBIAN_SECURITY."""

    keys: Mapping[str, bytes] = field(default_factory=dict)
    """OpenPGP certificates by archive name that may sign its repositories, instead of the provider's: for mirrors that
    sign anew. IMAGE_COMPOSER_KEYS_<ARCHIVE> is the path of a file with one or more of them."""

    host_sources: bool = True
    """Whether mirrors named by the host's own package manager configuration are used when its distribution is
    the image's. IMAGE_COMPOSER_HOST_SOURCES=0 turns it off."""

    offline: bool = False
    """Whether the network may not be used, only the cache and `file://` mirrors. IMAGE_COMPOSER_OFFLINE=1."""

    proxies: Mapping[str, str] = field(default_factory=dict)
    """URL of the proxy by scheme (`http`, `https`) of what is fetched. http_proxy, https_proxy and all_proxy, in
    lower or upper case, as other programs read them."""

    no_proxy: str = ""
    """Hosts and domains, separated by commas, that are reached without a proxy; `*` for all. no_proxy."""

    ca_file: Path | None = None
    """Authorities (PEM) that certificates are checked against where nothing closer says so. SSL_CERT_FILE; default:
    the public ones."""

    s3_credentials: Path | None = None
    """Folder with files AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and perhaps AWS_SESSION_TOKEN, as a Secret is mounted.
    IMAGE_COMPOSER_S3_CREDENTIALS; default: where every AWS program looks (environment, ~/.aws, the pod's identity)."""

    s3_inputs_credentials: Path | None = None
    """The same for the server that a document names in `inputs.s3`. IMAGE_COMPOSER_S3_INPUTS_CREDENTIALS."""

    inputs: Path | None = None
    """Folder with the keys of ConfigMaps and Secrets that documents name, as files `configmaps/NAME/KEY` and
    `secrets/NAME/KEY`. IMAGE_COMPOSER_INPUTS; in a cluster the operator mounts it."""
    secure_boot_key: Path | None = None
    """File with the private key that signs for Secure Boot. IMAGE_COMPOSER_SECURE_BOOT_KEY, or `--secure-boot-key`."""

    publish_patience: float = 600.0
    """Seconds that publishing waits for a server that can't be reached, before the finished build is given up.
    IMAGE_COMPOSER_PUBLISH_PATIENCE; an outage costs less than building again, so this is long."""

    folder: str | None = None
    """Folder of a bucket to publish to, with a slash at its end. IMAGE_COMPOSER_FOLDER; default: the one that follows
    from the document. The operator sets it, because it knows locks and repeated builds that a document doesn't."""

    attempt: str = "build"
    """What the log of this run is called in the bucket: the pod's name. IMAGE_COMPOSER_ATTEMPT."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read settings from environment variables.

        Raises:
            SpecError: a variable's value can't be read; its path is the variable's name.
        """
        cache = environment.get("IMAGE_COMPOSER_CACHE_DIR")
        if not cache:
            home = environment.get("XDG_CACHE_HOME") or str(Path(environment.get("HOME", "/root")) / ".cache")
            cache = str(Path(home) / "image-composer")
        values = _Values(environment)
        defaults = cls(cache_dir=Path(cache).absolute())
        settings = cls(
            cache_dir=defaults.cache_dir,
            cache_bytes=values.read("IMAGE_COMPOSER_CACHE_SIZE_MIB", defaults.cache_bytes // MIB, 1) * MIB,
            jobs=values.read("IMAGE_COMPOSER_JOBS", defaults.jobs, 1),
            downloads=values.read("IMAGE_COMPOSER_DOWNLOADS", defaults.downloads, 1),
            timeout=values.read("IMAGE_COMPOSER_TIMEOUT", int(defaults.timeout), 1),
            retries=values.read("IMAGE_COMPOSER_RETRIES", defaults.retries, 0),
            mirrors={
                name.removeprefix(MIRROR_PREFIX).lower().replace("_", "-"): values.read_url(name)
                for name, url in environment.items()
                if name.startswith(MIRROR_PREFIX) and url
            },
            keys={
                name.removeprefix(KEYS_PREFIX).lower().replace("_", "-"): values.read_file(name, LARGEST_KEYS)
                for name, path in environment.items()
                if name.startswith(KEYS_PREFIX) and path
            },
            host_sources=values.read("IMAGE_COMPOSER_HOST_SOURCES", 1, 0) != 0,
            offline=values.read("IMAGE_COMPOSER_OFFLINE", 0, 0) != 0,
            proxies=_proxies(environment),
            no_proxy=_either_case(environment, "no_proxy"),
            ca_file=_path(environment, "SSL_CERT_FILE"),
            s3_credentials=_path(environment, "IMAGE_COMPOSER_S3_CREDENTIALS"),
            s3_inputs_credentials=_path(environment, "IMAGE_COMPOSER_S3_INPUTS_CREDENTIALS"),
            inputs=_path(environment, "IMAGE_COMPOSER_INPUTS"),
            secure_boot_key=_path(environment, "IMAGE_COMPOSER_SECURE_BOOT_KEY"),
            publish_patience=values.read("IMAGE_COMPOSER_PUBLISH_PATIENCE", int(defaults.publish_patience), 0),
            folder=values.read_matching("IMAGE_COMPOSER_FOLDER", FOLDER, "a folder of a bucket such as a/b/1.0-0123/"),
            attempt=values.read_matching("IMAGE_COMPOSER_ATTEMPT", ATTEMPT, "the name of a pod") or defaults.attempt,
        )
        if values.problems:
            raise SpecError(values.problems)
        return settings


def archive_variable(prefix: str, archive: str) -> str:
    """Give the name of the variable that is about an archive."""
    return prefix + archive.upper().replace("-", "_")


def _proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Give the proxies' URLs by scheme; `host:port` alone means an HTTP proxy, as curl reads it."""
    everything = _either_case(environment, "all_proxy")
    urls = {scheme: _either_case(environment, f"{scheme}_proxy") or everything for scheme in ("http", "https")}
    return {scheme: url if "://" in url else f"http://{url}" for scheme, url in urls.items() if url}


def _path(environment: Mapping[str, str], name: str) -> Path | None:
    return Path(environment[name]).absolute() if environment.get(name) else None


def _either_case(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name) or environment.get(name.upper(), "")


class _Values:
    """Reads numbers and URLs from variables and collects what is wrong with them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.problems: list[Problem] = []

    def read(self, name: str, default: int, minimum: int) -> int:
        text = self.environment.get(name, "")
        if not text:
            return default
        if re.fullmatch(r"[0-9]{1,9}", text) and int(text) >= minimum:
            return int(text)
        self._refuse(name, f"must be a whole number of at least {minimum}, not {text!r}")
        return default

    def read_url(self, name: str) -> str:
        url = self.environment[name]
        if not re.fullmatch(r"(https?|file)://[!-~]+", url):
            self._refuse(name, f"must be a URL such as https://mirror.example/debian, not {url!r}")
        return url.rstrip("/")

    def read_file(self, name: str, limit: int) -> bytes:
        path = Path(self.environment[name])
        try:
            with path.open("rb") as stream:
                content = stream.read(limit + 1)
        except OSError as error:
            self._refuse(name, f"names the file {path}, which can't be read: {error.strerror}")
            return b""
        if len(content) > limit:
            self._refuse(name, f"names the file {path}, which has more than {limit} bytes")
        return content

    def read_matching(self, name: str, pattern: str, what: str) -> str | None:
        text = self.environment.get(name, "")
        if not text:
            return None
        if not re.fullmatch(pattern, text) or {".", ".."} & set(text.split("/")):
            self._refuse(name, f"must be {what}, not {text!r}")
        return text

    def _refuse(self, name: str, message: str) -> None:
        self.problems.append(Problem(name, message, "SETTINGS_INVALID"))
