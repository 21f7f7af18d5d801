"""Units, drop-ins, presets and the default target."""

from __future__ import annotations

import pytest

from image_composer.errors import AssemblyError
from image_composer.root.customise.systemd import systemd_changes
from image_composer.spec.system import Systemd
from support.customised import root, written

TARGET = "/usr/lib/systemd/system/multi-user.target"


def test_units_are_written_enabled_and_changed() -> None:
    wanted = Systemd.model_validate(
        {
            "units": [
                {"name": "a.service", "content": "[Install]\nWantedBy=multi-user.target", "enable": True},
                {"name": "b@.timer", "content": "[Timer]\n"},
            ],
            "dropIns": [{"unit": "ssh.service", "name": "limits", "content": "[Service]\nNice=5\n"}],
            "enable": ["c.service", "a.service"],
            "disable": ["d.timer"],
            "mask": ["e.socket"],
            "presets": ["enable f.service", "disable *"],
        }
    )
    changes = systemd_changes(wanted, root())
    assert written(changes) == {
        "/etc/systemd/system/a.service": "[Install]\nWantedBy=multi-user.target\n",
        "/etc/systemd/system/b@.timer": "[Timer]\n",
        "/etc/systemd/system/ssh.service.d/limits.conf": "[Service]\nNice=5\n",
        "/etc/systemd/system-preset/10-image.preset": "enable f.service\ndisable *\n",
    }
    assert (changes.enable, changes.disable, changes.mask) == (
        ("a.service", "c.service", "a.service"),
        ("d.timer",),
        ("e.socket",),
    )


def test_presets_come_before_the_distribution_s() -> None:
    """Of several lines about a unit the first counts; Azure Linux has 50-, 90- and 99- files."""
    [path] = written(systemd_changes(Systemd(presets=["disable *"]), root()))
    assert path.rpartition("/")[2] < "50-azurelinux.preset"


def test_the_default_target_is_a_link_to_its_own_file() -> None:
    link = "/etc/systemd/system/default.target"
    assert written(systemd_changes(Systemd(default_target="multi-user.target"), root(TARGET))) == {link: f"-> {TARGET}"}
    own = Systemd.model_validate({"units": [{"name": "gate.target", "content": ""}], "defaultTarget": "gate.target"})
    assert written(systemd_changes(own, root()))[link] == "-> /etc/systemd/system/gate.target"


def test_a_target_that_is_not_there_is_told() -> None:
    with pytest.raises(AssemblyError, match=r"has no gate[.]target to start") as caught:
        systemd_changes(Systemd(default_target="gate.target"), root(TARGET))
    assert caught.value.code == "ASSEMBLE_NO_SUCH_TARGET"
