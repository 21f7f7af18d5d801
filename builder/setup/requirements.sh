#!/usr/bin/env bash
# requirements.sh [--upgrade]: pin what pyproject.toml asks for, for every Python from 3.11 and every platform, with
# the digests of all files. Keeps the pins there are unless --upgrade. No index host goes into the files.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source-path=SCRIPTDIR source=output.sh
. builder/setup/output.sh

UV_VERSION=0.13.9
uv=.cache/uv
pins=builder/setup

# pins_of FILE ARGUMENT...: write the pins of the requirements that the arguments name.
pins_of() {
    local file=$1
    shift
    step "$file"
    "$uv/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
        --no-emit-index-url --no-emit-find-links --custom-compile-command "make requirements" \
        --output-file "$pins/$file" "$@"
}

from_pyproject() {
    "${PYTHON:-python3}" -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))$1, sep='\n')"
}

[[ -x $uv/bin/uv ]] || quietly uv "${PYTHON:-python3}" -m venv --clear "$uv"
quietly uv "$uv/bin/pip" install "uv==$UV_VERSION"
# uv does not read pip's configuration, which may name this machine's index.
UV_DEFAULT_INDEX=$("$uv/bin/pip" config get global.index-url 2>/dev/null) && export UV_DEFAULT_INDEX

# The tests' pins hold everything; the smaller sets follow them, so that they can share one environment.
solv=(--no-emit-package solv)
pins_of requirements-test.txt "$@" "${solv[@]}" --extra test --extra operator pyproject.toml
shared=(--constraint "$pins/requirements-test.txt")
pins_of requirements.txt "${shared[@]}" "${solv[@]}" pyproject.toml
# The operator's image holds its own packages and, of the composer's, those that read and check documents.
{
    from_pyproject "['project']['optional-dependencies']['operator']"
    from_pyproject "['project']['dependencies']" | grep -E '^(click|pydantic|PyYAML)\b'
} | pins_of requirements-operator.txt "${shared[@]}" -
from_pyproject "['build-system']['requires']" | pins_of requirements-build.txt "${shared[@]}" -
echo scikit-build-core | pins_of requirements-solv-build.txt "$@" -
from_pyproject "['project']['dependencies']" | grep '^solv\b' |
    pins_of requirements-solv.txt "$@" --no-deps --no-binary solv -

! grep -nE '://' "$pins"/requirements*.txt || stop "an address got into the pins"
