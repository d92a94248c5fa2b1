import type { SnapshotMethods } from "../../api/actions.ts";
import { missing } from "../action.ts";
import type { VmActorActions } from "../context.ts";

/** Snapshot actions; not implemented yet. */
export const snapshots: Pick<VmActorActions, keyof SnapshotMethods> = {
  snapshotRootFilesystem: missing("snapshotRootFilesystem"),
};
