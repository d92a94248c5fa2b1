import { useEffect, useState } from "preact/hooks";
import type { FileChange, SnapshotInfo } from "../../../client/index.ts";
import { useMachine } from "../../state/context.ts";
import { ask } from "../../ui/dialog.tsx";
import { bytes, dateTime } from "../../ui/format.ts";
import { Empty } from "../../ui/parts.tsx";
import { attempt, tell } from "../../ui/toast.tsx";
import { VirtualList } from "../../ui/virtual-list.tsx";

/** What has changed since a snapshot, or since the last checkpoint, each with a way back. */
export function Changes({ since }: { since?: string }) {
  const { vm } = useMachine();
  const [snapshots, setSnapshots] = useState<SnapshotInfo[]>([]);
  const [chosen, setChosen] = useState(since ?? "");
  const [changes, setChanges] = useState<FileChange[]>();
  const [round, setRound] = useState(0);
  useEffect(() => {
    vm.listSnapshots().then(setSnapshots, () => undefined);
  }, [vm]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a round asks again
  useEffect(() => {
    let isOver = false;
    setChanges(undefined);
    vm.diff(...(chosen === "" ? [] : [chosen])).then(
      (found) => {
        if (!isOver) setChanges(found);
      },
      (error: Error) => {
        if (isOver) return;
        setChanges([]);
        tell(error.message, true);
      },
    );
    return () => {
      isOver = true;
    };
  }, [vm, chosen, round]);
  const undo = async (path: string) => {
    const text = "It becomes as it was, with everything below it.";
    if ((await ask({ title: `Put ${path} back`, text, yes: "Put back" })) === undefined) return;
    await attempt(async () => {
      const [result] = await vm.undo([path], ...(chosen === "" ? [] : [chosen]));
      if (result?.error !== undefined) throw new Error(result.error);
    }, `Put ${path} back`);
    setRound(round + 1);
  };
  return (
    <div class="stack">
      <div class="bar small">
        <label>
          Changed since{" "}
          <select value={chosen} onChange={(event) => setChosen(event.currentTarget.value)}>
            <option value="">the last checkpoint</option>
            {snapshots.map(({ id, name, createdAt }) => (
              <option key={id} value={id}>
                {name ?? dateTime(createdAt)}
              </option>
            ))}
          </select>
        </label>
        <span class="hint" role="status">
          {changes === undefined ? "…" : `${changes.length} changes`}
        </span>
        <button type="button" onClick={() => setRound(round + 1)}>
          Refresh
        </button>
      </div>
      {changes?.length === 0 ? (
        <Empty>Nothing has changed.</Empty>
      ) : (
        <VirtualList
          items={changes ?? []}
          rowHeight={32}
          keyOf={({ path }) => path}
          label="Changes"
          class="fill"
          render={({ path, change, size, type }) => (
            <div class="row">
              <span class={`badge change-${change}`}>{change}</span>
              <span class="name" title={path}>
                {path}
              </span>
              <span class="hint">{type === "file" ? bytes(size) : type}</span>
              <button type="button" onClick={() => void undo(path)}>
                Undo
              </button>
            </div>
          )}
        />
      )}
    </div>
  );
}
