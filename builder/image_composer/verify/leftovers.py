"""What must not be in an image that many machines start from: identities, traces, ways in. Pure, but for the reading.

What packages bring is theirs to answer for; these rules are about what the composer and the packages' scripts made.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping

from image_composer.inspect.tree import Node
from image_composer.verify.checks import Check, judged, skipped
from image_composer.verify.subject import Subject

IDENTITIES = re.compile(
    r"/etc/ssh/ssh_host_[^/]*_key(\.pub)?"
    r"|/var/lib/systemd/(random-seed|credential\.secret)"
    r"|/var/lib/dbus/machine-id"
    r"|/etc/hostid"
)
"""Files that tell one machine from another, or make its random numbers guessable: made at its first start."""

TRACES = re.compile(
    r"/(root|home/[^/]+)/(\.[a-z]*_?history|\.lesshst|\.viminfo|\.wget-hsts|\.ssh/(id_[a-z0-9]+|known_hosts))"
    r"|/usr/sbin/policy-rc\.d|/etc/apt/apt\.conf\.d/[^/]*(proxy|mmdebstrap|image-composer)[^/]*"
    r"|/etc/apt/auth\.conf(\.d/[^/]+)?|/root/\.(aws|docker|kube|netrc|git-credentials)"
    r"|/var/cache/apt/archives/[^/]+\.deb|/var/cache/(dnf|tdnf|yum)/.+"
    r"|/var/log/(dpkg|alternatives|bootstrap)\.log|/var/log/apt/.+\.log|/run/.+|/tmp/.+|/var/tmp/.+"
)
"""What building or trying out leaves behind."""

MACHINE_ID = "/etc/machine-id"
NO_MACHINE = frozenset({"", "uninitialized"})
"""What stands in machine-id before the first start (machine-id(5))."""

SEEDS = re.compile(r"/loader/random-seed", re.IGNORECASE)
"""On the EFI system partition."""


def check_identity(subject: Subject) -> Check:
    """See that no machine's identity is in the image."""
    if subject.unreadable:
        return skipped("identity", f"the files of {', '.join(subject.unreadable)} can't be listed")
    problems = [f"{path} belongs to one machine" for path in subject.loose if IDENTITIES.fullmatch(path)]
    problems += [f"{path} on the EFI system partition belongs to one machine" for path in subject.boot_files
                 if SEEDS.fullmatch(path)]  # fmt: skip
    if (subject.text(MACHINE_ID) or "").strip() not in NO_MACHINE:
        problems.append(f"{MACHINE_ID} holds the id of one machine")
    return judged("identity", problems, "no machine's id, keys or seeds")


def check_traces(subject: Subject) -> Check:
    """See that nothing is left of building the image."""
    if subject.unreadable:
        return skipped("traces", f"the files of {', '.join(subject.unreadable)} can't be listed")
    found = [path for path, there in subject.loose.items() if not there.node.is_folder and TRACES.fullmatch(path)]
    return judged("traces", [f"{path} was left behind" for path in found], "nothing is left of building it")


def check_rights(subject: Subject) -> Check:
    """See that nobody but packages gives rights away, and that no account is open."""
    if subject.unreadable:
        return skipped("rights", f"the files of {', '.join(subject.unreadable)} can't be listed")
    nodes = {path: found.node for path, found in subject.loose.items()}
    accounts = [
        *account_problems(subject.text("/etc/shadow") or ""),
        *account_problems(subject.text("/etc/passwd") or ""),
    ]
    problems = [*rights_problems(nodes), *accounts]
    return judged("rights", problems, "no account without a password, nothing that anybody may change")


def rights_problems(loose: Mapping[str, Node]) -> Iterator[str]:
    """Say what anybody may write to, or runs as somebody else, without a package having brought it.

    Args:
        loose: what no package brought, by path.
    """
    for path, node in loose.items():
        if node.is_link or stat.S_ISCHR(node.mode) or stat.S_ISSOCK(node.mode):
            continue
        if node.mode & stat.S_IWOTH and not (node.is_folder and node.mode & stat.S_ISVTX):
            yield f"anybody may write to {path}"
        if node.is_file and node.mode & (stat.S_ISUID | stat.S_ISGID) and node.mode & 0o111:
            yield f"{path} runs with its owner's rights, and no package brought it"


def account_problems(shadow: str) -> Iterator[str]:
    """Say which accounts of /etc/shadow or /etc/passwd let anybody in."""
    for line in shadow.splitlines():
        fields = line.split(":")
        if len(fields) > 1 and fields[0] and not fields[1]:
            yield f"the account {fields[0]} has no password"
