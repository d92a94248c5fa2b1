import { useMemo, useRef, useState } from "preact/hooks";
import type { SpawnedPid, SpawnedProcessInfo, VmProcess } from "../../client/index.ts";
import { useMachine, useSession } from "../state/context.ts";
import { usePoll } from "../state/use-poll.ts";
import { ask } from "../ui/dialog.tsx";
import { bytes, percent } from "../ui/format.ts";
import { Failure } from "../ui/parts.tsx";
import { VirtualList } from "../ui/virtual-list.tsx";
import { ProcessOutputView } from "./process-output.tsx";

/** Pause between two looks at the processes. In milliseconds. */
const LOOK_MS = 2_000;
/** Height of a row; a narrow page has two lines a row. */
const ROW = { wide: 34, narrow: 66 };
const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP", "SIGSTOP", "SIGCONT", "SIGKILL"] as const;

interface Row extends VmProcess {
  depth: number;
  /** CPUs that the process has used since the last look. */
  cpus: number;
  /** Set if a method has started it: its output is kept. */
  spawned: SpawnedProcessInfo | undefined;
}

/** The process tree, the output of what methods have started, and signals. */
export default function ProcessesPage() {
  const { vm, key } = useMachine();
  const session = useSession();
  const before = useRef(new Map<number, { cpuMs: number; at: number }>());
  const [chosen, setChosen] = useState<SpawnedPid>();
  const look = async () => {
    // The list of machines is older: a machine that has just fallen asleep must not boot.
    if ((await vm.status()).state === "sleeping") return undefined;
    const [all, spawned] = await Promise.all([vm.allProcesses(), vm.listProcesses()]);
    const { rows, times } = treeOf(all, spawned, before.current);
    before.current = times;
    return { rows, ended: spawned.filter(({ running }) => !running) };
  };
  const { value, error, act } = usePoll(look, LOOK_MS, key.join("/"));
  const rows = value?.rows ?? [];
  const ended = value?.ended ?? [];
  const shown = useMemo(() => [...rows, ...ended.toReversed()], [rows, ended]);
  const signal = async (row: Row) => {
    const name = await ask({
      title: `Signal process ${row.pid}`,
      text: `Signals: ${SIGNALS.join(", ")}`,
      yes: "Send",
      field: { label: "Signal", value: "SIGTERM" },
    });
    if (name === undefined) return;
    await act(async () => {
      const { spawned } = row;
      if (spawned !== undefined)
        return await vm.signalProcess(row.pid, name as "SIGTERM", { startedAt: spawned.startedAt });
      const { exitCode, stderr } = await vm.execArgv("kill", [
        "-s",
        name.replace(/^SIG/, ""),
        String(row.pid),
      ]);
      if (exitCode !== 0) throw new Error(stderr);
    }, `Sent ${name} to ${row.pid}`);
  };
  const isChosen = (row: SpawnedPid | undefined) =>
    row !== undefined && row.pid === chosen?.pid && row.startedAt === chosen.startedAt;
  const run = async () => {
    const line = await ask({
      title: "Run a command",
      text: "It runs in a shell of its own, and its output is kept.",
      yes: "Run",
      field: { label: "Command", placeholder: "npm test" },
    });
    if (line === undefined) return;
    await act(async () => setChosen(await vm.spawn("sh", ["-c", line])));
  };
  return (
    <div class="stack">
      <div class="bar small">
        <span class="hint" role="status">
          {value === undefined ? "…" : `${rows.length} processes, ${ended.length} ended`}
        </span>
        <span class="grow" />
        {session.may("exec") && (
          <button type="button" onClick={() => void run()}>
            Run a command
          </button>
        )}
      </div>
      <Failure error={error} />
      <div class="process-row head" aria-hidden="true">
        <span>PID</span>
        <span>CPU</span>
        <span>Memory</span>
        <span>User</span>
        <span>Command</span>
      </div>
      <VirtualList
        items={shown}
        rowHeight={innerWidth < 760 ? ROW.narrow : ROW.wide}
        keyOf={(row) => ("depth" in row ? row.pid : `ended-${row.pid}-${row.startedAt}`)}
        label="Processes"
        class="fill"
        render={(row) =>
          "depth" in row ? (
            <div class={isChosen(row.spawned) ? "process-row chosen" : "process-row"}>
              <span>{row.pid}</span>
              <span>{percent(row.cpus)}</span>
              <span>{bytes(row.rss)}</span>
              <span>{row.user}</span>
              <span class="name" style={{ paddingLeft: `${row.depth * 14}px` }} title={row.args.join(" ")}>
                {row.args.join(" ") || `[${row.command}]`}
              </span>
              <span class="actions">
                {row.spawned && (
                  <button type="button" onClick={() => setChosen(row.spawned)}>
                    Output
                  </button>
                )}
                {session.may("exec") && (
                  <button type="button" onClick={() => void signal(row)}>
                    Signal
                  </button>
                )}
              </span>
            </div>
          ) : (
            <div class={isChosen(row) ? "process-row chosen ended" : "process-row ended"}>
              <span>{row.pid}</span>
              <span>ended</span>
              <span>{row.signal ?? `code ${row.exitCode}`}</span>
              <span />
              <span class="name">{[row.command, ...row.args].join(" ")}</span>
              <span class="actions">
                <button type="button" onClick={() => setChosen(row)}>
                  Output
                </button>
              </span>
            </div>
          )
        }
      />
      {chosen !== undefined && (
        <ProcessOutputView
          key={`${chosen.pid}-${chosen.startedAt}`}
          {...chosen}
          onClose={() => setChosen(undefined)}
        />
      )}
    </div>
  );
}

/** Lays processes out as a tree, parents before children. */
function treeOf(
  all: readonly VmProcess[],
  spawned: readonly SpawnedProcessInfo[],
  before: ReadonlyMap<number, { cpuMs: number; at: number }>,
): { rows: Row[]; times: Map<number, { cpuMs: number; at: number }> } {
  const at = performance.now();
  const started = new Map(spawned.filter(({ running }) => running).map((process) => [process.pid, process]));
  const pids = new Set(all.map(({ pid }) => pid));
  const children = Map.groupBy(all, ({ ppid }) => (pids.has(ppid) ? ppid : 0));
  const times = new Map<number, { cpuMs: number; at: number }>();
  const rows: Row[] = [];
  const add = (parent: number, depth: number) => {
    for (const process of children.get(parent) ?? []) {
      const { pid, cpuMs } = process;
      const last = before.get(pid);
      times.set(pid, { cpuMs, at });
      const cpus = last === undefined ? 0 : Math.max(0, (cpuMs - last.cpuMs) / Math.max(1, at - last.at));
      rows.push({ ...process, depth, cpus, spawned: started.get(pid) });
      // A hostile machine may have a very deep tree.
      if (depth < 200) add(pid, depth + 1);
    }
  };
  add(0, 0);
  return { rows, times };
}
