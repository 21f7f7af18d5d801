#!/usr/bin/env bash
# venv.sh runtime|test: see that .venv holds exactly the pinned packages, `solv` with Debian support and the project
# itself (editable). PYTHON in the environment chooses the interpreter. A stamp in .venv holds the digest of all that
# went in, so a second run does nothing until something changes.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source-path=SCRIPTDIR source=output.sh
. builder/setup/output.sh

level=$1
python=${PYTHON:-python3}
venv=.venv
PIP=(quietly python "$venv/bin/pip" --disable-pip-version-check)

# Which interpreter it is: two of one version and one home are the same, be they called through a link or a .venv.
identity() {
    "$1" -c 'import sys; print(sys.version, sys.base_prefix)' 2>/dev/null
}

inputs_digest() {
    {
        printf '%s\n' "$PWD" "$1"
        sha256sum pyproject.toml builder/setup/*.{sh,txt,py}
    } | sha256sum
}

can_make_venv() {
    "$python" -c 'import ensurepip, venv' 2>/dev/null
}

check_python() {
    # Only Debian's own interpreter comes without venv, and only that one can apt complete.
    can_make_venv || [[ $python != python3 && $python != /usr/bin/python3 ]] || builder/setup/host.sh python
    command -v "$python" >/dev/null || stop "PYTHON=$python was not found" \
        "choose an interpreter, 3.11 or newer: make PYTHON=/usr/bin/python3 setup"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        stop "Python 3.11 or newer is needed; $python is $("$python" -V 2>&1)" \
            "choose another interpreter: make PYTHON=/usr/bin/python3 setup"
    can_make_venv || stop "$python lacks the modules venv and ensurepip" \
        "choose another interpreter: make PYTHON=/usr/bin/python3 setup"
}

make_venv() {
    [[ $(identity "$venv/bin/python") != "$(identity "$python")" ]] || return 0
    step "making $venv with $("$python" -V)"
    quietly python "$python" -m venv --clear "$venv"
}

install_pinned() {
    local requirements=(-r builder/setup/requirements.txt -r builder/setup/requirements-build.txt)
    [[ $level == runtime ]] || requirements+=(-r builder/setup/requirements-test.txt)
    step "installing the pinned packages ($level)"
    "${PIP[@]}" install --require-hashes --no-deps --only-binary :all: "${requirements[@]}"
}

install_solv() {
    local wheel
    wheel=$(builder/setup/solv.sh "$venv/bin/python")
    "${PIP[@]}" install --no-deps --no-index --force-reinstall "$wheel"
    quietly python "$venv/bin/python" builder/setup/check_solv.py ||
        stop "the solv wheel kept from an earlier build does not work; remove it and try again: rm $wheel"
}

check_python
digest=$(inputs_digest "$(identity "$python")")
stamp=$venv/.ready-$level
if [[ -e $stamp && $(<"$stamp") == "$digest" && -x $venv/bin/python ]]; then exit; fi
make_venv
rm -f "$venv"/.ready-*
install_pinned
install_solv
"${PIP[@]}" install --no-deps --no-build-isolation --editable .
quietly python "$venv/bin/pip" check
printf '%s\n' "$digest" >"$stamp"
# What the tests need includes what the composer needs.
[[ $level != test ]] || printf '%s\n' "$digest" >"$venv/.ready-runtime"
step "$venv is ready"
