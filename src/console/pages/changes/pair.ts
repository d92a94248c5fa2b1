import type { SnapshotInfo } from "../../../client/index.ts";

/**
 * Chooses the two snapshots that a page about one of them compares: that one and the newest other one, the earlier first.
 *
 * @param snapshots oldest first
 * @returns `undefined` if there is no other one
 */
export function pairWith(
  snapshots: readonly Pick<SnapshotInfo, "id">[],
  id: string,
): { from: string; to: string } | undefined {
  const other = snapshots.findLast((one) => one.id !== id)?.id;
  if (other === undefined) return undefined;
  return snapshots.at(-1)?.id === id ? { from: other, to: id } : { from: id, to: other };
}
