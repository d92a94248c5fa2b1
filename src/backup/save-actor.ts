import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ifThere } from "../base/system-errors.ts";
import { parseActor } from "../rivet/actor-files.ts";
import { alarmTime } from "../rivet/driver-alarms.ts";
import { hasFirstValues } from "../rivet/first-values.ts";
import { copyDatabase, settledStamp } from "./copy-database.ts";
import { hashed, syncHashed } from "./hashed-file.ts";
import { inlineValues } from "./inline-values.ts";
import type { BackupFile } from "./manifest.ts";

/** An earlier backup, whose files of unchanged actors the new backup shares. */
export interface Base {
  folder: string;
  files: ReadonlyMap<string, BackupFile>;
}

/** An actor in a backup. */
export interface SavedActor {
  /** Time of its creation. An actor that was destroyed and made again has another. */
  createdAt: number;
  files: BackupFile[];
  /** Whether its storage is a link to the earlier backup. */
  isLinked: boolean;
}

/**
 * Copies an actor of a data folder into a backup.
 *
 * @returns `undefined` if the actor is gone, or was never made whole
 * @throws Error if its record or its storage is damaged
 */
export async function saveActor(
  data: string,
  backup: string,
  actorId: string,
  base: Base | undefined,
): Promise<SavedActor | undefined> {
  const record = ifThere(() => readFileSync(join(data, "state", actorId)));
  if (record === undefined) return undefined;
  const { createdAt } = parseActor(record);
  const alarmBefore = ifThere(() => readFileSync(join(data, "alarms", actorId)));
  const path = join("databases", `${actorId}.db`);
  const linked = base && (await link(data, backup, path, base));
  const storage = linked ?? (await copyStorage(data, backup, path));
  if (storage === undefined) return undefined;
  const alarm = earlier(
    alarmBefore,
    ifThere(() => readFileSync(join(data, "alarms", actorId))),
  );
  const files = [storage, await write(backup, join("state", actorId), record)];
  if (alarm !== undefined) files.push(await write(backup, join("alarms", actorId), alarm));
  return { createdAt, files, isLinked: linked !== undefined };
}

/** Deletes an actor, or the part that was copied, from a backup. */
export function dropActor(backup: string, actorId: string): void {
  const paths = [join("state", actorId), join("alarms", actorId), join("databases", `${actorId}.db`)];
  for (const path of paths) rmSync(join(backup, path), { force: true });
}

/**
 * Returns whether the data folder still has an actor.
 *
 * @param createdAt time of its creation: a later actor with its key is another one
 */
export function isStillThere(data: string, actorId: string, createdAt: number | undefined): boolean {
  const record = ifThere(() => readFileSync(join(data, "state", actorId)));
  if (record === undefined) return false;
  return createdAt === undefined || parseActor(record).createdAt === createdAt;
}

/** Shares the storage with an earlier backup if it is unchanged. */
async function link(data: string, backup: string, path: string, base: Base): Promise<BackupFile | undefined> {
  const known = base.files.get(path);
  if (known?.stamp === undefined || (await settledStamp(join(data, path))) !== known.stamp) return undefined;
  try {
    linkSync(join(base.folder, path), join(backup, path));
    // The earlier backup may be damaged.
    const { size, sha256 } = await hashed(join(backup, path));
    if (size === known.size && sha256 === known.sha256) return known;
    rmSync(join(backup, path));
    return undefined;
  } catch {
    // For example another file system, or too many links.
    return undefined;
  }
}

/** Copies of a database that are made while its actor deletes values. */
const MAX_COPIES = 20;

async function copyStorage(data: string, backup: string, path: string): Promise<BackupFile | undefined> {
  const source = join(data, path);
  const target = join(backup, path);
  let stamp = await copyDatabase(source, target);
  const missing = new Set<number>();
  for (let copies = 1; ; copies++) {
    const gone = inlineValues(source, target, missing);
    if (gone.size === 0) break;
    for (const file of gone) missing.add(file);
    rmSync(target);
    if (copies === MAX_COPIES) throw new Error("The storage changes faster than it can be copied");
    stamp = await copyDatabase(source, target);
  }
  if (!hasFirstValues(target)) {
    rmSync(target);
    return undefined;
  }
  return { path, ...(await syncHashed(target)), ...(stamp !== undefined && { stamp }) };
}

/**
 * The alarm that rings first. The storage was copied between two looks at the alarm: an actor that wakes too early
 * sets its alarm again, and an actor without its alarm misses its jobs.
 */
function earlier(before: Buffer | undefined, after: Buffer | undefined): Buffer | undefined {
  if (before === undefined || after === undefined) return before ?? after;
  return alarmTime(after) < alarmTime(before) ? after : before;
}

async function write(backup: string, path: string, content: Buffer): Promise<BackupFile> {
  writeFileSync(join(backup, path), content, { mode: 0o600, flag: "wx" });
  return { path, ...(await syncHashed(join(backup, path))) };
}
