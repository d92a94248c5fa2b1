import { AgentVmError } from "../../api/errors.ts";
import type { OutputChunk } from "../../api/methods/process-types.ts";
import type { RunResult } from "../../client/index.ts";
import { OutputStream } from "./output-stream.ts";
import { sendInput } from "./stdin.ts";
import type { AdapterVm } from "./workplace.ts";

/** A command to start. */
export interface SpawnRequest {
  /** Line for bash. */
  command: string;
  /** Absolute path of the working directory. */
  cwd: string;
  env?: Record<string, string> | undefined;
  /** `true` opens stdin for writing. @default false: stdin is empty */
  stdin?: boolean | undefined;
  /** Kills the command's whole tree. */
  signal?: AbortSignal | undefined;
}

/** A command that runs. */
export interface SpawnedCommand {
  pid: number;
  stdout: ReadableStream<Uint8Array>;
  stderr: ReadableStream<Uint8Array>;
  /** Rejects with the signal's reason after an abort. */
  ended: Promise<RunResult>;
  kill(): Promise<void>;
  stdin?: WritableStream<Uint8Array>;
}

/**
 * Waits for one byte before the command starts, so that its output has a reader from the beginning. The read takes no byte of
 * the command's own input.
 */
const GATE = 'IFS= read -r -N 1 _; exec bash -c "$1"';

/** Starts a command and streams its output as bytes. */
export async function spawnCommand(vm: AdapterVm, request: SpawnRequest): Promise<SpawnedCommand> {
  const { command, cwd, env, signal } = request;
  signal?.throwIfAborted();
  const streams = { stdout: new OutputStream(), stderr: new OutputStream() };
  let next = 0;
  const onOutput = async ({ stream, data, seq }: OutputChunk) => {
    if (seq !== next)
      throw new AgentVmError(
        "limit_exceeded",
        "The VM no longer keeps the command's oldest output (PROCESS_REPLAY_BYTES). Read the output faster.",
        { limit: "PROCESS_REPLAY_BYTES" },
      );
    next = seq + 1;
    await streams[stream].write(data);
  };
  const options = { cwd, ...(env && { env }) };
  const listeners = { onOutput, captureStdio: false };
  const first = await (request.stdin
    ? vm.runArgv("bash", ["-c", GATE, "bash", command], { ...options, openStdin: true, yieldAfterMs: 0 })
    : vm.run(command, { ...options, ...listeners, yieldAfterMs: 0 }));
  // After a restart of the VM the pid may be another command's.
  const { pid, startedAt } = first;
  const kill = async () => {
    streams.stdout.free();
    streams.stderr.free();
    try {
      await vm.killProcess(pid, { tree: true, startedAt });
    } catch (error) {
      if (!(error instanceof AgentVmError && error.code === "process_not_found")) throw error;
    }
  };
  const following = first.running
    ? vm.attach(pid, { after: first.after, startedAt, ...listeners, signal })
    : Promise.resolve(first);
  // A slow reader must not hold up an abort.
  const abort = () => {
    streams.stdout.fail(signal?.reason);
    streams.stderr.fail(signal?.reason);
  };
  signal?.addEventListener("abort", abort, { once: true });
  const ended = settle(following, streams, kill).finally(() => signal?.removeEventListener("abort", abort));
  // A caller that only reads the streams does not wait for the end.
  ended.catch(() => undefined);
  const process = { pid, stdout: streams.stdout.stream, stderr: streams.stderr.stream, ended, kill };
  if (!request.stdin) return process;
  await vm.writeProcessStdin(pid, "\n", { startedAt });
  return { ...process, stdin: stdinOf({ vm, pid, startedAt }, ended) };
}

/** Ends the streams with the command. A command whose output is no longer followed is killed. */
async function settle(
  following: Promise<RunResult>,
  { stdout, stderr }: Record<"stdout" | "stderr", OutputStream>,
  kill: () => Promise<void>,
): Promise<RunResult> {
  try {
    const result = await following;
    stdout.end();
    stderr.end();
    return result;
  } catch (error) {
    await kill().catch(() => undefined);
    stdout.fail(error);
    stderr.fail(error);
    throw error;
  }
}

/** Makes the stream of a process's stdin. A write waits while the process reads slowly. */
function stdinOf(
  process: { vm: AdapterVm; pid: number; startedAt: number },
  ended: Promise<unknown>,
): WritableStream<Uint8Array> {
  const { vm, pid, startedAt } = process;
  let isOver = false;
  const end = () => {
    isOver = true;
  };
  ended.then(end, end);
  return new WritableStream<Uint8Array>({
    // Types of Node lack the signal.
    async write(data, { signal }: { error(reason?: unknown): void; signal?: AbortSignal }) {
      await sendInput({ ...process, isOver: () => isOver || signal?.aborted === true }, data);
    },
    close: () => vm.closeProcessStdin(pid, { startedAt }),
    abort: () => vm.closeProcessStdin(pid, { startedAt }),
  });
}
