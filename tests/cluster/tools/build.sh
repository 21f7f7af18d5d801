#!/usr/bin/env bash
# build.sh GROUP...: see that the programs of these groups are there, build what is missing, and print the folder that
# holds them all. A group is a folder beside this file: a Go module whose tools are built. What was built once is kept
# where every clone finds it; the folder printed, .cache/tools/bin, has links to it.
set -euo pipefail
tools=tests/cluster/tools
cd "$(dirname "$0")/../../.."
# shellcheck source-path=SCRIPTDIR source=../../../builder/setup/output.sh
. builder/setup/output.sh
LOGS=.cache/tools

links=$PWD/.cache/tools/bin
cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}/image-composer-dev/tools
# The same programs from every clone and whatever the caller's settings: static, without paths of this machine.
unset GOFLAGS GOWORK
export CGO_ENABLED=0 GOTOOLCHAIN=local GOWORK=off GOFLAGS="-mod=readonly -trimpath -buildvcs=false"
# Objects of an unfinished build stay for the next try; gigabytes that nobody needs afterwards go.
export GOCACHE=$cache/objects

# version_of GROUP MODULE: the version that the group's go.mod names.
version_of() {
    awk -v module="$2" '$1 == "require" { $1 = ""; $0 = $0 } $1 == module { print $2; exit }' "$tools/$1/go.mod"
}

# What the linker is told: no debugging symbols, and the version, which the programs otherwise don't know.
linker_flags() {
    local version package flags="-s -w"
    case $1 in
    kubernetes)
        version=$(version_of "$1" k8s.io/kubernetes)
        for package in k8s.io/client-go/pkg/version k8s.io/component-base/version; do
            flags+=" -X $package.gitVersion=$version -X $package.gitTreeState=clean -X $package.gitMajor=1"
            flags+=" -X $package.gitMinor=$(cut -d . -f 2 <<<"$version")"
        done
        ;;
    helm) flags+=" -X helm.sh/helm/v3/internal/version.version=$(version_of "$1" helm.sh/helm/v3)" ;;
    versitygw) flags+=" -X main.Version=$(version_of "$1" github.com/versity/versitygw)" ;;
    esac
    printf '%s' "$flags"
}

# All that decides about the programs of a group.
group_key() {
    {
        find "$tools/$1" -type f -print0 | sort -z | xargs -0 sha256sum
        linker_flags "$1"
        printf '\n%s\n' "$CGO_ENABLED $GOFLAGS" "$(go env GOVERSION GOOS GOARCH GOAMD64 GOARM64)"
    } | sha256sum | cut -c 1-32
}

build_group() {
    local group=$1 into=$2 work started=$SECONDS
    step "building the programs of tests/cluster/tools/$group (once per machine; log: $LOGS/$group.log)"
    # On the cache's file system, so that the finished programs can be moved in one step.
    work=$(mktemp -d "$into.XXXXXX")
    # shellcheck disable=SC2064 # the folder's name as it is now
    trap "rm -rf '$work'" EXIT
    # `tool`: all programs that go.mod has as tools, in one go, so that what they share is compiled once.
    quietly "$group" go build -C "$tools/$group" -ldflags "$(linker_flags "$group")" -o "$work/" tool
    chmod 755 "$work"
    mv "$work" "$into"
    trap - EXIT
    step "$group is built ($((SECONDS - started)) s)"
}

# Nothing is left behind by a build that was killed: whoever builds holds the lock.
sweep() {
    rm -rf "$cache/$1"-*.??????
}

# see_to GROUP: build the group unless it is there. One build at a time on a machine: a second one would not be faster,
# and may want the same.
see_to() {
    local group=$1 entry=$2
    [[ ! -d $entry ]] || return 0
    exec 9>"$cache/lock"
    flock -n 9 || { step "waiting for $group, or for another build to end" && flock 9; }
    if [[ ! -d $entry ]]; then
        sweep "$group"
        build_group "$group" "$entry"
        built=1
    fi
    exec 9>&-
}

# A function, so that the script is read to its end before it builds for minutes: it may change in the meantime.
main() {
    local group entry program built=
    command -v go >/dev/null || stop "Go is needed to build the test cluster's programs, and there is no 'go' on PATH" \
        "install Go 1.26 or newer, then: make setup-cluster"
    mkdir -p "$cache" "$links"
    for group in "$@"; do
        [[ -e $tools/$group/go.mod ]] || stop "there is no group '$group' in $tools"
        entry=$cache/$group-$(group_key "$group")
        see_to "$group" "$entry"
        for program in "$entry"/*; do
            # A link that is right stays: somebody may be starting the program through it.
            [[ $links/${program##*/} -ef $program ]] || ln -sf "$program" "$links/"
        done
    done
    if [[ $built ]]; then
        exec 9>"$cache/lock"
        # Someone who builds now needs the objects, and removes them.
        ! flock -n 9 || rm -rf "$GOCACHE"
    fi
    printf '%s\n' "$links"
    exit
}

main "$@"
