"""`image-composer render`: documents of several, as users see them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from image_composer.cli.main import cli
from image_composer.errors import EXIT_USER

EXAMPLE = Path(__file__).parents[3] / "examples/extends/gateway.yaml"

RENDERED = """\
apiVersion: imagecomposer.dev/v1alpha1
kind: ImageBuild
metadata:
  name: gateway
spec:
  image:
    name: gateway  # gateway.yaml: spec.image.name
    version: 1.0.0  # gateway.yaml: spec.image.version
    target:
      distribution: debian  # gateway.yaml: spec.image.target.distribution
      release: '12'  # gateway.yaml: spec.image.target.release
    packages:
      - openssh-server  # bases/site.yaml: packages[0]
      - curl  # bases/site.yaml: packages[1]
      - nftables  # gateway.yaml: spec.image.packages[0]
    hostname: gw-hamburg  # bases/site.yaml: hostname with SITE
    users:
      - name: admin  # gateway.yaml: spec.image.users[0].name
        groups:
          - systemd-journal  # bases/site.yaml: users[0].groups[0]
        sudo: passwordless  # bases/site.yaml: users[0].sudo
        fullName: Site administrator  # gateway.yaml: spec.image.users[0].fullName
    ssh:
      port: 22  # bases/site.yaml: ssh.port with SSH_PORT
      rootLogin: never  # bases/site.yaml: ssh.rootLogin
    files:
      - path: /etc/site.conf  # bases/site.yaml: files[0].path
        content: |  # bases/site.yaml: files[0].content with SITE
          site = hamburg
    sysctl:
      net.ipv4.ip_forward: '1'  # gateway.yaml: spec.image.sysctl.net.ipv4.ip_forward
      vm.swappiness: '10'  # bases/site.yaml: sysctl.vm.swappiness
    messages:
      motd: |  # bases/site.yaml: messages.motd with SITE
        You are at hamburg.
    outputs:
      - format: qcow2  # bases/site.yaml: outputs[0].format
"""


def run(tmp_path: Path, *words: str | Path) -> Result:
    settings = {"IMAGE_COMPOSER_CACHE_DIR": str(tmp_path / "cache"), "IMAGE_COMPOSER_HOST_SOURCES": "0"}
    return CliRunner().invoke(cli, [str(word) for word in words], env=settings, prog_name="image-composer")


def test_the_whole_document_is_shown_with_the_origin_of_every_value(tmp_path: Path) -> None:
    done = run(tmp_path, "render", "-f", EXAMPLE, "--set", "SITE=hamburg", "--origins")
    assert (done.exit_code, done.stdout, done.stderr) == (0, RENDERED, "")


def test_what_is_shown_is_a_document_that_stands_alone(tmp_path: Path) -> None:
    done = run(tmp_path, "render", "-f", EXAMPLE)
    alone = tmp_path / "alone.yaml"
    alone.write_text(done.stdout)
    assert "gw-berlin" in done.stdout
    assert run(tmp_path, "render", "-f", alone).stdout == done.stdout
    assert run(tmp_path, "validate", alone).exit_code == 0


def test_json_holds_the_document_and_beside_it_the_origins(tmp_path: Path) -> None:
    plain = json.loads(run(tmp_path, "render", "-f", EXAMPLE, "--json").stdout)
    both = json.loads(run(tmp_path, "render", "-f", EXAMPLE, "--json", "--origins").stdout)
    assert both["document"] == plain
    assert both["origins"]["spec.image.hostname"] == "bases/site.yaml: hostname with SITE"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "SITE"], "'SITE' is not NAME=VALUE"),
        (["--set", "SITE=a", "--set", "SITE=b"], "SITE is given twice"),
        (["--set", "TOWN=a"], "--set TOWN: 'TOWN' is not a variable of the document"),
        (["--set", "SSH_PORT=ssh"], "--set SSH_PORT: SSH_PORT must be a whole number, not 'ssh'"),
        (
            ["--set", "SSH_PORT=99999"],
            "bases/site.yaml: ssh.port with SSH_PORT: input should be less than or equal to 65535",
        ),
        (["--set", "SITE=Ü"], "bases/site.yaml: hostname with SITE: 'gw-Ü' does not match"),
    ],
)
def test_wrong_values_are_refused_where_they_came_from(tmp_path: Path, words: list[str], said: str) -> None:
    for command in (["render", "-f"], ["validate"]):
        done = run(tmp_path, *command, EXAMPLE, *words)
        assert done.exit_code == EXIT_USER
        assert said in done.stderr


def test_the_composer_validates_what_the_document_means_and_names_where_it_stands(tmp_path: Path) -> None:
    base = tmp_path / "base.yaml"
    base.write_text("profile: nothing-like-that\n")
    leaf = tmp_path / "leaf.yaml"
    leaf.write_text(
        'name: a\nversion: "1"\ntarget: {distribution: debian, release: "12"}\nextends: [{file: base.yaml}]\n'
    )
    done = run(tmp_path, "validate", leaf)
    assert done.exit_code == EXIT_USER
    assert "error: base.yaml: profile: Debian" in done.stderr
