"""The document's own scripts, each run in a real sandbox."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from image_composer.errors import AssemblyError, ComposerError
from image_composer.report import Reporter
from image_composer.root.sandbox import Sandbox
from image_composer.root.scripts import PLACE, run_scripts
from image_composer.spec.scripts import Hook
from support.composer import until
from support.events import Recorded
from support.httpserver import HttpServer
from support.sandboxes import install_programs, processes_with, sandbox
from support.specs import image_spec

CONNECT = """\
socket(my $socket, 2, 1, 0) or die;
connect($socket, pack('S n C4 x8', 2, $ENV{PORT}, 127, 0, 0, 1)) or die "not reached: $!\\n";
print "reached\\n";
"""
"""Without any module, of which the root has none."""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    made = sandbox(tmp_path_factory.mktemp("workspace"), SOURCE_DATE_EPOCH="1700000000")
    install_programs(made)
    return made


def run(
    box: Sandbox,
    *scripts: dict[str, Any],
    hook: Hook = Hook.AFTER_CONFIGURATION,
    given: Mapping[str, bytes] | None = None,
) -> list[str]:
    """Run scripts of a document and give what was reported."""
    recorded = Recorded()
    named = [{"name": f"script-{number}", **script} for number, script in enumerate(scripts)]
    try:
        run_scripts(box, image_spec(scripts=named), hook, given or {}, Reporter(recorded))
    finally:
        assert not (box.workspace / "root" / PLACE.lstrip("/")).exists(), "the script itself is still there"
    return [getattr(event, "message", "") for event in recorded.events]


def refused(box: Sandbox, **script: Any) -> ComposerError:
    with pytest.raises(ComposerError) as caught:
        run(box, script)
    return caught.value


def test_it_sees_its_own_variables_and_none_of_the_builder_s(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "canary-2b1d")
    said = run(box, {"content": "env", "environment": {"SITE": "a $(id) 'b\"", "HOME": "/srv"}})
    seen = dict(line.removeprefix("script-0: ").split("=", 1) for line in said if "=" in line)
    assert {name: value for name, value in seen.items() if name not in ("PWD", "SHLVL", "_", "OLDPWD")} == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/srv",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "TERM": "dumb",
        "SOURCE_DATE_EPOCH": "1700000000",
        "IMAGE_NAME": "edge",
        "IMAGE_VERSION": "1.0",
        "SITE": "a $(id) 'b\"",
    }


def test_those_of_one_hook_run_in_the_order_of_the_document_and_are_heard(box: Sandbox) -> None:
    scripts = (
        {"content": "echo 1"},
        {"content": "echo 2", "when": "final"},
        {"content": "echo 3; echo 4 >&2"},
    )
    assert [line for line in run(box, *scripts) if ":" in line] == ["script-0: 1", "script-2: 3", "script-2: 4"]
    assert [line for line in run(box, *scripts, hook=Hook.FINAL) if ":" in line] == ["script-1: 2"]
    assert run(box, *scripts, hook=Hook.AFTER_PACKAGES) == []


def test_what_it_changes_in_the_root_stays(box: Sandbox) -> None:
    run(box, {"content": "echo $0 $IMAGE_NAME > /made"})
    assert (box.workspace / "root/made").read_text() == f"{PLACE} edge\n"


def test_content_from_elsewhere_is_run(box: Sandbox) -> None:
    script = {"url": "https://example.org/x", "sha256": "0" * 64}
    assert "script-0: there" in run(box, script, given={"scripts[0]": b"echo there\n"})


def test_another_program_may_read_it(box: Sandbox) -> None:
    assert "script-0: perl" in run(box, {"content": "print 'perl'", "interpreter": "/usr/bin/perl"})


def test_one_that_fails_ends_the_build_with_the_last_it_said(box: Sandbox) -> None:
    error = refused(box, content="i=0; while [ $i -lt 100 ]; do echo line $i; i=$((i+1)); done; echo bad >&2; exit 3")
    assert (error.code, type(error)) == ("ASSEMBLE_SCRIPT_FAILED", AssemblyError)
    assert error.message.startswith("the script script-0 failed with status 3:\n")
    assert error.message.splitlines()[1:] == [*(f"line {number}" for number in range(81, 100)), "bad"]


def test_one_that_says_nothing_is_told_of_as_well(box: Sandbox) -> None:
    assert refused(box, content="exit 1").message.endswith("status 1:\n(it said nothing)")


def test_output_that_is_no_text_is_shown_as_far_as_it_is(box: Sandbox) -> None:
    assert "script-0: a\ufffdb" in run(box, {"content": r"printf 'a\377b\n'"})


def test_an_interpreter_that_is_missing_is_named(box: Sandbox) -> None:
    assert "/usr/bin/python9" in refused(box, content="", interpreter="/usr/bin/python9").message


def test_one_that_takes_too_long_is_ended_with_all_that_it_started(box: Sandbox) -> None:
    marker = "98765.4321"
    error = refused(box, content=f"sleep {marker} & sleep {marker}", timeout=2)
    assert (error.code, error.hint) == ("ASSEMBLE_SCRIPT_TIMEOUT", "raise its timeout")
    assert "took longer than 2 s" in error.message
    until(lambda: not processes_with(marker), lambda: "it is still running")


def test_it_reaches_the_network_only_if_it_asks_for_it(box: Sandbox) -> None:
    with HttpServer() as server:
        port = re.findall(r"[0-9]+", server.url(""))[-1]
        script = {"content": CONNECT, "interpreter": "/usr/bin/perl", "environment": {"PORT": port}}
        assert "not reached: Network is unreachable" in refused(box, **script).message
        assert "script-0: reached" in run(box, {**script, "network": True})


def test_it_can_not_leave_its_place_to_somebody_else(box: Sandbox) -> None:
    """What a script puts there instead of itself is gone, and nothing outside of it is."""
    (box.workspace / "root/kept").write_text("kept\n")
    run(box, {"content": "unlink $0; symlink '/kept', $0 or die", "interpreter": "/usr/bin/perl"})
    assert (box.workspace / "root/kept").read_text() == "kept\n"
