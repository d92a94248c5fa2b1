import { z } from "zod";
import type { VmHooks } from "../src/runtime/hooks.ts";
import { vmOptionsSchema } from "../src/runtime/options.ts";
import type { Sandbox } from "../src/runtime/sandbox/sandbox.ts";
import { assembleVm, type Vm } from "../src/runtime/vm.ts";
import { openShared } from "../src/runtime/vm-shared.ts";

const options = vmOptionsSchema.parse({});
const shared = openShared(options);

/** A VM without an actor or a server. */
export function bareVm(emit: VmHooks["emit"] = () => undefined): Vm {
  return assembleVm(shared, { emit, keepAwake: () => undefined });
}

/** A VM whose programs can call a function of the server, `agentos-bench now`. */
export function callingVm(): Vm {
  const now = { description: "Answers at once", inputSchema: z.object({}), execute: () => "now" };
  const calling = openShared(vmOptionsSchema.parse({ hostFunctions: { bench: { now } } }));
  return assembleVm(calling, { emit: () => undefined, keepAwake: () => undefined });
}

const BOOT_TIMEOUT_MS = 30_000;

/** The machine of a VM, without the VM's files. It takes commands. */
export function bareBoot(): Promise<Sandbox> {
  return shared.factory.boot(AbortSignal.timeout(BOOT_TIMEOUT_MS));
}
