import { useMemo, useState } from "preact/hooks";
import { useSession } from "../state/context.ts";
import { fits, type ListedMachine, type Trends } from "../state/machines.ts";
import { hrefOf } from "../state/router.ts";
import { ago, bytes, keyText, percent } from "../ui/format.ts";
import { Empty, Failure, Sparkline, StateBadge } from "../ui/parts.tsx";
import { VirtualList } from "../ui/virtual-list.tsx";
import { MachineActions } from "./machine-actions.tsx";
import { NewMachine } from "./new-machine.tsx";

interface Props {
  machines: ListedMachine[] | undefined;
  trends: Trends;
  error: Error | undefined;
  refresh: () => void;
}

/** Height of a row; a narrow page has two lines a row. */
const ROW = { wide: 44, narrow: 78 };

/** All machines. Reads only the server's list, which wakes none. */
export function MachinesPage({ machines, trends, error, refresh }: Props) {
  const session = useSession();
  const [search, setSearch] = useState("");
  const [isNew, setIsNew] = useState(false);
  const shown = useMemo(() => machines?.filter((machine) => fits(machine, search)), [machines, search]);
  const awake = machines?.filter(({ state }) => state !== "sleeping").length ?? 0;
  const isNarrow = innerWidth < 760;
  return (
    <section class="page machines" aria-label="Machines">
      <div class="bar">
        <h1>Machines</h1>
        <input
          type="search"
          aria-label="Search machines"
          placeholder="Search: name, label=value, is:awake"
          value={search}
          onInput={(event) => setSearch(event.currentTarget.value)}
        />
        <span class="hint" role="status">
          {machines === undefined ? "…" : `${shown?.length} of ${machines.length}, ${awake} awake`}
        </span>
        {session.may("create") && (
          <button type="button" class="primary" onClick={() => setIsNew(true)}>
            New machine
          </button>
        )}
      </div>
      <Failure error={error} />
      {isNew && (
        <NewMachine
          onDone={() => {
            setIsNew(false);
            refresh();
          }}
        />
      )}
      <div class="machine-row machine-head" aria-hidden="true">
        <span>Machine</span>
        <span>State</span>
        <span>CPU</span>
        <span>Memory</span>
        <span>Disk</span>
        <span>Last use</span>
        <span />
      </div>
      {shown?.length === 0 ? (
        <Empty>{machines?.length === 0 ? "There is no machine yet." : "No machine fits the search."}</Empty>
      ) : (
        <VirtualList
          items={shown ?? []}
          rowHeight={isNarrow ? ROW.narrow : ROW.wide}
          keyOf={({ id }) => id}
          label="Machines"
          class="fill"
          render={(machine) => <Row machine={machine} trends={trends} refresh={refresh} />}
        />
      )}
    </section>
  );
}

function Row({ machine, trends, refresh }: { machine: ListedMachine; trends: Trends; refresh: () => void }) {
  const { cpus, memory } = trends.of(machine.id);
  const { use } = machine;
  const cpu = cpus.at(-1) ?? 0;
  return (
    <div class="machine-row">
      <span class="machine-name">
        <a href={hrefOf({ page: "machine", name: machine.name, key: machine.key, tab: "overview" })}>
          {keyText(machine.key)}
        </a>
        {Object.entries(machine.labels).map(([name, value]) => (
          <span class="label" key={name}>
            {name}={value}
          </span>
        ))}
      </span>
      <span>
        <StateBadge state={machine.state} />
      </span>
      <span class="trend">
        {use?.cpuMs == null ? "–" : percent(cpu)}
        {use && <Sparkline points={cpus} label={`CPU of late, now ${percent(cpu)}`} />}
      </span>
      <span class="trend">
        {bytes(use?.memoryBytes)}
        {use && <Sparkline points={memory} label={`Memory of late, now ${bytes(use.memoryBytes)}`} />}
      </span>
      <span>{bytes(machine.storedBytes)}</span>
      <span>{ago(machine.lastUsedAt)}</span>
      <MachineActions machine={machine} refresh={refresh} isSmall />
    </div>
  );
}
