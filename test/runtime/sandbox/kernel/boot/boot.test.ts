// @module-tag any-user
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ownDescendants } from "../../../../support/host.ts";
import { startVm } from "../../../../support/vm.ts";

/** Returns the kernel's status of this VM's pid 1. */
function statusOfInit(before: readonly number[]): string {
  const statuses = ownDescendants()
    .filter((pid) => !before.includes(pid))
    .map((pid) => readFileSync(`/proc/${pid}/status`, "utf8"));
  // The innermost pid comes last.
  const depth = (status: string) => (/^NSpid:(.*)$/m.exec(status)?.[1] ?? "").trim().split(/\s+/).length;
  const [init] = statuses.sort((one, other) => depth(other) - depth(one));
  if (init === undefined) throw new Error("the VM has no process");
  expect(init).toMatch(/^NSpid:.*\t1$/m);
  return init;
}

test("once a VM is ready, no program of its boot is left that has capabilities and loads files", async () => {
  for (let round = 0; round < 10; round++) {
    const before = ownDescendants();
    const { vm } = startVm();
    await vm.boot();
    const status = statusOfInit(before);
    expect(status).toMatch(/^Name:\tcat$/m);
    expect(status).toMatch(/^CapPrm:\t0+$/m);
    expect(status).toMatch(/^CapEff:\t0+$/m);
    expect(status).toMatch(/^CapBnd:\t0+$/m);
    expect(status).toMatch(/^NoNewPrivs:\t1$/m);
    await vm.dispose("destroy");
  }
});

test("the host's procfs is not in the VM, not even below the VM's own", async () => {
  const { vm } = startVm();
  const hosts = procMounts(readFileSync("/proc/self/mountinfo", "utf8"));
  const { stdout } = await vm.exec("cat /proc/self/mountinfo");
  const inside = procMounts(stdout);
  expect(new Set(inside).size).toBe(2);
  expect(inside.filter((device) => hosts.includes(device))).toEqual([]);
});

/** Device numbers, each of one procfs; see proc_pid_mountinfo(5). */
function procMounts(mountinfo: string): (string | undefined)[] {
  return mountinfo
    .split("\n")
    .filter((line) => line.includes(" - proc "))
    .map((line) => line.split(" ")[2]);
}
