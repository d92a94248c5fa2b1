import type { WatchMethods } from "../../api/actions.ts";
import { action } from "../action.ts";
import type { VmActorActions } from "../context.ts";

/** Actions of file watches. */
export const watches: Pick<VmActorActions, keyof WatchMethods> = {
  watchFiles: action("watchFiles", (c, path, options) => c.vars.instance.vm.watchFiles(path, options)),
  unwatchFiles: action("unwatchFiles", (c, id) => c.vars.instance.vm.unwatchFiles(id)),
  listWatches: action("listWatches", (c) => c.vars.instance.vm.listWatches()),
};
