import type { SnapshotMethods } from "../../api/actions.ts";
import { action } from "../action.ts";
import type { VmActorActions } from "../context.ts";
import { fork } from "../fork.ts";

/** Actions of durable files. */
export const snapshots: Pick<VmActorActions, keyof SnapshotMethods> = {
  snapshotRootFilesystem: action("snapshotRootFilesystem", (c) =>
    c.vars.instance.vm.snapshotRootFilesystem(),
  ),
  checkpoint: action("checkpoint", (c) => c.vars.instance.vm.checkpoint()),
  restore: action("restore", (c, options) => c.vars.instance.vm.restore(options)),
  createSnapshot: action("createSnapshot", (c, name) => c.vars.instance.vm.createSnapshot(name)),
  listSnapshots: action("listSnapshots", (c) => c.vars.instance.vm.listSnapshots()),
  restoreSnapshot: action("restoreSnapshot", (c, id) => c.vars.instance.vm.restoreSnapshot(id)),
  deleteSnapshot: action("deleteSnapshot", (c, id) => c.vars.instance.vm.deleteSnapshot(id)),
  diff: action("diff", (c, id) => c.vars.instance.vm.diff(id)),
  fork: action("fork", fork),
  exportTar: action("exportTar", (c, path) => c.vars.instance.vm.exportTar(path)),
  exportSnapshot: action("exportSnapshot", (c) => c.vars.instance.vm.exportSnapshot()),
  importTar: action("importTar", (c, data, path) => c.vars.instance.vm.importTar(data, path)),

  undo: action("undo", (c, paths, id) => c.vars.instance.vm.undo(paths, id)),
};
