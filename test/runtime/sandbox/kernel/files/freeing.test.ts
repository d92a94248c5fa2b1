// @module-tag slow
// @module-tag attack
import { afterAll, beforeAll, expect, test } from "vitest";
import { startVm, type TestVm } from "../../../../support/vm.ts";

/** The kernel frees this much in 100 ms. */
const LARGE = 512 * 1024 * 1024;
const MAX_TURN_MS = 50;

let machine: TestVm;
beforeAll(() => {
  machine = startVm({ limits: { filesystemBytes: 4 * LARGE, inodes: 200_000 } });
});
afterAll(() => machine.vm.dispose("destroy"));

/** Runs work. @returns the longest CPU time of the server's thread between two turns of its event loop, in milliseconds */
async function longestTurn(work: () => Promise<unknown>): Promise<number> {
  const used = () => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  };
  let longest = 0;
  let last = used();
  const turned = () => {
    longest = Math.max(longest, used() - last);
    last = used();
  };
  const timer = setInterval(turned, 0);
  await work();
  turned();
  clearInterval(timer);
  return longest;
}

async function makeLarge(name: string): Promise<void> {
  const { exitCode } = await machine.vm.exec(`head -c ${LARGE} /dev/zero > /workspace/${name}`);
  expect(exitCode).toBe(0);
}

test("the event loop turns while the memory of large files is freed", async () => {
  const { vm } = machine;
  await vm.mkdir("/workspace/folder");
  const ways: Record<string, () => Promise<unknown>> = {
    "delete of a file": () => vm.delete("/workspace/large"),
    "small file in its place": () => vm.writeFile("/workspace/large", "small"),
    "file moved over it": () => vm.move("/workspace/other", "/workspace/large"),
    "delete of its folder": () => vm.delete("/workspace/folder", { recursive: true }),
  };
  const turns: Record<string, number> = {};
  for (const [way, work] of Object.entries(ways)) {
    await vm.writeFile("/workspace/other", "other");
    await makeLarge(way === "delete of its folder" ? "folder/large" : "large");
    turns[way] = await longestTurn(work);
    expect((await vm.exec("df --output=used -B1 /workspace | tail -1")).stdout).toMatch(/^\d{1,8}\n$/);
  }
  expect(Object.entries(turns).filter(([, ms]) => ms > MAX_TURN_MS)).toEqual([]);
});

test("the event loop turns while a VM with many files ends", async () => {
  const other = startVm({ limits: { inodes: 200_000 } });
  const program = `import os
os.chdir('/workspace')
for i in range(100000): os.close(os.open('f%d' % i, os.O_CREAT | os.O_WRONLY))`;
  expect((await other.vm.execArgv("python3", ["-c", program])).exitCode).toBe(0);
  expect(await longestTurn(() => other.vm.dispose("destroy"))).toBeLessThan(MAX_TURN_MS);
});
