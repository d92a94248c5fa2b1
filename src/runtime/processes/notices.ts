import type { NetworkLogEntry } from "../../api/methods/network.ts";

/** Denials that one notice names. */
const MAX_NAMED = 3;

/** Lines that the server adds to the stderr of a program, for facts that the program itself cannot know. */
export interface Notices {
  /** Denials of the network policy in the VM since a time in Unix milliseconds. */
  denialsSince(time: number): readonly NetworkLogEntry[];
}

/**
 * Returns the lines for a program that has ended: the kernel killed a part of its pipeline, which no shell reports, or the
 * network policy denied a connection, of which curl and git show only a number.
 */
export function noticesOf(oomKills: number, denials: readonly NetworkLogEntry[]): Buffer {
  const lines: string[] = [];
  if (oomKills > 0) {
    const killed = oomKills === 1 ? "a process" : `${oomKills} processes`;
    lines.push(`agent-vm: out of memory: the kernel killed ${killed}\n`);
  }
  const named = new Map(denials.map(({ host, port, reason }) => [`${host}:${port}`, reason]));
  for (const [destination, reason] of [...named].slice(-MAX_NAMED))
    lines.push(`agent-vm: the network policy denied ${destination}: ${reason}\n`);
  return Buffer.from(lines.join(""));
}
