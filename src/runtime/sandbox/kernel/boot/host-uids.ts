import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { threadId } from "node:worker_threads";
import { serverFull } from "../../host-room.ts";
import { uidRange } from "../../own-uids.ts";
import { pidsIn, processStartTime } from "../procfs/procfs.ts";

/**
 * Host uids of the VMs of a root server. Each VM has one of its own: the kernel counts processes per uid, so two VMs
 * that shared one would share their process limit. A server claims a block of uids by an exclusive file.
 */
const CLAIMS_FOLDER = "/run/agent-vm/uids";

/** Uids that VMs which are booted ahead leave to the others. */
const SPARE_UIDS = 16;

interface UidBlock {
  first: number;
  count: number;
  claim: string;
}

let block: UidBlock | undefined;
const taken = new Set<number>();

/** A host uid that no other VM has; give it back with `releaseUid`. @throws AgentVmError `server_full` */
export function acquireUid(): number {
  block ??= claimBlock();
  for (let offset = 0; offset < block.count; offset++) {
    const uid = block.first + offset;
    if (taken.has(uid)) continue;
    taken.add(uid);
    return uid;
  }
  throw serverFull("uids");
}

export function releaseUid(uid: number): void {
  taken.delete(uid);
}

/** `true` if few uids are left for further VMs. */
export function uidsAreShort(): boolean {
  return block !== undefined && block.count - taken.size < SPARE_UIDS;
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

/** @returns `false` if there is something of that name. */
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
 * Takes the claim of a server that was killed before it could remove the claim. Several servers may try. Only one can make
 * the mark that is named after the dead server. It reads the claim again under the mark, since a quicker server may have
 * changed it.
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

/** Processes of a killed server still count toward their uid's limit, zombies too. */
function uidsInUse(): Set<number> {
  const found = new Set<number>();
  for (const pid of pidsIn("/proc")) {
    const stats = statSync(`/proc/${pid}`, { throwIfNoEntry: false });
    if (stats !== undefined) found.add(stats.uid);
  }
  return found;
}
