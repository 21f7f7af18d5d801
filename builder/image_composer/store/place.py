"""Where a file is: its URL taken apart, what may be shown of it, and where a redirect may lead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import urllib3

from image_composer.errors import RepositoryError


@dataclass(frozen=True, slots=True)
class Signed:
    """An address of an object in a bucket that anybody can ask for, for some hours."""

    url: str
    authorities: str | None = None
    """Certificates (PEM) that the server's is checked against, instead of those that this machine trusts."""


Sign = Callable[[str, str], Signed]
"""Signs for an object in a bucket: what wants it (the path of a field, for example), and its s3:// address."""


@dataclass(frozen=True, slots=True)
class Place:
    """A file's URL and the repository that it belongs to."""

    parts: SplitResult
    repository: str
    shown: str = ""
    """What people see instead of the URL: that of a bucket is signed, and whoever has it can read what it names."""

    authorities: str | None = None
    """Certificates (PEM) that the server's is checked against, instead of those that this machine trusts."""

    @classmethod
    def of(cls, url: str, repository: str) -> Place:
        """Take a URL apart.

        Raises:
            RepositoryError: REPO_URL_INVALID.
        """
        try:
            return cls(urlsplit(url), repository)
        except ValueError as error:
            message = f"repository {repository}: {url!r} is not a URL: {error}"
            raise RepositoryError("REPO_URL_INVALID", message) from error

    def joined(self, reference: str) -> Place:
        """Give where a reference leads from here, without user name and password.

        Raises:
            RepositoryError: REPO_URL_INVALID.
        """
        try:
            return replace(self, parts=urlsplit(urljoin(self.url, reference)))
        except ValueError as error:
            reason = "leads to what is no URL" if self.shown else f"leads to {reference!r}: {error}"
            raise RepositoryError("REPO_URL_INVALID", self.sentence(reason)) from error

    def signed(self, signed: Signed) -> Place:
        """Give where this object of a bucket can be asked for, under the name that it has.

        Raises:
            RepositoryError: REPO_URL_INVALID.
        """
        try:
            parts = urlsplit(signed.url)
        except ValueError:
            raise RepositoryError("REPO_URL_INVALID", self.sentence("its server has no valid address")) from None
        return replace(self, parts=parts, shown=self.parts.geturl(), authorities=signed.authorities)

    @property
    def url(self) -> str:
        """The URL without the user name and password that it may hold: what is requested, and shown if nothing else."""
        return self.parts._replace(netloc=self.origin, fragment="").geturl()

    @property
    def origin(self) -> str:
        """Host and port."""
        return self.parts.netloc.rpartition("@")[2]

    @property
    def local(self) -> bool:
        """Whether it is a file of this machine, which needs no network."""
        return self.parts.scheme == "file"

    @property
    def in_bucket(self) -> bool:
        """Whether it is an object in a bucket that is still to be signed."""
        return self.parts.scheme == "s3"

    def authorization(self) -> dict[str, str]:
        """Give the header that carries the URL's user name and password, if it has them."""
        credentials, at, _ = self.parts.netloc.rpartition("@")
        return dict(urllib3.make_headers(basic_auth=unquote(credentials))) if at else {}

    def sentence(self, reason: str) -> str:
        """Say something about the file in an error or a warning."""
        if self.shown or self.in_bucket:
            query = self.parts.query
            told = reason.replace(query, "...") if query else reason
            return f"{self.repository}: {self.shown or self.parts.geturl()}: {told}"
        return f"repository {self.repository}: {self.url}: {reason}"

    def redirected(self, location: str) -> Place:
        """Give where a redirect leads; user name and password stay with the server that they are for.

        Raises:
            RepositoryError: REPO_REDIRECT_REFUSED, the target would be less safe; REPO_URL_INVALID.
        """
        target = self.joined(location)
        if target.parts.scheme not in ({"https"} if self.parts.scheme == "https" else {"http", "https"}):
            leads = target.parts.scheme if self.shown else target.url
            raise RepositoryError(
                "REPO_REDIRECT_REFUSED",
                self.sentence(f"the server redirects to {leads}, which is not followed"),
                hint="http and https may lead to https, and only http to http; name another mirror",
            )
        if (target.parts.scheme, target.parts.netloc) == (self.parts.scheme, self.origin):
            return replace(target, parts=target.parts._replace(netloc=self.parts.netloc))
        return target


def bypasses_proxy(host: str, no_proxy: str) -> bool:
    """Say whether a host is in a `no_proxy` list: itself, or below one of its domains."""
    names = [name.strip().lower().lstrip(".") for name in no_proxy.split(",")]
    return "*" in names or any(name and (host == name or host.endswith(f".{name}")) for name in names)
