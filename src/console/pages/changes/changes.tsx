import { useEffect, useState } from "preact/hooks";
import type { FileChange, SnapshotInfo } from "../../../client/index.ts";
import { useMachine, useSession } from "../../state/context.ts";
import { ask } from "../../ui/dialog.tsx";
import { bytes, dateTime } from "../../ui/format.ts";
import { Empty } from "../../ui/parts.tsx";
import { attempt, tellError } from "../../ui/toast.tsx";
import { VirtualList } from "../../ui/virtual-list.tsx";
import { FileDiff } from "./file-diff.tsx";
import type { Side } from "./file-text.ts";
import { pairWith } from "./pair.ts";

interface Props {
  snapshots: readonly SnapshotInfo[];
  /** Id of the snapshot that the page begins with. */
  since: string;
}

/** Value of the choice that stands for the files as they are now. */
const NOW = "";

/** Changes from a snapshot to another one or to now, each with its text on both sides and a way back. */
export function Changes({ snapshots, since }: Props) {
  const { vm, isAwake } = useMachine();
  const session = useSession();
  // A comparison with now stores the files as they are, which needs the machine.
  const seesNow = isAwake && session.may("snapshots");
  const [first] = useState(() => (seesNow ? undefined : pairWith(snapshots, since)));
  const [from, setFrom] = useState(first?.from ?? since);
  const [to, setTo] = useState(first?.to ?? NOW);
  const [changes, setChanges] = useState<FileChange[]>();
  const [shown, setShown] = useState<FileChange>();
  const [round, setRound] = useState(0);
  const isPossible = to !== NOW || seesNow;
  // biome-ignore lint/correctness/useExhaustiveDependencies: a round asks again
  useEffect(() => {
    setChanges(undefined);
    setShown(undefined);
    if (!isPossible) return;
    let isOver = false;
    (to === NOW ? vm.diff(from) : vm.diffSnapshots(from, to)).then(
      (found) => {
        if (!isOver) setChanges(found);
      },
      (error: Error) => {
        if (isOver) return;
        setChanges([]);
        tellError(error);
      },
    );
    return () => {
      isOver = true;
    };
  }, [vm, from, to, round, isPossible]);
  const undo = async (path: string) => {
    const text = "It becomes as it was, with everything below it.";
    if ((await ask({ title: `Put ${path} back`, text, yes: "Put back" })) === undefined) return;
    await attempt(async () => {
      const [result] = await vm.undo([path], from);
      if (result?.error !== undefined) throw new Error(result.error);
    }, `Put ${path} back`);
    setRound(round + 1);
  };
  const sides: { from: Side; to: Side } = {
    from: { snapshot: from },
    to: to === NOW ? "now" : { snapshot: to },
  };
  return (
    <div class="stack changes">
      <div class="bar small">
        <Choice label="Changed since" snapshots={snapshots} value={from} choose={setFrom} />
        <Choice label="up to" snapshots={snapshots} value={to} choose={setTo} now={seesNow} />
        <span class="hint" role="status">
          {changes === undefined ? "" : changes.length === 1 ? "1 change" : `${changes.length} changes`}
        </span>
        <button type="button" onClick={() => setRound(round + 1)}>
          Refresh
        </button>
      </div>
      {!isPossible ? (
        <Empty>
          A comparison with the files as they are now needs the machine awake, and the right to take
          snapshots.
        </Empty>
      ) : changes?.length === 0 ? (
        <Empty>Nothing has changed.</Empty>
      ) : (
        <VirtualList
          items={changes ?? []}
          rowHeight={40}
          keyOf={({ path }) => path}
          label="Changes"
          class="fill"
          render={(entry) => {
            const { path, change, size, type } = entry;
            return (
              <div class="row change-row">
                <span class={`badge change-${change}`}>{change}</span>
                {type !== "directory" && session.sees("files") ? (
                  <button
                    type="button"
                    class="entry name"
                    title={path}
                    aria-expanded={shown?.path === path}
                    onClick={() => setShown(shown?.path === path ? undefined : entry)}
                  >
                    {path}
                  </button>
                ) : (
                  <span class="name" title={path}>
                    {path}
                  </span>
                )}
                <span class="hint">{type === "file" ? bytes(size) : type}</span>
                {to === NOW && (
                  <button type="button" onClick={() => void undo(path)}>
                    Undo
                  </button>
                )}
              </div>
            );
          }}
        />
      )}
      {shown !== undefined && (
        <FileDiff
          key={shown.path}
          path={shown.path}
          change={shown.change}
          {...sides}
          onClose={() => setShown(undefined)}
        />
      )}
    </div>
  );
}

interface ChoiceProps {
  label: string;
  snapshots: readonly SnapshotInfo[];
  value: string;
  choose: (value: string) => void;
  /** Whether the files as they are now may be chosen. @default they are not offered */
  now?: boolean;
}

function Choice({ label, snapshots, value, choose, now }: ChoiceProps) {
  return (
    <label>
      {label}{" "}
      <select value={value} onChange={(event) => choose(event.currentTarget.value)}>
        {now !== undefined && (
          <option value={NOW} disabled={!now}>
            now
          </option>
        )}
        {snapshots.toReversed().map(({ id, name, createdAt }) => (
          <option key={id} value={id}>
            {name ?? dateTime(createdAt)}
          </option>
        ))}
      </select>
    </label>
  );
}
