import type { ComponentType } from "preact";
import { lazy, Suspense } from "preact/compat";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { MachineContext, type MachineView, useMachine, useSession } from "../state/context.ts";
import type { ListedMachine, Trends } from "../state/machines.ts";
import { hrefOf, type Place, type Tab } from "../state/router.ts";
import type { Session } from "../state/session.ts";
import { usePoll } from "../state/use-poll.ts";
import { ago, bytes, keyText, percent } from "../ui/format.ts";
import { Empty, Failure, StateBadge } from "../ui/parts.tsx";
import { attempt } from "../ui/toast.tsx";
import { canWake, MachineActions, wake } from "./machine-actions.tsx";

/** Pause between two looks at the state of a machine. In milliseconds. */
const LOOK_MS = 10_000;

interface Page {
  tab: Tab;
  title: string;
  View: ComponentType;
  /** Whether the page's methods would boot the machine. @default false */
  boots?: boolean;
  /** Whether a token sees the page. @default always */
  isShown?(session: Session): boolean;
}

const PAGES: readonly Page[] = [
  {
    tab: "overview",
    title: "Use",
    View: lazy(() => import("./overview.tsx")),
  },
  {
    tab: "terminal",
    title: "Terminal",
    View: lazy(() => import("./terminal.tsx")),
    boots: true,
    isShown: (session) => session.may("terminal"),
  },
  {
    tab: "files",
    title: "Files",
    View: lazy(() => import("./files/files.tsx")),
    boots: true,
    isShown: (session) => session.sees("files"),
  },
  {
    tab: "processes",
    title: "Processes",
    View: lazy(() => import("./processes.tsx")),
    boots: true,
    isShown: (session) => session.sees("exec"),
  },
  {
    tab: "sessions",
    title: "Sessions",
    View: lazy(() => import("./sessions/sessions.tsx")),
    isShown: (session) => session.sees("sessions"),
  },
  {
    tab: "network",
    title: "Network",
    View: lazy(() => import("./network.tsx")),
    isShown: (session) => session.sees("network"),
  },
  {
    tab: "cron",
    title: "Cron",
    View: lazy(() => import("./cron.tsx")),
    isShown: (session) => session.sees("cron"),
  },
  {
    tab: "snapshots",
    title: "Snapshots",
    View: lazy(() => import("./snapshots.tsx")),
    isShown: (session) => session.sees("snapshots"),
  },
  { tab: "log", title: "Log", View: lazy(() => import("./log.tsx")) },
  {
    tab: "methods",
    title: "Methods",
    View: lazy(() => import("./methods.tsx")),
  },
];

interface Props {
  place: Place & { page: "machine" };
  machines: ListedMachine[] | undefined;
  trends: Trends;
  refresh: () => void;
}

/** One machine, with a tab for each of its sides. */
export function MachinePage({ place, machines, trends, refresh }: Props) {
  const session = useSession();
  const { name, key } = place;
  const id = key.join("\0");
  const entry = machines?.find((machine) => machine.name === name && machine.key.join("\0") === id);
  const isAwake = entry?.state === "awake" || entry?.state === "booting";
  const accessor = session.vms(name);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the id stands for the key
  const vm = useMemo(() => accessor.get(key), [accessor, id]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the id stands for the key
  const view = useMemo<MachineView>(
    () => ({ name, key, vm, entry, isAwake }),
    [name, id, vm, entry, isAwake],
  );
  if (machines !== undefined && entry === undefined)
    return <Empty>There is no machine {keyText(key)}.</Empty>;
  const pages = PAGES.filter(({ isShown }) => isShown?.(session) ?? true);
  const page = pages.find(({ tab }) => tab === place.tab) ?? pages[0];
  const cpu = trends.of(entry?.id ?? "").cpus.at(-1) ?? 0;
  return (
    <MachineContext.Provider value={view}>
      <section class="page machine" aria-label={keyText(key)}>
        <div class="bar">
          <h1>{keyText(key)}</h1>
          <StateBadge state={entry?.state} />
          <span class="hint facts">
            {entry?.use
              ? `${percent(cpu)} CPU · ${bytes(entry.use.memoryBytes)} memory · ${entry.processes} processes`
              : entry && `last used ${ago(entry.lastUsedAt)}`}
          </span>
          {entry && <MachineActions machine={entry} refresh={refresh} />}
        </div>
        <Tabs pages={pages} place={place} current={page?.tab} />
        <div class="tab-panel" role="tabpanel" aria-label={page?.title}>
          <Suspense fallback={<Empty>Loading…</Empty>}>
            {page !== undefined &&
              (page.boots ? <IfAwake key={page.tab} View={page.View} refresh={refresh} /> : <page.View />)}
          </Suspense>
        </div>
      </section>
    </MachineContext.Provider>
  );
}

function Tabs({
  pages,
  place,
  current,
}: {
  pages: Page[];
  place: Place & { page: "machine" };
  current: Tab | undefined;
}) {
  const move = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    const links = [...(event.currentTarget as HTMLElement).querySelectorAll("a")];
    const at = links.indexOf(document.activeElement as HTMLAnchorElement);
    links[(at + step + links.length) % links.length]?.focus();
  };
  const list = useRef<HTMLDivElement>(null);
  // On a narrow page the tab may lie outside of the part that is seen.
  // biome-ignore lint/correctness/useExhaustiveDependencies: another tab is another place
  useEffect(() => {
    list.current
      ?.querySelector('[aria-selected="true"]')
      ?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [current]);
  return (
    <div ref={list} class="tabs" role="tablist" aria-label="Parts of the machine" onKeyDown={move}>
      {pages.map(({ tab, title }) => (
        <a
          key={tab}
          role="tab"
          aria-selected={tab === current}
          tabIndex={tab === current ? 0 : -1}
          href={hrefOf({ ...place, tab })}
        >
          {title}
        </a>
      ))}
    </div>
  );
}

/**
 * Shows a page whose methods would boot the machine only if the machine is awake. The list is older than the page: the machine
 * itself is asked first.
 */
function IfAwake({ View, refresh }: { View: ComponentType; refresh: () => void }) {
  const { vm, key, entry, isAwake } = useMachine();
  const id = `${key.join("/")} ${isAwake}`;
  const {
    value: status,
    error,
    refresh: again,
  } = usePoll(isAwake ? () => vm.status() : undefined, LOOK_MS, id);
  const both = () => {
    refresh();
    again();
  };
  if (entry === undefined || (isAwake && status === undefined))
    return error === undefined ? <Empty>…</Empty> : <Failure error={error} />;
  return !isAwake || status?.state === "sleeping" ? <Asleep onAwake={both} /> : <View />;
}

/** Stands in for a page while the machine sleeps. Only the button wakes it. */
function Asleep({ onAwake }: { onAwake: () => void }) {
  const { vm } = useMachine();
  const session = useSession();
  const run = async () => {
    await attempt(() => wake(session, vm));
    onAwake();
  };
  return (
    <Empty>
      <p>The machine sleeps. This page needs it awake.</p>
      {canWake(session) && (
        <button type="button" class="primary" onClick={() => void run()}>
          Wake the machine
        </button>
      )}
    </Empty>
  );
}
