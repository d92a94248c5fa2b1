import process from "node:process";
import { sendInput } from "../../adapters/shared/stdin.ts";
import type { OutputChunk, SpawnedPid } from "../../client/index.ts";
import type { RunOptions } from "../../client/run.ts";
import type { VmHandle } from "../../client/types.ts";
import type { Cli } from "../cli.ts";
import { EXIT, UsageError } from "../exit-codes.ts";
import { onSignals } from "../terminal/interrupts.ts";
import { onReaderGone, readStdin, write } from "../terminal/streams.ts";
import { TextChunks } from "../text-chunks.ts";

/** Options of `exec` and `run`. */
interface CommandOptions {
  env?: Record<string, string>;
  cwd?: string;
  timeout?: number;
}

interface ExecOptions extends CommandOptions {
  stdin?: boolean;
}

interface RunCommandOptions extends CommandOptions {
  stdin: boolean;
  detach?: boolean;
}

/**
 * Runs a command to its end and passes on its output, all of it, as bytes. With `--json` the result has the output as text, up to
 * the limit that `truncated` reports. Exits with its exit code.
 */
export async function exec(cli: Cli, key: string, words: string[], options: ExecOptions): Promise<void> {
  const { env, cwd, timeout } = options;
  const vm = await cli.vm(key);
  const stdin = options.stdin ? await readStdin() : undefined;
  const abort = new AbortController();
  // A command without a reader is killed.
  onReaderGone(() => abort.abort(0));
  const stop = onSignals(() => abort.abort(EXIT.interrupted));
  const output = cli.out.json ? {} : { captureStdio: false, onOutput: print };
  await interruptible(abort.signal, stop, async () => {
    const result = await start(vm, words, {
      env,
      cwd,
      timeout,
      stdin,
      ...output,
      signal: abort.signal,
    });
    if (cli.out.json) await cli.out.value(result, "");
    exitLike(result);
  });
}

/**
 * Runs a command and streams its output and stdin. Signals go to everything that the command has started. A second Ctrl-C
 * kills it. Exits with its exit code.
 */
export async function run(cli: Cli, key: string, words: string[], options: RunCommandOptions): Promise<void> {
  const { env, cwd, timeout } = options;
  const vm = await cli.vm(key);
  if (options.detach) {
    const [command, ...args] = argvOf(words);
    const started = await vm.spawn(command, args, { env, cwd });
    return await cli.out.value(started, String(started.pid));
  }
  const abort = new AbortController();
  // A command without a reader is killed.
  onReaderGone(() => abort.abort(0));
  let command: SpawnedPid | undefined;
  let interrupts = 0;
  const texts = new TextChunks(({ stream }, data) => cli.out.value({ stream, data }, ""));
  const forward = (signal: NodeJS.Signals) => {
    if (signal === "SIGINT") interrupts += 1;
    if (command === undefined || interrupts > 1) return abort.abort(EXIT.interrupted);
    const { pid, startedAt } = command;
    void vm.signalProcess(pid, signal, { tree: true, startedAt }).catch(() => undefined);
  };
  const stop = onSignals(forward);
  await interruptible(abort.signal, stop, async () => {
    const result = await start(vm, words, {
      env,
      cwd,
      timeout,
      openStdin: options.stdin,
      captureStdio: false,
      signal: abort.signal,
      onOutput: (chunk) => (cli.out.json ? texts.push(chunk) : print(chunk)),
      onStart: (pid, startedAt) => {
        command = { pid, startedAt };
        if (options.stdin) void forwardStdin(vm, command).catch(() => undefined);
      },
    });
    if (cli.out.json) {
      await texts.end();
      const { exitCode, signal, reason, durationMs } = result;
      await cli.out.value({ exitCode, signal, reason, durationMs }, "");
    }
    exitLike(result);
  });
}

/** Runs a command to its end. When the user or the end of the reader aborts it, the reason is the exit code. */
async function interruptible(
  signal: AbortSignal,
  stop: () => void,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!signal.aborted) throw error;
    process.exitCode = signal.reason;
  } finally {
    stop();
  }
}

/** One word is a line for the VM's shell. Several words are a program and its arguments. */
async function start(
  vm: VmHandle,
  given: readonly string[],
  options: RunOptions & { yieldAfterMs?: undefined },
) {
  const words = commandOf(given);
  const [command = "", ...args] = words;
  return words.length === 1 ? await vm.run(command, options) : await vm.runArgv(command, args, options);
}

/** `--` may stand before the command. */
function commandOf(words: readonly string[]): readonly string[] {
  const [first, ...rest] = words;
  if (first !== "--") return words;
  if (rest.length === 0) throw new UsageError("Pass a command");
  return rest;
}

function argvOf(given: readonly string[]): [command: string, ...args: string[]] {
  const words = commandOf(given);
  const [command = "", ...args] = words;
  return words.length === 1 ? ["bash", "-c", command] : [command, ...args];
}

async function print({ stream, data }: OutputChunk): Promise<void> {
  await write(stream === "stdout" ? process.stdout : process.stderr, data);
}

/** Sends stdin to a process, and its end. Waits while the process reads slowly. */
async function forwardStdin(vm: VmHandle, command: SpawnedPid): Promise<void> {
  const receiver = { vm, ...command };
  for await (const piece of process.stdin as AsyncIterable<Uint8Array>) await sendInput(receiver, piece);
  const { pid, startedAt } = command;
  await vm.closeProcessStdin(pid, { startedAt });
}

function exitLike({ exitCode, timedOut }: { exitCode: number; timedOut: boolean }): void {
  process.exitCode = timedOut ? EXIT.timeout : exitCode;
}
