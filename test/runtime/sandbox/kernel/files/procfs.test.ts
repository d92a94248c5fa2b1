// @module-tag any-user
// @module-tag attack
import { readFileSync, readlinkSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Files } from "../../../../../src/runtime/filesystem/files.ts";
import { FileTransfers } from "../../../../../src/runtime/transfers/file-transfers.ts";
import { failure, posix, readOnly, text, VM_OWNER } from "../../../filesystem/file-systems.ts";
import { type NamespaceRoot, noNamespaces, openNamespaceRoot } from "./namespace-root.ts";

if (noNamespaces !== null) console.warn(`skipped: ${noNamespaces}`);

/** Process 1 of this procfs has the host's root, so that its magic links lead out of the VM. */
describe.skipIf(noNamespaces !== null)("the VM's /proc", () => {
  let vm: NamespaceRoot;
  let files: Files;
  beforeEach(async () => {
    vm = await openNamespaceRoot("mkdir proc etc home; mount -n -t proc proc proc; echo vm > etc/hostname");
    files = new Files(vm.fs);
  });
  afterEach(() => vm.dispose());

  test("has magic links that a plain path would follow to the host", () => {
    expect(readFileSync(`${vm.path}/proc/1/root/etc/passwd`, "utf8")).toContain("root:");
    expect(readlinkSync(`${vm.path}/proc/1/root`)).toBe("/");
  });

  test("never leads out of the VM's root, and gives a root server no more than the VM's user", async () => {
    await vm.fs.symlink("/proc/1/root/etc/passwd", "/home/passwd");
    await vm.fs.symlink("/proc/self/root", "/home/self");
    const missing = (path: string) => posix(`ENOENT: no such file or directory, open '${path}'`);
    const denied = (path: string) => posix(`EACCES: permission denied, open '${path}'`);
    if (VM_OWNER === null) {
      expect(text(await files.readFile("/proc/1/root/etc/hostname"))).toBe("vm\n");
      expect(await files.readdir("/proc/1/root/")).toEqual(["etc", "home", "proc"]);
      expect(await files.readdir("/proc/1/root/proc/1/root/")).toEqual(["etc", "home", "proc"]);
    } else {
      const path = "/proc/1/root/etc/hostname";
      expect(await failure(files.readFile(path))).toEqual(denied(path));
    }
    for (const path of ["/proc/1/root/etc/passwd", "/home/passwd", "/proc/1/cwd/x", "/proc/1/exe"])
      expect(await failure(files.readFile(path))).toEqual(VM_OWNER === null ? missing(path) : denied(path));
    expect(await failure(files.readFile("/home/self"))).toEqual(missing("/home/self"));
    for (const fd of [0, 1, 2])
      expect((await failure(files.readFile(`/proc/1/fd/${fd}`))).code).toBe(
        VM_OWNER === null ? "ENOENT" : "EACCES",
      );
    expect(await files.exists("/proc/self/root/etc/hostname")).toBe(false);
  });

  test("can be read in full, though its files have size 0", async () => {
    const cpuinfo = text(await files.readFile("/proc/cpuinfo"));
    const withoutClock = (text: string) => text.replace(/^cpu MHz.*$/gm, "");
    expect(withoutClock(cpuinfo)).toBe(withoutClock(readFileSync("/proc/cpuinfo", "utf8")));
    expect(text(await files.readFile("/proc/1/comm"))).toBe("cat\n");
    expect((await files.stat("/proc/cpuinfo")).size).toBe(0);
    const read = await new FileTransfers(vm.fs).beginFileRead("/proc/1/status");
    expect([read.size, read.transferId]).toEqual([read.data.length, null]);
    expect(text(read.data)).toMatch(/^Name:\tcat\n/);
  });

  test("is never written, also through links", async () => {
    await vm.fs.symlink("/proc/sys/kernel/hostname", "/home/link");
    await vm.fs.symlink("/proc", "/home/proc");
    const before = readFileSync("/proc/sys/kernel/hostname", "utf8");
    for (const path of ["/proc/sys/kernel/hostname", "/home/link", "/home/proc/sys/kernel/hostname"])
      expect(await failure(files.writeFile(path, "hacked"))).toEqual(readOnly(path));
    expect(await failure(vm.fs.chmod("/proc/version", 0o777))).toEqual(readOnly("/proc/version"));
    expect(readFileSync("/proc/sys/kernel/hostname", "utf8")).toBe(before);
  });

  test.skipIf(VM_OWNER === null)("does not show the VM files that only root may read", async () => {
    for (const path of ["/proc/kmsg", "/proc/kcore", "/proc/1/environ", "/proc/1/mem"])
      if (await files.exists(path))
        expect(await failure(files.readFile(path))).toEqual(
          posix(`EACCES: permission denied, open '${path}'`),
        );
  });

  test("can be listed recursively while processes end", async () => {
    const names = (await files.readdirRecursive("/proc", { maxDepth: 1 })).map(({ path }) => path);
    expect(names).toContain("/proc/1/status");
    expect(names).toContain("/proc/meminfo");
  });
});
