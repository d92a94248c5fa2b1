// @module-tag attack
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { AgentVmError } from "../../../src/api/errors.ts";
import type { Vm } from "../../../src/runtime/vm.ts";
import { hostTar } from "../../support/host-tar.ts";
import { END, madeEntry, madeTar } from "../../support/made-tar.ts";
import { testRows } from "../../support/rows.ts";
import { failure } from "../../support/until.ts";
import { startVm } from "../../support/vm.ts";

const big = "x".repeat(3 * 1024 * 1024);
const size = (octal: string) => (header: Buffer) => void header.write(octal, 124);

/** Archives that must be refused as a whole, and the reason in the error. */
const REFUSED: Record<string, [archive: () => Promise<Buffer> | Buffer, message: string]> = {
  "a name that begins with `..`": [
    () => madeTar({ name: "ok", body: "1" }, { name: "../escaped", body: "1" }),
    'its entry "../escaped" has `..` in its name',
  ],
  "a name with `..` inside": [
    () => madeTar({ name: "a/b/../../../escaped", body: "1" }),
    'its entry "a/b/../../../escaped" has `..` in its name',
  ],
  "an absolute name": [
    () => madeTar({ name: "ok", body: "1" }, { name: "/etc/escaped", body: "1" }),
    'its entry "/etc/escaped" has an absolute name',
  ],
  "a file below a link": [
    () => madeTar({ name: "l", type: "symlink", linkname: "/etc" }, { name: "l/escaped", body: "1" }),
    'its entry "l/escaped" is below "l", which is a symlink',
  ],
  "a file below a link to a parent": [
    () =>
      madeTar(
        { name: "d", type: "directory" },
        { name: "d/l", type: "symlink", linkname: "../.." },
        { name: "d/l/x/escaped", body: "1" },
      ),
    'its entry "d/l/x/escaped" is below "d/l", which is a symlink',
  ],
  "a hard link to a file of the VM": [
    () => madeTar({ name: "h", type: "link", linkname: "etc/passwd" }),
    'its entry "h" is a hard link to "etc/passwd", which is not an earlier file of the archive',
  ],
  "a hard link to a parent": [
    () => madeTar({ name: "h", type: "link", linkname: "../../etc/passwd" }),
    'its entry "../../etc/passwd" has `..` in its name',
  ],
  "a hard link through a link": [
    () =>
      madeTar(
        { name: "l", type: "symlink", linkname: "/etc" },
        { name: "h", type: "link", linkname: "l/passwd" },
      ),
    'its entry "h" is a hard link to "l/passwd", which is not an earlier file of the archive',
  ],
  "a file that is also a directory": [
    () => madeTar({ name: "f", body: "1" }, { name: "f/x", body: "1" }),
    'its entry "f/x" is below "f", which is a file',
  ],
  "a directory that is also a file": [
    () => madeTar({ name: "d", type: "directory" }, { name: "d", body: "1" }),
    'its entry "d" has the name of a directory',
  ],
  "a reserved name": [
    () => madeTar({ name: `.agent-vm-${"0".repeat(24)}`, body: "1" }),
    `its entry ".agent-vm-${"0".repeat(24)}" has a name that is reserved for temporary files`,
  ],
  "a NUL in a name": [
    () => madeTar({ name: "x", body: "1", pax: { path: "a\0b" } } as never),
    'its entry "a\\u0000b" has a name with NUL',
  ],
  "a size that is not a number": [
    () => madeTar({ name: "n", body: "1", patch: size("zzzzzzzzzzz\0") }),
    'its entry "n" has an invalid size',
  ],
  "a negative size": [
    () =>
      madeTar({
        name: "n",
        body: "1",
        patch: (header) => void header.fill(0xff, 124, 135).fill(0xfe, 135, 136),
      }),
    'its entry "n" has an invalid size',
  ],
  "a size beyond all disks": [
    () =>
      madeTar({
        name: "n",
        body: "1",
        patch: (header) => void header.write("\x80\0\0\0\x7f", 124, "latin1"),
      }),
    'its entry "n" has an invalid size',
  ],
  "a size beyond the archive's end": [
    () => madeTar({ name: "n", body: "1", patch: size("77777777777\0") }),
    "it ends too early",
  ],
  "a pax header without end": [
    () => madeTar({ name: "x", patch: (header) => void header.write("x", 156), body: big.repeat(2) }),
    "it has a header of more than 1048576 bytes",
  ],
  "a long name of zeros without end": [
    async () =>
      Buffer.concat([
        await madeEntry({
          name: "x",
          patch: (header) => {
            header.write("L", 156);
            size("00040000000\0")(header);
          },
        }),
        Buffer.alloc(4 * 1024 * 1024),
      ]),
    "it has a header of more than 1048576 bytes",
  ],
  "a sparse file": [
    () => hostTar("truncate -s 1M hole; echo x >> hole", "--format=posix -S --sparse-version=0.1"),
    'its entry "./hole" is a sparse file in an old form of GNU',
  ],
  "a sparse file in the old format": [
    () => hostTar("truncate -s 1M hole; echo x >> hole", "--format=gnu -S"),
    'its entry "hole" is of an unknown kind',
  ],
  "an end in the middle of a file": [
    async () => (await madeTar({ name: "n", body: big })).subarray(0, 1024 * 1024),
    "it ends too early",
  ],
  "an end in the middle of a header": [
    async () => (await madeTar({ name: "n", body: "1" }, { name: "m", body: "1" })).subarray(0, 1300),
    "it ends too early",
  ],
  "an end between two entries": [
    async () => (await madeTar({ name: "n", body: "1" }, { name: "m", body: "1" })).subarray(0, 1024),
    "it ends too early",
  ],
  "a damaged header": [
    async () => {
      const archive = await madeTar({ name: "n", body: "1" }, { name: "m", body: "1" });
      archive.write("o", 1024);
      return archive;
    },
    "it is not a tar archive",
  ],
  "a text": [() => Buffer.from("no archive\n".repeat(1000)), "it is not a tar archive"],
  nothing: [() => Buffer.alloc(0), "it ends too early"],
  "a damaged gzip": [
    async () => {
      const packed = gzipSync(await madeTar({ name: "n", body: big }));
      // Overwrite the checksum.
      packed.fill(0, packed.length - 8, packed.length - 4);
      return packed;
    },
    "its gzip data is damaged",
  ],
  "a truncated gzip": [
    async () => gzipSync(await madeTar({ name: "n", body: big })).subarray(0, 2000),
    "its gzip data is damaged",
  ],
};

async function tree(vm: Vm): Promise<string[]> {
  const entries = await vm.readdirRecursive("/", { exclude: ["usr", "proc", "dev", "sys", "opt"] });
  return entries.map(({ path, size: bytes, type }) => `${path} ${type} ${type === "directory" ? "" : bytes}`);
}

/** Lists the temporary files of imports that a process of the VM can see. */
async function leftovers(vm: Vm, runtime: string): Promise<string> {
  return runtime === "memory" ? "" : (await vm.exec("find / -xdev -name '.agent-vm-*'")).stdout;
}

describe.each(["kernel", "memory"] as const)("%s", (runtime) => {
  // A kernel VM costs a boot: the first rows are attacks on files outside.
  testRows(Object.entries(REFUSED), runtime === "kernel" ? 5 : 18)(
    "refuses %s, and leaves nothing of the other entries",
    async (_name, made) => {
      const [archive, message] = made;
      const { vm } = startVm({ runtime });
      await vm.writeFile("/workspace/ok", "before");
      const before = await tree(vm);
      expect(await failure(vm.importTar(await archive(), "/workspace"))).toMatchObject({
        code: "invalid_archive",
        message: `The archive cannot be imported: ${message}`,
      });
      expect(await tree(vm)).toEqual(before);
      expect(await leftovers(vm, runtime)).toBe("");
    },
  );

  test("an archive that does not fit on the disk is ENOSPC, and leaves nothing", {
    tags: ["slow"],
  }, async () => {
    const { vm } = startVm({ runtime, limits: { filesystemBytes: 16 * 1024 * 1024 } });
    await vm.writeFile("/workspace/ok", "before");
    const before = await tree(vm);
    const archive = await madeTar(
      { name: "ok", body: "after" },
      ...Array.from({ length: 8 }, (_, index) => ({ name: `large-${index}`, body: big })),
    );
    expect(await failure(vm.importTar(archive, "/workspace"))).toMatchObject({ code: "ENOSPC" });
    // A gzip bomb: 300 MB in 0.3 MB.
    const bomb = await failure(vm.importTar(gzipSync(await madeTar({ name: "b", body: big.repeat(100) }))));
    expect(bomb).toMatchObject({ code: "ENOSPC" });
    expect(await tree(vm)).toEqual(before);
    expect(await leftovers(vm, runtime)).toBe("");
    await vm.writeFile("/workspace/fits", big);
  });

  test("too many files are ENOSPC, and leave nothing", { tags: ["slow"] }, async () => {
    const { vm } = startVm({ runtime, limits: { inodes: 2000 } });
    const before = await tree(vm);
    const entries = Array.from({ length: 3000 }, (_, index) => ({ name: `f${index}` }));
    expect(await failure(vm.importTar(await madeTar(...entries)))).toMatchObject({ code: "ENOSPC" });
    expect(await tree(vm)).toEqual(before);
  });

  testRows(
    [
      ["a file where a directory is", { name: "d", body: "1" }, "EISDIR"],
      ["a link where a directory is", { name: "d", type: "symlink", linkname: "x" }, "EISDIR"],
      ["a directory where a file is", { name: "f", type: "directory" }, "ENOTDIR"],
      ["a file below a file", { name: "f/x", body: "1" }, "ENOTDIR"],
      ["a directory where a link is", { name: "l/x", body: "1" }, "ENOTDIR"],
      ["a name that is too long", { name: "n".repeat(256), body: "1" }, "ENAMETOOLONG"],
    ] as const,
    runtime === "kernel" ? 1 : 6,
  )("refuses %s, and changes nothing", async (_name, entry, code) => {
    const { vm } = startVm({ runtime });
    await vm.mkdir("/workspace/d/e", { recursive: true });
    await vm.writeFile("/workspace/f", "before");
    await vm.importTar(await madeTar({ name: "l", type: "symlink", linkname: "/workspace/d" }), "/workspace");
    const before = await tree(vm);
    const archive = await madeTar({ name: "0", body: "1" }, { name: "f2", body: "1" }, { ...entry });
    expect(await failure(vm.importTar(archive, "/workspace"))).toMatchObject({ code });
    expect(await tree(vm)).toEqual(before);
  });

  test("refuses entries in directories that are not the VM's own", async () => {
    const { vm } = startVm({ runtime });
    const before = await tree(vm);
    const archive = await madeTar({ name: "first", body: "1" }, { name: "usr/x", body: "1" });
    expect(await failure(vm.importTar(archive))).toMatchObject({ code: "EROFS" });
    for (const path of ["/usr", "/proc", "/usr/new/deep"]) {
      const error = (await failure(
        vm.importTar(await madeTar({ name: "x", body: "1" }), path),
      )) as AgentVmError;
      expect(error.code).toBe("EROFS");
    }
    expect(await tree(vm)).toEqual(before);
  });

  test("imports suspicious but harmless entries", async () => {
    const { vm } = startVm({ runtime });
    const archive = await madeTar(
      { name: "l", type: "symlink", linkname: "/etc/../../../etc" },
      { name: "l", type: "directory" },
      { name: "l/inside", body: "1" },
      { name: "f", body: "old" },
      { name: "f", body: "new" },
      { name: "./a//b/./c", body: "1" },
      { name: "a", type: "directory", mode: 0o500 },
      { name: "p", type: "fifo" },
      { name: "c", type: "character-device", devmajor: 1, devminor: 5 },
    );
    expect(await vm.importTar(archive, "/workspace")).toEqual({ files: 6, bytes: 8, skipped: 2 });
    expect(await vm.readdir("/workspace")).toEqual(["a", "f", "l"]);
    expect(Buffer.from(await vm.readFile("/workspace/f")).toString()).toBe("new");
    expect(await vm.readdir("/workspace/l")).toEqual(["inside"]);
    expect((await vm.lstat("/workspace/a")).mode & 0o7777).toBe(0o500);
  });

  test("imports an empty archive", async () => {
    const { vm } = startVm({ runtime });
    expect(await vm.importTar(END, "/workspace/new")).toEqual({ files: 0, bytes: 0, skipped: 0 });
    expect(await vm.readdir("/workspace/new")).toEqual([]);
  });
});
