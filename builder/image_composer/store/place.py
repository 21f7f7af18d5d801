"""Where a file is: its URL taken apart, what may be shown of it, and where a redirect may lead."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import urllib3

from image_composer.errors import RepositoryError


@dataclass(frozen=True, slots=True)
class Place:
    """A file's URL and the repository that it belongs to."""

    parts: SplitResult
    repository: str

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
            return Place(urlsplit(urljoin(self.url, reference)), self.repository)
        except ValueError as error:
            raise RepositoryError("REPO_URL_INVALID", self.sentence(f"leads to {reference!r}: {error}")) from error

    @property
    def url(self) -> str:
        """The URL without the user name and password that it may hold: what is requested and shown."""
        return self.parts._replace(netloc=self.origin, fragment="").geturl()

    @property
    def origin(self) -> str:
        """Host and port."""
        return self.parts.netloc.rpartition("@")[2]

    @property
    def local(self) -> bool:
        """Whether it is a file of this machine, which needs no network."""
        return self.parts.scheme == "file"

    def authorization(self) -> dict[str, str]:
        """Give the header that carries the URL's user name and password, if it has them."""
        credentials, at, _ = self.parts.netloc.rpartition("@")
        return dict(urllib3.make_headers(basic_auth=unquote(credentials))) if at else {}

    def sentence(self, reason: str) -> str:
        """Say something about the file in an error or a warning."""
        return f"repository {self.repository}: {self.url}: {reason}"

    def redirected(self, location: str) -> Place:
        """Give where a redirect leads; user name and password stay with the server that they are for.

        Raises:
            RepositoryError: REPO_REDIRECT_REFUSED, the target would be less safe; REPO_URL_INVALID.
        """
        target = self.joined(location)
        if target.parts.scheme not in ({"https"} if self.parts.scheme == "https" else {"http", "https"}):
            raise RepositoryError(
                "REPO_REDIRECT_REFUSED",
                self.sentence(f"the server redirects to {target.url}, which is not followed"),
                hint="http and https may lead to https, and only http to http; name another mirror",
            )
        if (target.parts.scheme, target.parts.netloc) == (self.parts.scheme, self.origin):
            return Place(target.parts._replace(netloc=self.parts.netloc), self.repository)
        return target


def bypasses_proxy(host: str, no_proxy: str) -> bool:
    """Say whether a host is in a `no_proxy` list: itself, or below one of its domains."""
    names = [name.strip().lower().lstrip(".") for name in no_proxy.split(",")]
    return "*" in names or any(name and (host == name or host.endswith(f".{name}")) for name in names)
