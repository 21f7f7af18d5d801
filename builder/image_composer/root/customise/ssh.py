"""Settings of the SSH server: sshd_config(5)."""

from __future__ import annotations

from collections.abc import Mapping

from image_composer.errors import AssemblyError
from image_composer.root import operations
from image_composer.root.customise.changes import Changes, Root
from image_composer.spec.accounts import RootLogin, SshServer

FOLDER = "/etc/ssh"
SETTINGS = f"{FOLDER}/sshd_config.d/10-image.conf"
"""Read before the server's own settings; of two that contradict each other the first counts."""

ROOT_LOGIN: Mapping[RootLogin, str] = {RootLogin.NEVER: "no", RootLogin.KEYS: "prohibit-password"}


def ssh_changes(wanted: SshServer, root: Root) -> Changes:
    """Say what to write for the SSH server.

    Raises:
        AssemblyError: ASSEMBLE_NO_SSH_SERVER.
    """
    lines = []
    if wanted.root_login is not None:
        lines.append(f"PermitRootLogin {ROOT_LOGIN[wanted.root_login]}\n")
    if wanted.password_authentication is not None:
        answer = "yes" if wanted.password_authentication else "no"
        lines += [f"PasswordAuthentication {answer}\n", f"KbdInteractiveAuthentication {answer}\n"]
    if wanted.port is not None:
        lines.append(f"Port {wanted.port}\n")
    if wanted.banner is not None:
        lines.append(f"Banner {FOLDER}/banner\n")
    if not lines:
        return Changes()
    if f"{FOLDER}/sshd_config" not in root.present:
        raise AssemblyError(
            "ASSEMBLE_NO_SSH_SERVER",
            "the document has settings for an SSH server, which the image doesn't have",
            hint="add the package openssh-server, or take `ssh` out",
        )
    banner = [] if wanted.banner is None else [operations.write(f"{FOLDER}/banner", wanted.banner)]
    return Changes((operations.write(SETTINGS, "".join(lines), mode=0o600), *banner))
