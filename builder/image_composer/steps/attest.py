"""attest: the disk is signed and delivered, with what machines check it by: SBOM, lock, provenance, checksums."""

from __future__ import annotations

from image_composer import __version__
from image_composer.digest import file_sha256, pretty_json
from image_composer.evidence.checksums import sha256sums
from image_composer.evidence.facts import PackageFacts, read_facts
from image_composer.evidence.facts_rpm import read_rpm_facts
from image_composer.evidence.provenance import provenance
from image_composer.evidence.sbom_spdx import ImageFacts, spdx_document
from image_composer.formats.naming import base_name
from image_composer.manifest import Family
from image_composer.steps.build import Build
from image_composer.steps.outputs import deliver
from image_composer.steps.secure_boot import sign_disk
from image_composer.workspace import AssembledRoot, FetchedPackages

CHECKSUMS = "SHA256SUMS"
SBOM_SUFFIX = ".spdx.json"
LOCK_SUFFIX = ".lock.json"
PROVENANCE_SUFFIX = ".provenance.json"
CERTIFICATE_SUFFIX = ".secure-boot.pem"
DER_SUFFIX = ".secure-boot.cer"
"""The certificate once more, in the form and under the name that firmware's setup programs look for."""


def attest(build: Build) -> None:
    """Sign the disk, and write the outputs and the evidence beside them.

    Raises:
        SigningError: there is no key to sign with, or it is the wrong one.
        DiskError, ToolError: an output can't be made.
        LockError: the lock contradicts itself.
    """
    workspace, spec = build.workspace, build.spec.image
    assembled = workspace.read(workspace.assembled, AssembledRoot)
    signed = sign_disk(build, assembled)
    files = deliver(build, assembled)
    workspace.evidence.mkdir(exist_ok=True)
    image = ImageFacts(
        name=spec.name,
        version=spec.version,
        spec_digest=build.spec.digest(),
        title=build.manifest.title,
        vendor=build.manifest.distribution,
        supplier=build.manifest.supplier or build.manifest.distribution,
        family=build.manifest.family,
        own_repositories=frozenset(repository.id for repository in build.manifest.repositories),
        builder_version=__version__,
    )
    document = spdx_document(build.lock, image, _facts(build), created=assembled.epoch)
    base = base_name(spec)
    workspace.write_text(workspace.evidence / f"{base}{SBOM_SUFFIX}", pretty_json(document))
    workspace.write(workspace.evidence / f"{base}{LOCK_SUFFIX}", build.lock)
    images = {name: file_sha256(workspace.images / name) for name in files}
    if signed is not None:
        (workspace.evidence / f"{base}{CERTIFICATE_SUFFIX}").write_text(signed.certificate.pem)
        (workspace.evidence / f"{base}{DER_SUFFIX}").write_bytes(signed.certificate.der)
    unsigned = signed.unsigned if signed else None
    statement = provenance(build.lock, image, images, epoch=assembled.epoch, unsigned=unsigned)
    workspace.write_text(workspace.evidence / f"{base}{PROVENANCE_SUFFIX}", pretty_json(statement))
    written = [path for path in sorted(workspace.evidence.iterdir()) if path.name != CHECKSUMS]
    sums = sha256sums({**images, **{path.name: file_sha256(path) for path in written}})
    workspace.write_text(workspace.evidence / CHECKSUMS, sums)
    build.reporter.conclude(f"{', '.join(files)}; SBOM of {len(build.lock.packages)} packages")


def _facts(build: Build) -> dict[str, PackageFacts]:
    """Ask whoever knows: dpkg's database and the copyright files, or the rpm packages themselves."""
    workspace = build.workspace
    if build.manifest.family is Family.DEB:
        return read_facts(workspace.root)
    fetched = workspace.read(workspace.fetched, FetchedPackages)
    return read_rpm_facts({name: workspace.packages / file for name, file in fetched.files.items()})
