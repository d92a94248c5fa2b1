import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import type { VmStatus } from "../../api/methods/machine.ts";
import type { VmProcess } from "../../api/methods/process-types.ts";
import { printable } from "../../base/printable.ts";
import { unlessAborted } from "../../base/within.ts";
import type { VmHandle } from "../../client/types.ts";
import type { Cli } from "../cli.ts";
import { bold } from "../out.ts";
import { shownBytes, shownDuration, shownMemory, shownUse } from "../shown.ts";
import { layOut } from "../table.ts";
import { onSignals } from "../terminal/interrupts.ts";
import { RawTerminal } from "../terminal/raw-terminal.ts";
import { PROCESS_COLUMNS } from "./processes.ts";

/** Pause between two looks by default, as the command's help says. */
const INTERVAL_MS = 2_000;

interface TopOptions {
  interval?: number;
  count?: number;
}

const ENTER_SCREEN = "\x1b[?1049h\x1b[?25l";
const HOME = "\x1b[H";
const CLEAR_LINE = "\x1b[K";
const CLEAR_BELOW = "\x1b[J";
const CTRL_C = 3;

interface Sample {
  at: number;
  status: VmStatus;
  processes: VmProcess[];
}

/** Shows what a VM uses and its processes, again and again. A script gets one look, or as many as `--count` says. */
export async function top(
  cli: Cli,
  key: string,
  { interval = INTERVAL_MS, count }: TopOptions,
): Promise<void> {
  const vm = await cli.vm(key);
  const isLive = process.stdout.isTTY === true && process.stdin.isTTY === true && !cli.out.json;
  const looks = count ?? (isLive ? Number.POSITIVE_INFINITY : 1);
  const abort = new AbortController();
  const stop = onSignals(() => abort.abort());
  const screen = new RawTerminal();
  const redraw = new EventTarget();
  try {
    if (isLive) {
      screen.print(Buffer.from(ENTER_SCREEN));
      screen.open({
        onKeys: (keys) => {
          if (keys.includes(CTRL_C) || /q/i.test(Buffer.from(keys).toString())) abort.abort();
        },
        onResize: () => redraw.dispatchEvent(new Event("resize")),
      });
    }
    let before: Sample | undefined;
    let shown: Sample | undefined;
    const draw = () => {
      if (shown !== undefined) process.stdout.write(drawn(key, shown, before));
    };
    redraw.addEventListener("resize", draw);
    for (let look = 0; look < looks && !abort.signal.aborted; look++) {
      // A server that does not answer must not hold up keys and signals.
      const sample = await unlessAborted(sampleOf(vm), abort.signal);
      before = shown;
      shown = sample;
      if (isLive) draw();
      else await print(cli, key, shown);
      if (look + 1 < looks) await delay(interval, undefined, { signal: abort.signal }).catch(() => undefined);
    }
  } catch (error) {
    if (!abort.signal.aborted) throw error;
  } finally {
    screen.close();
    stop();
  }
}

async function sampleOf(vm: VmHandle): Promise<Sample> {
  const [status, processes] = await Promise.all([vm.status(), vm.allProcesses()]);
  return { at: performance.now(), status, processes: processes.sort((a, b) => b.rss - a.rss) };
}

async function print(cli: Cli, key: string, { status, processes }: Sample): Promise<void> {
  if (cli.out.json) return await cli.out.value({ status, processes }, "");
  await cli.out.raw(`${header(key, status).join("\n")}\n`);
  await cli.out.table(processes, PROCESS_COLUMNS);
}

function drawn(key: string, sample: Sample, before: Sample | undefined): string {
  const { columns, rows } = process.stdout;
  const [titles = "", ...lines] = layOut(sample.processes, PROCESS_COLUMNS, columns);
  const head = header(key, sample.status, cpuShare(sample, before)).map((line) => line.slice(0, columns));
  const room = Math.max(0, rows - head.length - 2);
  const screen = [...head, bold(titles), ...lines.slice(0, room)];
  return `${HOME}${screen.map((line) => line + CLEAR_LINE).join("\r\n")}${CLEAR_BELOW}`;
}

/** Returns the CPUs that the VM used between two looks; `undefined` if they are not known. */
function cpuShare({ at, status }: Sample, before: Sample | undefined): number | undefined {
  const [now, then] = [status.cpu.used, before?.status.cpu.used ?? null];
  if (before === undefined || now === null || then === null || now < then) return undefined;
  return (now - then) / (at - before.at);
}

function header(key: string, status: VmStatus, share?: number): string[] {
  const { state, uptimeMs, memory, disk, processes, cpu } = status;
  const cpus = share === undefined ? (shownDuration(cpu.used) ?? "-") : `${(100 * share).toFixed(0)} %`;
  return [
    printable(`${key}  ${state}  up ${shownDuration(uptimeMs)}  q quits`),
    [
      `cpu ${cpus}`,
      `memory ${shownMemory(memory)}`,
      `disk ${shownUse(shownBytes(disk.used), shownBytes(disk.limit))}`,
      `processes ${shownUse(String(processes.used ?? "-"), processes.limit === null ? undefined : String(processes.limit))}`,
    ].join("  "),
  ];
}
