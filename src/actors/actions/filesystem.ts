import type { FileMethods } from "../../api/actions.ts";
import { action } from "../action.ts";
import type { VmActorActions } from "../context.ts";

/** File actions. */
export const filesystem: Pick<VmActorActions, keyof FileMethods> = {
  readFile: action("readFile", (c, path) => c.vars.instance.vm.readFile(path)),
  writeFile: action("writeFile", (c, path, content) => c.vars.instance.vm.writeFile(path, content)),
  readFiles: action("readFiles", (c, paths) => c.vars.instance.vm.readFiles(paths)),
  writeFiles: action("writeFiles", (c, entries) => c.vars.instance.vm.writeFiles(entries)),
  stat: action("stat", (c, path) => c.vars.instance.vm.stat(path)),
  lstat: action("lstat", (c, path) => c.vars.instance.vm.lstat(path)),
  exists: action("exists", (c, path) => c.vars.instance.vm.exists(path)),
  mkdir: action("mkdir", (c, path, options) => c.vars.instance.vm.mkdir(path, options)),
  readdir: action("readdir", (c, path) => c.vars.instance.vm.readdir(path)),
  readdirRecursive: action("readdirRecursive", (c, path, options) =>
    c.vars.instance.vm.readdirRecursive(path, options),
  ),
  move: action("move", (c, from, to) => c.vars.instance.vm.move(from, to)),
  delete: action("delete", (c, path, options) => c.vars.instance.vm.delete(path, options)),
  deleteFile: action("deleteFile", (c, path, options) => c.vars.instance.vm.deleteFile(path, options)),
};
