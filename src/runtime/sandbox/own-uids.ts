import { readFileSync } from "node:fs";
import { readOwnProc } from "./own-proc.ts";

/** Bits of capabilities(7) that a root server needs to give each VM a host uid of its own. */
const NEEDED = {
  CAP_CHOWN: 0,
  CAP_DAC_OVERRIDE: 1,
  CAP_FOWNER: 3,
  CAP_KILL: 5,
  CAP_SETGID: 6,
  CAP_SETUID: 7,
  CAP_SYS_PTRACE: 19,
  CAP_SYS_ADMIN: 21,
} as const;

/**
 * Awake VMs of one server that runs as root. In a container with few uids it is 512.
 * @unit VMs
 * @past A boot is refused.
 * @code server_full
 */
const UIDS_PER_SERVER = 4096;
const FIRST_UID = 0x60000000;
const MAX_BLOCKS = 4096;

/** A user and a group of the host, to which the files and processes of a VM belong. */
export interface Owner {
  uid: number;
  gid: number;
}

let lack: string | null | undefined;

/**
 * Says why VMs run as the server's own user; `undefined` if each VM has a host uid of its own. A root server in a container
 * often lacks capabilities or uids. It boots VMs as an ordinary user's server does.
 */
export function lackOfOwnUids(): string | undefined {
  if (lack === undefined) lack = findLack() ?? null;
  return lack ?? undefined;
}

export function hasOwnUids(): boolean {
  return lackOfOwnUids() === undefined;
}

function findLack(): string | undefined {
  if (process.getuid?.() !== 0) return "the server is not root";
  const missing = Object.entries(NEEDED).flatMap(([name, bit]) => (hasCapability(bit) ? [] : [name]));
  if (missing.length > 0) return `root lacks ${missing.join(", ")}`;
  return uidRange().blocks > 0 ? undefined : "root's user namespace maps too few uids";
}

/** @param bit number of a capability, see capabilities(7) */
export function hasCapability(bit: number): boolean {
  const held = /^CapEff:\s*([0-9a-f]+)$/m.exec(readOwnProc("/proc/self/status") ?? "")?.[1] ?? "0";
  return ((BigInt(`0x${held}`) >> BigInt(bit)) & 1n) === 1n;
}

/** Uids for VMs, in blocks: far above the uids of people, or from the upper half of a smaller map. */
export function uidRange(): { first: number; count: number; blocks: number } {
  let end = 0;
  for (const line of readFileSync("/proc/self/uid_map", "utf8").trim().split("\n")) {
    const [inside = 0, , length = 0] = line.trim().split(/\s+/).map(Number);
    end = Math.max(end, inside + length);
  }
  const wanted = UIDS_PER_SERVER * MAX_BLOCKS;
  if (end >= FIRST_UID + wanted) return { first: FIRST_UID, count: UIDS_PER_SERVER, blocks: MAX_BLOCKS };
  // Below nobody's 65534, in blocks of 512.
  const first = Math.min(Math.floor(end / 2), 32_768);
  const count = 512;
  return { first, count, blocks: Math.floor((Math.min(end, 65_000) - first) / count) };
}
