import { Readable } from "node:stream";
import { expect, test, vi } from "vitest";
import type { FileSystem } from "../../../src/runtime/sandbox/files.ts";
import { MemoryFileSystem } from "../../../src/runtime/sandbox/memory/memory-filesystem.ts";
import { posixError } from "../../../src/runtime/sandbox/posix.ts";
import { MemoryStore } from "../../../src/runtime/store/store.ts";
import { Import } from "../../../src/runtime/tar/import.ts";
import { readTar } from "../../../src/runtime/tar/read.ts";
import { durableVm } from "../../support/durable-vm.ts";
import { faultyStore } from "../../support/faulty-store.ts";
import { madeTar } from "../../support/made-tar.ts";
import { failure } from "../../support/until.ts";
import { startVm } from "../../support/vm.ts";
import { countingNames } from "../filesystem/file-systems.ts";

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

test("an import merges directories, and replaces files and links", async () => {
  const { vm } = startVm();
  await vm.exec(
    "mkdir -p d/e d/mine; echo old | tee d/f d/e/g d/mine/h > keep; ln -s keep link; chmod 600 d/f; ln keep hard; mkfifo pipe",
    { cwd: "/workspace" },
  );
  const archive = await madeTar(
    { name: "d", type: "directory", mode: 0o711, mtime: new Date("2020-01-02T03:04:05Z") },
    { name: "d/f", body: "new\n", mode: 0o640 },
    { name: "d/e/g", body: "new\n" },
    { name: "d/added/deep", body: "new\n" },
    { name: "link", body: "new\n" },
    { name: "keep", type: "symlink", linkname: "d/f" },
    { name: "pipe", body: "new\n" },
  );
  expect(await vm.importTar(archive, "/workspace")).toEqual({ files: 9, bytes: 20, skipped: 0 });
  const list =
    "find . -type l -printf '%p -> %l\\n' -o -type f -printf '%p %m %n\\n' -o -printf '%p/ %m\\n' | sort; cat hard; stat -c %Y d";
  expect((await vm.exec(list, { cwd: "/workspace" })).stdout).toBe(
    [
      "./ 755",
      "./d/ 711",
      "./d/added/ 755",
      "./d/added/deep 644 1",
      "./d/e/ 755",
      "./d/e/g 644 1",
      "./d/f 640 1",
      "./d/mine/ 755",
      "./d/mine/h 644 1",
      "./hard 644 1",
      "./keep -> d/f",
      "./link 644 1",
      "./pipe 644 1",
      "old",
      String(Date.parse("2020-01-02T03:04:05Z") / 1000),
      "",
    ].join("\n"),
  );
});

test("an import over the same 300 directories walks few names", { tags: ["attack"] }, async () => {
  const memory = new MemoryFileSystem({ filesystemBytes: 64 * 1024 * 1024, inodes: 10_000 });
  const { fs, walked } = countingNames(memory);
  const directories = Array.from({ length: 300 }, (_, depth) => "d/".repeat(depth + 1));
  const archive = async (mode: number, body: string) =>
    await madeTar(...directories.map((name) => ({ name, type: "directory" as const, mode })), {
      name: `${directories.at(-1)}file`,
      body,
    });
  const run = async (content: Buffer) => {
    const importing = new Import(fs, "/workspace");
    try {
      await importing.stage(readTar(Readable.from([content])));
      await importing.commit((work) => work());
    } finally {
      await importing.close();
    }
  };
  await run(await archive(0o700, "old"));
  const before = walked();
  await run(await archive(0o750, "new"));
  // A walk from the root for each directory is 45,000 names.
  expect(walked() - before).toBeLessThan(5_000);
  expect(text(await memory.readFile(`/workspace/${directories.at(-1)}file`))).toBe("new");
  for (const name of [directories[0], directories[150], directories[299]])
    expect((await memory.stat(`/workspace/${name}`)).mode).toBe(0o40750);
  await memory.close();
});

test("an import walks few names for entries below 1,000 directories", { tags: ["attack"] }, async () => {
  const memory = new MemoryFileSystem({ filesystemBytes: 64 * 1024 * 1024, inodes: 10_000 });
  const { fs, walked } = countingNames(memory);
  const deep = "d/".repeat(999);
  const archive = await madeTar(
    ...Array.from({ length: 20 }, () => ({ name: `${deep}file`, body: "content" })),
    ...Array.from({ length: 20 }, (_, index) => ({
      ...{ name: `${deep}folder${index}`, type: "directory" as const, mode: 0o700 },
    })),
  );
  const importing = new Import(fs, "/workspace");
  try {
    await importing.stage(readTar(Readable.from([archive])));
    await importing.commit((work) => work());
  } finally {
    await importing.close();
  }
  // A walk from the root for each directory is 500,000 names.
  expect(walked()).toBeLessThan(2_000);
  expect(text(await memory.readFile(`/workspace/${deep}file`))).toBe("content");
  expect((await memory.stat(`/workspace/${deep}folder7`)).mode).toBe(0o40700);
  await memory.close();
});

/** Lists a tree with modes and contents. */
async function contents(fs: FileSystem, path = ""): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const { name, type } of await fs.readdir(path || "/")) {
    const at = `${path}/${name}`;
    if (["/usr", "/proc", "/sys", "/dev"].includes(at)) continue;
    const { mode } = await fs.lstat(at);
    if (type === "directory") Object.assign(found, { [at]: mode.toString(8) }, await contents(fs, at));
    else if (type === "symlink") found[at] = `-> ${await fs.readlink(at)}`;
    else found[at] = `${mode.toString(8)} ${text(await fs.readFile(at))}`;
  }
  return found;
}

test("an import that fails while it puts files in place undoes all changes", async () => {
  const archive = await madeTar(
    { name: "new/a/b", body: "new" },
    { name: "d", type: "directory", mode: 0o700 },
    { name: "d/f", body: "new" },
    { name: "d/l", body: "new" },
    { name: "d/new", body: "new" },
  );
  let renames = Number.POSITIVE_INFINITY;
  let failures = 0;
  for (let failing = 0; failing < renames; failing++) {
    const fs = new MemoryFileSystem({ filesystemBytes: 2 ** 24, inodes: 1000 });
    await fs.mkdir("/workspace/d");
    await fs.writeFile("/workspace/d/f", Buffer.from("old"));
    await fs.symlink("f", "/workspace/d/l");
    const before = await contents(fs);
    let calls = 0;
    const rename = fs.rename.bind(fs);
    vi.spyOn(fs, "rename").mockImplementation(async (from, to) => {
      if (calls++ === failing) throw posixError("EACCES", { syscall: "rename", path: from });
      await rename(from, to);
    });
    const change = (work: () => Promise<void>) => work();
    const into = new Import(fs, "/workspace");
    await into.stage(
      readTar(
        (async function* () {
          yield archive;
        })(),
      ),
    );
    const outcome = await failure(into.commit(change));
    await into.close();
    failures += 1;
    expect(outcome).toMatchObject({ code: "EACCES" });
    expect(await contents(fs)).toEqual(before);
    if (failing === 0) {
      const whole = new MemoryFileSystem({ filesystemBytes: 2 ** 24, inodes: 1000 });
      await whole.mkdir("/workspace/d");
      await whole.writeFile("/workspace/d/f", Buffer.from("old"));
      await whole.symlink("f", "/workspace/d/l");
      const counted = vi.spyOn(whole, "rename");
      const good = new Import(whole, "/workspace");
      await good.stage(
        readTar(
          (async function* () {
            yield archive;
          })(),
        ),
      );
      expect(await good.commit(change)).toEqual({ files: 7, bytes: 12, skipped: 0 });
      await good.close();
      renames = counted.mock.calls.length;
    }
  }
  expect(failures).toBe(6);
});

test("a committed import survives a crash, and an uncommitted one leaves nothing", async () => {
  const durable = durableVm();
  await durable.vm().importTar(await madeTar({ name: "a/b", body: "kept" }), "/workspace");
  const { transferId } = await durable.vm().beginTarWrite("/workspace");
  const archive = await madeTar({ name: "c", body: "lost" });
  await durable.vm().writeTarChunk(transferId, 0, archive);
  await durable.vm().checkpoint();
  await durable.crash();
  const vm = durable.vm();
  expect(text(await vm.readFile("/workspace/a/b"))).toBe("kept");
  expect((await vm.exec("ls -A /workspace; find / -xdev -name '.agent-vm-*'")).stdout).toBe("a\n");
  await durable.crash();
});

test("reports an import that cannot be stored, and the next checkpoint keeps it", async () => {
  const store = new MemoryStore();
  let broken = false;
  const durable = durableVm(
    {},
    faultyStore(store, (_call, method) => (broken && method === "put" ? "error" : "none")),
  );
  await durable.vm().writeFile("/workspace/first", "1");
  broken = true;
  const archive = await madeTar({ name: "second", body: "2" });
  expect(await failure(durable.vm().importTar(archive, "/workspace"))).toMatchObject({
    code: "storage_failed",
  });
  broken = false;
  await durable.vm().checkpoint();
  await durable.crash();
  expect(await durable.vm().readdir("/workspace")).toEqual(["first", "second"]);
  await durable.crash();
});

test("a transfer takes its pieces only in order, and ends with its commit", async () => {
  const { vm } = startVm({ runtime: "memory" });
  const archive = await madeTar({ name: "a", body: "1".repeat(3000) });
  const { transferId } = await vm.beginTarWrite("/workspace");
  await vm.writeTarChunk(transferId, 0, archive.subarray(0, 700));
  for (const offset of [0, 699, 701]) {
    expect(await failure(vm.writeTarChunk(transferId, offset, archive.subarray(700)))).toMatchObject({
      code: "invalid_argument",
      message: `Expected \`offset\` to be 700, got ${offset}`,
    });
  }
  await vm.writeTarChunk(transferId, 700, new Uint8Array());
  await vm.writeTarChunk(transferId, 700, archive.subarray(700));
  expect(await vm.commitTarWrite(transferId)).toEqual({ files: 1, bytes: 3000, skipped: 0 });
  expect(await failure(vm.commitTarWrite(transferId))).toMatchObject({ code: "transfer_not_found" });
  const read = await vm.beginTarRead("/workspace");
  expect(await failure(vm.readTarChunk(read.transferId, 5))).toMatchObject({ code: "invalid_argument" });
  expect(await failure(vm.writeTarChunk(read.transferId, 0, archive))).toMatchObject({
    code: "transfer_not_found",
  });
  await vm.endFileTransfer(read.transferId);
  expect(await failure(vm.readTarChunk(read.transferId, 0))).toMatchObject({ code: "transfer_not_found" });
});

test("an import that ends without a commit leaves nothing, even inside a file", async () => {
  const { vm } = startVm();
  const archive = await madeTar({ name: "a", body: "1" }, { name: "large", body: "x".repeat(1_000_000) });
  const { transferId } = await vm.beginTarWrite("/workspace");
  await vm.writeTarChunk(transferId, 0, archive.subarray(0, 500_000));
  await vm.endFileTransfer(transferId);
  expect((await vm.exec("ls -A /workspace; find / -xdev -name '.agent-vm-*'")).stdout).toBe("");
});

test("refuses to export missing paths and paths that are not the VM's own", async () => {
  const { vm } = startVm();
  expect(await failure(vm.exportTar("/nowhere"))).toMatchObject({ code: "ENOENT" });
  expect(await failure(vm.exportTar("/usr"))).toMatchObject({ code: "EXDEV" });
  expect(await failure(vm.exportTar("relative"))).toMatchObject({ code: "invalid_argument" });
  await vm.exec("mkfifo /workspace/pipe");
  expect(await failure(vm.exportTar("/workspace/pipe"))).toMatchObject({ code: "EINVAL" });
});

test("concurrent imports do not mix", async () => {
  const durable = durableVm();
  const archives = await Promise.all(
    ["a", "b", "c"].map((name) =>
      madeTar(...Array.from({ length: 50 }, (_, index) => ({ name: `shared/${index}`, body: name }))),
    ),
  );
  await Promise.all(archives.map((archive) => durable.vm().importTar(archive, "/workspace")));
  const { stdout } = await durable.vm().exec("cat shared/*; ls shared | wc -l", { cwd: "/workspace" });
  expect(["a", "b", "c"].map((name) => `${name.repeat(50)}50\n`)).toContain(stdout);
  await durable.crash();
});
