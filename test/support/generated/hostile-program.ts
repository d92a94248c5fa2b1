import { seededRandom } from "../random.ts";

type Random = ReturnType<typeof seededRandom>;

/** Attacks on files, names, links, mounts, signals, sockets, limits and output, as shell lines that may go on for ever. */
const ATTACKS: readonly ((random: Random) => string)[] = [
  // Processes and signals.
  ({ below }) => `f() { f | f & }; for i in $(seq ${1 + below(40)}); do f; done`,
  ({ below }) => `for i in $(seq ${50 + below(400)}); do setsid sh -c 'while :; do :; done' & done`,
  ({ below }) => `while :; do kill -${1 + below(31)} -1; sleep 0.${1 + below(9)}; done`,
  ({ below }) => `for i in $(seq ${100 + below(900)}); do (trap '' TERM INT HUP; exec sleep 1000) & done`,
  () => `for pid in $(seq 1 200); do kill -STOP $pid; kill -9 $pid; done`,
  ({ below }) => `python3 -c 'import os, time
for i in range(${100 + below(2000)}):
  try:
    if os.fork() == 0: os._exit(0)
  except OSError: pass
time.sleep(1000)'`,
  // Output.
  () => `while :; do head -c 1000000 /dev/urandom; done`,
  () => `yes >&2`,
  ({ below }) => `for i in $(seq ${1 + below(30)}); do yes "$(printf '\\033]0;x\\007\\r')" & done; wait`,
  // Files, names and links.
  ({ below }) =>
    `cd /tmp; for i in $(seq ${200 + below(1500)}); do mkdir "${"n".repeat(1 + below(250))}" && cd "$_" || break; done`,
  ({ below }) =>
    `cd /tmp; for i in $(seq ${1 + below(20)}); do truncate -s $((RANDOM * ${1 + below(1_000_000)}))K sparse-$i; done`,
  () => `truncate -s 100T /tmp/endless; printf x | dd of=/tmp/endless bs=1 seek=50T conv=notrunc`,
  ({ below }) => `cd /tmp; seq ${1000 + below(30_000)} | xargs touch; seq 1 1000 | xargs rm -f`,
  () => `dd if=/dev/zero of=/tmp/full bs=1M; echo x > /tmp/more`,
  () => `cd /tmp; while :; do ln -sfn / a; ln -sfn /proc/self/root a; ln -sfn ../../../../etc a; done`,
  () =>
    `cd /tmp; touch "$(printf 'a\\nb')" "$(printf '\\377\\376')" -- -rf '*' '$(reboot)'; ln -s . loop; ln f g; mkfifo fifo`,
  ({ below }) => `cd /tmp; echo > link; for i in $(seq ${100 + below(3000)}); do ln link link-$i; done`,
  () => `while :; do mv /tmp/x /tmp/y; mv /tmp/y /tmp/x; mkdir -p /tmp/x/d; rm -rf /home/agentos/*; done`,
  () => `chmod -R 000 /tmp /home/agentos /workspace; chmod 777 /usr /; chattr +i /tmp/x`,
  // Namespaces, mounts and the kernel.
  () =>
    `while :; do unshare -Urmpf true; mount -t tmpfs x /mnt; nsenter -t 1 -a true; pivot_root / /tmp; sleep 0.1; done`,
  () =>
    `for f in $(find /proc/sys /sys -writable -type f 2>/dev/null | head -500); do echo 1 > $f; done; cat /proc/kcore /dev/mem`,
  () => `find /proc -type f 2>/dev/null | xargs -n 50 cat > /dev/null; find / -xdev > /dev/null`,
  () =>
    `ulimit -n 1000000; ulimit -u unlimited; prlimit --pid 1 --nproc=1; renice -20 1; ionice -c 1 -p 1; taskset -p 1 1`,
  // Sockets, pipes, watches and memory.
  ({ below }) => `python3 -c 'import socket, time
kept = []
for i in range(${100 + below(5000)}):
  try:
    s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(1000); kept.append(s)
    c = socket.socket(); c.setblocking(False); c.connect_ex(s.getsockname()); c.send(b"x" * 100000); kept.append(c)
  except OSError: pass
time.sleep(1000)'`,
  ({ below }) => `python3 -c 'import fcntl, os, time
kept = []
for i in range(${100 + below(3000)}):
  try:
    kept.append(os.pipe()); fcntl.fcntl(kept[-1][1], 1031, 1 << 20); os.write(kept[-1][1], b"x" * 65536)
  except OSError: pass
time.sleep(1000)'`,
  ({ below }) => `python3 -c 'import os, pty, time
for i in range(${50 + below(1000)}):
  try: pty.openpty()
  except OSError: pass
time.sleep(1000)'`,
  ({ below }) => `python3 -c 'x = []
while True: x.append(bytearray(${1 + below(20)} << 20))'`,
  () => `python3 -c 'import ctypes
libc = ctypes.CDLL(None)
for i in range(100000):
  libc.shmget(i, 1 << 20, 0o1600); libc.semget(i, 100, 0o1600); libc.msgget(i, 0o1600); libc.inotify_init(); libc.syscall(248, b"user", b"x%d" % i, b"y" * 100, 100, -3)'`,
  () => `python3 -c 'import ctypes
libc = ctypes.CDLL(None)
import random
random.seed(1)
while True:
  n = random.randrange(512)
  if n not in (15, 34, 60, 62, 231): libc.syscall(n, *[random.choice([0, -1, 1, 4096, 1 << 40]) for i in range(5)])'`,
];

/** Makes a hostile program: a shell script that runs some attacks at once, or one after another. */
export function hostileProgram(seed: number): string {
  const random = seededRandom(seed);
  const lines = Array.from({ length: 2 + random.below(5) }, () => {
    const attack = ATTACKS[random.below(ATTACKS.length)] as (random: Random) => string;
    return `( ${attack(random)} )${random.below(5) === 0 ? "" : " &"}`;
  });
  return `trap '' HUP TERM\n${lines.join("\n")}\nwait\nsleep 1000\n`;
}
