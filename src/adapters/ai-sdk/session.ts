import { Buffer } from "node:buffer";
import { AgentVmError, invalidArgument } from "../../api/errors.ts";
import { isMissing, orNull } from "../shared/errors.ts";
import { kindOf, listEntries, statOrNull } from "../shared/file-kind.ts";
import { spawnCommand } from "../shared/spawn.ts";
import { linesOf } from "../shared/text.ts";
import { type AdapterVm, Workplace } from "../shared/workplace.ts";
import type {
  AbortOption,
  PathOptions,
  SandboxCommandOptions,
  SandboxProcess,
  SandboxSession,
  SandboxSpawn,
  SandboxSpawnOptions,
  WritableSandboxProcess,
} from "./session-types.ts";

/** Options of `sandboxSession`. */
export interface SandboxSessionOptions {
  /** Base directory of relative paths and of commands. It is made if it is missing. @default "/home/agentos" */
  workingDirectory?: string;
  /** Text about the VM for an agent's instructions. @default names the base directory */
  description?: string;
}

/** Encodings that `writeTextFile` knows, by their names in Node. */
const ENCODINGS: Readonly<Record<string, BufferEncoding>> = {
  "utf-8": "utf8",
  utf8: "utf8",
  "utf-16le": "utf16le",
  utf16le: "utf16le",
  latin1: "latin1",
  "iso-8859-1": "latin1",
  ascii: "latin1",
  "us-ascii": "latin1",
};

/**
 * Makes a VM usable as `Experimental_SandboxSession` of the AI SDK (`@ai-sdk/provider-utils` 5).
 *
 * @param vm handle or connection of `createClient()`
 * @param options base directory and description
 * @example
 * ```ts
 * const session = sandboxSession(client.vm.getOrCreate("my-agent"));
 * const { stdout } = await session.run({ command: "uname -a" });
 * ```
 */
export function sandboxSession(vm: AdapterVm, options: SandboxSessionOptions = {}): SandboxSession {
  const place = new Workplace(vm, options.workingDirectory);
  const description =
    options.description ??
    `A Linux virtual machine. Commands run in bash and start in ${place.path}, against which relative paths resolve.`;
  const readBinaryFile = async ({ path, abortSignal }: PathOptions) => {
    abortSignal?.throwIfAborted();
    return await orNull(vm.readFile(place.resolve(path), { signal: abortSignal }));
  };
  const write = async (path: string, content: Uint8Array, signal?: AbortSignal) => {
    signal?.throwIfAborted();
    await vm.writeFile(place.resolve(path), content, { signal });
  };
  return {
    description,
    readBinaryFile,
    async readFile(request) {
      const bytes = await readBinaryFile(request);
      return bytes === null ? null : streamOf(bytes);
    },
    async readTextFile({ encoding = "utf-8", startLine, endLine, ...request }) {
      const bytes = await readBinaryFile(request);
      return bytes === null ? null : linesOf(decode(bytes, encoding), startLine, endLine);
    },
    async writeFile({ path, content, abortSignal }) {
      await write(path, await collect(content, abortSignal), abortSignal);
    },
    writeBinaryFile: ({ path, content, abortSignal }) => write(path, content, abortSignal),
    async writeTextFile({ path, content, encoding = "utf-8", abortSignal }) {
      const name = ENCODINGS[encoding.toLowerCase()];
      if (name === undefined) throw invalidArgument("encoding", Object.keys(ENCODINGS).join(", "), encoding);
      await write(path, Buffer.from(content, name), abortSignal);
    },
    async stat({ path, abortSignal }) {
      return await abortable(abortSignal, async () => {
        const stat = await statOrNull(vm, place.resolve(path));
        if (stat === null) return null;
        const kind = kindOf(stat);
        return { type: kind === "symlink" ? "other" : kind, size: stat.size };
      });
    },
    async listDirectory({ path, abortSignal }) {
      return await abortable(abortSignal, async () => {
        const full = place.resolve(path);
        const stat = await statOrNull(vm, full);
        if (stat === null) return null;
        const entries = await orNull(listEntries(vm, full));
        // ENOTDIR is not a missing path.
        if (!stat.isDirectory)
          throw new AgentVmError("ENOTDIR", `ENOTDIR: not a directory, scandir '${full}'`);
        return entries?.map(({ name, kind }) => ({ name, type: kind })) ?? null;
      });
    },
    async deleteFile({ path, abortSignal }) {
      return await abortable(abortSignal, async () => {
        const full = place.resolve(path);
        const stat = await orNull(vm.lstat(full));
        if (stat === null) return false;
        if (stat.isDirectory) throw new AgentVmError("EISDIR", `EISDIR: is a directory, unlink '${full}'`);
        try {
          await vm.delete(full);
          return true;
        } catch (error) {
          if (isMissing(error)) return false;
          throw error;
        }
      });
    },
    spawn: spawnOf(place),
    async run({ command, workingDirectory, env, abortSignal }: SandboxCommandOptions) {
      const { exitCode, stdout, stderr, truncated } = await vm.run(command, {
        cwd: await place.directory(workingDirectory),
        env,
        signal: abortSignal,
      });
      const note = truncated ? "\n[agent-vm: further output was dropped; spawn() streams all of it]\n" : "";
      return { exitCode, stdout, stderr: stderr + note };
    },
  };
}

function spawnOf(place: Workplace): SandboxSpawn {
  const spawn = async ({
    command,
    workingDirectory,
    env,
    stdin,
    abortSignal,
  }: SandboxSpawnOptions): Promise<SandboxProcess> => {
    const cwd = await place.directory(workingDirectory);
    const { ended, ...process } = await spawnCommand(place.vm, {
      command,
      cwd,
      env,
      stdin,
      signal: abortSignal,
    });
    return { ...process, wait: async () => ({ exitCode: (await ended).exitCode }) };
  };
  return spawn as (options: SandboxSpawnOptions) => Promise<WritableSandboxProcess>;
}

/** Runs short work that cannot be cancelled on the server. */
async function abortable<Value>(
  signal: AbortOption["abortSignal"],
  work: () => Promise<Value>,
): Promise<Value> {
  signal?.throwIfAborted();
  const value = await work();
  signal?.throwIfAborted();
  return value;
}

function decode(bytes: Uint8Array, encoding: string): string {
  try {
    return new TextDecoder(encoding).decode(bytes);
  } catch (error) {
    if (error instanceof RangeError)
      throw invalidArgument("encoding", "a name that TextDecoder knows", encoding);
    throw error;
  }
}

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      if (bytes.byteLength > 0) controller.enqueue(bytes);
      controller.close();
    },
  });
}

/** Reads a stream to its end. An abort cancels the stream. */
async function collect(stream: ReadableStream<Uint8Array>, signal?: AbortSignal): Promise<Uint8Array> {
  const reader = stream.getReader();
  const abort = () => void reader.cancel(signal?.reason).catch(() => undefined);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    const pieces: Uint8Array[] = [];
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) pieces.push(piece.value);
    signal?.throwIfAborted();
    return Buffer.concat(pieces);
  } finally {
    signal?.removeEventListener("abort", abort);
    reader.releaseLock();
  }
}
