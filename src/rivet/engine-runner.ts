import { setTimeout as delay } from "node:timers/promises";
import { within } from "../base/within.ts";
import { hasActors } from "./doubled-actors.ts";
import { RUNNER_PROTOTYPE } from "./rivetkit.ts";
import { repeatLostRequests } from "./runner-repairs.ts";

/** The part of RivetKit's driver that this repair uses. The driver behind a Rivet Engine has a runner to shut down. */
interface EngineDriver {
  shutdownRunner?(immediate: boolean): Promise<void>;
}

type KvMethod = (...args: unknown[]) => Promise<unknown>;

/** Methods of the driver that reach the storage of actors in the engine. */
const KV_METHODS = [
  "kvBatchPut",
  "kvBatchGet",
  "kvBatchDelete",
  "kvDeleteRange",
  "kvListPrefix",
  "kvListRange",
] as const;

/** RivetKit's error for requests to the storage that wait when it begins to shut down. */
const CUT_OFF = /WebSocket connection closed during shutdown/;

/** Pause between two looks at the actors that the engine stops. */
const LOOK_MS = 20;

/**
 * Wait for the last messages to the engine.
 * @unit ms
 */
const LEAVE_MS = 10_000;

/** The drivers of this process behind an engine, each from the start of its first actor on. */
const engineDrivers = new Set<EngineDriver>();

/**
 * Makes requests to the storage again that RivetKit rejects when it begins to shut down, or whose connection closes.
 *
 * For RivetKit 2.2, which rejects them on SIGTERM although the connection goes on. Each has the same effect when it is
 * made twice.
 */
export function takeOverEngineDriver(driver: EngineDriver & Partial<Record<string, unknown>>): void {
  if (engineDrivers.has(driver) || driver.shutdownRunner === undefined) return;
  engineDrivers.add(driver);
  repeatLostRequests(RUNNER_PROTOTYPE);
  for (const name of KV_METHODS) {
    const method = driver[name];
    if (typeof method !== "function") continue;
    const request = method.bind(driver) as KvMethod;
    driver[name] = async (...args: unknown[]) => {
      try {
        return await request(...args);
      } catch (error) {
        if (!(error instanceof Error && CUT_OFF.test(error.message))) throw error;
        return await request(...args);
      }
    };
  }
}

/** Whether actors of this process run for a Rivet Engine. */
export function isBehindEngine(): boolean {
  return engineDrivers.size > 0;
}

/**
 * Waits until the engine has stopped every actor of this process and knows it. RivetKit begins this by itself on SIGTERM
 * and SIGINT.
 *
 * @param limitMs longest wait
 */
export async function leaveEngine(limitMs: number): Promise<void> {
  const until = performance.now() + limitMs;
  while (hasActors() && performance.now() < until) await delay(LOOK_MS);
  // Waits for the last messages to the engine. Actors that it has not stopped end here.
  const left = [...engineDrivers].map((driver) => driver.shutdownRunner?.(false));
  await within(Promise.allSettled(left), LEAVE_MS);
}
