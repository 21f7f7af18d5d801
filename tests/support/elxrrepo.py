"""An archive like that of eLxr 12, whose packages boot.

The vendor's mirror can't be had in tests. eLxr is rebuilt from Debian's sources under the same names, so the packages
are Debian 12's, and all that makes them eLxr is put around them: suite and components, base-files that say so, the
keyring, and a signature. Made once on a machine and kept, with links to the composer's own cache.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from image_composer.digest import bytes_sha256, file_sha256, json_sha256
from image_composer.report import Reporter
from image_composer.repository.lock import Lock
from image_composer.settings import Settings
from image_composer.spec.image import Architecture
from image_composer.steps.resolve import package_query
from image_composer.store.content import ContentStore
from image_composer.store.download import Downloader
from image_composer.store.fetch import fetch
from image_composer_providers.elxr.provider import PROVIDER
from support.composer import Composer, write_document
from support.debrepo import DebRepository, write_repository
from support.debs import Deb, index, make_deb, paragraph_of
from support.devcache import alone, dev_cache, sweep
from support.disks import say
from support.openpgp import Key, Keychain
from support.specs import image_spec

KEY = "archive.asc"
"""Name of the public key's file below the archive's folder."""

KEYRING = "elxr-archive-keyring"

FIRMWARE = "firmware-example"
"""The only package of non-free-firmware."""

ADDED = ("chrony", "gawk", "htop", "linux-image-cloud-amd64")
"""What specs may ask for beyond the profiles."""

OS_RELEASE = """\
PRETTY_NAME="eLxr 12 (aria)"
NAME="eLxr"
VERSION_ID="12"
VERSION="12 (aria)"
VERSION_CODENAME=aria
ID=elxr
ID_LIKE=debian
"""

CODE = ("elxrrepo.py", "debrepo.py", "debs.py")
"""What decides about an archive, beside its packages."""


@dataclass(frozen=True)
class ElxrArchive:
    """An archive in a folder. It is shared: nobody may change it."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Give the settings of a machine that uses it instead of the vendor's."""
        return {
            "IMAGE_COMPOSER_MIRROR_ELXR": self.folder.as_uri(),
            "IMAGE_COMPOSER_KEYS_ELXR": str(self.folder / KEY),
        }


def elxr_archive(composer: Composer, cache: Path | None = None) -> ElxrArchive:
    """Give an archive; makes it unless the same was made before on this machine.

    Args:
        composer: resolves and keeps Debian's packages.
        cache: folder where archives are kept; the usual one when absent.
    """
    cache = dev_cache("elxr") if cache is None else cache
    with alone(cache):
        lock = _debian_lock(composer)
        code = [bytes_sha256(Path(__file__).with_name(name).read_bytes()) for name in CODE]
        entry = cache / json_sha256([code, lock.content_digest()])[:32]
        if entry.exists():
            os.utime(entry)
        else:
            sweep(cache.glob("[0-9a-f]*"))
            _make(composer.cache, lock, entry)
    return ElxrArchive(entry)


def _debian_lock(composer: Composer) -> Lock:
    """Give the packages of Debian that specs of all profiles need, and those that they may add."""
    manifest = PROVIDER.manifest("12")
    facts = manifest.architectures[Architecture.X86_64]
    names: set[str] = set()
    for profile in manifest.profiles:
        spec = image_spec(target={"distribution": "elxr", "release": "12"}, profile=profile)
        names |= set(package_query(spec, manifest, facts).names)
    # Apart, because what is added may stand against what a profile has: an archive holds both.
    locks = [_locked(composer, packages) for packages in (names - {KEYRING}, {"sudo", *ADDED})]
    packages = {package.name: package for lock in locks for package in lock.packages}
    return locks[0].model_copy(update={"packages": [packages[name] for name in sorted(packages)]})


def _locked(composer: Composer, packages: Iterable[str]) -> Lock:
    target = {"distribution": "debian", "release": "12"}
    document = {"name": "elxr-packages", "version": "1", "target": target, "packages": sorted(packages)}
    with tempfile.TemporaryDirectory(prefix="elxr-") as folder:
        outcome = composer.run("lock", "-f", write_document(Path(folder), document))
    assert outcome.status == 0, outcome.said
    return Lock.model_validate_json(outcome.printed)


def _make(store: Path, lock: Lock, entry: Path) -> None:
    settings = Settings(cache_dir=store)
    # Beside the entry, so that it appears there in one step, and links need no copy where the cache is as well.
    with tempfile.TemporaryDirectory(prefix=f"{entry.name}.", dir=entry.parent) as work, Keychain() as keychain:
        archive = Path(work) / "archive"
        found = fetch(
            lock,
            archive / "pool" / "debian",
            store=ContentStore(store, settings.cache_bytes),
            downloader=Downloader(settings, Reporter()),
            settings=settings,
            reporter=Reporter(),
        )
        found["base-files"] = _rebranded(found["base-files"], Path(work))
        found.pop("debian-archive-keyring").unlink()
        key = keychain.make("eLxr tests")
        firmware = Deb(FIRMWARE, files={"usr/lib/firmware/example.bin": b"\x7f" * 64})
        file = make_deb(firmware, archive / "pool")
        further = {
            "main/binary-amd64": index(*(_paragraph(path, archive) for path in found.values())),
            "non-free-firmware/binary-amd64": paragraph_of(firmware, file, f"pool/{file.name}").encode(),
        }
        repository = DebRepository(
            packages=[_keyring(key, keychain)],
            indexes=further,
            suite="aria",
            codename="aria",
            folder="aria",
            valid_for=None,
            fields={"Origin": "eLxr", "Label": "eLxr", "Components": "main non-free-firmware"},
        )
        write_repository(repository, archive, keychain, key)
        (archive / KEY).write_bytes(key.public)
        archive.rename(entry)


def _keyring(key: Key, keychain: Keychain) -> Deb:
    keyring = keychain.public(key.fingerprint, armoured=False)
    # apt depends on the keyring of the distribution that it was packaged for.
    fields = {"Provides": "debian-archive-keyring"}
    return Deb(KEYRING, version="2024.1", fields=fields, files={f"usr/share/keyrings/{KEYRING}.gpg": keyring})


def _rebranded(base_files: Path, work: Path) -> Path:
    """Give base-files that say eLxr, instead of Debian's; a new file, since Debian's is the cache's too."""
    tree, path = work / "base-files", "usr/lib/os-release"
    say("dpkg-deb", "--raw-extract", base_files, tree)
    (tree / path).write_text(OS_RELEASE)
    md5 = hashlib.md5(OS_RELEASE.encode(), usedforsecurity=False).hexdigest()
    sums = tree / "DEBIAN" / "md5sums"
    others = [line for line in sums.read_text().splitlines() if not line.endswith(f"  {path}")]
    sums.write_text("".join(f"{line}\n" for line in [*others, f"{md5}  {path}"]))
    control = tree / "DEBIAN" / "control"
    fields = control.read_text().splitlines()
    control.write_text("".join(f"{line}+elxr1\n" if line.startswith("Version: ") else f"{line}\n" for line in fields))
    base_files.unlink()
    say("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", tree, base_files)
    return base_files


def _paragraph(file: Path, archive: Path) -> str:
    """Give a package's paragraph for an index."""
    listed = {"Filename": file.relative_to(archive), "Size": file.stat().st_size, "SHA256": file_sha256(file)}
    return say("dpkg-deb", "--field", file) + "".join(f"{name}: {value}\n" for name, value in listed.items())
