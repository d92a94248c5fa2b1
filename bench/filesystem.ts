/**
 * `node bench/filesystem.ts`: file actions of a VM against node:fs/promises of the host. "held" is the longest time
 * between two turns of the event loop; "CPU" is the longest CPU time of the thread between two turns. Both are in
 * milliseconds. Needs 1.5 GB of memory.
 */
import { constants, mkdtempSync, openSync, rmSync } from "node:fs";
import * as host from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Files } from "../src/runtime/filesystem/files.ts";
import type { FileSystem } from "../src/runtime/sandbox/files.ts";
import { FileCalls } from "../src/runtime/sandbox/kernel/files/calls.ts";
import { RootedFileSystem } from "../src/runtime/sandbox/kernel/files/rooted-filesystem.ts";
import { findTool } from "../src/runtime/sandbox/kernel/tools.ts";
import { MemoryFileSystem } from "../src/runtime/sandbox/memory/memory-filesystem.ts";
import { type Measured, measure } from "./loop.ts";

const O_PATH = 0o10000000;
const KIB = 1024;
const MIB = 1024 * KIB;
const LARGE_BYTES = 500 * 1000 * 1000;
const MANY_FILES = 50_000;
const SMALL_ROUNDS = 20_000;

/** File actions to measure. */
interface Subject {
  name: string;
  readFile(path: string): Promise<Uint8Array>;
  writeFile(path: string, data: Uint8Array): Promise<void>;
  stat(path: string): Promise<unknown>;
  readdir(path: string): Promise<string[]>;
  walk(path: string): Promise<number>;
  remove(path: string): Promise<void>;
}

interface Row {
  what: string;
  who: string;
  result: string;
  "held ms": string;
  "CPU ms": string;
}

function vmSubject(name: string, fs: FileSystem): Subject {
  const files = new Files(fs);
  return {
    name,
    readFile: (path) => files.readFile(path),
    writeFile: (path, data) => files.writeFile(path, data),
    stat: (path) => files.stat(path),
    readdir: (path) => files.readdir(path),
    walk: async (path) => (await files.readdirRecursive(path)).length,
    remove: (path) => files.delete(path, { recursive: true }),
  };
}

function hostSubject(root: string): Subject {
  const at = (path: string) => join(root, path);
  return {
    name: "node:fs/promises",
    readFile: (path) => host.readFile(at(path)),
    async writeFile(path, data) {
      await host.mkdir(join(at(path), ".."), { recursive: true });
      await host.writeFile(at(path), data);
    },
    stat: (path) => host.stat(at(path)),
    readdir: async (path) => (await host.readdir(at(path))).sort(),
    async walk(path) {
      const entries = await host.readdir(at(path), { recursive: true, withFileTypes: true });
      const sizes = await Promise.all(
        entries.map(async (entry) => (await host.lstat(join(entry.parentPath, entry.name))).size),
      );
      return sizes.length;
    },
    remove: (path) => host.rm(at(path), { recursive: true }),
  };
}

async function measureSmall(work: () => Promise<unknown>): Promise<Measured> {
  for (let round = 0; round < SMALL_ROUNDS / 10; round++) await work();
  return measure(async () => {
    for (let round = 0; round < SMALL_ROUNDS; round++) await work();
  });
}

async function benchmark(subject: Subject): Promise<Row[]> {
  const rows: Row[] = [];
  const add = (what: string, result: string, { held, cpu }: Measured) =>
    rows.push({
      what,
      who: subject.name,
      result,
      "held ms": held.toFixed(1),
      "CPU ms": cpu.toFixed(1),
    });
  const small = async (what: string, work: () => Promise<unknown>) => {
    const measured = await measureSmall(work);
    add(what, `${((measured.ms / SMALL_ROUNDS) * 1000).toFixed(1)} us`, measured);
  };
  const whole = async (what: string, work: () => Promise<unknown>) => {
    const measured = await measure(work);
    add(what, `${measured.ms.toFixed(0)} ms`, measured);
  };
  const kilobyte = new Uint8Array(KIB).fill(1);
  await small("write 1 KB", () => subject.writeFile("/workspace/small", kilobyte));
  await small("read 1 KB", () => subject.readFile("/workspace/small"));
  await small("stat", () => subject.stat("/workspace/small"));

  const large = new Uint8Array(LARGE_BYTES).fill(1);
  await whole("write 500 MB", () => subject.writeFile("/workspace/large", large));
  await whole("read 500 MB", () => subject.readFile("/workspace/large"));
  await subject.remove("/workspace/large");

  const empty = new Uint8Array();
  await whole("write 50,000 files", async () => {
    for (let index = 0; index < MANY_FILES; index++)
      await subject.writeFile(`/workspace/many/file-${(index * 7919) % MANY_FILES}.txt`, empty);
  });
  await whole("list 50,000 files", () => subject.readdir("/workspace/many"));
  await whole("walk 50,000 files", () => subject.walk("/workspace"));
  await whole("delete 50,000 files", () => subject.remove("/workspace/many"));
  return rows;
}

async function main(): Promise<void> {
  const folder = mkdtempSync("/dev/shm/agent-vm-bench-");
  try {
    const rooted = new RootedFileSystem({
      rootFd: openSync(folder, O_PATH | constants.O_DIRECTORY),
      owner: null,
      perl: findTool("perl") as string,
      calls: new FileCalls(() => true),
    });
    const memory = new MemoryFileSystem({ filesystemBytes: 1024 * MIB, inodes: 200_000 });
    const subjects = [hostSubject(folder), vmSubject("kernel root", rooted), vmSubject("memory", memory)];
    const rows: Row[] = [];
    for (const subject of subjects) rows.push(...(await benchmark(subject)));
    const order = [...new Set(rows.map(({ what }) => what))];
    console.table(rows.sort((left, right) => order.indexOf(left.what) - order.indexOf(right.what)));
    await rooted.close();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await main();
