import {
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { threadId } from "node:worker_threads";
import { processStartTime } from "./procfs.ts";

/**
 * Host uids of the VMs of a root server. Each VM has one of its own: the kernel counts processes per uid, so two VMs
 * that shared one would share their process limit. A server claims a block of uids by an exclusive file.
 */
const CLAIMS_FOLDER = "/run/agent-vm/uids";
const UIDS_PER_SERVER = 4096;
const FIRST_UID = 0x60000000;
const MAX_BLOCKS = 4096;

interface UidBlock {
  first: number;
  count: number;
  claim: string;
}

let block: UidBlock | undefined;
const taken = new Set<number>();

/** A host uid that no other VM has; give it back with `releaseUid`. */
export function acquireUid(): number {
  block ??= claimBlock();
  for (let offset = 0; offset < block.count; offset++) {
    const uid = block.first + offset;
    if (taken.has(uid)) continue;
    taken.add(uid);
    return uid;
  }
  throw new Error(`all ${block.count} uids of this server are in use`);
}

export function releaseUid(uid: number): void {
  taken.delete(uid);
}

function claimBlock(): UidBlock {
  const { first, count, blocks } = uidRange();
  mkdirSync(CLAIMS_FOLDER, { recursive: true, mode: 0o700 });
  // A claim comes into being whole, under a name that only one can give it.
  const draft = join(CLAIMS_FOLDER, `draft-${process.pid}-${threadId}`);
  writeFileSync(draft, `${process.pid} ${processStartTime(process.pid)}`, { mode: 0o600 });
  try {
    for (let index = 0; index < blocks; index++) {
      const claim = join(CLAIMS_FOLDER, String(index));
      if (!linked(draft, claim) && !takenOver(draft, claim)) continue;
      process.once("exit", () => rmSync(claim, { force: true }));
      const claimed = { first: first + index * count, count, claim };
      for (const uid of uidsInUse()) if (uid >= claimed.first && uid < claimed.first + count) taken.add(uid);
      return claimed;
    }
  } finally {
    rmSync(draft, { force: true });
  }
  throw new Error(`all ${blocks} uid blocks in ${CLAIMS_FOLDER} are claimed`);
}

/** @returns `false` where there is something of that name. */
function linked(draft: string, name: string): boolean {
  try {
    linkSync(draft, name);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/**
 * Takes the claim of a server that was killed and could not take it back. Of those who try, one gets to make a mark that is
 * named after that server, and looks again under it: whoever was quicker has changed the claim by then.
 */
function takenOver(draft: string, claim: string): boolean {
  const owner = ownerOf(claim);
  if (owner === undefined) return false;
  const [pid, startTime] = owner.split(" ").map(Number) as [number, number];
  if (processStartTime(pid) === startTime) return false;
  const mark = `${claim}-after-${pid}-${startTime}`;
  if (!linked(draft, mark)) return false;
  if (ownerOf(claim) === owner) {
    renameSync(mark, claim);
    return true;
  }
  rmSync(mark, { force: true });
  return false;
}

function ownerOf(claim: string): string | undefined {
  try {
    return readFileSync(claim, "utf8");
  } catch {
    // Given back just now.
    return undefined;
  }
}

/** Uids far above those of people, or what a container with a smaller map leaves. */
function uidRange(): { first: number; count: number; blocks: number } {
  let end = 0;
  for (const line of readFileSync("/proc/self/uid_map", "utf8").trim().split("\n")) {
    const [inside = 0, , length = 0] = line.trim().split(/\s+/).map(Number);
    end = Math.max(end, inside + length);
  }
  const wanted = UIDS_PER_SERVER * MAX_BLOCKS;
  if (end >= FIRST_UID + wanted) return { first: FIRST_UID, count: UIDS_PER_SERVER, blocks: MAX_BLOCKS };
  // The upper half of a small map, below nobody's 65534, in blocks of 512.
  const first = Math.min(Math.floor(end / 2), 32_768);
  const count = 512;
  const blocks = Math.floor((Math.min(end, 65_000) - first) / count);
  if (blocks < 1)
    throw new Error(`this server's user namespace maps ${end} uids, too few to give each VM its own`);
  return { first, count, blocks };
}

/** What a killed server has left, even if it only waits for its parent, still counts toward its uid's processes. */
function uidsInUse(): Set<number> {
  const found = new Set<number>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stats = statSync(`/proc/${name}`, { throwIfNoEntry: false });
    if (stats !== undefined) found.add(stats.uid);
  }
  return found;
}
