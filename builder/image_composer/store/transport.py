"""One request for one file: http, https and file URLs, proxies, redirects, and what a failure means.

Certificates are always verified, against the system's authorities or those that SSL_CERT_FILE names. Whether a failed
request is made again is decided elsewhere; here it is only said whether that can help.
"""

from __future__ import annotations

import errno
import io
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import unquote

import urllib3
from urllib3 import exceptions
from urllib3.response import BaseHTTPResponse

from image_composer.errors import RepositoryError
from image_composer.settings import MIB, Settings
from image_composer.store.bucket import BUCKET_ANSWER, refusal_of_bucket
from image_composer.store.place import Place, Sign, bypasses_proxy

CHUNK = MIB
"""Most bytes read at once: the interpreter's part gets small, and many threads still need little memory."""

MAX_REDIRECTS = 8
"""Requests that one file may lead through; mirror networks use up to three."""

REDIRECTS = frozenset({301, 302, 303, 307, 308})

PASSING_STATUSES = frozenset({408, 425, 429})
"""Client errors that a later request may not meet: time-out, too early, too many requests."""

UNREACHABLE_HINT = "check network, proxy settings and mirror; IMAGE_COMPOSER_MIRROR_* names another mirror"

BUCKET_HINT = "check the network, the proxy settings, the server and its endpoint in inputs.s3 or in the destination"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server sends: its bytes as they come, and which bytes they are."""

    start: int
    """Offset of the first byte in the whole file: what was asked for, or 0 when the server can't resume."""

    total: int | None
    """Bytes of the whole file; unknown when the server does not say."""

    chunks: Iterator[bytes]


class UnreachableError(RepositoryError):
    """A request failed in a way that a later one may not."""

    def __init__(self, message: str, *, wait: float | None = None, hint: str = UNREACHABLE_HINT) -> None:
        super().__init__("REPO_UNREACHABLE", message, hint=hint, retryable=True)
        self.wait = wait
        """Seconds that the server asks us to wait."""


class Transport:
    """Opens URLs; connections are kept and shared by all threads.

    Args:
        settings: time-out, proxies, connections.
        sign: gives the address of an object in a bucket; without it, there are none.
    """

    def __init__(self, settings: Settings, sign: Sign | None = None) -> None:
        self._settings = settings
        self._sign = sign
        self._pools: dict[tuple[str, str, str | None], urllib3.PoolManager] = {}
        self._lock = threading.Lock()

    @contextmanager
    def opened(self, place: Place, *, start: int = 0, headers: Mapping[str, str] | None = None) -> Iterator[Answer]:
        """Ask for a file from an offset on.

        Args:
            place: where it is.
            start: offset of the first byte wanted; the answer may start at 0 all the same.
            headers: added to the request.

        Raises:
            UnreachableError: trying again may help; also raised while the chunks are read.
            RepositoryError: REPO_NOT_FOUND, REPO_FORBIDDEN, REPO_REFUSED, REPO_URL_INVALID, REPO_REDIRECT_REFUSED
                or REPO_CERTIFICATE_INVALID.
            InputError: there are no credentials for a bucket.
        """
        if place.local:
            with _opened_file(place, start) as answer:
                yield answer
            return
        if place.in_bucket and self._sign is not None:
            place = place.signed(self._sign(place.repository, place.url))
        place, response = self._follow(place, start, headers or {})
        try:
            yield self._answer(place, response)
        finally:
            response.close()  # without effect on the connection when all was read

    def _follow(self, place: Place, start: int, headers: Mapping[str, str]) -> tuple[Place, BaseHTTPResponse]:
        """Request the file, through redirects, until a server sends it."""
        at = place
        for _ in range(MAX_REDIRECTS):
            response = self._request(at, start, headers)
            if response.status == (206 if start else 200) and _starts_at(response, start):
                return at, response
            try:
                if response.status in REDIRECTS and "location" in response.headers:
                    at = at.redirected(response.headers["location"])
                elif start and response.status in {200, 206, 416}:
                    start = 0  # no ranges here, or not this one: ask for all of it
                else:
                    raise _refusal(at, response)
            finally:
                response.close()
        raise RepositoryError("REPO_REDIRECT_REFUSED", place.sentence(f"leads through {MAX_REDIRECTS} redirects"))

    def _request(self, place: Place, start: int, headers: Mapping[str, str]) -> BaseHTTPResponse:
        sent = {"Accept-Encoding": "identity", "User-Agent": "image-composer", **place.authorization(), **headers}
        if start:
            sent["Range"] = f"bytes={start}-"
        try:
            return self._pool(place).request(
                "GET", place.url, headers=sent, redirect=False, retries=False, preload_content=False
            )
        except (exceptions.HTTPError, exceptions.ProxySchemeUnsupported) as error:
            raise self._failure(place, error) from error

    def _pool(self, place: Place) -> urllib3.PoolManager:
        """Give the connections to a place: direct ones or those of a proxy."""
        scheme = place.parts.scheme
        bypassed = bypasses_proxy(place.parts.hostname or "", self._settings.no_proxy)
        proxy = "" if bypassed else self._settings.proxies.get(scheme, "")
        with self._lock:
            key = (scheme, proxy, place.authorities)
            if key not in self._pools:
                self._pools[key] = self._new_pool(*key)
            return self._pools[key]

    def _new_pool(self, scheme: str, proxy: str, authorities: str | None) -> urllib3.PoolManager:
        size = self._settings.downloads
        timeout = urllib3.Timeout(connect=self._settings.timeout, read=self._settings.timeout)
        # One context for all connections, and none without need: to read the system's authorities takes 20 ms.
        secure = scheme == "https" or proxy.startswith("https:")
        trusted = ssl.create_default_context() if secure else None
        context = ssl.create_default_context(cadata=authorities) if authorities and scheme == "https" else trusted
        if not proxy:
            return urllib3.PoolManager(maxsize=size, timeout=timeout, ssl_context=context)
        credentials = urllib3.util.parse_url(proxy).auth
        headers = urllib3.make_headers(proxy_basic_auth=credentials) if credentials else None
        return urllib3.ProxyManager(
            proxy,
            maxsize=size,
            timeout=timeout,
            ssl_context=context,
            proxy_ssl_context=trusted,
            proxy_headers=headers,
        )

    def _answer(self, place: Place, response: BaseHTTPResponse) -> Answer:
        chunks = self._body(place, response)
        if response.status == 206:
            first, _, total = response.headers["content-range"].removeprefix("bytes ").partition("/")
            return Answer(int(first.partition("-")[0]), _count(total), chunks)
        return Answer(0, _count(response.headers.get("content-length", "")), chunks)

    def _body(self, place: Place, response: BaseHTTPResponse) -> Iterator[bytes]:
        """Give a response's bytes as they arrive, so that a broken connection loses none that came before."""
        try:
            while chunk := response.read1(CHUNK, decode_content=False):
                yield chunk
        except exceptions.HTTPError as error:
            raise self._failure(place, error) from error

    def _failure(self, place: Place, error: Exception) -> RepositoryError:
        """Say what an exception of the HTTP library means."""
        match error:
            case exceptions.LocationValueError() | exceptions.ProxySchemeUnsupported():
                return RepositoryError("REPO_URL_INVALID", place.sentence(str(error)))
            case exceptions.SSLError(args=[ssl.SSLCertVerificationError() as cause, *_]):
                message = place.sentence(f"the server's certificate is not trusted: {cause.verify_message}")
                hint = "SSL_CERT_FILE names a file with the certificate authorities to trust"
                if place.shown:
                    hint = "give its authority's certificate as caBundle in inputs.s3, or in the destination"
                return RepositoryError("REPO_CERTIFICATE_INVALID", message, hint=hint)
            case exceptions.NameResolutionError():
                reason = "the host's name can't be resolved"
            case exceptions.NewConnectionError():
                reason = f"no connection: {getattr(error.__cause__, 'strerror', None) or error}"
            case exceptions.TimeoutError():
                reason = f"no byte within {self._settings.timeout:g} s"
            case _:
                reason = str(error)
        return UnreachableError(place.sentence(reason), hint=_unreachable_hint(place))


def _starts_at(response: BaseHTTPResponse, start: int) -> bool:
    """Say whether a response holds the file from this byte on."""
    return start == 0 or response.headers.get("content-range", "").startswith(f"bytes {start}-")


def _count(text: str) -> int | None:
    """Read a number of bytes; one with more than 20 digits is none."""
    return int(text) if text.isdecimal() and len(text) <= 20 else None


def _refusal(place: Place, response: BaseHTTPResponse) -> RepositoryError:
    """Say what a status that brings no file means."""
    status = response.status
    answer = f"the server answered {status} {response.reason or ''}".rstrip()
    if status >= 500 or status in PASSING_STATUSES:
        return UnreachableError(
            place.sentence(answer), wait=retry_after(response.headers), hint=_unreachable_hint(place)
        )
    if place.shown:
        return refusal_of_bucket(place, answer, status, _beginning(response))
    sentence = place.sentence(answer)
    if status in {404, 410}:
        hint = "the mirror is incomplete or has a newer version: resolve again, or name another mirror"
        return RepositoryError("REPO_NOT_FOUND", sentence, hint=hint)
    if status in {401, 403, 407}:
        return RepositoryError("REPO_FORBIDDEN", sentence, hint="the mirror or the proxy asks for credentials")
    return RepositoryError("REPO_REFUSED", sentence)


def _unreachable_hint(place: Place) -> str:
    return BUCKET_HINT if place.shown else UNREACHABLE_HINT


def _beginning(response: BaseHTTPResponse) -> bytes:
    """Give what a refusal says, as far as it comes."""
    try:
        return response.read(BUCKET_ANSWER, decode_content=False)
    except exceptions.HTTPError:
        return b""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Give the seconds that a server asks us to wait; a date counts from the server's own clock."""
    asked = headers.get("retry-after", "")
    if asked.isdecimal():
        return float(asked)
    try:
        return (parsedate_to_datetime(asked) - parsedate_to_datetime(headers["date"])).total_seconds()
    except (ValueError, TypeError, KeyError, OverflowError, IndexError):
        return None


@contextmanager
def _opened_file(place: Place, start: int) -> Iterator[Answer]:
    if place.origin not in {"", "localhost"}:
        raise RepositoryError("REPO_URL_INVALID", place.sentence("a file URL can't name another machine"))
    try:
        stream = Path(unquote(place.parts.path)).open("rb")  # noqa: SIM115 - the reader's own errors are not ours
    except OSError as error:
        raise _file_failure(place, error) from error
    with stream:
        total = stream.seek(0, io.SEEK_END)
        start = stream.seek(start if start <= total else 0)
        yield Answer(start, total, _file_body(place, stream))


def _file_body(place: Place, stream: io.BufferedReader) -> Iterator[bytes]:
    try:
        while chunk := stream.read(CHUNK):
            yield chunk
    except OSError as error:
        raise _file_failure(place, error) from error


def _file_failure(place: Place, error: OSError) -> RepositoryError:
    codes = {
        errno.ENOENT: "REPO_NOT_FOUND",
        errno.ENOTDIR: "REPO_NOT_FOUND",
        errno.EISDIR: "REPO_NOT_FOUND",
        errno.EACCES: "REPO_FORBIDDEN",
        errno.EPERM: "REPO_FORBIDDEN",
    }
    code = codes.get(error.errno or 0, "REPO_UNREACHABLE")
    return RepositoryError(code, place.sentence(error.strerror or str(error)))
