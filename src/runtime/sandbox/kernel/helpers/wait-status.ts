import { constants } from "node:os";

/** How a program has ended. */
export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** Names of signals by number. Of two names the table has the first: SIGABRT, not SIGIOT. */
export const SIGNAL_NAMES: ReadonlyMap<number, NodeJS.Signals> = new Map(
  Object.entries(constants.signals)
    .reverse()
    .map(([name, number]) => [number, name as NodeJS.Signals]),
);

/** A wait status taken apart, as by WIFSIGNALED and its like; see wait(2). */
export function parseWaitStatus(status: number): Exit {
  const number = status & 0x7f;
  if (number === 0) return { code: (status >> 8) & 0xff, signal: null };
  return { code: null, signal: SIGNAL_NAMES.get(number) ?? "SIGKILL" };
}
