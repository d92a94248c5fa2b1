import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe } from "vitest";
import { Files } from "../../../src/runtime/filesystem/files.ts";
import type { FileSystem } from "../../../src/runtime/sandbox/files.ts";
import { FileCalls } from "../../../src/runtime/sandbox/kernel/files/calls.ts";
import { RootedFileSystem } from "../../../src/runtime/sandbox/kernel/files/rooted-filesystem.ts";
import { findTool } from "../../../src/runtime/sandbox/kernel/tools.ts";
import { MemoryFileSystem } from "../../../src/runtime/sandbox/memory/memory-filesystem.ts";

const O_PATH = 0o10000000;

/** VM user that owns new files if the tests run as root, as with a server that runs as root. */
export const VM_OWNER = process.getuid?.() === 0 ? { uid: 123456, gid: 123456 } : null;

/** Makes a folder on the host, in memory if possible. */
export function scratchFolder(): string {
  return mkdtempSync(join(isWritable("/dev/shm") ? "/dev/shm" : tmpdir(), "agent-vm-test-"));
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

export const PERL = findTool("perl") as string;

/** @param calls of the file system. @default of a VM whose programs may run */
export function openRoot(folder: string, calls?: FileCalls): RootedFileSystem {
  const rootFd = openSync(folder, O_PATH | constants.O_DIRECTORY);
  return new RootedFileSystem({ rootFd, owner: VM_OWNER, perl: PERL, calls });
}

function makeRoot(calls: FileCalls): Opened {
  const folder = scratchFolder();
  chmodSync(folder, 0o755);
  makeTree(folder);
  const fs = openRoot(folder, calls);
  return {
    fs,
    async dispose() {
      await fs.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

interface Opened {
  fs: FileSystem;
  dispose(): Promise<void>;
}

/** Makes the initial tree of MemoryFileSystem on the host. */
export function makeTree(root: string): void {
  const folders = [
    "home/agentos",
    "workspace",
    "tmp",
    "root",
    "var",
    "var/tmp",
    "opt",
    "etc",
    "bin",
    "usr",
    "dev",
    "proc",
    "sys",
  ];
  for (const folder of folders) mkdirSync(join(root, folder), { recursive: true });
  for (const shared of ["tmp", "var/tmp"]) chmodSync(join(root, shared), 0o1777);
  symlinkSync("/home/agentos", join(root, "home/user"));
  if (VM_OWNER === null) return;
  for (const folder of ["", "home", ...folders]) chownSync(join(root, folder), VM_OWNER.uid, VM_OWNER.gid);
}

const IMPLEMENTATIONS: { name: string; open(): Opened }[] = [
  { name: "kernel root", open: () => makeRoot(new FileCalls(() => true)) },
  { name: "kernel root beside programs", open: () => makeRoot(new FileCalls()) },
  {
    name: "memory",
    open() {
      const fs = new MemoryFileSystem({ filesystemBytes: 256 * 1024 * 1024, inodes: 100_000 });
      return { fs, dispose: () => fs.close() };
    },
  },
];

/** File tree of one test. */
export interface TestTree {
  readonly fs: FileSystem;
  readonly files: Files;
}

/** Runs the tests on every implementation, each test on a fresh tree. */
export function describeFiles(title: string, tests: (tree: TestTree) => void): void {
  describe.each(IMPLEMENTATIONS)(`${title} ($name)`, ({ open }) => {
    let opened: Opened;
    beforeEach(() => {
      opened = open();
    });
    afterEach(async () => {
      await opened.dispose();
    });
    tests({
      get fs() {
        return opened.fs;
      },
      get files() {
        return new Files(opened.fs);
      },
    });
  });
}

/** Returns code and message of a promise's rejection. */
export async function failure(promise: Promise<unknown>): Promise<{ code: string; message: string }> {
  try {
    await promise;
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return { code, message };
  }
  throw new Error("Expected a failure");
}

/** Returns the failure for a message such as `ENOENT: no such file or directory, open '/x'`. */
export function posix(message: string): { code: string; message: string } {
  return { code: message.slice(0, message.indexOf(":")), message };
}

export function readOnly(path: string): { code: string; message: string } {
  return { code: "EROFS", message: `Path is read-only: ${path}` };
}

export function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("utf8");
}

/** Counts the names of the paths in all calls, as each call walks from the root. */
export function countingNames(fs: FileSystem): { fs: FileSystem; walked(): number } {
  let names = 0;
  const counting = <Target extends object>(target: Target): Target =>
    new Proxy(target, {
      get(_, key) {
        const value: unknown = Reflect.get(target, key, target);
        if (key === "tree") return counting(fs.tree);
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => {
          for (const path of args) if (typeof path === "string") names += path.split("/").length;
          return value.apply(target, args);
        };
      },
    });
  return { fs: counting(fs), walked: () => names };
}
