// @module-tag any-user
// @module-tag attack
import { expect, test } from "vitest";
import { isRoot } from "../../../../support/host.ts";
import { startVm } from "../../../../support/vm.ts";

const MIB = 1024 * 1024;
const LIBC = "import ctypes, os, signal, time\nlibc = ctypes.CDLL(None, use_errno=True)\n";

/** Starts two VMs, and a python program in the first. @returns the first line that it prints, and the second VM */
async function beside(program: string, limits = {}) {
  const [one, other] = [startVm({ limits }), startVm({ limits })];
  const { pid } = await one.vm.spawn("python3", [
    "-c",
    `${LIBC}${program}\nprint(count, flush=True)\ntime.sleep(1001)`,
  ]);
  await one.outputHas(pid, "\n");
  return { count: Number(one.output(pid)), other: other.vm, vm: one.vm };
}

test("pseudo-terminals: a VM that opens all it can leaves the shells of others", async () => {
  const { count, other } = await beside(`
count, kept = 0, []
try:
  while count < 2000: kept.append(os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)); count += 1
except OSError: pass`);
  expect(count).toBe(128);
  await other.openShell();
});

test("inotify: a VM that makes all instances it can leaves instances to others", async () => {
  const { count, other } = await beside(`
count = 0
while count < 2000 and libc.inotify_init() >= 0: count += 1`);
  expect(count).toBeLessThan(2000);
  const { stdout } = await other.execArgv("python3", ["-c", `${LIBC}print(libc.inotify_init() >= 0)`]);
  expect(stdout).toBe("True\n");
  await other.watchFiles("/workspace");
});

/** Queues signals that stay blocked, and counts them. */
const QUEUE_SIGNALS = `
signal.pthread_sigmask(signal.SIG_BLOCK, [34])
count = 0
while count < 200000 and libc.sigqueue(os.getpid(), 34, 0) == 0: count += 1`;

test("pending signals: a VM that queues all it can leaves signals to others", async () => {
  const { count, other } = await beside(QUEUE_SIGNALS);
  const { stdout } = await other.execArgv("python3", ["-c", `${LIBC}${QUEUE_SIGNALS}\nprint(count)`]);
  expect(Number(stdout)).toBe(count);
});

/** Makes POSIX message queues, and counts them. */
const MAKE_QUEUES = `
class Attributes(ctypes.Structure): _fields_ = [(name, ctypes.c_long) for name in ("flags", "most", "size", "now")]
count = 0
while count < 1000 and libc.mq_open(f"/queue{count}".encode(), os.O_CREAT | os.O_RDWR, 0o600, ctypes.byref(Attributes(0, 10, 1024, 0))) >= 0: count += 1`;

test("message queues: a VM that makes all it can leaves queues to others", async () => {
  const { count, other } = await beside(MAKE_QUEUES);
  const { stdout } = await other.execArgv("python3", ["-c", `${LIBC}${MAKE_QUEUES}\nprint(count)`]);
  expect(Number(stdout)).toBe(count);
  expect(count).toBeGreaterThan(0);
});

test("System V memory, which belongs to no process, has a limit, and ends with the VM", async () => {
  const { count, vm } = await beside(
    `
count = 0
while count < 1000 and libc.shmget(0, 1 << 20, 0o1600) >= 0: count += 1`,
    { filesystemBytes: 16 * MIB },
  );
  expect(count).toBe(8);
  await vm.exec("kill -9 -1");
  expect((await vm.exec("ipcs -m | grep -c ' 1048576 '")).stdout).toBe("8\n");
});

test("System V semaphores and message queues have limits", async () => {
  const { count } = await beside(`
sets = queues = 0
while sets < 50000 and libc.semget(0, 1, 0o1600) >= 0: sets += 1
while queues < 50000 and libc.msgget(0, 0o1600) >= 0: queues += 1
count = sets * 1000 + queues`);
  expect(count).toBe(1000 * 1000 + 512);
});

// VMs of an ordinary user's server share the user's pages.
test.runIf(isRoot)("pages in pipes: a VM that fills its part leaves whole pipes to others", async () => {
  const { count, other } = await beside(`
import fcntl
count, kept, size = 0, [], 65536
while count < 1900 and size == 65536:
  kept += os.pipe(); count += 1; size = fcntl.fcntl(kept[-1], 1032)`);
  expect(count).toBeLessThan(1900);
  const { stdout } = await other.execArgv("python3", [
    "-c",
    "import fcntl, os; print(fcntl.fcntl(os.pipe()[0], 1032))",
  ]);
  expect(stdout).toBe("65536\n");
});
