import { useEffect, useState } from "preact/hooks";
import type { VmStatus, VmUsage } from "../../client/index.ts";
import { useMachine, useSession } from "../state/context.ts";
import { usePoll } from "../state/use-poll.ts";
import { Chart } from "../ui/chart.tsx";
import { ago, bytes, dateTime, span } from "../ui/format.ts";
import { Failure, Meter } from "../ui/parts.tsx";
import { LimitsForm } from "./limits-form.tsx";

/** Pause between two looks at a machine that is awake. In milliseconds. */
const LOOK_MS = 2_000;
const ONCE_MS = 3_600_000;
/** Points of the live charts. */
const POINTS = 150;

interface Look {
  status: VmStatus;
  usage: VmUsage;
}

interface Point {
  at: number;
  memory: number | null;
  cpus: number | null;
  cpuMs: number | null;
}

/** Limits and use. Both methods boot nothing; a machine that sleeps is asked once. */
export default function OverviewPage() {
  const { vm, entry, isAwake, key, name } = useMachine();
  const session = useSession();
  const [isChanging, setIsChanging] = useState(false);
  const { value: choices } = usePoll(() => session.vms(name).options(), ONCE_MS, name);
  const mayChange = session.may("admin") && Object.keys(choices?.limits ?? {}).length > 0;
  const look = async (): Promise<Look> => {
    const [status, usage] = await Promise.all([vm.status(), vm.usage()]);
    return { status, usage };
  };
  const { value, error } = usePoll(isAwake ? look : undefined, LOOK_MS, key.join("/"));
  const [points, setPoints] = useState<Point[]>([]);
  const status = value?.status;
  useEffect(() => {
    if (status !== undefined)
      setPoints((known) => [...known.slice(1 - POINTS), pointOf(status, known.at(-1))]);
  }, [status]);
  return (
    <div class="scroll">
      <Failure error={error} />
      {status !== undefined && isAwake ? <Limits status={status} /> : <Stored />}
      {mayChange && (
        <p>
          <button type="button" onClick={() => setIsChanging(true)}>
            Change limits
          </button>
        </p>
      )}
      {isChanging && (
        <LimitsForm
          maxima={choices?.limits ?? {}}
          own={status?.own.limits ?? {}}
          onDone={() => setIsChanging(false)}
        />
      )}
      {points.length > 1 && (
        <div class="charts">
          <Chart
            title="CPUs in use"
            times={points.map(({ at }) => at)}
            values={points.map(({ cpus }) => cpus)}
            format={(value) => value.toFixed(2)}
          />
          <Chart
            title="Memory"
            times={points.map(({ at }) => at)}
            values={points.map(({ memory }) => memory)}
            format={bytes}
          />
        </div>
      )}
      {value?.usage && <Usage usage={value.usage} />}
      {entry && (
        <dl class="facts-list">
          <dt>Created</dt>
          <dd>{dateTime(entry.createdAt)}</dd>
          <dt>Last use</dt>
          <dd>{ago(entry.lastUsedAt)}</dd>
          <dt>Stored</dt>
          <dd>{bytes(entry.storedBytes)} in the server's data folder</dd>
          <dt>Labels</dt>
          <dd>
            {Object.entries(entry.labels)
              .map(([name, text]) => `${name}=${text}`)
              .join(", ") || "none"}
          </dd>
          <dt>Actor</dt>
          <dd>
            <code>{entry.actorId}</code>
          </dd>
        </dl>
      )}
    </div>
  );
}

function Stored() {
  const { entry } = useMachine();
  return entry?.state === "sleeping" ? (
    <p class="hint">The machine sleeps: it uses no CPU and no memory.</p>
  ) : null;
}

function Limits({ status }: { status: VmStatus }) {
  const { memory, disk, files, processes, cpu } = status;
  const of = (used: number | null, limit: number | null, shown: (amount: number | null) => string) =>
    limit === null ? `${shown(used)}, no limit` : `${shown(used)} of ${shown(limit)}`;
  const plain = (amount: number | null) => amount?.toLocaleString() ?? "–";
  return (
    <div class="meters">
      <Meter label="Memory" {...memory} text={of(memory.used, memory.limit, bytes)} />
      <Meter label="Files" {...disk} text={of(disk.used, disk.limit, bytes)} />
      <Meter label="Number of files" {...files} text={of(files.used, files.limit, plain)} />
      <Meter label="Processes" {...processes} text={of(processes.used, processes.limit, plain)} />
      <p class="hint">
        Awake for {span(status.uptimeMs / 1000)} · generation {status.generation} ·{" "}
        {cpu.cpus === null ? "no limit of CPUs" : `${cpu.cpus} CPUs`} · {status.sessions} sessions ·{" "}
        {status.shells} shells
      </p>
    </div>
  );
}

function Usage({ usage }: { usage: VmUsage }) {
  const { hours } = usage;
  const times = hours.map(({ at }) => at);
  return (
    <>
      <h2>Use by the hour</h2>
      <p class="hint">
        In all {span(usage.cpuMs / 1000)} of CPU, {span(usage.awakeMs / 1000)} awake, {bytes(usage.bytesOut)}{" "}
        sent and {bytes(usage.bytesIn)} received.
      </p>
      {hours.length > 1 && (
        <div class="charts">
          <Chart
            title="CPU time an hour"
            bars
            times={times}
            values={hours.map(({ cpuMs }) => cpuMs / 1000)}
            format={span}
          />
          <Chart
            title="Bytes of files"
            bars
            times={times}
            values={hours.map(({ diskBytes }) => diskBytes)}
            format={bytes}
          />
        </div>
      )}
    </>
  );
}

function pointOf({ cpu, memory }: VmStatus, last: Point | undefined): Point {
  const at = Date.now();
  const isLater = cpu.used !== null && last?.cpuMs != null && cpu.used >= last.cpuMs && at > last.at;
  const cpus = isLater ? ((cpu.used as number) - (last.cpuMs as number)) / (at - last.at) : null;
  return { at, memory: memory.used, cpus, cpuMs: cpu.used };
}
