import { AgentVmError } from "../api/errors.ts";
import type { VmEvents } from "../api/events.ts";
import type { VisitKind } from "../http/actor-visits.ts";
import type { LiveFacts } from "../http/peers/messages.ts";
import { isDraining } from "../monitoring/draining.ts";
import { closeDefinitions } from "./definitions.ts";
import { drained } from "./drain.ts";
import type { VmInstance } from "./instance.ts";

/** Awake VMs of this process, by the id of their actor. */
export const awake = new Map<string, VmInstance>();

/** Ends a VM whose actor stops because its server shuts down, after its running calls. Its clients hear meanwhile why. */
export async function handOverVm(actorId: string): Promise<void> {
  const instance = awake.get(actorId);
  if (instance === undefined || !isDraining()) return;
  await drained(instance);
  await instance.dispose("sleep").catch(() => undefined);
}

/** Lets an awake VM of this process serve a connection. @returns `undefined` if the VM is not awake */
export function serveAwake(
  actorId: string,
  visit: (instance: VmInstance) => Promise<void>,
  kind: VisitKind,
): Promise<void> | undefined {
  return awake.get(actorId)?.serve(visit, kind);
}

/** Returns whether a VM of this process is awake, and neither starts nor ends. */
export function isAwake(actorId: string): boolean {
  return awake.get(actorId)?.isServing ?? false;
}

/** Returns how a VM of this process is, and with `use` what it uses; `undefined` if it is not awake. */
export function factsOf(actorId: string, options: { use: boolean }): Promise<LiveFacts> | undefined {
  return awake.get(actorId)?.facts(options);
}

/** Makes every awake VM run its due cron jobs and set its alarm again, for example after the clock was set. */
export function ringAll(): void {
  // A VM whose storage fails reports the error to callers of its cron methods.
  for (const instance of awake.values()) instance.ring().catch(() => undefined);
}

/** Stores the files of a VM of this process that is about to fall asleep. @throws AgentVmError `storage_failed` */
export async function storeFiles(actorId: string): Promise<void> {
  const instance = awake.get(actorId);
  if (instance?.vm.state() !== "awake") return;
  try {
    await instance.vm.checkpoint();
  } catch (error) {
    if (!(error instanceof AgentVmError) || error.code !== "storage_failed") return;
    instance.monitor.log.error({ msg: "VM stays awake, because its files cannot be stored", err: error });
    throw error;
  }
}

/**
 * Ends every VM of this process, for example before it exits: RivetKit 2.2 does not put actors to sleep on SIGTERM.
 *
 * @returns the number of VMs that were awake.
 */
export async function disposeAll(reason: VmEvents["vmShutdown"]["reason"]): Promise<number> {
  return (await endAll(reason)).length;
}

/** Ends every VM of this process. The log says why the files of a VM are not stored. @returns whether each VM ended well */
export async function endAll(reason: VmEvents["vmShutdown"]["reason"]): Promise<boolean[]> {
  const ends = [...awake.values()].map(async (instance) => {
    try {
      await instance.dispose(reason);
      return true;
    } catch (error) {
      instance.monitor.log.error({ msg: "files of the VM since its last checkpoint are lost", err: error });
      return false;
    }
  });
  const ended = await Promise.all(ends);
  await closeDefinitions();
  return ended;
}
