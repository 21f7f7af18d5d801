#!/usr/bin/env bash
# solv.sh PYTHON: print the path of a wheel of `solv` with Debian support for this interpreter. It is built from the
# pinned sdist once per machine, and kept where every clone finds it. Why it is built at all: docs/development.md.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source-path=SCRIPTDIR source=output.sh
. builder/setup/output.sh

python=$1
sdist=builder/setup/requirements-solv.txt
backend=builder/setup/requirements-solv-build.txt

# The variable replaces the project's own list, so that one is repeated first: without ENABLE_PYTHON3 the wheel comes
# out empty, and nothing says so.
SKBUILD_CMAKE_ARGS=$(
    IFS=';'
    args=(
        -DCMAKE_BUILD_TYPE:STRING=Release
        -DENABLE_PYTHON3:BOOL=ON
        -DENABLE_COMPLEX_DEPS:BOOL=ON
        -DENABLE_RPMMD:BOOL=ON
        -DENABLE_STATIC:BOOL=ON
        -DENABLE_STATIC_BINDINGS:BOOL=ON
        -DWITH_LIBXML2:BOOL=ON
        -DENABLE_DEBIAN=ON
        -DMULTI_SEMANTICS=ON
        -DENABLE_LZMA_COMPRESSION=ON
        -DENABLE_ZSTD_COMPRESSION=ON
        -DENABLE_BZIP2_COMPRESSION=ON
    )
    printf '%s' "${args[*]}"
)
export SKBUILD_CMAKE_ARGS

# All that decides about the wheel: source, options, interpreter, and the system whose libraries it links to.
wheel_key() {
    {
        grep -v '^#' "$sdist"
        printf '%s\n' "$SKBUILD_CMAKE_ARGS"
        "$python" -c 'import sysconfig as s; print(s.get_config_var("SOABI"), s.get_platform())'
        grep -E '^(ID|VERSION_ID)=' /etc/os-release || true
    } | sha256sum | cut -c 1-32
}

has_headers() {
    [[ -e $("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h ]]
}

build_wheel() {
    local into=$1 work
    builder/setup/host.sh solv
    has_headers || builder/setup/host.sh headers
    has_headers || stop "$python has no C headers (Python.h), which building solv needs" \
        "install them, or choose another interpreter: make PYTHON=/path/to/python3 setup"
    step "building solv with Debian support (once per machine, 0.5 to 2 minutes)"
    # On the cache's file system, so that the finished wheel can be moved in one step.
    work=$(mktemp -d "$into.XXXXXX")
    # shellcheck disable=SC2064 # the folder's name as it is now
    trap "rm -rf '$work'" EXIT
    quietly solv "$python" -m venv "$work/venv"
    quietly solv "$work/venv/bin/pip" install --require-hashes -r "$backend"
    quietly solv "$work/venv/bin/pip" wheel --no-cache-dir --no-deps --no-build-isolation --no-binary solv \
        --require-hashes -r "$sdist" -w "$work/wheel"
    quietly solv "$work/venv/bin/pip" install --no-deps --no-index "$work/wheel"/solv-*.whl
    quietly solv "$work/venv/bin/python" builder/setup/check_solv.py
    mkdir -p "$into"
    mv "$work/wheel"/solv-*.whl "$into/"
}

cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}/image-composer-dev/wheels
entry=$cache/$(wheel_key)
mkdir -p "$cache"
# Two clones being set up at once build one wheel.
exec 9>"$entry.lock"
flock 9
compgen -G "$entry/solv-*.whl" >/dev/null || build_wheel "$entry" >&2
compgen -G "$entry/solv-*.whl"
