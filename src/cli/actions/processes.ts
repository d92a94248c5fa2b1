import process from "node:process";
import { AgentVmError } from "../../api/errors.ts";
import type { SpawnedProcessInfo, VmProcess } from "../../api/methods/process-types.ts";
import { signalName } from "../../api/signals.ts";
import type { OutputChunk, SpawnedPid } from "../../client/index.ts";
import type { VmHandle } from "../../client/types.ts";
import type { Cli } from "../cli.ts";
import { UsageError } from "../exit-codes.ts";
import { printableText } from "../out.ts";
import { shownBytes, shownTime } from "../shown.ts";
import type { Column } from "../table.ts";
import { onSignals } from "../terminal/interrupts.ts";
import { write } from "../terminal/streams.ts";
import { TextChunks } from "../text-chunks.ts";

/** Columns of the processes of a VM. */
export const PROCESS_COLUMNS: readonly Column<VmProcess>[] = [
  { title: "PID", of: ({ pid }) => pid, isNumber: true },
  { title: "PPID", of: ({ ppid }) => ppid, isNumber: true },
  { title: "USER", of: ({ user }) => user },
  { title: "S", of: ({ state }) => state },
  { title: "MEMORY", of: ({ rss }) => shownBytes(rss), isNumber: true },
  { title: "COMMAND", of: ({ command, args }) => (args.length === 0 ? `[${command}]` : args.join(" ")) },
];

const STARTED_COLUMNS: readonly Column<SpawnedProcessInfo>[] = [
  { title: "PID", of: ({ pid }) => pid, isNumber: true },
  { title: "STATE", of: ({ running, exitCode }) => (running ? "running" : `exit ${exitCode}`) },
  { title: "STARTED", of: ({ startedAt }) => shownTime(startedAt) },
  { title: "COMMAND", of: ({ command, args }) => [command, ...args].join(" ") },
];

/** Lists the processes of a VM, or processes that `exec`, `run` and the API have started. */
export async function ps(cli: Cli, key: string, { started }: { started?: boolean }): Promise<void> {
  const vm = await cli.vm(key);
  if (started) await cli.out.table(await vm.listProcesses(), STARTED_COLUMNS);
  else await cli.out.table(await vm.allProcesses(), PROCESS_COLUMNS);
}

/** Prints the kept output of a process that `run` or the API has started, and follows it. */
export async function logs(
  cli: Cli,
  key: string,
  pid: number | undefined,
  { follow }: { follow?: boolean },
): Promise<void> {
  const vm = await cli.vm(key);
  const { pid: wanted, ...same } = pid === undefined ? await newest(vm) : { pid };
  const texts = new TextChunks(({ seq, stream }, data) => cli.out.value({ seq, stream, data }, ""));
  const print = async (chunk: OutputChunk) => {
    if (cli.out.json) return await texts.push(chunk);
    const to = chunk.stream === "stdout" ? process.stdout : process.stderr;
    await write(to, to.isTTY ? shownLog(chunk.data) : chunk.data);
  };
  if (!follow) {
    const { chunks, truncated } = await vm.readProcessOutput(wanted, same);
    if (truncated) cli.out.warn("older output is no longer kept");
    for (const chunk of chunks) await print(chunk);
    return await texts.end();
  }
  const abort = new AbortController();
  const stop = onSignals(() => abort.abort());
  try {
    await vm.attach(wanted, { ...same, onOutput: print, captureStdio: false, signal: abort.signal });
  } catch (error) {
    if (!abort.signal.aborted) throw error;
  } finally {
    stop();
  }
  await texts.end();
}

/**
 * Makes output fit for a terminal. A log is read later, by somebody who has not started the program: no control character gets
 * through.
 */
function shownLog(data: Uint8Array): string {
  return printableText(new TextDecoder().decode(data).replace(/\r+\n/g, "\n"));
}

async function newest(vm: VmHandle): Promise<SpawnedPid> {
  const last = (await vm.listProcesses()).at(-1);
  if (last === undefined)
    throw new AgentVmError("process_not_found", "The VM has no process with kept output");
  return { pid: last.pid, startedAt: last.startedAt };
}

/** Sends a signal to processes of a VM, also to processes that nobody has started through the API. */
export async function kill(
  cli: Cli,
  key: string,
  pids: number[],
  { signal, tree }: { signal: string; tree?: boolean },
): Promise<void> {
  const name = /^\d+$/.test(signal) ? Number(signal) : signalName(signal.toUpperCase());
  if (name === undefined)
    throw new UsageError(`Expected a signal such as TERM or 9, got ${JSON.stringify(signal)}`);
  const vm = await cli.vm(key);
  for (const pid of pids) {
    try {
      await vm.signalProcess(pid, name, tree ? { tree } : {});
    } catch (error) {
      if (!(error instanceof AgentVmError) || error.code !== "process_not_found" || tree) throw error;
      await killAny(vm, pid, String(name).replace(/^SIG/, ""), error);
    }
  }
  await cli.out.value({ signal: name, pids }, "");
}

async function killAny(vm: VmHandle, pid: number, signal: string, missing: AgentVmError): Promise<void> {
  const { exitCode, stderr } = await vm.execArgv("kill", ["-s", signal, "--", String(pid)]);
  if (exitCode === 0) return;
  throw stderr.includes("No such process") ? missing : new AgentVmError("EPERM", stderr.trim());
}
