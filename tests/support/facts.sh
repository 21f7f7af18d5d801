# What a running system says about itself. Read by root's sh on the machine; prints name, exit status and output of each
# fact, each ended by a zero byte.

fact() {
    name=$1
    shift
    said=$("$@" 2>&1 </dev/null)
    printf '%s\0%s\0%s\0' "$name" "$?" "$said"
}

fact user id --user --name
fact sudo-user printenv SUDO_USER
fact id id alice
fact accounts getent passwd alice bob carol
fact homes stat --format '%n %a %U' /home/alice /srv/bob /home/carol /home/alice/.ssh/authorized_keys
fact locale locale
fact clock date +%s
fact zone date +%Z
fact hostname uname -n
fact own-address getent hosts "$(uname -n)"
fact kernel uname -r
fact secure-boot sh -c 'od -A n -t u1 -j 4 /sys/firmware/efi/efivars/SecureBoot-*'
fact lockdown cat /sys/kernel/security/lockdown
fact command-line cat /proc/cmdline
fact machine-id cat /etc/machine-id
fact host-keys sh -c 'cd /etc/ssh && ls -1 ssh_host_*'
fact host-key-owners stat --format '%a %U' /etc/ssh/ssh_host_ed25519_key

fact state systemctl is-system-running
fact failed systemctl list-units --failed --no-legend --plain
fact time systemd-analyze time
fact device-patience systemctl show --property JobRunningTimeoutUSec dev-ttyS0.device
fact errors journalctl --boot --priority err --output json --output-fields MESSAGE,SYSLOG_IDENTIFIER --no-pager

fact mounts findmnt --json --bytes --real --output TARGET,FSTYPE,OPTIONS,SIZE,PARTLABEL,PARTUUID --list
fact root-device findmnt --noheadings --output SOURCE /
fact write-to-usr touch /usr/written
fact fstab findmnt --verify --verbose

if [ -e /var/lib/dpkg/status ]; then
    fact packages dpkg-query --show --showformat '${Package} ${Version} ${db:Status-Status}\n'
    fact audit dpkg --audit
    fact verify dpkg --verify
    fact updates apt-get update --print-uris
else
    fact packages rpm --query --all --queryformat '%{NAME} %|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE} installed\n'
    fact audit rpmdb --verifydb
    fact verify rpm --verify --all
    fact updates sh -c 'cat /etc/yum.repos.d/*.repo'
    fact capabilities getcap /usr/bin/ping
fi

fact routes ip route show default
fact addresses ip -brief -4 address show scope global
fact resolver readlink --canonicalize-existing /etc/resolv.conf
fact name-servers resolvectl dns

# On two file systems where /var is one of its own.
fact ownerless find / /var -xdev -nouser -o -nogroup
fact writable find / /var -xdev -perm -o+w ! -type l ! -type c ! -type s ! -perm -1000

# Last, as it changes the machine: what the distribution's own tool makes of GRUB's configuration.
if [ -e /usr/sbin/update-grub ]; then
    fact boot-mode sh -c 'test -e /sys/firmware/efi && echo uefi || echo bios'
    fact written-configuration cat /boot/grub/grub.cfg
    fact update-grub update-grub
fi
