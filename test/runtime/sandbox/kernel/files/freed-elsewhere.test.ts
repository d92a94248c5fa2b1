// @module-tag slow
// @module-tag any-user
// @module-tag attack
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statfsSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { Files } from "../../../../../src/runtime/filesystem/files.ts";
import type { RootedFileSystem } from "../../../../../src/runtime/sandbox/kernel/files/rooted-filesystem.ts";
import { temporaryName } from "../../../../../src/runtime/sandbox/names.ts";
import { longestTurn } from "../../../../support/turns.ts";
import { startVm } from "../../../../support/vm.ts";
import { openRoot } from "../../../filesystem/file-systems.ts";

const MIB = 1024 * 1024;
/** The kernel frees such a file in 100 ms or more. */
const HUGE = 1024 * MIB;
/** CPU time of one turn of the event loop. @unit ms */
const BOUND = 50;
const SHARED_MEMORY = "/dev/shm";
const TMPFS = 0x01021994;

const { type, bsize, bavail } = statfsSync(SHARED_MEMORY);
const hasRoom = type === TMPFS && bsize * bavail > 2 * HUGE;

/** One for all files: the garbage of many would hold the event loop. */
const PIECE = Buffer.alloc(MIB, 1);

function fill(path: string, bytes = HUGE): void {
  const fd = openSync(path, "w");
  for (let done = 0; done < bytes; done += PIECE.length) writeSync(fd, PIECE);
  closeSync(fd);
}

interface Setup {
  fs: RootedFileSystem;
  /** Path of `/workspace/huge` on the host. */
  huge: string;
  workspace: string;
}

/** Each prepares a change, and returns it. */
const CHANGES: Readonly<Record<string, (setup: Setup) => Promise<() => Promise<unknown>>>> = {
  "removing it":
    async ({ fs }) =>
    () =>
      fs.unlink("/workspace/huge"),
  "removing its folder":
    async ({ fs }) =>
    () =>
      fs.removeTree("/workspace"),
  "a move onto it": async ({ fs }) => {
    await fs.writeFile("/workspace/small", Buffer.from("x"));
    return () => fs.rename("/workspace/small", "/workspace/huge");
  },
  "a small file in its place":
    async ({ fs }) =>
    () =>
      fs.writeFile("/workspace/huge", Buffer.from("x")),
  "a large file in its place":
    async ({ fs }) =>
    () =>
      fs.writeFile("/workspace/huge", new Uint8Array(MIB)),
  "the end of a reader after its removal by a program": async ({ fs, huge }) => {
    const reader = await fs.openReader("/workspace/huge");
    unlinkSync(huge);
    return () => reader.close();
  },
  "the end of a draft after its removal by a program": async ({ fs, workspace }) => {
    const writer = await fs.openWriter("/workspace/draft");
    await writer.write(0, new Uint8Array(1));
    for (const name of readdirSync(workspace)) if (name !== "huge") fill(join(workspace, name));
    return () => writer.close();
  },
  "removing a folder with hidden files": async ({ fs, workspace }) => {
    mkdirSync(join(workspace, "folder"));
    for (let count = 0; count < 140; count++) fill(join(workspace, "folder", temporaryName()), 7 * MIB);
    return () => new Files(fs).delete("/workspace/folder");
  },
};

for (const [name, prepare] of Object.entries(CHANGES)) {
  test.runIf(hasRoom)(
    `the event loop does not wait while the kernel frees a huge file: ${name}`,
    async () => {
      const root = mkdtempSync(join(SHARED_MEMORY, "agent-vm-"));
      onTestFinished(() => rmSync(root, { recursive: true, force: true }));
      const workspace = join(root, "workspace");
      mkdirSync(workspace);
      const fs = openRoot(root);
      onTestFinished(() => fs.close());
      fill(join(workspace, "huge"));
      const change = await prepare({ fs, huge: join(workspace, "huge"), workspace });
      expect(await longestTurn(change)).toBeLessThan(BOUND);
    },
  );
}

test("the event loop does not wait while the kernel frees a mount in memory, or a VM", async () => {
  const { vm } = startVm({
    limits: { memoryBytes: 4 * HUGE, filesystemBytes: 2 * HUGE },
    checkpoint: { intervalMs: 2_000_000_000 },
  });
  await vm.mountFs({ path: "/mnt/one", plugin: { id: "memory", config: { sizeBytes: 1.5 * HUGE } } });
  const fillAt = async (path: string) =>
    expect((await vm.exec(`head -c ${HUGE} /dev/zero > ${path}`)).stderr).toBe("");
  await fillAt("/mnt/one/huge");
  expect(await longestTurn(() => vm.unmountFs("/mnt/one"))).toBeLessThan(BOUND);
  await vm.mountFs({ path: "/mnt/two", plugin: { id: "memory", config: { sizeBytes: 1.5 * HUGE } } });
  await fillAt("/mnt/two/huge");
  await fillAt("/workspace/huge");
  expect(await longestTurn(() => vm.dispose("destroy"))).toBeLessThan(BOUND);
});
