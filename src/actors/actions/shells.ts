import type { ShellMethods } from "../../api/actions.ts";
import { action } from "../action.ts";
import type { VmActorActions } from "../context.ts";

/** Shell actions. */
export const shells: Pick<VmActorActions, keyof ShellMethods> = {
  openShell: action("openShell", (c, options) => c.vars.instance.vm.openShell(options)),
  writeShell: action("writeShell", (c, shellId, data) => c.vars.instance.vm.writeShell(shellId, data)),
  resizeShell: action("resizeShell", (c, shellId, cols, rows) =>
    c.vars.instance.vm.resizeShell(shellId, cols, rows),
  ),
  closeShell: action("closeShell", (c, shellId) => c.vars.instance.vm.closeShell(shellId)),
  connectTerminal: action("connectTerminal", (c, options) => c.vars.instance.vm.connectTerminal(options)),
  waitShell: action("waitShell", (c, shellId) => c.vars.instance.vm.waitShell(shellId)),
  listShells: action("listShells", (c) => c.vars.instance.vm.listShells()),
  readShell: action("readShell", (c, shellId, options) => c.vars.instance.vm.readShell(shellId, options)),
};
