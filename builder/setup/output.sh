# shellcheck shell=bash
# Sourced by the setup scripts: how they talk. One line a step on stderr; what tools print goes to a log that is
# shown only when the tool fails.

LOGS=.cache/setup

# step TEXT...: say what is being done.
step() {
    printf '==> %s\n' "$*" >&2
}

# stop MESSAGE [DETAIL...]: say why setting up can't go on, and end.
stop() {
    printf 'setup: %s\n' "$1" >&2
    shift
    if (($#)); then printf '       %s\n' "$@" >&2; fi
    exit 1
}

# quietly LOG COMMAND...: run a command; show the end of its output only when it fails.
quietly() {
    local log=$LOGS/$1.log status=0
    shift
    mkdir -p "$LOGS"
    printf '\n$ %s\n' "$*" >>"$log"
    "$@" >>"$log" 2>&1 </dev/null || status=$?
    if ((status)); then
        printf '\nfailed with status %s: %s\n' "$status" "$*" >&2
        tail -n 40 "$log" | sed 's/^/  | /' >&2
        printf '  the whole log: %s\n' "$PWD/$log" >&2
    fi
    return "$status"
}
