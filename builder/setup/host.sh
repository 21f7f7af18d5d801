#!/usr/bin/env bash
# host.sh GROUP...: see that the host has the packages of these groups of host-packages.txt; install what is missing.
# Does nothing, and calls neither apt nor sudo, when nothing is missing.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source-path=SCRIPTDIR source=output.sh
. builder/setup/output.sh

LIST=builder/setup/host-packages.txt
TRIES=3

# Print "package program reason" of every line of the groups given.
wanted() {
    awk -v groups=" $* " '$1 !~ /^#/ && NF && index(groups, " " $1 " ") { $1 = ""; print substr($0, 2) }' "$LIST"
}

missing_packages() {
    local names each installed name
    mapfile -t names < <(wanted "$@" | cut -d ' ' -f 1)
    mapfile -t each < <(printf '%s\n' "${names[@]}" | tr '|' '\n')
    # Fails when it knows nothing of one of them; what it prints of the others counts all the same.
    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${each[@]}" 2>/dev/null) || true
    installed=$(sed -n 's/^installed //p' <<<"$installed")
    for name in "${names[@]}"; do
        # Of alternatives, any will do; where there is none, the first is installed.
        grep -qxFf <(tr '|' '\n' <<<"$name") <<<"$installed" || printf '%s\n' "${name%%|*}"
    done
}

missing_programs() {
    local package program reason
    while read -r package program reason; do
        [[ $program == - ]] || PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null ||
            printf '%-20s %s (Debian package: %s)\n' "$program" "$reason" "${package%%|*}"
    done < <(wanted "$@")
}

# A package manager elsewhere has other names for nearly all of these: say what is needed, install nothing.
check_other_distribution() {
    local programs
    mapfile -t programs < <(missing_programs "$@")
    ((${#programs[@]} == 0)) || stop \
        "this host has no dpkg, so packages are not installed for you; please install what brings these programs:" \
        "${programs[@]}"
}

as_root() {
    if ((EUID == 0)); then
        env "$@"
    else
        sudo -- env "$@"
    fi
}

apt() {
    # Waits for another apt to finish; needrestart must not restart services of the developer's machine.
    as_root DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -q -y \
        -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 "$@"
}

# Mirrors and other people's locks fail for a moment: try again, later each time.
patiently() {
    local try
    for ((try = 1; ; try++)); do
        "$@" && return
        ((try < TRIES)) || return 1
        step "that failed; trying again in $((try * 10)) s"
        sleep $((try * 10))
    done
}

# Several groups in a row are installed with one refresh of the package lists.
refresh_lists() {
    local refreshed=$LOGS/lists-refreshed
    [[ -z $(find "$refreshed" -mmin -10 2>/dev/null) ]] || return 0
    patiently quietly host apt update && touch "$refreshed"
}

install_packages() {
    ((EUID == 0)) || command -v sudo >/dev/null || stop "packages are missing, and neither root nor sudo is at hand" \
        "run as root: apt-get install --no-install-recommends $*"
    step "installing host packages: $*"
    # One broken source of the machine's owner fails the whole update; the install below is what counts.
    refresh_lists || step "the package lists could not all be refreshed; going on with those at hand"
    # Nothing that the machine's owner has may go for it.
    patiently quietly host apt install --no-install-recommends --no-remove -- "$@" ||
        stop "the host packages could not be installed"
}

if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
    mapfile -t packages < <(missing_packages "$@")
    ((${#packages[@]} == 0)) || install_packages "${packages[@]}"
else
    check_other_distribution "$@"
fi
