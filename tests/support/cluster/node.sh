#!/bin/sh
# Sets up the inside of a node; runs in its namespaces. Nothing of it reaches the machine: what would be written below
# /var/lib, /var/log and /run is written into the node's own folders, and kernel settings that the kubelet insists on
# look as it wants them while the machine keeps its own.
#   node.sh FOLDER HOSTNAME NODE_IP/PREFIX HOST_IP
set -eu
folder=$1 name=$2 address=$3 gateway=$4

hostname "$name"
# Volumes mounted by the kubelet must appear in containers that are running.
mount --make-rshared /

mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/netns
for part in lib log; do
    mkdir -p "/run/over/$part/new" "/run/over/$part/work"
    mount -t overlay overlay "/var/$part" \
        -o "lowerdir=/var/$part,upperdir=/run/over/$part/new,workdir=/run/over/$part/work"
done
for place in lib/kubelet lib/containerd lib/cni log/pods; do
    mkdir -p "/var/$place" "$folder/data/$place"
    mount --bind "$folder/data/$place" "/var/$place"
    mount --make-rshared "/var/$place"
done

mkdir /run/settings
pretend() {
    printf '%s\n' "$2" >"/run/settings/$1"
    mount --bind "/run/settings/$1" "/proc/sys/$(echo "$1" | tr . /)"
}
pretend vm.overcommit_memory 1
pretend vm.panic_on_oom 0
pretend kernel.panic 10
pretend kernel.panic_on_oops 1
pretend kernel.keys.root_maxkeys 1000000
pretend kernel.keys.root_maxbytes 25000000

ip link set lo up
ip address add "$address" dev eth0
ip link set eth0 up
ip route add default via "$gateway"
echo 1 >/proc/sys/net/ipv4/ip_forward
