#!/usr/bin/env bash
# What the sandbox's cgroup v2 limits do where a machine hands groups down: the control group tests and the abuse programs in a
# virtual machine that has this machine's files (read only) and a kernel of its own. By hand, not in the test suite:
#
#   apt-get install qemu-system-x86 busybox-static; apt-get download linux-image-VERSION-amd64; dpkg -x linux-image-*.deb KERNEL
#   tests/system/control_groups.sh KERNEL [BUILD] [FILTER of sandbox_abuse_test]
#
# KERNEL holds boot/vmlinuz-* and lib/modules/*, BUILD is build/release. Needs /dev/kvm. Exit code 1 when a test fails.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
kernel="${1:?a folder with boot/ and lib/modules/}"
build="${2:-$root/build/release}"
filter="${3:-*}"
work="$(mktemp -d)"
trap 'rm -rf -- "$work"' EXIT
mkdir -p "$work"/{bin,host,modules}
cp "$(command -v busybox)" "$work/bin/busybox"
modules=(virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci netfs fscache 9pnet 9pnet_virtio 9p)
for module in "${modules[@]}"; do
  find "$kernel"/lib/modules -name "$module.ko" -exec cp {} "$work/modules/" \;
done
cat >"$work/init" <<EOF
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc 2>/dev/null || { mkdir -p /proc; mount -t proc proc /proc; }
echo 1 >/proc/sys/kernel/printk
for m in ${modules[*]}; do insmod /modules/\$m.ko || echo "no \$m"; done
mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=262144,cache=loose host /host || echo "no files"
mount -t proc proc /host/proc
mount -t sysfs sys /host/sys
mount -t cgroup2 cgroup /host/sys/fs/cgroup
mount -t devtmpfs dev /host/dev
mkdir -p /host/dev/shm /host/dev/pts
mount -t tmpfs shm /host/dev/shm
mount -t tmpfs tmp /host/tmp
mount -t tmpfs run /host/run
ip link set lo up
hostname aha-vm
# The tests' own group, which has processes; groups for slots lie beside it.
mkdir /host/sys/fs/cgroup/slice /host/sys/fs/cgroup/slice/own
echo '+memory +pids' >/host/sys/fs/cgroup/cgroup.subtree_control
echo '+memory +pids' >/host/sys/fs/cgroup/slice/cgroup.subtree_control
echo \$\$ >/host/sys/fs/cgroup/slice/own/cgroup.procs
chroot /host /bin/bash -c 'export PATH=/usr/bin:/bin; cd /tmp
  "$build/tests/rewards/rewards_test" --gtest_filter="*Groups*"; a=\$?
  "$build/tests/rewards/sandbox_abuse_test" --gtest_filter="$filter"; b=\$?
  echo "status \$((a | b))"'
poweroff -f
EOF
chmod +x "$work/init"
(cd "$work" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1 >"$work.initrd")
trap 'rm -rf -- "$work" "$work.initrd"' EXIT
timeout 300 qemu-system-x86_64 -enable-kvm -cpu host -m 4096 -smp 2 -nographic -no-reboot \
  -kernel "$(ls "$kernel"/boot/vmlinuz-* | head -n 1)" -initrd "$work.initrd" \
  -append "console=ttyS0 quiet panic=1 cgroup_no_v1=all" \
  -virtfs "local,path=/,mount_tag=host,security_model=none,readonly=on" </dev/null | tee "$work/log"
grep -q '^status 0' "$work/log"
