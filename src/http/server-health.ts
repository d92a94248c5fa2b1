import { EndSignal } from "../base/end-signal.ts";
import type { VmDirectory } from "../directory/vm-directory.ts";
import { isDraining } from "../monitoring/draining.ts";
import { Health } from "../monitoring/health.ts";
import { contactOf, requireContact, tryBoot } from "./behind-engine.ts";
import type { Logger } from "./logger.ts";
import type { VmBinding } from "./vm-binding.ts";

interface ServerHealthOptions {
  vms: readonly VmBinding[];
  /** Folder of the server; `undefined` until RivetKit has opened it, and behind a Rivet Engine without a folder. */
  folder(): string | undefined;
  /** The VMs of the folder; `undefined` until it is open, and behind a Rivet Engine. */
  directory(): VmDirectory | undefined;
  /** URL of the Rivet Engine, if there is one. */
  engine: string | undefined;
  /** Whether VMs run in this process. */
  hasVms: boolean;
  log: Logger;
}

/** Makes the checks of a server: whether its folder takes files, and whether its VMs boot. */
export function serverHealth({ vms, folder, directory, engine, hasVms, log }: ServerHealthOptions): Health {
  return new Health({
    folder,
    async tryBoot(signal) {
      const boot = async (place: AbortSignal) => {
        for (const vm of vms) await new EndSignal([signal, place]).during((ends) => vm.tryBoot(ends));
      };
      if (engine !== undefined) return hasVms ? await tryBoot(boot, signal) : true;
      return (await directory()?.tryBoot(boot)) ?? false;
    },
    tryEngine: engine === undefined ? undefined : hasVms ? requireContact : contactOf(engine),
    isDraining,
    onChange(check, error) {
      if (error === undefined) log.info({ check, msg: "server is ready again" });
      else log.error({ check, err: error, msg: "server is not ready" });
    },
  });
}
