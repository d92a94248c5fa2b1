import { invalidArgument, limitExceeded } from "../api/errors.ts";

/** Limits of a whole server. */
export interface Quota {
  /** VMs, awake or asleep. @default none */
  maxVms?: number | undefined;
  /** VMs that are awake or booting at once. @default none */
  maxAwake?: number | undefined;
  /** Bytes that all VMs take in the data folder, measured every 10 s. @default none */
  maxStoredBytes?: number | undefined;
}

const REMEDY = "Destroy VMs, or raise the quota of the server.";

/** @throws AgentVmError `invalid_argument` */
export function checkQuota(quota: Quota): void {
  for (const [name, value] of Object.entries(quota)) {
    const isKnown = name === "maxVms" || name === "maxAwake" || name === "maxStoredBytes";
    if (!isKnown) throw invalidArgument("quota", "maxVms, maxAwake and maxStoredBytes", quota);
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 0))
      throw invalidArgument(`quota.${name}`, "a non-negative integer", value);
  }
}

/** @throws AgentVmError `limit_exceeded` if there is no room for one more VM */
export function assertRoom(
  { maxVms, maxStoredBytes }: Quota,
  count: () => number,
  storedBytes: number,
): void {
  if (maxVms !== undefined && count() >= maxVms) {
    throw limitExceeded({ "quota.maxVms": maxVms }, "The server has as many VMs as its quota allows", REMEDY);
  }
  assertStorage({ maxStoredBytes }, storedBytes);
}

/** Returns whether one more VM may be awake. */
export function hasPlace({ maxAwake }: Quota, awake: number): boolean {
  return maxAwake === undefined || awake < maxAwake;
}

/** @throws AgentVmError `limit_exceeded` if no more VM may boot */
export function assertBoot({ maxAwake, maxStoredBytes }: Quota, awake: number, storedBytes: number): void {
  if (maxAwake !== undefined && !hasPlace({ maxAwake }, awake)) {
    throw limitExceeded(
      { "quota.maxAwake": maxAwake },
      "As many VMs are awake as the server's quota allows",
      "Put VMs to sleep, or raise the quota of the server.",
    );
  }
  assertStorage({ maxStoredBytes }, storedBytes);
}

function assertStorage({ maxStoredBytes }: Quota, storedBytes: number): void {
  if (maxStoredBytes !== undefined && storedBytes >= maxStoredBytes) {
    throw limitExceeded(
      { "quota.maxStoredBytes": maxStoredBytes },
      "The VMs take as much storage as the server's quota allows",
      REMEDY,
    );
  }
}
