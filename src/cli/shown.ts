import type { VmStatus } from "../api/methods/machine.ts";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** Shows a number of bytes: `1.5 MiB`. */
export function shownBytes(bytes: number | null | undefined): string | undefined {
  if (bytes === null || bytes === undefined) return undefined;
  const power = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
  const amount = bytes / 1024 ** power;
  return `${power === 0 || amount >= 100 ? Math.round(amount) : amount.toFixed(1)} ${UNITS[power]}`;
}

/** Shows a time in milliseconds since the Unix epoch, to the second in UTC. */
export function shownTime(at: number | null | undefined): string | undefined {
  if (at === null || at === undefined) return undefined;
  return new Date(at)
    .toISOString()
    .replace("T", " ")
    .replace(/\.\d+Z$/, "Z");
}

/** Shows a number of milliseconds: `2h 5m`. */
export function shownDuration(ms: number | null | undefined): string | undefined {
  if (ms === null || ms === undefined) return undefined;
  if (ms < 1000) return `${Math.round(ms)}ms`;
  const seconds = Math.floor(ms / 1000);
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  const shown = parts.slice(first, first + 2).filter(([amount]) => amount > 0);
  return shown.map(([amount, unit]) => `${amount}${unit}`).join(" ");
}

/** Shows how much of a limit is used. */
export function shownUse(used: string | undefined, limit: string | undefined): string {
  return limit === undefined ? (used ?? "-") : `${used ?? "-"} of ${limit}`;
}

/** Shows the memory of a VM with its limit. A server without cgroups does not enforce the limit. */
export function shownMemory({ used, limit, enforced }: VmStatus["memory"]): string {
  const text = shownUse(shownBytes(used), shownBytes(limit));
  return enforced || limit === null ? text : `${text} (not enforced)`;
}

/** Returns the variables of an object as `name=value`. */
export function shownPairs(pairs: Record<string, string>): string {
  return Object.entries(pairs)
    .map(([name, value]) => `${name}=${value}`)
    .join(" ");
}
