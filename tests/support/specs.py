"""Documents for tests: the smallest right one, and what is said about wrong ones."""

from __future__ import annotations

import json
from typing import Any

import pytest

from image_composer.errors import SpecError
from image_composer.spec.document import Document, read_document
from image_composer.spec.image import ImageSpec

MINIMAL: dict[str, Any] = {
    "name": "edge",
    "version": "1.0",
    "target": {"distribution": "debian", "release": "12"},
}

PARTITIONS: list[dict[str, Any]] = [
    {"label": "ESP", "type": "esp", "filesystem": "vfat", "size": "256MiB", "mountPoint": "/boot/efi"},
    {"label": "root", "type": "root", "filesystem": "ext4", "mountPoint": "/"},
]

SHA512_HASH = (
    "$6$saltsaltsaltsalt$ph0yGsyjzqdeFaon7.gJZo8eAG5/rj9/JdzOu1Rl7dKzBYg3xgvl7T2VQ2Rt81bc5AXkdA54r0p8QvC1omD6R1"
)
ED25519_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPuNi2rllKCDPBmqF65eLvt+Inurir2FY4xfCryaiXvn me@example.org"

CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBqjCCAU+gAwIBAgIUJCShGVZKCLtX1COOpCBZOWhmXIEwCgYIKoZIzj0EAwIw
KTEQMA4GA1UECgwHRXhhbXBsZTEVMBMGA1UEAwwMRXhhbXBsZSBSb290MCAXDTI2
MTEyNjEyNTUzNloYDzIxMjYxMTAyMTI1NTM2WjApMRAwDgYDVQQKDAdFeGFtcGxl
MRUwEwYDVQQDDAxFeGFtcGxlIFJvb3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AARhOY62zR/n26PiI70vyIeZCubTrKpwsoKivFLvyD/UHaJ40isiHqsn9vddyrfS
S9RFHx35TqATapomO56qay+No1MwUTAdBgNVHQ4EFgQUyKRGyWmzv670z0jbczHq
7GOTdIwwHwYDVR0jBBgwFoAUyKRGyWmzv670z0jbczHq7GOTdIwwDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEAhQDyfmV9dYqcByPG+ubsyEFk38nc
RjdzGB3zw2VkQqsCIQDTvJqH5IgdePnpCFCRt6/ftllR49Nt8XQf+zQuc5wnDg==
-----END CERTIFICATE-----
"""
"""Of an authority whose key nobody has."""


def bare(**changes: Any) -> dict[str, Any]:
    """Give a spec by itself, with fields as in JSON."""
    return {**MINIMAL, **changes}


def manifest(image: object = None, **changes: Any) -> dict[str, Any]:
    """Give an ImageBuild."""
    return {
        "apiVersion": "imagecomposer.dev/v1alpha1",
        "kind": "ImageBuild",
        "metadata": {"name": "edge"},
        "spec": {"image": MINIMAL if image is None else image},
        **changes,
    }


def image_spec(**changes: Any) -> ImageSpec:
    return ImageSpec.model_validate(bare(**changes))


def read(document: object) -> Document:
    return read_document(document if isinstance(document, bytes) else json.dumps(document).encode(), "edge.yaml")


def refused(document: object) -> SpecError:
    """Give the error that a document meets."""
    with pytest.raises(SpecError) as caught:
        read(document)
    return caught.value


def problems(document: object) -> list[str]:
    """Give all problems of a document, as users read them."""
    return [str(problem) for problem in refused(document).problems]
