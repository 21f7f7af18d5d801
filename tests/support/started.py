"""What is true of every machine that started from an immutable image, whatever its distribution."""

from __future__ import annotations

import re

from image_composer.inspect.raw import open_raw
from image_composer.inspect.readers import files_of
from image_composer.run import Runner
from image_composer.spec.trusted import EtcChanges
from support.guest import FirstBoot
from support.image import HOSTNAME, Credentials, Image
from support.marks import on_the_machine

KEPT = {EtcChanges.PERSISTENT: "/lib/image-composer/etc/upper", EtcChanges.VOLATILE: "/lib/image-composer/identity"}
"""Where in /var an immutable machine keeps who it is."""


class ImmutableMachine:
    """Tests for a module to take over that has an `image`, and `booted` of it."""

    @on_the_machine
    def test_it_starts_and_systemd_is_content(self, booted: FirstBoot) -> None:
        assert (booted.facts["failed"].text, booted.facts["state"].text, booted.state) == ("", "running", "running")
        assert booted.exit_status == 0

    @on_the_machine
    def test_a_slow_machine_waits_long_enough_for_its_devices(self, booted: FirstBoot) -> None:
        assert booted.facts["device-patience"].text == "JobRunningTimeoutUSec=5min"

    @on_the_machine
    def test_people_get_in_as_the_document_says(self, booted: FirstBoot, credentials: Credentials) -> None:
        assert [pair for pair, let_in in booted.attempts.items() if let_in] == [("bob", credentials.password)]
        assert (booted.facts["user"].text, booted.facts["sudo-user"].text) == ("root", "alice")
        assert booted.facts["hostname"].text == HOSTNAME

    @on_the_machine
    def test_the_root_is_the_checked_one_and_can_not_be_written_to(self, booted: FirstBoot, image: Image) -> None:
        [kind] = [part.filesystem for part in image.report.partitions if part.role == "root"]
        [root] = [entry for entry in booted.facts["mounts"].document["filesystems"] if entry["target"] == "/"]
        assert (root["fstype"], booted.facts["root-device"].text) == (kind, "/dev/mapper/root")
        assert "Read-only file system" in booted.facts["write-to-usr"].text

    @on_the_machine
    def test_the_network_is_up_by_dhcp(self, booted: FirstBoot) -> None:
        assert re.match(r"default via 10\.0\.2\.2 .*proto dhcp", booted.facts["routes"].text)

    @on_the_machine
    def test_the_machine_has_an_id_and_host_keys_of_its_own_and_keeps_them(
        self, booted: FirstBoot, image: Image
    ) -> None:
        machine = booted.facts["machine-id"].text
        assert re.fullmatch(r"[0-9a-f]{32}", machine)
        assert "ssh_host_ed25519_key" in booted.facts["host-keys"].lines
        kept = KEPT[image.spec.immutable.etc]
        with open_raw(booted.disk, Runner()) as disk:
            var = files_of(disk, image.partition("var"))
            assert var is not None
            assert var.read(f"{kept}/machine-id") == f"{machine}\n".encode()
            assert "ssh_host_ed25519_key" in var.names(f"{kept}/ssh")

    def test_host_keys_are_made_at_the_first_boot(self, image: Image) -> None:
        with image.root() as root:
            assert [name for name in root.names("/etc/ssh") if name.startswith("ssh_host_")] == []
