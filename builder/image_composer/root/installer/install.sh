#!/bin/sh
# Writes the image on this medium to a disk. Runs in the image's own initramfs, as root, instead of what would start
# the system. What it shall do stands in the kernel's command line: docs/iso.md.
#
# The variables INSTALLER_* are for tests, which have folders in place of /sys and /dev; no machine sets them.
set -uf
umask 077
LC_ALL=C
export LC_ALL

sys=${INSTALLER_SYS:-/sys}
dev=${INSTALLER_DEV:-/dev}
run=${INSTALLER_RUN:-/run/image-installer}
command_line=${INSTALLER_COMMAND_LINE:-/proc/cmdline}
patience=${INSTALLER_PATIENCE:-60} # seconds for disks to appear: a large RAID controller or a slow stick takes as long
pause=${INSTALLER_PAUSE:-20}       # seconds to read a message before the machine is switched off

mib=1048576
chunk=$((${INSTALLER_CHUNK:-64} * mib)) # written between two looks at how far it is

medium=                  # name of the disk that this runs from
attended=no
disk=                    # name of the disk that is written to
problem=                 # what is wrong, as a sentence
end_with=poweroff        # how the machine ends

# ---------------------------------------------------------------- what is asked for

option() { # name, default: gives the last value, so that what is added at boot counts
    value=$2
    for word in $(cat "$command_line"); do
        case $word in "installer.$1="*) value=${word#*=} ;; esac
    done
    printf '%s' "$value"
}

read_options() {
    title=$(option title image)
    label=$(option medium '')
    digest=$(option sha256 '')
    size=$(option size 0)
    packed_digest=$(option packed-sha256 '')
    packed_size=$(option packed-size 0)
    grow=$(option grow '')
    rule=$(option target ask)
    overwrite=$(option overwrite no)
    when_done=$(option when-done poweroff)
    [ "$rule" = ask ] && attended=yes
    case $when_done in reboot | poweroff) ;; *) problem="installer.when-done=$when_done is neither reboot nor poweroff" ;; esac
    case $overwrite in yes | no) ;; *) problem="installer.overwrite=$overwrite is neither yes nor no" ;; esac
    case $rule in
        ask | smallest | largest | serial:?* | path:/dev/?*) ;;
        *) problem="installer.target=$rule is none of ask, smallest, largest, serial:NUMBER, path:/dev/NAME" ;;
    esac
    for number in "$size" "$packed_size"; do
        case $number in '' | 0* | *[!0-9]*) problem="the command line does not say how large the image is" ;; esac
    done
    [ -z "$problem" ]
}

# ---------------------------------------------------------------- talking

open_consoles() { # everything is said on each console of the kernel, and people may answer on any
    consoles=
    for name in $(cat "$sys/class/tty/console/active" 2>/dev/null); do
        [ -w "$dev/$name" ] && consoles="$consoles $dev/$name"
    done
}

say() {
    for console in $consoles; do
        printf '%s\n' "$*" >>"$console"
    done
    printf '%s\n' "$*" >&2
}

listen() {
    rm -f "$run/answers"
    mkfifo "$run/answers" || return 1
    exec 3<>"$run/answers"
    for console in $consoles; do
        (while IFS= read -r line; do printf '%s\n' "$line"; done <"$console" >&3) &
    done
}

answer() { # gives what was typed, without spaces around it
    IFS=' 	' read -r typed rest <&3 && printf '%s' "$typed"
}

readable() { # bytes, as people read them
    if [ "$1" -ge $((10 * mib * 1024)) ]; then echo "$(($1 / mib / 1024)) GiB"; else echo "$(($1 / mib)) MiB"; fi
}

last_complaint() { # what a tool said at last
    while IFS= read -r line; do said=$line; done <"$run/log"
    printf '%s' "${said:-no reason was given}"
}

# ---------------------------------------------------------------- disks

whole_disk() { # name of a disk or partition: gives the disk's
    if [ -e "$sys/class/block/$1/partition" ]; then
        place=$(readlink -f "$sys/class/block/$1")
        place=${place%/*}
        echo "${place##*/}"
    else
        echo "$1"
    fi
}

attribute() { # disk, name: gives a line of what the kernel says
    value=
    [ -r "$sys/block/$1/$2" ] && IFS= read -r value <"$sys/block/$1/$2"
    printf '%s' "$value"
}

bytes_of() {
    sectors=$(attribute "$1" size)
    echo $((${sectors:-0} * 512))
}

disks() { # gives those that could be written to, whatever their size
    for name in $(ls "$sys/block"); do
        case $name in
            loop* | ram* | zram* | dm-* | md* | sr* | fd* | nbd* | mtdblock* | *boot[0-9] | *rpmb) continue ;;
            "$medium") continue ;;
        esac
        [ "$(bytes_of "$name")" -gt 0 ] && [ "$(attribute "$name" ro)" != 1 ] && [ "$(attribute "$name" hidden)" != 1 ] &&
            echo "$name"
    done
}

is_carried() { # whether a disk is one that people carry around: these are only taken when they are named
    [ "$(attribute "$1" removable)" = 1 ] && return 0
    case $(readlink -f "$sys/block/$1") in */usb[0-9]*) return 0 ;; esac
    return 1
}

serials() { # gives every serial number that a disk goes by
    udevadm info --query=property --name="$dev/$1" 2>/dev/null | while IFS= read -r line; do
        case $line in ID_SERIAL_SHORT=* | ID_SERIAL=*) echo "${line#*=}" ;; esac
    done
    for place in serial device/serial; do
        attribute "$1" "$place"
        echo
    done
}

content_of() { # gives what a disk holds, in a few words; nothing when it is blank
    for entry in $(ls "$sys/block/$1"); do
        [ -e "$sys/block/$1/$entry/partition" ] && echo "partitions" && return
    done
    [ -n "$(ls "$sys/block/$1/holders" 2>/dev/null)" ] && echo "something that is in use" && return
    [ -r "$dev/$1" ] || { echo "something that can't be read"; return; }
    found=$(blkid --probe --output value --match-tag PTTYPE --match-tag TYPE "$dev/$1" 2>/dev/null)
    case $? in
        2) ;; # nothing that it knows
        0) echo "${found:-something unknown}" | { read -r first rest; echo "$first"; } ;;
        *) echo "several things" ;;
    esac
}

described() { # disk: gives a line about it
    serial=
    for word in $(serials "$1"); do serial=" serial $word" && break; done
    model=$(attribute "$1" device/model)
    echo "$1  $(readable "$(bytes_of "$1")")  ${model:+${model%% *} }${serial}"
}

# ---------------------------------------------------------------- choosing

by_size() { # smallest or largest
    best=
    for name in $(disks); do
        bytes=$(bytes_of "$name")
        { [ "$bytes" -lt "$size" ] || is_carried "$name"; } && continue
        if [ -z "$best" ] ||
            { [ "$1" = smallest ] && [ "$bytes" -lt "$best_bytes" ]; } ||
            { [ "$1" = largest ] && [ "$bytes" -gt "$best_bytes" ]; }; then
            best=$name best_bytes=$bytes
        fi
    done
    printf '%s' "$best"
}

by_serial() {
    for name in $(disks); do
        for serial in $(serials "$name"); do
            [ "$serial" = "$1" ] && printf '%s' "$name" && return
        done
    done
}

by_path() {
    place=$(readlink -f "$dev/${1#/dev/}")
    for name in $(disks); do
        [ "$place" = "$(readlink -f "$dev/$name")" ] && printf '%s' "$name" && return
    done
}

by_rule() {
    case $rule in
        smallest | largest) by_size "$rule" ;;
        serial:*) by_serial "${rule#serial:}" ;;
        path:*) by_path "${rule#path:}" ;;
    esac
}

choose_by_rule() { # sets disk, or problem
    waited=0
    disk=$(by_rule)
    while [ -z "$disk" ] && [ "$waited" -lt "$patience" ]; do
        sleep 1
        waited=$((waited + 1))
        disk=$(by_rule)
    done
    if [ -z "$disk" ]; then
        problem="there is no disk for the rule '$rule' that has the $(readable "$size") of the image"
        return 1
    fi
    if [ "$(bytes_of "$disk")" -lt "$size" ]; then
        problem="the disk $disk has $(readable "$(bytes_of "$disk")"), less than the $(readable "$size") of the image"
        return 1
    fi
    content=$(content_of "$disk")
    if [ -n "$content" ] && [ "$overwrite" != yes ]; then
        problem="the disk $disk is not empty, it holds: $content. Nothing was written. installer.overwrite=yes allows it"
        return 1
    fi
}

choose_by_menu() { # sets disk; fails when people want to look again
    say ""
    say "To which disk shall $title be written?"
    number=0
    choices=
    for name in $(disks); do
        number=$((number + 1))
        choices="$choices $name"
        content=$(content_of "$name")
        say "  $number) $(described "$name"), $([ -n "$content" ] && echo "holds: $content" || echo blank)"
    done
    [ "$number" -gt 0 ] || say "  (there is none)"
    say "  l) look again    p) power off"
    say "Number or letter, and Enter:"
    wanted=$(answer)
    case $wanted in
        p) end_machine poweroff ;;
        '' | *[!0-9]*) return 1 ;;
    esac
    number=0
    disk=
    for name in $choices; do
        number=$((number + 1))
        [ "$number" = "$wanted" ] && disk=$name
    done
    [ -n "$disk" ] || return 1
    if [ "$(bytes_of "$disk")" -lt "$size" ]; then
        say "$disk is smaller than the $(readable "$size") of the image."
        return 1
    fi
    confirm
}

confirm() {
    content=$(content_of "$disk")
    word=yes
    if [ -n "$content" ]; then
        say "$disk is not empty, it holds: $content. All that is on it will be lost."
        word=erase
    fi
    say "Type '$word' and Enter to write to $disk, or just Enter to go back:"
    [ "$(answer)" = "$word" ]
}

# ---------------------------------------------------------------- writing

pump() { # what is done, bytes there, bytes done already: copies input to output and says how far it is
    at=$3
    told=0
    while [ "$at" -lt "$2" ]; do
        amount=$(($2 - at))
        [ "$amount" -gt "$chunk" ] && amount=$chunk
        dd bs=1M count="$amount" iflag=fullblock,count_bytes status=none 2>>"$run/log" || return 1
        at=$((at + amount))
        percent=$((at * 100 / $2))
        if [ "$percent" -ge $((told + 10)) ] || [ "$at" -ge "$2" ]; then
            told=$percent
            say "  $1: $percent %"
        fi
    done
    return 0
}

unpacked() { zstd --decompress --stdout --quiet "$image" 2>>"$run/log"; }

digest_of() { # what is done, bytes: gives the digest of the input
    pump "$1" "$2" 0 | sha256sum | { read -r found rest; echo "$found"; }
}

check_medium() {
    say "Checking the image on the medium ($(readable "$packed_size"), unpacked $(readable "$size"))"
    [ "$(digest_of checked "$packed_size" <"$image")" = "$packed_digest" ] && return
    problem="the image on the medium is damaged: it does not have the digest $packed_digest. Nothing was written"
    return 1
}

# The first MiB, which holds the partition table, comes last: a disk whose writing was interrupted is blank.
write_disk() {
    say "Writing to $disk"
    target=$dev/$disk
    if dd if=/dev/zero of="$target" bs=1M count=1 conv=notrunc,fsync status=none 2>>"$run/log" &&
        unpacked | write_rest && sync &&
        dd if="$run/first" of="$target" bs=1M conv=notrunc,fsync status=none 2>>"$run/log"; then
        return
    fi
    problem="$disk can't be written: $(last_complaint)"
    return 1
}

write_rest() {
    dd of="$run/first" bs=1M count=1 iflag=fullblock status=none 2>>"$run/log" || return 1
    { # opened once: udev looks at a disk each time that it is closed
        dd if=/dev/null bs=1M seek=1 conv=notrunc status=none 2>>"$run/log" && pump written "$size" "$mib"
    } 1<>"$target"
}

check_disk() {
    say "Reading $disk back"
    sync
    [ -n "${INSTALLER_SYS:-}" ] || echo 3 >/proc/sys/vm/drop_caches # so that the disk itself is read
    [ "$(digest_of "read back" "$size" <"$target")" = "$digest" ] && return
    # So that it does not look like a disk that works.
    dd if=/dev/zero of="$target" bs=1M count=1 conv=notrunc,fsync status=none 2>>"$run/log"
    problem="$disk does not hold what was written to it: the disk is broken"
    return 1
}

grow_last() {
    table() { sfdisk --quiet --no-reread --no-tell-kernel --wipe never "$@" >>"$run/log" 2>&1; }
    [ "$(bytes_of "$disk")" -gt "$size" ] || return 0
    say "Moving the end of the partition table to the end of $disk${grow:+, growing partition $grow}"
    if table --relocate gpt-bak-std "$target"; then
        [ -z "$grow" ] && return
        echo ", +" | table --partno "$grow" "$target" && return
    fi
    problem="the partition table of $disk can't be changed: $(last_complaint)"
    return 1
}

install() {
    : >"$run/log"
    check_medium && write_disk && check_disk && grow_last && sync
}

# ---------------------------------------------------------------- the whole

find_medium() {
    medium_folder=${INSTALLER_MEDIUM:-$run/medium}
    waited=0
    while [ ! -e "$dev/disk/by-label/$label" ]; do
        if [ "$waited" -ge "$patience" ]; then
            problem="the medium $label, which this was started from, is not found among the disks"
            return 1
        fi
        [ "$waited" = 5 ] && say "Waiting for the medium $label"
        sleep 1
        waited=$((waited + 1))
    done
    device=$(readlink -f "$dev/disk/by-label/$label")
    medium=$(whole_disk "${device##*/}")
    image=$medium_folder/image/disk.zst
    if [ -z "${INSTALLER_MEDIUM:-}" ]; then
        mkdir -p "$medium_folder"
        if ! mount -t iso9660 -o ro "$device" "$medium_folder" 2>>"$run/log"; then
            problem="the medium $label can't be mounted: $(last_complaint)"
            return 1
        fi
    fi
    [ -r "$image" ] && return
    problem="the medium $label holds no image"
    return 1
}

end_machine() { # poweroff or reboot
    trap - EXIT
    sync
    if [ -n "${INSTALLER_END:-}" ]; then # a test's program
        exec "$INSTALLER_END" "$1"
    fi
    [ -n "${medium_folder:-}" ] && umount "$medium_folder" 2>>"$run/log"
    systemctl --force --force "$1"
}

give_up() {
    say ""
    say "error: ${problem:-the installer ended unexpectedly}."
    say "The machine is switched off."
    sleep "$pause"
    end_machine poweroff
}

main() {
    mkdir -p "$run"
    : >"$run/log"
    open_consoles
    trap give_up EXIT
    read_options || give_up
    say ""
    say "Installer of $title"
    find_medium || give_up
    if [ "$attended" = yes ]; then
        listen || give_up
        until choose_by_menu && install; do
            [ -n "$problem" ] && say "" && say "error: $problem."
            problem=
        done
    else
        choose_by_rule || give_up
        say "Chosen by the rule '$rule': $(described "$disk")"
        install || give_up
    fi
    say ""
    say "$title is on $disk, checked."
    if [ "$attended" = yes ]; then
        say "Take the medium out and press Enter to $when_done:"
        answer >/dev/null
    fi
    say "Done: $when_done"
    end_machine "$when_done"
}

main
