#!/usr/bin/env bash
# npm run test:cgroup2 [-- FILE...]: runs tests in a machine whose kernel has control groups of version 2 alone. The machine is QEMU with
# Debian's kernel, this host's files as its root, and changes in memory. Needs Debian or Ubuntu on x64 with apt; installs nothing.
# Without KVM=1 every instruction is emulated: a VM boots in 15 s, and limits.test.ts takes 10 minutes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
checkout=$(cd "$here/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/agent-vm/cgroup2
root=$cache/root
limits=test/runtime/sandbox/kernel/processes/limits.test.ts
[ $# -gt 0 ] || set -- "$limits" "${limits/limits.test/seen-limits.test}" "${limits/limits.test/cgroup.test}"

if [ ! -x "$root/usr/bin/qemu-system-x86_64" ]; then
  mkdir -p "$cache/debs" "$root"
  cd "$cache/debs"
  kernel=$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image-/ { print $2; exit }')
  # Packages that this host lacks.
  mapfile -t more < <(apt-get install -s --no-install-recommends qemu-system-x86 | awk '/^Inst/ { print $2 }')
  apt-get download -q "$kernel" busybox-static qemu-system-x86 qemu-system-common qemu-system-data seabios "${more[@]}"
  for package in *.deb; do dpkg -x "$package" "$root"; done
fi
version=$(basename "$root"/lib/modules/*)
busybox=$root/bin/busybox
export LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/disk/{bin,mod,proc,sys,dev,host,changes,new} "$work/shared"
cp "$busybox" "$work/disk/bin"
cp "$here/init.sh" "$work/disk/init"
"$busybox" depmod -b "$root" "$version"
# Modules in an order in which each can be loaded.
declare -A added
number=100
add() {
  local line needed
  line=$(grep "/$1\.ko:" "$root/lib/modules/$version/modules.dep")
  for needed in ${line#*:}; do add "$(basename "$needed" .ko)"; done
  [ -z "${added[$1]:-}" ] || return 0
  added[$1]=1
  cp "$root/lib/modules/$version/${line%%:*}" "$work/disk/mod/$number-$1.ko"
  number=$((number + 1))
}
for module in virtio_pci 9pnet_virtio 9p overlay nf_tables nft_redir nft_tproxy nft_chain_nat nft_reject_inet; do add "$module"; done
(cd "$work/disk" && find . | "$busybox" cpio -o -H newc 2> /dev/null | gzip -1) > "$work/disk.gz"

printf '%q ' "$@" > "$work/shared/files"
printf '%s' "$checkout" > "$work/shared/checkout"
accelerator=(-accel tcg,thread=multi -cpu max)
[ -z "${KVM:-}" ] || accelerator=(-enable-kvm -cpu host)
"$root/usr/bin/qemu-system-x86_64" -L "$root/usr/share/qemu" -L "$root/usr/share/seabios" "${accelerator[@]}" \
  -m "${MEMORY_MIB:-6144}" -smp "$(nproc)" -nographic -no-reboot -nic none \
  -kernel "$root/boot/vmlinuz-$version" -initrd "$work/disk.gz" -append 'console=ttyS0 quiet panic=-1' \
  -fsdev local,id=host,path=/,security_model=none,readonly=on,multidevs=remap -device virtio-9p-pci,fsdev=host,mount_tag=host \
  -fsdev "local,id=shared,path=$work/shared,security_model=none" -device virtio-9p-pci,fsdev=shared,mount_tag=shared < /dev/null
exit "$(cat "$work/shared/status")"
