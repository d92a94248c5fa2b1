import { invalidArgument } from "../api/errors.ts";
import type { VmState } from "../api/methods/machine.ts";
import type { VmListEntry, VmPage, VmQuery } from "../api/vm-list.ts";
import { pause } from "../base/pace.ts";
import type { ActorFiles } from "../rivet/actor-files.ts";
import { isKeyText, prefixText } from "./key-text.ts";
import type { LiveEntry } from "./live-entry.ts";
import { labelsOf, type VmRow, type VmRows } from "./vm-rows.ts";

/** Rows that are read in one step, which holds the event loop. */
const STEP = 100;

/** Bytes of labels after which a page ends, because its answer is made in one step. */
const MAX_PAGE_BYTES = 1024 * 1024;

/** A data folder whose VMs are listed. */
interface Listed {
  rows: VmRows;
  files: ActorFiles;
  /** The actor, if it is awake. */
  live(actorId: string): LiveEntry | undefined;
}

/**
 * Lists VMs in the order of their keys. Loads no actor.
 *
 * @param isShown whether the page may show a VM, by the text of its key
 */
export async function listPage(
  directory: Listed,
  name: string,
  { prefix = [], labels = {}, state, use, limit, cursor }: VmQuery,
  isShown: (keyText: string) => boolean = () => true,
): Promise<VmPage> {
  const wanted = Object.entries(labels);
  const begin = prefixText([prefix].flat());
  const found: VmRow[] = [];
  let bytes = 0;
  let next = cursor === undefined ? "" : textOf(cursor);
  for (let isLast = false; !isLast && found.length <= limit && bytes <= MAX_PAGE_BYTES; await pause()) {
    const rows = directory.rows.select(name, begin, next, STEP);
    for (const row of rows) {
      if (!isShown(row.key_text)) continue;
      if (state !== undefined && stateOf(directory, row) !== state) continue;
      const has = wanted.length === 0 ? {} : labelsOf(row);
      if (!wanted.every(([label, value]) => has[label] === value)) continue;
      bytes += row.labels.length;
      if (found.push(row) > limit || bytes > MAX_PAGE_BYTES) break;
    }
    isLast = rows.length < STEP;
    next = `${rows.at(-1)?.key_text}\0`;
  }
  // The row behind the page is where the next page begins. A page has at least one row.
  const isCut = found.length > limit || bytes > MAX_PAGE_BYTES;
  const page = isCut && found.length > 1 ? found.slice(0, -1) : found;
  const behind = isCut && found.length > 1 ? found.at(-1) : undefined;
  const vms: VmListEntry[] = [];
  for (let at = 0; at < page.length; at += STEP) {
    await pause();
    vms.push(...(await Promise.all(page.slice(at, at + STEP).map((row) => entryOf(directory, row, use)))));
  }
  return { vms, cursor: behind === undefined ? null : Buffer.from(behind.key_text).toString("base64url") };
}

async function entryOf(directory: Listed, row: VmRow, withUse: boolean): Promise<VmListEntry> {
  const live = directory.live(row.actor_id);
  // A VM that ends meanwhile is listed without it.
  const use = withUse ? await live?.use().catch(() => undefined) : undefined;
  return {
    key: JSON.parse(row.key) as string[],
    actorId: row.actor_id,
    state: stateOf(directory, row),
    createdAt: row.created_at,
    lastUsedAt: live?.lastUsedAt() ?? row.last_used_at,
    storedBytes: await directory.files.storedBytes(row.actor_id),
    processes: live?.processes() ?? 0,
    labels: labelsOf(row),
    ...(use && { use }),
  };
}

function stateOf(directory: Listed, row: VmRow): VmState {
  return directory.live(row.actor_id)?.state() ?? "sleeping";
}

/** Text of the key at which a page begins. @throws AgentVmError `invalid_argument` for a cursor that no page had */
function textOf(cursor: string): string {
  const text = Buffer.from(cursor, "base64url").toString();
  if (!isKeyText(text)) throw invalidArgument("cursor", "the cursor of a page", cursor);
  return text;
}
