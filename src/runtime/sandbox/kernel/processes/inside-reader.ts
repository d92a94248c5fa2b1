import type { PosixCode } from "../../../../api/errors.ts";
import { ByteCollector } from "../../../../base/byte-collector.ts";
import { Semaphore } from "../../../../base/semaphore.ts";
import { type Call, fileTooLarge, posixError } from "../../posix.ts";
import type { SandboxProcess, SpawnRequest } from "../../processes.ts";

/**
 * Files of `/proc` of one VM that are read at the same time, each by a process in the VM.
 * @unit files
 * @past Further reads wait.
 */
const MAX_INSIDE_READS = 8;

/**
 * Time for a read of a file of `/proc`.
 * @unit ms
 * @past The read fails.
 * @code EIO
 */
const INSIDE_READ_TIMEOUT_MS = 10_000;

/** Bytes of cat's error messages that are kept. */
const MAX_ERROR_BYTES = 8192;

/** Error messages of cat(1) in the C locale. */
const CODES: Readonly<Record<string, PosixCode>> = {
  "Permission denied": "EACCES",
  "Operation not permitted": "EPERM",
  "No such file or directory": "ENOENT",
  "No such process": "ESRCH",
  "Invalid argument": "EINVAL",
  "Is a directory": "EISDIR",
  "Not a directory": "ENOTDIR",
};

/**
 * Reads files of procfs as the VM's user, by cat(1) in the VM. Their content depends on the reader: the kernel shows
 * root kernel addresses and pages, and shows each reader the host name, keys and System V segments of its own
 * namespaces.
 */
export class InsideReader {
  readonly #spawn: (request: SpawnRequest) => Promise<SandboxProcess>;
  readonly #cat: string;
  readonly #reading = new Semaphore(MAX_INSIDE_READS);

  constructor(spawn: (request: SpawnRequest) => Promise<SandboxProcess>, cat: string) {
    this.#spawn = spawn;
    this.#cat = cat;
  }

  read(path: string, call: Call, maxBytes: number): Promise<Uint8Array> {
    return this.#reading.run(() => this.#read(path, call, maxBytes));
  }

  async #read(path: string, call: Call, maxBytes: number): Promise<Uint8Array> {
    const cat = { command: this.#cat, args: ["--", path], env: { LC_ALL: "C" }, cwd: "/", stdin: false };
    const process = await this.#spawn(cat);
    const content = new ByteCollector();
    const errors = new ByteCollector();
    let size = 0;
    let errorBytes = 0;
    process.onOutput((stream, data) => {
      if (stream === "stderr") {
        if (errorBytes <= MAX_ERROR_BYTES) errors.push(data);
        errorBytes += data.length;
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
    if (exitCode !== 0) throw posixError(codeIn(errors.takeAll().toString()), call);
    return new Uint8Array(content.takeAll());
  }
}

function codeIn(errors: string): PosixCode {
  const reason = errors.trim().split(": ").at(-1) ?? "";
  return CODES[reason] ?? "EIO";
}
