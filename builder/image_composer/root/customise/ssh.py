"""Settings of the SSH server: sshd_config(5)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from image_composer.errors import AssemblyError
from image_composer.root import operations
from image_composer.root.customise.changes import Changes, Root
from image_composer.spec.accounts import RootLogin, SshServer

FOLDER = "/etc/ssh"
SETTINGS = f"{FOLDER}/sshd_config.d/10-image.conf"
"""Read before the server's own settings; of two that contradict each other the first counts."""

SERVER = f"{FOLDER}/sshd_config"
INCLUDE = "Include /etc/ssh/sshd_config.d/*.conf"
INCLUDES = re.compile(r"^[ \t]*Include[ \t=]+\S*/etc/ssh/sshd_config[.]d/[*][.]conf", re.IGNORECASE | re.MULTILINE)
"""Debian's and Fedora's own settings begin with it; others' have none, and what lies there would not be read."""

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
    if SERVER not in root.texts:
        raise AssemblyError(
            "ASSEMBLE_NO_SSH_SERVER",
            "the document has settings for an SSH server, which the image doesn't have",
            hint="add the package openssh-server, or take `ssh` out",
        )
    found = [operations.write(SETTINGS, "".join(lines), mode=0o600)]
    if wanted.banner is not None:
        found.append(operations.write(f"{FOLDER}/banner", wanted.banner))
    if not INCLUDES.search(root.texts[SERVER]):
        found.append(operations.write(SERVER, f"{INCLUDE}\n\n{root.texts[SERVER]}", mode=0o600))
    return Changes(tuple(found))
