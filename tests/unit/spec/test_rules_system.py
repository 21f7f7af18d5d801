"""Rules about the running system that span fields: what is wrong, and where."""

from __future__ import annotations

from typing import Any

import pytest

from image_composer.provider import load_providers
from image_composer.spec.rules_target import target_problems
from support.specs import CERTIFICATE, ED25519_KEY, PARTITIONS, bare, image_spec, problems, read

UNIT = {"name": "gate.service", "content": "[Service]\nExecStart=/bin/true\n"}


def file(path: str = "/etc/gate", **changes: Any) -> dict[str, Any]:
    return {"path": path, "content": "", **changes}


TREE = {"name": "site", "path": "/srv/site", "url": "https://example.org/a.tar", "sha256": "0" * 64}

SOURCES = "configMapRef, content, contentBase64, link, secretRef, url"

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"groups": [{"name": "a"}, {"name": "a"}]}, "groups: name 'a' is there 2 times"),
    ({"groups": [{"name": "a", "gid": 900}, {"name": "b", "gid": 900}]}, "groups: gid 900 is there 2 times"),
    (
        {"users": [{"name": "me", "sudoCommands": ["/bin/true"]}]},
        "users[0].sudoCommands: are without use: sudo is 'none'",
    ),
    ({"users": [{"name": "me", "expires": "2030-02-30"}]}, "users[0].expires: 2030-02-30 is no day of the calendar"),
    (
        {"users": [{"name": "root", "expires": "2030-01-01"}]},
        "users[0].expires: root can't expire: nobody could repair the machine",
    ),
    ({"files": [file(), file()]}, "files: path '/etc/gate' is there 2 times"),
    ({"files": [file("/")]}, "files[0].path: is the root itself"),
    *(
        ({"files": [file(path)]}, "files[0].path: is written by the composer from other parts of the document")
        for path in ("/etc/passwd", "/etc/gshadow", "/etc/fstab", "/etc/hosts", "/etc/machine-id")
    ),
    *(
        ({"files": [file(path)]}, f"files[0].path: lies below {top}, which the running system makes anew; see tmpfiles")
        for path, top in (("/run/a", "/run"), ("/tmp", "/tmp"), ("/var/tmp/a/b", "/var/tmp"), ("/dev/sda", "/dev"))
    ),
    (
        {"files": [file("/etc/ssh/ssh_host_rsa_key")]},
        "files[0].path: is a host key, which every machine makes for itself",
    ),
    ({"trees": [TREE, TREE]}, "trees: name 'site' is there 2 times"),
    (
        {"trees": [TREE | {"path": "/run/a"}]},
        "trees[0].path: lies below /run, which the running system makes anew; see",
    ),
    (
        {"trees": [TREE | {"folder": "site"}]},
        "trees[0]: must have exactly one of configMapRef, folder, url, not folder and url",
    ),
    (
        {"trees": [{"name": "a", "path": "/"}]},
        "trees[0]: must have exactly one of configMapRef, folder, url, not nothing",
    ),
    (
        {"trees": [{key: TREE[key] for key in ("name", "path", "url")}]},
        "trees[0].sha256: is missing: what is downloaded",
    ),
    (
        {"trees": [TREE], "files": [file("/srv")]},
        "trees[0].path: lies below /srv, which is no folder but one of the files",
    ),
    ({"trees": [TREE], "files": [file("/srv/site")]}, "trees[0].path: /srv/site is one of the files, too"),
    ({"folders": [{"path": "/proc/a"}]}, "folders[0].path: lies below /proc, which the running system makes anew; see"),
    (
        {"files": [{"path": "/etc/gate"}]},
        f"files[0]: must have exactly one of {SOURCES}, not nothing",
    ),
    (
        {"files": [file(link="/srv")]},
        f"files[0]: must have exactly one of {SOURCES}, not content and link",
    ),
    (
        {"files": [{"path": "/etc/gate", "url": "https://example.org/x"}]},
        "files[0].sha256: is missing: what is downloaded counts only with its digest",
    ),
    ({"files": [file(sha256="0" * 64)]}, "files[0].sha256: is without use: nothing is downloaded"),
    (
        {"files": [{"path": "/etc/gate", "link": "/srv", "mode": "0600"}]},
        "files[0].mode: is without use: a link has none of its own",
    ),
    (
        {"files": [{"path": "/etc/gate", "link": "/srv", "group": "adm"}]},
        "files[0].owner: is without use: a link belongs to root",
    ),
    (
        {"files": [file("/etc/a/b/c"), file("/etc/a")]},
        "files[0].path: lies below /etc/a, which is no folder but one of the files",
    ),
    (
        {"files": [file("/srv/x")], "folders": [{"path": "/srv/x/y"}]},
        "folders[0].path: lies below /srv/x, which is no folder but one of the files",
    ),
    ({"files": [file("/srv/x")], "folders": [{"path": "/srv/x"}]}, "folders[0].path: /srv/x is one of the files, too"),
    (
        {"scripts": [{"name": "a", "content": ""}, {"name": "a", "content": ""}]},
        "scripts: name 'a' is there 2 times",
    ),
    (
        {"scripts": [{"name": "a"}]},
        "scripts[0]: must have exactly one of configMapRef, content, url, not nothing",
    ),
    ({"systemd": {"units": [UNIT, UNIT]}}, "systemd.units: name 'gate.service' is there 2 times"),
    (
        {"systemd": {"units": [UNIT | {"enable": True}]}},
        "systemd.units[0].enable: has no effect: the unit has no section [Install]",
    ),
    (
        {"systemd": {"dropIns": [{"unit": "a.service", "name": "x", "content": ""}] * 2}},
        "systemd.dropIns: unit and name 'a.service.d/x' is there 2 times",
    ),
    ({"systemd": {"enable": ["a.timer"], "disable": ["a.timer"]}}, "systemd.disable[0]: a.timer is enabled, too"),
    ({"systemd": {"enable": ["a.timer"], "mask": ["a.timer"]}}, "systemd.mask[0]: a.timer is enabled, too"),
    ({"systemd": {"units": [UNIT], "mask": ["gate.service"]}}, "systemd.units[0].name: is masked, too"),
    ({"systemd": {"defaultTarget": "a.service"}}, "systemd.defaultTarget: must be a target"),
    (
        {"kernel": {"modules": {"load": ["snd-pcm"], "blacklist": ["snd_pcm"]}}},
        "kernel.modules.load[0]: snd-pcm is blacklisted, too",
    ),
    ({"udevRules": [{"name": "70-a", "content": ""}] * 2}, "udevRules: name '70-a' is there 2 times"),
    (
        {"network": {"interfaces": [{"name": "eth0"}, {"name": "eth0"}]}},
        "network.interfaces[0].name: eth0 is there twice",
    ),
    (
        {"network": {"interfaces": [{"name": "eth0", "vlans": {"a": 1}}, {"name": "eth1", "vlans": {"a": 2}}]}},
        "network.interfaces: vlans 'a' is there 2 times",
    ),
    (
        {
            "network": {
                "interfaces": [{"name": "a", "routes": [{"destination": "2001:db8::/32", "gateway": "192.0.2.1"}]}]
            }
        },
        "network.interfaces[0].routes[0].gateway: is of another family than the destination",
    ),
    *(
        ({"network": {"backend": "networkmanager", "interfaces": [{"name": "eth0", **interface}]}}, said)
        for interface, said in (
            ({"name": "lo"}, "network.interfaces[0].name: is the loopback interface, which NetworkManager sets up by"),
            ({"required": False}, "network.interfaces[0].required: can't be false: NetworkManager waits for whatever"),
            (
                {"dhcp": "ipv6", "addresses": ["2001:db8::1/64"], "dns": ["2001:db8::53", "192.0.2.53"]},
                "network.interfaces[0].dns[1]: is an IPv4 address, but the interface has none of its own",
            ),
            (
                {"routes": [{"gateway": "192.0.2.1"}]},
                "network.interfaces[0].routes[0].gateway: is an IPv4 address, but the interface has none of its own",
            ),
        )
    ),
    (
        {"trust": {"certificates": {"corp": "-----BEGIN RSA PRIVATE KEY-----"}}},
        "trust.certificates.corp: holds a private key; give certificates only",
    ),
    *(
        (
            {"trust": {"certificates": {"corp": text}}},
            "trust.certificates.corp: must be a certificate in PEM, between BEGIN CERTIFICATE and END CERTIFICATE",
        )
        for text in ("", "x", "é", CERTIFICATE.replace("A", "é"), CERTIFICATE[:-200])
    ),
    (
        {"trust": {"certificates": {"corp": CERTIFICATE * 2}}},
        "trust.certificates.corp: holds several certificates; give each a name of its own",
    ),
]


@pytest.mark.parametrize(("changes", "said"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_told_with_its_path(changes: dict[str, Any], said: str) -> None:
    found = problems(bare(**changes))
    assert found, "nothing was said"
    assert any(problem.startswith(said) for problem in found), found


RIGHT: list[dict[str, Any]] = [
    {"groups": [{"name": "a", "gid": 900}], "users": [{"name": "a", "groups": ["a"], "expires": "2032-02-29"}]},
    {"users": [{"name": "root", "sshAuthorizedKeys": [ED25519_KEY]}]},
    {"files": [file("/srv/a/b"), file("/srv/ab")], "folders": [{"path": "/srv/a", "mode": "2775"}]},
    {"files": [file("/runner"), file("/var/tmpfile"), file("/etc/ssh/ssh_known_hosts")]},
    {"files": [{"path": "/etc/gate", "link": "/srv"}]},
    {"trees": [TREE, TREE | {"name": "whole", "path": "/"}], "files": [file("/srv/site/a")]},
    {"systemd": {"units": [UNIT | {"enable": True, "content": "[Unit]\n  [Install]\nWantedBy=a.target\n"}]}},
    {"systemd": {"units": [UNIT], "enable": ["a.timer"], "disable": ["b.timer"], "mask": ["c.timer"]}},
    {"network": {"backend": "networkmanager", "interfaces": [{"name": "eth0", "dhcp": "ipv4", "dns": ["192.0.2.53"]}]}},
    {"network": {"backend": "netplan", "interfaces": [{"name": "lo", "required": False}]}},
    {"network": {"interfaces": [{"name": "eth0"}, {"name": "eth0", "macAddress": "02:00:00:00:00:01"}]}},
    {"trust": {"certificates": {"corp": f"Subject: corp\n\n{CERTIFICATE}\n"}}},
]


@pytest.mark.parametrize("changes", RIGHT, ids=range(len(RIGHT)))
def test_what_is_right_is_taken(changes: dict[str, Any]) -> None:
    read(bare(**changes))


@pytest.mark.parametrize("kind", ["files", "folders", "artifacts"])
@pytest.mark.parametrize(
    ("path", "disk", "is_refused"),
    [
        ("/boot/efi/loader.conf", {}, True),
        ("/boot/efi", {}, True),
        ("/boot/efi2", {}, False),
        ("/efi/x/y", {"partitions": [PARTITIONS[0] | {"mountPoint": "/efi"}, PARTITIONS[1]]}, True),
        ("/boot/efi/x", {"partitions": [PARTITIONS[0] | {"mountPoint": "/efi"}, PARTITIONS[1]]}, False),
    ],
)
def test_nothing_is_hidden_below_the_efi_system_partition(
    kind: str, path: str, disk: dict[str, Any], is_refused: bool
) -> None:
    further: dict[str, dict[str, Any]] = {
        "files": {"content": ""},
        "artifacts": {"url": "https://example.org/a", "sha256": "0" * 64, "size": 1},
    }
    spec = image_spec(disk=disk, **{kind: [{"path": path, **further.get(kind, {})}]})
    found = [problem.path for problem in target_problems(spec, load_providers()["debian"].manifest("12"), "")]
    assert found == ([f"{kind}[0].path"] if is_refused else [])
