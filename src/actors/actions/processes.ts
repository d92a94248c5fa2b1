import type { ProcessMethods } from "../../api/actions.ts";
import { action } from "../action.ts";
import type { VmActorActions } from "../context.ts";

/** Process actions. */
export const processes: Pick<VmActorActions, keyof ProcessMethods> = {
  exec: action("exec", (c, command, options) => c.vars.instance.vm.exec(command, options)),
  execArgv: action("execArgv", (c, command, args, options) =>
    c.vars.instance.vm.execArgv(command, args, options),
  ),
  spawn: action("spawn", (c, command, args, options) => c.vars.instance.vm.spawn(command, args, options)),
  spawnProcess: action("spawnProcess", (c, command, args, options) =>
    c.vars.instance.vm.spawnProcess(command, args, options),
  ),
  listProcesses: action("listProcesses", (c) => c.vars.instance.vm.listProcesses()),
  getProcess: action("getProcess", (c, pid) => c.vars.instance.vm.getProcess(pid)),
  writeProcessStdin: action("writeProcessStdin", (c, pid, data) =>
    c.vars.instance.vm.writeProcessStdin(pid, data),
  ),
  closeProcessStdin: action("closeProcessStdin", (c, pid) => c.vars.instance.vm.closeProcessStdin(pid)),
  waitProcess: action("waitProcess", (c, pid) => c.vars.instance.vm.waitProcess(pid)),
  stopProcess: action("stopProcess", (c, pid) => c.vars.instance.vm.stopProcess(pid)),
  killProcess: action("killProcess", (c, pid) => c.vars.instance.vm.killProcess(pid)),
  signalProcess: action("signalProcess", (c, pid, signal) => c.vars.instance.vm.signalProcess(pid, signal)),
  allProcesses: action("allProcesses", (c) => c.vars.instance.vm.allProcesses()),
  processTree: action("processTree", (c) => c.vars.instance.vm.processTree()),
  readProcessOutput: action("readProcessOutput", (c, pid, options) =>
    c.vars.instance.vm.readProcessOutput(pid, options),
  ),
};
