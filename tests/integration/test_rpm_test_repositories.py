"""The repositories that stand for the vendors' in tests: their packages have the vendors' shape and install whole."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from image_composer.digest import file_sha256
from support.openpgp import Keychain
from support.rpms import RpmDistribution, rpm_distribution
from support.rpms.payload import link_target, merged
from support.rpms.specfile import rpm_version

network = pytest.mark.network

MADE = pytest.mark.timeout(600)
"""A distribution is made within a minute on an idle machine; the first test that asks waits for it."""

VENDORS = {"azurelinux": ("Microsoft Corporation", ".azl3"), "emt": ("Intel Corporation", ".emt3")}

NOT_TOGETHER = {"kernel", "kernel-drivers-gpu", "azurelinux-release"}
"""Without kernel no initramfs is made, which takes longer than all the rest; the last is obsolete in EMT."""

CHANGED = re.compile(r"\S{9}  c /etc/(passwd|group)")
"""What `rpm -Va` may say: scriptlets add accounts."""


@pytest.fixture(scope="module", params=["azurelinux", "emt"])
def distribution(request: pytest.FixtureRequest) -> RpmDistribution:
    return rpm_distribution(request.param)


@pytest.fixture(scope="module")
def azurelinux() -> RpmDistribution:
    return rpm_distribution("azurelinux")


@pytest.fixture(scope="module")
def emt() -> RpmDistribution:
    return rpm_distribution("emt")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """An empty database, to import keys into."""
    folder = tmp_path / "keys"
    folder.mkdir()
    return folder


def said(*words: str | Path, status: int = 0) -> str:
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == status, done.stdout
    return done.stdout


def query(distribution: RpmDistribution, form: str, *names: str) -> list[str]:
    """Ask rpm about packages, all unless some are named; a line each."""
    files = [distribution.packages[name] for name in names] or [*distribution.packages.values()]
    return said("rpm", "-qp", "--nosignature", "--nodigest", "--qf", form + "\n", *files).splitlines()


@pytest.mark.parametrize(
    ("debian", "rpm"),
    [
        ("5.2.15-2+b13", "5.2.15"),
        ("1:9.2p1-2+deb12u5", "9.2p1"),
        ("2025b-0+deb12u1", "2025b"),
        ("1:1.2.13.dfsg-1", "1.2.13"),
        ("252.39-1~deb12u2", "252.39"),
        ("20230311+deb12u1", "20230311+deb12u1"),
        ("2.06-3~rc1-1", "2.06_3~rc1"),
    ],
)
def test_the_version_is_upstreams(debian: str, rpm: str) -> None:
    assert rpm_version(debian) == rpm


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/bin/bash", "/usr/bin/bash"),
        ("/sbin/init", "/usr/sbin/init"),
        ("/lib/modules/6.1/modules.order", "/usr/lib/modules/6.1/modules.order"),
        ("/lib64/ld-linux-x86-64.so.2", "/usr/lib/ld-linux-x86-64.so.2"),
        ("/usr/lib64/x", "/usr/lib/x"),
        ("/etc/lib/x", "/etc/lib/x"),
    ],
)
def test_files_lie_where_a_merged_usr_has_them(path: str, place: str) -> None:
    assert merged(path) == place


@pytest.mark.parametrize(
    ("name", "target", "found"),
    [
        ("/lib/x86_64-linux-gnu/libz.so.1", "libz.so.1.2.13", "libz.so.1.2.13"),
        ("/bin/pidof", "../sbin/killall5", "../sbin/killall5"),
        ("/sbin/init", "/lib/systemd/systemd", "/usr/lib/systemd/systemd"),
        ("/bin/which", "../usr/bin/which.debianutils", "which.debianutils"),
        ("/bin/which", "/usr/bin/which", None),
    ],
)
def test_links_lead_where_they_led_to(name: str, target: str, found: str | None) -> None:
    assert link_target(name, target, merged(name)) == found


@network
@MADE
def test_packages_say_that_the_vendor_made_them(distribution: RpmDistribution) -> None:
    vendor, dist = VENDORS[distribution.name]
    lines = query(distribution, "%{NAME}|%{VENDOR}|%{RELEASE}|%{SOURCERPM}|%{LICENSE}|%{URL}|%{PAYLOADCOMPRESSOR}")
    rows = [line.split("|") for line in lines]
    assert len(rows) > 130
    assert {row[1] for row in rows} == {vendor}
    assert all(row[2].endswith(dist) and row[3].endswith(f"{dist}.src.rpm") for row in rows)
    assert all(row[4] and row[5].startswith("http") for row in rows)
    assert {row[6] for row in rows} == {"zstd"}


@network
@MADE
def test_packages_are_signed_with_the_distributions_key_alone(distribution: RpmDistribution, keys: Path) -> None:
    files = [*distribution.packages.values()]
    with Keychain() as keychain:
        (keys / "other").write_bytes(keychain.make("stranger").public)
    said("rpmkeys", "--dbpath", keys, "--import", keys / "other")
    refused = said("rpmkeys", "--dbpath", keys, "--checksig", *files, status=len(files))
    assert refused.count("SIGNATURES NOT OK") == len(files)
    said("rpmkeys", "--dbpath", keys, "--import", distribution.key)
    accepted = said("rpmkeys", "--dbpath", keys, "--checksig", *files)
    assert accepted.count(": digests signatures OK") == len(files)


@network
@MADE
def test_azure_linux_signs_its_metadata(azurelinux: RpmDistribution, tmp_path: Path) -> None:
    metadata = azurelinux.path / "repodata"
    assert (metadata / "repomd.xml.key").read_bytes() == azurelinux.key.read_bytes()
    said("gpg", "--batch", "--dearmor", "--output", tmp_path / "key", azurelinux.key)
    said("gpgv", "--keyring", tmp_path / "key", metadata / "repomd.xml.asc", metadata / "repomd.xml")


@network
@MADE
def test_emt_does_not(emt: RpmDistribution) -> None:
    assert [file.name for file in (emt.path / "repodata").iterdir() if "repomd" in file.name] == ["repomd.xml"]


@network
@MADE
def test_metadata_is_what_its_index_says(distribution: RpmDistribution) -> None:
    space = {"": "http://linux.duke.edu/metadata/repo"}
    found = ET.parse(distribution.path / "repodata" / "repomd.xml").findall("data", space)
    assert {entry.attrib["type"] for entry in found} == {"primary", "filelists", "other"}
    for entry in found:
        location, checksum, size = (entry.find(tag, space) for tag in ("location", "checksum", "size"))
        assert location is not None
        assert checksum is not None
        assert size is not None
        file = distribution.path / location.attrib["href"]
        assert file.suffix == (".gz" if distribution.name == "azurelinux" else ".zst")
        assert (file_sha256(file), file.stat().st_size) == (checksum.text, int(size.text or 0))


@network
@MADE
def test_every_kind_of_relation_is_there(azurelinux: RpmDistribution) -> None:
    form = "[R %{REQUIREFLAGS:deptype} %{REQUIRENEVRS}\n][P %{PROVIDENEVRS}\n][O %{OBSOLETENEVRS}\n]"
    form += "[C %{CONFLICTNEVRS}\n][W %{RECOMMENDNEVRS}\n]"
    names = ("bash", "chrony", "dracut", "openssh-server", "systemd", "systemd-networkd", "glibc", "curl")
    lines = set(query(azurelinux, form, *names))
    assert any(re.fullmatch(r"R auto libc\.so\.6\(GLIBC_2\.\d+\)\(64bit\)", line) for line in lines)
    assert any(re.fullmatch(r"R \S*manual\S* systemd = 252\.\d+-1\.azl3", line) for line in lines)
    assert {
        "R manual (coreutils or coreutils-selinux)",
        "R manual (systemd-udev if kernel)",
        "R pre /usr/sbin/useradd",
        "R post /bin/chown",
        "R manual /usr/share/zoneinfo/UTC",
        "P /bin/sh",
        "O systemd-sysv < 206",
        "C ntp",
        "W systemd-resolved",
        "W ca-certificates",
    } <= lines


@network
@MADE
def test_one_file_that_is_asked_for_is_in_the_long_list_alone(azurelinux: RpmDistribution) -> None:
    def listed(kind: str) -> str:
        [file] = (azurelinux.path / "repodata").glob(f"*-{kind}.xml.gz")
        return said("gzip", "--decompress", "--stdout", file)

    assert "<file>/usr/share/zoneinfo/UTC</file>" in listed("filelists")
    assert "<file>/usr/share/zoneinfo/UTC</file>" not in listed("primary")
    assert "<file>/usr/sbin/useradd</file>" in listed("primary")


@network
@MADE
def test_release_of_emt_takes_the_place_of_azure_linuxs(emt: RpmDistribution) -> None:
    assert "azurelinux-release" in emt.packages
    lines = query(emt, "[P %{PROVIDENEVRS}\n][O %{OBSOLETENEVRS}\n]", "edge-release")
    assert {"O azurelinux-release < 3.0", "P azurelinux-release = 26.06.02-1.emt3"} <= set(lines)


@network
@MADE
def test_every_kind_of_scriptlet_is_there(azurelinux: RpmDistribution) -> None:
    form = "%{NAME}|%{PREINPROG}|%{POSTINPROG}|%{PREUNPROG}|%{POSTUNPROG}|%{PRETRANSPROG}|%{POSTTRANSPROG}"
    form += "|%{TRIGGERSCRIPTPROG}|%{TRANSFILETRIGGERSCRIPTPROG}"
    rows = [line.split("|") for line in query(azurelinux, form)]
    programs = [{row[column] for row in rows} - {"(none)"} for column in range(1, 9)]
    assert all(programs)
    assert {"<lua>", "/sbin/ldconfig", "/bin/sh"} <= programs[1]


@network
@MADE
@pytest.mark.skipif(os.geteuid() != 0, reason="rpm changes its root and gives files to their owners")
def test_all_packages_install_in_one_transaction_and_are_whole(distribution: RpmDistribution, tmp_path: Path) -> None:
    wanted = {name: file for name, file in distribution.packages.items() if name not in NOT_TOGETHER}
    if distribution.name == "azurelinux":
        wanted["azurelinux-release"] = distribution.packages["azurelinux-release"]
    root = tmp_path / "root"
    root.mkdir()
    database = ("--root", str(root), "--dbpath", "/var/lib/rpm")
    said("rpmkeys", *database, "--import", distribution.key)
    shell = 'mkdir "$0/proc" "$0/dev"; mount -t proc proc "$0/proc"; mount --rbind /dev "$0/dev"; exec "$@"'
    own = ("unshare", "--mount", "--pid", "--fork", "sh", "-ec", shell, root)
    options = ("--noplugins", "--define", "_netsharedpath /proc:/sys:/dev", "--define", "_pkgverify_level all")
    installed = said(*own, "rpm", *database, "-U", *options, *wanted.values())
    assert "fail" not in installed
    listed = said("chroot", root, "rpm", "-qa", "--qf", "%{NAME}\n").splitlines()
    assert set(listed) - {"gpg-pubkey"} == set(wanted)
    checked = subprocess.run(["chroot", root, "rpm", "-Va"], capture_output=True, text=True, check=False)
    assert [line for line in checked.stdout.splitlines() if not CHANGED.fullmatch(line)] == []
    assert "cap_net_raw=p" in said("chroot", root, "getcap", "/usr/bin/ping")
    assert "drwxr-x--- chrony chrony" in said("chroot", root, "stat", "-c", "%A %U %G", "/var/lib/chrony")
    assert "sshd:" in (root / "etc" / "passwd").read_text()


@network
@MADE
def test_who_asks_at_the_same_time_waits_for_the_one_that_makes_it(azurelinux: RpmDistribution, tmp_path: Path) -> None:
    for name in ("apt", "debs"):  # fetched already
        (tmp_path / name).symlink_to(azurelinux.folder.parent / name)
    program = "import sys; from pathlib import Path; from support.rpms import rpm_distribution"
    program += "; print(rpm_distribution('azurelinux', Path(sys.argv[1])).folder)"
    tests = str(Path(__file__).parents[1])
    words = [sys.executable, "-c", program, str(tmp_path)]
    askers = [
        subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": tests})
        for _ in range(2)
    ]
    folders = {asker.communicate()[0].strip() for asker in askers}
    assert [asker.returncode for asker in askers] == [0, 0]
    assert folders == {str(tmp_path / azurelinux.folder.name)}
    assert {path.name for path in tmp_path.iterdir()} == {"apt", "debs", "lock", azurelinux.folder.name}
