import { useState } from "preact/hooks";
import type { SnapshotInfo } from "../../client/index.ts";
import { useMachine, useSession } from "../state/context.ts";
import { ASLEEP_MS, usePoll } from "../state/use-poll.ts";
import { ask } from "../ui/dialog.tsx";
import { ago, bytes, dateTime } from "../ui/format.ts";
import { Empty, Failure } from "../ui/parts.tsx";
import { Changes } from "./changes/changes.tsx";
import { forkMachine } from "./machine-actions.tsx";

/** Pause between two looks at the snapshots. In milliseconds. */
const LOOK_MS = 6_000;

/** Snapshots as a timeline, what has changed between them, and the way back. Reading them boots nothing. */
export default function SnapshotsPage() {
  const { vm, key, isAwake } = useMachine();
  const session = useSession();
  const look = () => vm.listSnapshots();
  const id = `${key.join("/")} ${isAwake}`;
  const { value: snapshots, error, act } = usePoll(look, isAwake ? LOOK_MS : ASLEEP_MS, id);
  const [compared, setCompared] = useState<string>();
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
  const isKnown = snapshots?.some((snapshot) => snapshot.id === compared);
  return (
    <div class="files-page snapshots-page">
      <div class="side">
        {mayChange && (
          <div class="bar small">
            <button type="button" class="primary" onClick={() => void create()}>
              New snapshot
            </button>
            <button type="button" onClick={() => void act(() => vm.checkpoint(), "Stored all files")}>
              Store now
            </button>
          </div>
        )}
        <Failure error={error} />
        {snapshots?.length === 0 && <Empty>There is no snapshot.</Empty>}
        <ol class="timeline" aria-label="Snapshots, newest first">
          {snapshots?.toReversed().map((snapshot) => (
            <li key={snapshot.id}>
              <strong>{snapshot.name ?? "without a name"}</strong>
              <p class="hint" title={dateTime(snapshot.createdAt)}>
                {ago(snapshot.createdAt)} · {snapshot.files} files · {bytes(snapshot.bytes)}
              </p>
              <span class="actions">
                <button
                  type="button"
                  aria-pressed={compared === snapshot.id}
                  onClick={() => setCompared(snapshot.id)}
                >
                  Compare
                </button>
                {session.may("create") && (
                  <button type="button" onClick={() => void forkMachine({ vm, key }, snapshot)}>
                    Fork
                  </button>
                )}
                {mayChange && (
                  <>
                    <button type="button" onClick={() => void restore(snapshot)}>
                      Restore
                    </button>
                    <button type="button" class="danger" onClick={() => void remove(snapshot)}>
                      Delete
                    </button>
                  </>
                )}
              </span>
            </li>
          ))}
        </ol>
      </div>
      <div class="side-content">
        {snapshots === undefined || compared === undefined || !isKnown ? (
          <Empty>Compare a snapshot with another one, or with the files as they are now.</Empty>
        ) : (
          <Changes key={compared} since={compared} snapshots={snapshots} />
        )}
      </div>
    </div>
  );
}
