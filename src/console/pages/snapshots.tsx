import { useState } from "preact/hooks";
import type { SnapshotInfo } from "../../client/index.ts";
import { useMachine, useSession } from "../state/context.ts";
import { usePoll } from "../state/use-poll.ts";
import { ask } from "../ui/dialog.tsx";
import { ago, bytes, dateTime } from "../ui/format.ts";
import { Empty, Failure } from "../ui/parts.tsx";
import { attempt } from "../ui/toast.tsx";
import { Changes } from "./files/changes.tsx";

/** Pause between two looks at the snapshots. In milliseconds. */
const LOOK_MS = 6_000;

/** Snapshots as a timeline, what has changed since, and the way back. */
export default function SnapshotsPage() {
  const { vm, key } = useMachine();
  const session = useSession();
  // The list of machines is older: a machine that has just fallen asleep must not boot.
  const look = async () => ((await vm.status()).state === "sleeping" ? undefined : await vm.listSnapshots());
  const { value: snapshots, error, refresh } = usePoll(look, LOOK_MS, key.join("/"));
  const [compared, setCompared] = useState<string>();
  const act = async (work: () => Promise<unknown>, done?: string) => {
    await attempt(work, done);
    refresh();
  };
  const create = async () => {
    const name = await ask({
      title: "New snapshot",
      yes: "Create",
      field: { label: "Name", placeholder: "before the upgrade" },
    });
    if (name !== undefined) await act(() => vm.createSnapshot(name), `Created ${name}`);
  };
  const restore = async ({ id, name }: SnapshotInfo) => {
    const text =
      "Files become as they were. All processes end, and later changes are lost unless a snapshot has them.";
    const answer = await ask({ title: `Restore ${name ?? id}`, text, yes: "Restore", isDangerous: true });
    if (answer !== undefined) await act(() => vm.restoreSnapshot(id), "Restored");
  };
  const remove = async ({ id, name }: SnapshotInfo) => {
    const answer = await ask({
      title: `Delete the snapshot ${name ?? id}`,
      yes: "Delete",
      isDangerous: true,
    });
    if (answer !== undefined) await act(() => vm.deleteSnapshot(id), "Deleted");
  };
  const mayChange = session.may("snapshots");
  return (
    <div class="files-page">
      <div class="side">
        <div class="bar small">
          {mayChange && (
            <button type="button" class="primary" onClick={() => void create()}>
              New snapshot
            </button>
          )}
          {mayChange && (
            <button type="button" onClick={() => void act(() => vm.checkpoint(), "Stored all files")}>
              Store now
            </button>
          )}
        </div>
        <Failure error={error} />
        {snapshots?.length === 0 && <Empty>There is no snapshot.</Empty>}
        <ol class="timeline" aria-label="Snapshots, newest first">
          {snapshots?.toReversed().map((snapshot) => (
            <li key={snapshot.id}>
              <strong>{snapshot.name ?? "without a name"}</strong>
              <p class="hint" title={dateTime(snapshot.createdAt)}>
                {ago(snapshot.createdAt)} · {snapshot.files} files · {bytes(snapshot.bytes)}
              </p>
              {mayChange && (
                <span class="actions">
                  <button
                    type="button"
                    aria-pressed={compared === snapshot.id}
                    onClick={() => setCompared(snapshot.id)}
                  >
                    Compare
                  </button>
                  <button type="button" onClick={() => void restore(snapshot)}>
                    Restore
                  </button>
                  <button type="button" class="danger" onClick={() => void remove(snapshot)}>
                    Delete
                  </button>
                </span>
              )}
            </li>
          ))}
        </ol>
      </div>
      <div class="side-content">
        {compared === undefined ? (
          <Empty>Compare a snapshot with the files as they are now.</Empty>
        ) : (
          <Changes key={compared} since={compared} />
        )}
      </div>
    </div>
  );
}
