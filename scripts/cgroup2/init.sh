#!/bin/busybox sh
# First process of the machine of `run.sh`.
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in /mod/*.ko; do insmod "$module" 2> /dev/null; done
plan9=trans=virtio,version=9p2000.L,msize=512000
mount -t 9p -o "$plan9,cache=loose,ro" host /host
mount -t tmpfs -o size=6g changes /changes
mkdir /changes/upper /changes/work
mount -t overlay -o lowerdir=/host,upperdir=/changes/upper,workdir=/changes/work,xino=off root /new
mkdir -p /new/proc /new/sys /new/dev /new/tmp /new/run /new/mnt
for kept in proc sys dev; do mount --move "/$kept" "/new/$kept"; done
mount -t tmpfs -o mode=1777 tmp /new/tmp
mount -t tmpfs run /new/run
mkdir -p /new/dev/pts /new/dev/shm
mount -t devpts devpts /new/dev/pts
mount -t tmpfs -o mode=1777 shm /new/dev/shm
mount -t cgroup2 cgroup2 /new/sys/fs/cgroup
mount -t 9p -o "$plan9" shared /new/mnt
ip link set lo up
exec switch_root /new /bin/bash -c '
  export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  ulimit -n 65536
  cd "$(cat /mnt/checkout)"
  eval "set -- $(cat /mnt/files)"
  export PATH=$PWD/node_modules/.bin:$PATH
  node --conditions=agent-vm-source src/cli/main.ts doctor
  node node_modules/vitest/vitest.mjs run --configLoader=runner --testTimeout=900000 --hookTimeout=400000 --expect.poll.timeout=300000 "$@"
  echo $? > /mnt/status
  sync
  echo o > /proc/sysrq-trigger
  sleep 60
'
