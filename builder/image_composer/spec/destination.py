"""Where the results of a build go."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from image_composer.spec.base import Flag, SpecModel
from image_composer.spec.source import BUCKET

ObjectName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", max_length=253)]
"""Name of a Kubernetes object (RFC 1123 subdomain)."""

DataKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,253}$", max_length=253)]
"""Key in a Secret or ConfigMap."""

BucketName = Annotated[str, StringConstraints(pattern=rf"^{BUCKET}$", max_length=63)]
"""A bucket's name as S3 accepts it."""

KeyPrefix = Annotated[
    str, StringConstraints(pattern=r"^([A-Za-z0-9!_.*'()-]+(/[A-Za-z0-9!_.*'()-]+)*)?$", max_length=256)
]
"""The beginning of object keys: segments of characters that every S3 server and tool takes, without outer slashes."""

EndpointUrl = Annotated[
    str, StringConstraints(pattern=r"^https?://[A-Za-z0-9._:\[\]-]{1,255}(/[!-~]{0,255})?$", max_length=519)
]
"""Address of a server, for example `https://s3.example.org:9000`."""


class CredentialsSecretRef(SpecModel):
    """A Secret in the namespace of the ImageBuild that holds S3 credentials.

    Its keys are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN for temporary credentials.
    """

    name: ObjectName
    """Name of the Secret."""


class S3Server(SpecModel):
    """An S3-compatible server, and who asks it."""

    endpoint: EndpointUrl | None = None
    """Address of the server; AWS when absent."""

    region: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$", max_length=64)] = "us-east-1"
    """Region of the bucket; most other servers take any."""

    force_path_style: Flag | None = None
    """Whether the bucket's name goes into the path instead of the host's name; yes when an endpoint is given and
    nothing is said."""

    ca_bundle: Annotated[str, StringConstraints(max_length=65536)] | None = None
    """Certificates (PEM) that the server's is checked against, instead of the public authorities."""

    credentials_secret_ref: CredentialsSecretRef | None = None
    """Credentials; the pod's own identity (or, on a laptop, the environment) when absent."""

    @property
    def path_style(self) -> bool:
        """Whether buckets are addressed by path."""
        return self.endpoint is not None if self.force_path_style is None else self.force_path_style


class S3Destination(S3Server):
    """A place in a bucket of an S3-compatible server."""

    bucket: BucketName
    """Name of the bucket; it must exist."""

    prefix: KeyPrefix = ""
    """Put before the keys of all objects."""

    @property
    def server(self) -> S3Server:
        """The server without the place."""
        return S3Server(**{name: getattr(self, name) for name in S3Server.model_fields})


class Inputs(SpecModel):
    """Where what the document takes from elsewhere comes from."""

    s3: S3Server
    """The server of all `s3://BUCKET/KEY` of the image, and the credentials that read them."""


class Destination(SpecModel):
    """Where the results go."""

    s3: S3Destination
    """A bucket of an S3-compatible server."""


class LockRef(SpecModel):
    """A ConfigMap in the namespace of the ImageBuild that holds a lock file."""

    name: ObjectName
    """Name of the ConfigMap."""

    key: DataKey = "lock.json"
    """Key of the lock file."""


class KeySecretRef(SpecModel):
    """A Secret in the namespace of the ImageBuild that holds a private key as `tls.key`, unencrypted, in PEM.

    It may be of the type kubernetes.io/tls; its `tls.crt` is not looked at, for the document has the certificate.
    """

    name: ObjectName
    """Name of the Secret."""


class SecureBootKey(SpecModel):
    """Where the private key is that signs for Secure Boot."""

    key_secret_ref: KeySecretRef
    """Secret with the key; only the stage that signs sees it."""
