"""Kernel modules and settings, device rules, what is made at every start."""

from __future__ import annotations

from image_composer.root.customise.kernel import module_changes, sysctl_changes, tmpfiles_changes, udev_changes
from image_composer.spec.system import KernelModules, Rules
from support.customised import written


def test_modules_are_loaded_given_options_and_kept_away() -> None:
    wanted = KernelModules(load=["dummy", "tun"], options={"dummy": "numdummies=2"}, blacklist=["pcspkr"])
    assert written(module_changes(wanted)) == {
        "/etc/modules-load.d/90-image.conf": "dummy\ntun\n",
        "/etc/modprobe.d/zz-image.conf": "options dummy numdummies=2\nblacklist pcspkr\n",
    }


def test_kernel_settings_are_lines_of_one_file() -> None:
    settings = {"net.ipv4.ip_forward": "1", "net/ipv4/conf/enp1s0.20/forwarding": "1", "net.ipv4.tcp_rmem": "4096 8192"}
    assert written(sysctl_changes(settings)) == {
        "/etc/sysctl.d/99-zz-image.conf": "net.ipv4.ip_forward = 1\nnet/ipv4/conf/enp1s0.20/forwarding = 1\n"
        "net.ipv4.tcp_rmem = 4096 8192\n"
    }


def test_what_is_made_at_every_start_is_written_as_it_stands() -> None:
    assert written(tmpfiles_changes(["d /run/gate 0750 root root -"])) == {
        "/etc/tmpfiles.d/90-image.conf": "d /run/gate 0750 root root -\n"
    }


def test_device_rules_are_files_whose_last_line_ends() -> None:
    rules = [Rules(name="70-lan", content='NAME="lan0"'), Rules(name="80-wan", content="a\nb\n")]
    assert written(udev_changes(rules)) == {
        "/etc/udev/rules.d/70-lan.rules": 'NAME="lan0"\n',
        "/etc/udev/rules.d/80-wan.rules": "a\nb\n",
    }


def test_without_wishes_nothing_is_written() -> None:
    for changes in (module_changes(KernelModules()), sysctl_changes({}), tmpfiles_changes([]), udev_changes([])):
        assert changes.operations == ()
