import { useMachine } from "../../state/context.ts";
import { usePoll } from "../../state/use-poll.ts";
import { Empty, Failure } from "../../ui/parts.tsx";
import { Changes } from "./changes.tsx";

/** Pause between two looks at the snapshots. In milliseconds. */
const LOOK_MS = 30_000;

/** Changes since the newest snapshot. Without a snapshot there is nothing to compare with, and a button takes one. */
export function ChangesSinceNewest() {
  const { vm, key } = useMachine();
  const { value: snapshots, error, act } = usePoll(() => vm.listSnapshots(), LOOK_MS, key.join("/"));
  const newest = snapshots?.at(-1);
  if (snapshots === undefined) return error === undefined ? <Empty>…</Empty> : <Failure error={error} />;
  if (newest !== undefined) return <Changes snapshots={snapshots} since={newest.id} />;
  const take = () => act(() => vm.createSnapshot(), "Took a snapshot");
  return (
    <Empty>
      <p>There is no snapshot to compare with.</p>
      <button type="button" class="primary" onClick={() => void take()}>
        Take a snapshot
      </button>
    </Empty>
  );
}
