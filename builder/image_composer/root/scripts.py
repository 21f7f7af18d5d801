"""The document's own scripts: run in the sandbox as packages' scripts are, each with its time limit."""

from __future__ import annotations

from collections.abc import Mapping

from image_composer.errors import AssemblyError, ToolError
from image_composer.report import Reporter
from image_composer.root import operations
from image_composer.root.sandbox import Sandbox
from image_composer.spec.image import ImageSpec
from image_composer.spec.scripts import Hook, Script

PLACE = "/var/tmp/image-composer-script"  # noqa: S108 - a file of the root, gone before anything else runs
SHOWN_LINES = 20
"""Of a failed script's output, the last ones."""


def run_scripts(sandbox: Sandbox, spec: ImageSpec, hook: Hook, given: Mapping[str, bytes], reporter: Reporter) -> None:
    """Run the scripts of one hook, in the order of the document.

    Raises:
        AssemblyError: ASSEMBLE_SCRIPT_FAILED, ASSEMBLE_SCRIPT_TIMEOUT.
        ToolError: the interpreter could not be started.
    """
    for number, script in enumerate(spec.scripts):
        if script.when is hook:
            reporter.info(f"running the script {script.name}")
            content = given.get(f"scripts[{number}]", (script.content or "").encode())
            _run(sandbox, spec, script, content, reporter)


def _run(sandbox: Sandbox, spec: ImageSpec, script: Script, content: bytes, reporter: Reporter) -> None:
    sandbox.act("apply", operations=[operations.write(PLACE, content, mode=0o500)])
    names = {"IMAGE_NAME": spec.name, "IMAGE_VERSION": spec.version}
    try:
        done = sandbox.run(
            [script.interpreter, PLACE],
            env={**script.environment, **names},
            check=False,
            timeout=script.timeout,
            network=script.network,
        )
    except ToolError as error:
        if error.code != "TOOL_TIMEOUT":
            raise
        raise AssemblyError(
            "ASSEMBLE_SCRIPT_TIMEOUT",
            f"the script {script.name} took longer than {script.timeout} s",
            hint="raise its timeout",
        ) from error
    finally:
        sandbox.act("apply", operations=[operations.remove(PLACE)])
    said = [line for stream in (done.stdout, done.stderr) for line in stream.decode(errors="replace").splitlines()]
    for line in said:
        reporter.info(f"{script.name}: {line}")
    if done.returncode != 0:
        last = "\n".join(said[-SHOWN_LINES:]) or "(it said nothing)"
        raise AssemblyError(
            "ASSEMBLE_SCRIPT_FAILED", f"the script {script.name} failed with status {done.returncode}:\n{last}"
        )
