"""An S3 server that keeps objects as files in a folder, so that tests can look at them from behind."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from .certificates import Authority
from .processes import Daemon, eventually, free_port, listens

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

START_SECONDS = 60


@dataclass
class S3Server:
    """A server, running or stopped. It ends with the thread that started it."""

    folder: Path
    address: str
    port: int
    access_key: str
    secret_key: str
    ca_bundle: Path | None
    """The authority that its certificate is from, when it speaks TLS; nobody else knows that one."""
    _argv: list[str | Path]
    _daemon: Daemon

    @classmethod
    def start(
        cls,
        folder: Path,
        versitygw: Path,
        *,
        address: str = "127.0.0.1",
        tls: bool = False,
        buckets: Sequence[str] = (),
    ) -> S3Server:
        """Start a server with empty buckets.

        Args:
            folder: for all that it keeps; its file system must have user attributes.
            versitygw: the program.
            address: one of this machine's, which it listens at.
            tls: whether it speaks https, with a certificate for its address.
            buckets: names of buckets to make.
        """
        port = free_port(address)
        keys = (f"AK{secrets.token_hex(8).upper()}", secrets.token_hex(16))
        objects = folder / "objects"
        objects.mkdir(parents=True)
        argv: list[str | Path] = [versitygw, "--port", f"{address}:{port}", "--quiet"]
        argv += ["--access", keys[0], "--secret", keys[1]]
        authority = Authority.at(folder / "pki", "s3-ca") if tls else None
        if authority:
            own = authority.issue("s3", subject="/CN=s3", names=[f"IP:{address}"])
            argv += ["--cert", own.certificate, "--key", own.key]
        argv += ["posix", objects]
        bundle = authority.certificate if authority else None
        server = cls(folder, address, port, *keys, bundle, argv, _daemon=_run(argv, folder))
        try:
            server._wait()
            for bucket in buckets:
                server.client().create_bucket(Bucket=bucket)
        except BaseException:
            server.stop()
            raise
        return server

    @property
    def endpoint(self) -> str:
        return f"{'https' if self.ca_bundle else 'http'}://{self.address}:{self.port}"

    @property
    def objects(self) -> Path:
        """Where the objects are as files: a folder for each bucket."""
        return self.folder / "objects"

    def client(self) -> S3Client:
        """Give a client with all rights."""
        import boto3  # noqa: PLC0415 - takes half a second, which a warden need not wait
        from botocore.config import Config  # noqa: PLC0415 - as above

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            verify=str(self.ca_bundle) if self.ca_bundle else None,
            config=Config(s3={"addressing_style": "path"}),
        )

    def stop(self) -> None:
        """End the server; its objects stay."""
        self._daemon.stop()

    def restart(self) -> None:
        """Run it (again) at the same address, with the same keys and objects."""
        self.stop()
        self._daemon = _run(self._argv, self.folder)
        self._wait()

    def __enter__(self) -> S3Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait(self) -> None:
        def ready() -> bool:
            self._daemon.check()
            return listens(self.address, self.port)

        eventually(ready, "the S3 server listens", seconds=START_SECONDS, every=0.05, logs=[self._daemon.log])


def _run(argv: Sequence[str | Path], folder: Path) -> Daemon:
    return Daemon.start("versitygw", argv, folder / "s3.log", bound=True)
