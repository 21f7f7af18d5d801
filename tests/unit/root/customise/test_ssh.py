"""Settings of the SSH server, of which the first about something counts."""

from __future__ import annotations

import pytest

from image_composer.errors import AssemblyError
from image_composer.root.customise.ssh import SERVER, SETTINGS, ssh_changes
from image_composer.spec.accounts import SshServer
from support.customised import root, written

DEBIAN = "# comment\nInclude /etc/ssh/sshd_config.d/*.conf\n\nX11Forwarding yes\n"
WANTED = SshServer.model_validate(
    {"rootLogin": "never", "passwordAuthentication": False, "port": 2222, "banner": "Only for staff.\n"}
)
TEXT = """\
PermitRootLogin no
PasswordAuthentication no
KbdInteractiveAuthentication no
Port 2222
Banner /etc/ssh/banner
"""


def test_they_are_a_file_of_their_own_where_the_server_reads_such() -> None:
    assert written(ssh_changes(WANTED, root(texts={SERVER: DEBIAN}))) == {
        SETTINGS: TEXT,
        "/etc/ssh/banner": "Only for staff.\n",
    }


@pytest.mark.parametrize("own", ["Port 22\nPermitRootLogin yes\n", f"#{DEBIAN.splitlines()[1]}\n", ""])
def test_a_server_that_reads_none_is_told_to_before_its_own(own: str) -> None:
    found = written(ssh_changes(WANTED, root(texts={SERVER: own})))
    assert found[SETTINGS] == TEXT
    assert found[SERVER] == f"Include /etc/ssh/sshd_config.d/*.conf\n\n{own}"


@pytest.mark.parametrize(("login", "said"), [("never", "no"), ("keys", "prohibit-password")])
def test_root_logs_in_with_keys_or_never(login: str, said: str) -> None:
    wanted = SshServer.model_validate({"rootLogin": login})
    assert written(ssh_changes(wanted, root(texts={SERVER: DEBIAN}))) == {SETTINGS: f"PermitRootLogin {said}\n"}


def test_without_a_server_settings_for_it_are_refused() -> None:
    with pytest.raises(AssemblyError, match="settings for an SSH server"):
        ssh_changes(WANTED, root())
    assert ssh_changes(SshServer(), root()).operations == ()
