"""Certificates and redirects, against a server with a certificate of its own authority."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from image_composer.errors import RepositoryError
from image_composer.report import Reporter
from image_composer.settings import Settings
from image_composer.store.download import Downloader
from support.httpserver import HttpServer, Redirect


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1, signed by itself."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=loopback"
    files = ["-keyout", str(path), "-out", str(path.with_suffix(".crt"))]
    extension = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*words.split(), *extension, *files], check=True, capture_output=True)
    path.write_text(path.read_text() + path.with_suffix(".crt").read_text())
    return path


@pytest.fixture
def server(certificate: Path) -> Iterator[HttpServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with HttpServer(tls=context) as server:
        yield server


@pytest.fixture
def downloader(tmp_path: Path) -> Downloader:
    return Downloader(Settings(cache_dir=tmp_path), Reporter(), pause=lambda _: pytest.fail("tried again"))


def read(downloader: Downloader, url: str) -> bytes:
    return downloader.read(url, limit=100, repository="main")


def test_an_authority_that_the_system_does_not_know_is_not_trusted(server: HttpServer, downloader: Downloader) -> None:
    with pytest.raises(RepositoryError) as caught:
        read(downloader, server.serve("/a", b"content"))
    assert caught.value.code == "REPO_CERTIFICATE_INVALID"
    assert "SSL_CERT_FILE" in (caught.value.hint or "")


def test_ssl_cert_file_names_the_authorities(
    server: HttpServer, downloader: Downloader, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # read by OpenSSL itself
    assert read(downloader, server.serve("/a", b"content")) == b"content"


def test_a_certificate_for_another_host_is_not_trusted(
    server: HttpServer, downloader: Downloader, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with pytest.raises(RepositoryError) as caught:
        read(downloader, server.serve("/a", b"content").replace("127.0.0.1", "localhost"))
    assert caught.value.code == "REPO_CERTIFICATE_INVALID"


def test_https_never_leads_to_http(
    server: HttpServer, downloader: Downloader, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with HttpServer() as plain:
        url = server.serve("/a", b"", Redirect(plain.serve("/b", b"content")))
        with pytest.raises(RepositoryError) as caught:
            read(downloader, url)
        assert caught.value.code == "REPO_REDIRECT_REFUSED"
        assert plain.requests == []
        assert read(downloader, plain.serve("/c", b"", Redirect(server.serve("/d", b"secure")))) == b"secure"
