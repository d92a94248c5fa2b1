// @module-tag any-user
// @module-tag attack
import { execFileSync } from "node:child_process";
import { closeSync, constants, mkdirSync, openSync, rmSync, writeFileSync } from "node:fs";
import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { PoolPlace } from "../../../../../src/runtime/sandbox/kernel/pool-place.ts";
import { listProcesses } from "../../../../../src/runtime/sandbox/kernel/processes/process-list.ts";
import { ProcessReads } from "../../../../../src/runtime/sandbox/kernel/procfs/process-reads.ts";
import { scratchFolder } from "../../../filesystem/file-systems.ts";

const STAT = `(sh) S 1 1 1 0 -1 0 ${"0 ".repeat(40)}`;

let folder: string;
/** Ends of the FIFOs, which stand for files of processes that keep their readers waiting. */
let held: number[];

beforeEach(() => {
  folder = scratchFolder();
  held = [];
});

afterEach(() => {
  for (const fd of held) closeSync(fd);
  rmSync(folder, { recursive: true });
});

function hold(path: string): string {
  execFileSync("mkfifo", [path]);
  held.push(openSync(path, "r+"));
  return path;
}

/** Lets the reads of the FIFOs go on, and waits until their threads are free. */
async function letGo(vms: readonly ProcessReads[]): Promise<void> {
  for (const fd of held.splice(0)) closeSync(fd);
  const { signal } = new AbortController();
  await Promise.all(vms.map((vm) => vm.run(async () => undefined, signal)));
}

const newReads = () => new ProcessReads(new AbortController().signal, new PoolPlace());

function addProcess(pid: number): void {
  mkdirSync(join(folder, String(pid)));
  writeFileSync(join(folder, `${pid}/stat`), `${pid} ${STAT}`);
  writeFileSync(join(folder, `${pid}/status`), "Name:\tsh\nUid:\t0\t0\t0\t0\n");
  writeFileSync(join(folder, `${pid}/cmdline`), "sh\0-c\0true\0");
}

/** A pool that is busy with other work. */
class BusyPlace extends PoolPlace {
  override async run<Result>(...[work, signal]: Parameters<PoolPlace["run"]>): Promise<Result> {
    await delay(50);
    return (await super.run(work, signal)) as Result;
  }
}

test("a busy pool takes the arguments of no process of a long list away", async () => {
  for (let pid = 1; pid <= 45; pid++) addProcess(pid);
  const procFd = openSync(folder, constants.O_DIRECTORY);
  const vm = new ProcessReads(new AbortController().signal, new BusyPlace());
  try {
    const listed = await listProcesses(procFd, 0, vm.begin());
    expect(listed.filter(({ args }) => args.length === 0)).toEqual([]);
  } finally {
    closeSync(procFd);
  }
});

test("a process that keeps readers of its command line waiting is listed without arguments", async () => {
  for (const pid of [1, 2, 3]) addProcess(pid);
  rmSync(join(folder, "2/cmdline"));
  hold(join(folder, "2/cmdline"));
  const procFd = openSync(folder, constants.O_DIRECTORY);
  const vm = newReads();
  try {
    const listed = await listProcesses(procFd, 0, vm.begin());
    expect(listed.map(({ pid, args }) => ({ pid, args }))).toEqual([
      { pid: 1, args: ["sh", "-c", "true"] },
      { pid: 2, args: [] },
      { pid: 3, args: [] },
    ]);
  } finally {
    await letGo([vm]);
    closeSync(procFd);
  }
});

test("reads that wait for processes of many VMs leave threads of the pool to other work", async () => {
  const path = hold(join(folder, "held"));
  const vms = Array.from({ length: 8 }, newReads);
  const looks = vms.map((vm) => vm.begin());
  const waiting = looks.flatMap((look) => [look.readStart(path, 64), look.readStart(path, 64)]);
  expect((await stat(folder)).isDirectory()).toBe(true);
  expect(await Promise.all(waiting)).toEqual(waiting.map(() => undefined));
  await letGo(vms);
});

test("one VM's reads that wait keep no other VM's reads waiting", async () => {
  const path = hold(join(folder, "held"));
  const [hostile, other] = [newReads(), newReads()];
  const look = hostile.begin();
  const waiting = Array.from({ length: 8 }, () => look.readStart(path, 64));
  writeFileSync(join(folder, "plain"), "plain");
  expect(String(await other.begin().readStart(join(folder, "plain"), 64))).toBe("plain");
  await Promise.all(waiting);
  await letGo([hostile]);
});

test("VMs that have kept reads waiting share one thread, and no other VM waits for it", async () => {
  const hostile = Array.from({ length: 3 }, newReads);
  const path = hold(join(folder, "held"));
  await Promise.all(hostile.map((vm) => vm.begin().readStart(path, 64)));
  await letGo(hostile);
  const again = hold(join(folder, "again"));
  const waiting = hostile.map((vm) => vm.begin().readStart(again, 64));
  writeFileSync(join(folder, "plain"), "plain");
  const others = Array.from({ length: 8 }, newReads);
  const read = others.map((vm) => vm.begin().readStart(join(folder, "plain"), 64));
  expect((await Promise.all(read)).map(String)).toEqual(others.map(() => "plain"));
  await Promise.all(waiting);
  await letGo(hostile);
});

test("a server that stands still for a moment counts no VM that reads as slow", async () => {
  writeFileSync(join(folder, "plain"), "plain");
  const plain = (vm: ProcessReads) => vm.begin().readStart(join(folder, "plain"), 64);
  const [innocent, hostile] = [newReads(), newReads()];
  const path = hold(join(folder, "held"));
  await hostile.begin().readStart(path, 64);
  const read = plain(innocent);
  // The read begins in this turn of the event loop.
  for (let count = 0; count < 20; count++) await null;
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 150);
  expect(String(await read)).toBe("plain");
  // The read of the hostile VM goes on, and has the place of all such VMs.
  await letGo([hostile]);
  const waiting = hostile.begin().readStart(hold(join(folder, "again")), 64);
  expect(String(await plain(innocent))).toBe("plain");
  await waiting;
  await letGo([hostile]);
});

test("a VM that reads while others keep all threads busy does not count as slow", async () => {
  writeFileSync(join(folder, "plain"), "plain");
  const plain = (vm: ProcessReads) => vm.begin().readStart(join(folder, "plain"), 64);
  const [innocent, hostile] = [newReads(), newReads()];
  await hostile.begin().readStart(hold(join(folder, "held")), 64);
  await letGo([hostile]);
  // An open of a FIFO waits for its other end.
  const busy = join(folder, "busy");
  execFileSync("mkfifo", [busy]);
  const opens = Array.from({ length: 4 }, () => open(busy, "r"));
  // It takes three requests to the pool.
  const read = innocent.begin().readMemory(join(folder, "plain"), 0, 5);
  await delay(400);
  const end = openSync(busy, "r+");
  for (const file of await Promise.all(opens)) await file.close();
  closeSync(end);
  expect(String(await read)).toBe("plain");
  // The hostile VM has the place of all VMs that count as slow.
  const waiting = hostile.begin().readStart(hold(join(folder, "again")), 64);
  expect(String(await plain(innocent))).toBe("plain");
  await waiting;
  await letGo([hostile]);
});
