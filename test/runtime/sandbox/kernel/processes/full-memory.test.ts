// @module-tag any-user
// @module-tag attack
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { cgroupSupport } from "../../../../../src/runtime/sandbox/kernel/processes/cgroup.ts";
import { MemoryStore } from "../../../../../src/runtime/store/store.ts";
import { durableVm } from "../../../../support/durable-vm.ts";
import { testFolder } from "../../../../support/temporary-folder.ts";
import { failure } from "../../../../support/until.ts";
import { startPooledVm, startVm } from "../../../../support/vm.ts";

const MIB = 1024 * 1024;

beforeEach(({ skip }) => {
  if (cgroupSupport().create === undefined) skip(cgroupSupport().description);
});

const machines = {
  "a VM": async (limits: object) => startVm({ limits }),
  "a VM that was booted ahead": async (limits: object) => await startPooledVm({ limits }),
};

for (const [name, start] of Object.entries(machines))
  test(`${name} whose files may not fill its memory gets ENOSPC, and goes on`, async () => {
    const { vm } = await start({ memoryBytes: 128 * MIB });
    const filling = await vm.exec("head -c 200M /dev/zero > /workspace/big");
    expect(filling).toMatchObject({ exitCode: 1, reason: "exit", oomKills: 0 });
    expect(filling.stderr).toContain("No space left on device");
    expect((await vm.status()).disk).toEqual({ used: expect.any(Number), limit: 64 * MIB });
    expect(await vm.exec("rm /workspace/big && echo gone")).toMatchObject({ stdout: "gone\n", oomKills: 0 });
  });

test("a VM whose files and memory mounts are full runs commands", async () => {
  const { vm, events } = startVm({ limits: { memoryBytes: 128 * MIB } });
  const mount = (name: string, mib: number) =>
    vm.mountFs({ path: `/mnt/${name}`, plugin: { id: "memory", config: { sizeBytes: mib * MIB } } });
  const size = async () => (await vm.exec("df -m / | awk 'END { print $2 }'")).stdout;
  await mount("a", 16);
  await mount("b", 16);
  expect(await size()).toBe("32\n");
  const fill = "for at in /workspace /mnt/a /mnt/b; do head -c 200M /dev/zero > $at/big; done";
  expect(await vm.exec(fill)).toMatchObject({ reason: "exit", oomKills: 0 });
  expect(await vm.exec("perl -e 'print 7'")).toMatchObject({ stdout: "7", oomKills: 0 });
  expect(await failure(mount("c", 16))).toMatchObject({
    code: "limit_exceeded",
    metadata: { limit: "limits.memoryBytes" },
  });
  expect(await failure(mount("d", 64))).toMatchObject({ code: "limit_exceeded" });
  await vm.unmountFs("/mnt/a");
  await vm.unmountFs("/mnt/b");
  expect(await size()).toBe("64\n");
  expect(events.filter(({ name }) => name === "vmShutdown")).toEqual([]);
});

test("a VM with files and System V segments at their limits runs commands", async () => {
  const { vm } = startVm({ limits: { memoryBytes: 128 * MIB } });
  await vm.exec("head -c 200M /dev/zero > /dev/shm/big");
  const { stdout } = await vm.exec(`python3 -c "
import ctypes
libc = ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
taken = 0
while True:
  id = libc.shmget(0, 4 << 20, 0o1600)
  if id < 0: break
  ctypes.memset(libc.shmat(id, None, 0), 1, 4 << 20)
  taken += 4
print(taken)"`);
  expect(stdout).toBe("32\n");
  expect(await vm.exec("ipcs -m | grep -c 600")).toMatchObject({ stdout: "8\n", oomKills: 0 });
});

test("a VM whose memory was lowered below its stored files boots with all of them", async () => {
  const store = new MemoryStore();
  const first = durableVm({ limits: { memoryBytes: 512 * MIB } }, store);
  await first.vm().exec("head -c 100M /dev/zero | tr '\\0' x > /workspace/big");
  await first.sleep();
  const { vm } = durableVm({ limits: { memoryBytes: 128 * MIB } }, store);
  expect(
    (await vm().exec("stat -c %s /workspace/big; echo a > /workspace/b; rm /workspace/big")).stdout,
  ).toBe(`${100 * MIB}\n`);
  expect((await vm().exec("head -c 400M /dev/zero > /workspace/big")).stderr).toContain("No space left");
});

test("a root filesystem may be larger than the files that leave memory to programs", async () => {
  const archive = join(testFolder(), "root.tar");
  const { vm: source } = startVm();
  await source.exec("head -c 100M /dev/zero > big && tar cf /workspace/root.tar big", { cwd: "/workspace" });
  writeFileSync(archive, await source.readFile("/workspace/root.tar"));
  const { vm } = startVm({ limits: { memoryBytes: 128 * MIB }, rootFilesystem: archive });
  expect((await vm.exec("stat -c %s /big")).stdout).toBe(`${100 * MIB}\n`);
});

test("a VM without memory for a spawner boots again with the next call", async () => {
  const { vm, event } = durableVm({ limits: { memoryBytes: 128 * MIB } }).test();
  await vm.exec("echo kept > /workspace/file; head -c 40M /dev/zero > /workspace/big; kill -KILL $PPID");
  // The memory of processes that end is free a moment later.
  await expect.poll(async () => (await vm.allProcesses()).length).toBeLessThanOrEqual(1);
  const looks: (number | null)[] = [];
  await expect
    .poll(async () => {
      looks.push((await vm.status()).memory.used);
      return new Set(looks.slice(-5)).size === 1 && looks.length >= 5;
    })
    .toBe(true);
  vm.setOwn({ limits: { memoryBytes: Number(looks.at(-1)) + 65_536 } });
  expect(await failure(vm.exec("echo on"))).toMatchObject({ code: "vm_stopped" });
  await event("vmShutdown");
  expect((await vm.exec("cat /workspace/file")).stdout).toBe("kept\n");
  expect((await vm.status()).generation).toBe(2);
}, 30_000);

test("a VM that wakes with a sparse file leaves memory to programs", async () => {
  const machine = durableVm({ limits: { memoryBytes: 128 * MIB } });
  await machine.vm().exec("truncate -s 2G /workspace/sparse");
  await machine.sleep();
  const filling = await machine.vm().exec("head -c 200M /dev/zero > /workspace/big");
  expect(filling).toMatchObject({ exitCode: 1, reason: "exit", oomKills: 0 });
  expect(await machine.vm().exec("stat -c %s /workspace/sparse")).toMatchObject({ stdout: "2147483648\n" });
});

test("a memory mount leaves damaged files read-only", async () => {
  const machine = durableVm({ limits: { memoryBytes: 128 * MIB } });
  await machine.vm().exec("mkdir -p /mnt/a; head -c 400000 /dev/urandom > /workspace/file");
  await machine.sleep();
  await machine.store.deleteRange("fs/pack/", "fs/pack/~");
  const written = async () => (await machine.vm().exec("echo text > /workspace/new")).stderr;
  expect(await written()).toContain("Read-only file system");
  const plugin = { id: "memory", config: { sizeBytes: 16 * MIB } } as const;
  await machine.vm().mountFs({ path: "/mnt/a", plugin });
  expect((await machine.vm().exec("df -m / | awk 'END { print $2 }'")).stdout).toBe("48\n");
  expect(await written()).toContain("Read-only file system");
});

test("an empty place covers a memory mount that a VM with more files than its memory leaves cannot have", async () => {
  const large = durableVm({ limits: { memoryBytes: 512 * MIB } });
  const plugin = { id: "memory", config: { sizeBytes: 16 * MIB } } as const;
  await large.vm().mountFs({ path: "/mnt/a", plugin });
  await large.vm().exec("head -c 80M /dev/urandom > /workspace/big");
  await large.sleep();
  const small = durableVm({ limits: { memoryBytes: 128 * MIB } }, large.store);
  expect((await small.vm().exec("echo text > /mnt/a/new")).stderr).toContain("Read-only file system");
  expect(await small.vm().listMounts()).toMatchObject([
    { error: expect.stringContaining("too little memory") },
  ]);
});

test("a VM whose memory was raised while it runs may have larger memory mounts", async () => {
  const { vm } = startVm({ limits: { memoryBytes: 128 * MIB } });
  const plugin = { id: "memory", config: { sizeBytes: 64 * MIB } } as const;
  expect(await failure(vm.mountFs({ path: "/mnt/a", plugin }))).toMatchObject({ code: "limit_exceeded" });
  vm.setOwn({ limits: { memoryBytes: 512 * MIB } });
  await vm.mountFs({ path: "/mnt/a", plugin });
  expect((await vm.exec("df -m / | awk 'END { print $2 }'")).stdout).toBe("64\n");
});
