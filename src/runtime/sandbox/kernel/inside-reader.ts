import { ByteCollector } from "../byte-collector.ts";
import { type Call, fileTooLarge, posixError } from "../posix.ts";
import type { SandboxProcess, SpawnRequest } from "../sandbox.ts";
import { Semaphore } from "./start/semaphore.ts";

/** Files that are read inside at the same time: each takes a process of the VM. */
const MAX_INSIDE_READS = 8;

/** A file of procfs is there at once; what a process of the VM has put in its place meanwhile might block. */
const INSIDE_READ_TIMEOUT_MS = 10_000;

/** Most that is kept of what went wrong. */
const MAX_COMPLAINT_BYTES = 8192;

/** What cat(1) says, in the C locale. */
const CODES: Readonly<Record<string, string>> = {
  "Permission denied": "EACCES",
  "Operation not permitted": "EPERM",
  "No such file or directory": "ENOENT",
  "No such process": "ESRCH",
  "Invalid argument": "EINVAL",
  "Is a directory": "EISDIR",
  "Not a directory": "ENOTDIR",
};

/**
 * Reads files as the VM's user sees them, by cat(1) in the VM. What the kernel makes up as it is read depends on who
 * reads: it shows root kernel addresses and pages, and any reader the host name, keys and System V segments of their
 * own namespaces.
 */
export class InsideReader {
  readonly #spawn: (request: SpawnRequest) => Promise<SandboxProcess>;
  readonly #cat: string;
  readonly #reading = new Semaphore(MAX_INSIDE_READS);

  constructor(spawn: (request: SpawnRequest) => Promise<SandboxProcess>, cat: string) {
    this.#spawn = spawn;
    this.#cat = cat;
  }

  async read(path: string, call: Call, maxBytes: number): Promise<Uint8Array> {
    await this.#reading.acquire();
    try {
      return await this.#read(path, call, maxBytes);
    } finally {
      this.#reading.release();
    }
  }

  async #read(path: string, call: Call, maxBytes: number): Promise<Uint8Array> {
    const cat = { command: this.#cat, args: ["--", path], env: { LC_ALL: "C" }, cwd: "/", stdin: false };
    const process = await this.#spawn(cat);
    const content = new ByteCollector();
    const complaint = new ByteCollector();
    let size = 0;
    let complained = 0;
    process.onOutput((stream, data) => {
      if (stream === "stderr") {
        if (complained <= MAX_COMPLAINT_BYTES) complaint.push(data);
        complained += data.length;
        return;
      }
      const fitted = size <= maxBytes;
      size += data.length;
      if (size <= maxBytes) content.push(data);
      else if (fitted) void process.killTree();
    });
    const timer = setTimeout(() => void process.killTree(), INSIDE_READ_TIMEOUT_MS);
    const { exitCode } = await process.exited;
    clearTimeout(timer);
    if (size > maxBytes) throw fileTooLarge(call, size, maxBytes);
    if (exitCode !== 0) throw posixError(codeIn(complaint.takeAll().toString()), call);
    return new Uint8Array(content.takeAll());
  }
}

function codeIn(complaint: string): string {
  const reason = complaint.trim().split(": ").at(-1) ?? "";
  return CODES[reason] ?? "EIO";
}
