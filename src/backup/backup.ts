import { existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { AgentVmError, invalidArgument } from "../api/errors.ts";
import { packageVersion } from "../base/package-version.ts";
import { makeFolder } from "../base/private-folder.ts";
import { VMS_FILE } from "../directory/index-file.ts";
import { indexedIds, pruneIndex } from "../directory/vm-rows.ts";
import { ActorFiles } from "../rivet/actor-files.ts";
import { assertReadable, readDataMark, syncFolder } from "../rivet/data-format.ts";
import { LOCK_FILE, lockFolder } from "../rivet/data-lock.ts";
import { copyDatabase } from "./copy-database.ts";
import { copyHashed, syncHashed } from "./hashed-file.ts";
import {
  ACTOR_FOLDERS,
  BACKUP_FORMAT,
  type BackupFile,
  MANIFEST,
  type Manifest,
  readManifest,
  TOKEN_DATABASE,
  TOKEN_SECRET,
} from "./manifest.ts";
import { type Base, dropActor, isStillThere, type SavedActor, saveActor } from "./save-actor.ts";

/** End of the name of a backup that is being made. */
const UNFINISHED = ".unfinished";

export interface BackupOptions {
  /** Folder of the server's data. */
  dataDir: string;
  /** Folder of the backup, which does not exist yet. */
  target: string;
  /** Earlier backup, with which the new backup shares files of unchanged VMs. */
  base?: string | undefined;
  /** Whether the backup has the tokens that the server has made. */
  hasTokens: boolean;
  /** A VM is done. */
  onProgress(done: number, of: number): void;
}

/** A backup that was made. */
export interface BackupResult {
  backup: string;
  vms: number;
  /** VMs whose storage is shared with the earlier backup. */
  unchanged: number;
  /** Bytes of all files, also of shared files. */
  bytes: number;
  tokens: boolean;
  /** VMs that could not be read, which the backup does not have. */
  leftOut: { actorId: string; reason: string }[];
}

/**
 * Copies a data folder while its server runs. Each VM is in the backup as it is at one moment. A VM that is made or
 * destroyed meanwhile is in the backup whole, or not at all.
 *
 * @throws AgentVmError `invalid_argument`, `data_in_use` if another backup of this name is being made, `storage_too_new`,
 * `invalid_backup` for the earlier backup
 */
export async function backUp(options: BackupOptions): Promise<BackupResult> {
  const { dataDir, target } = options;
  if (!existsSync(join(dataDir, "state"))) throw invalidArgument("--data", "a server's data folder", dataDir);
  if (existsSync(target)) throw invalidArgument("DIR", "a folder that does not exist yet", target);
  assertReadable(readDataMark(dataDir), `The data folder ${dataDir}`);
  const base = options.base === undefined ? undefined : openBase(options.base);
  const draft = openDraft(target);
  try {
    return await fill(draft, options, base);
  } catch (error) {
    // A disk that is full would stay so.
    rmSync(draft, { recursive: true, force: true });
    throw error;
  }
}

/** Writes a backup into its folder, and gives it its name. */
async function fill(draft: string, options: BackupOptions, base: Base | undefined): Promise<BackupResult> {
  const { dataDir, target } = options;
  const copied = await saveActors(options, draft, base);
  const index = await saveIndex(dataDir, draft, copied);
  const { saved, leftOut } = copied;
  const tokens = options.hasTokens ? await saveTokens(dataDir, draft) : [];
  const files = [...[...saved.values()].flatMap((actor) => actor.files), ...index, ...tokens];
  finish(draft, target, { vms: saved.size, files, dataDir });
  return {
    backup: target,
    vms: saved.size,
    unchanged: [...saved.values()].filter(({ isLinked }) => isLinked).length,
    bytes: files.reduce((sum, { size }) => sum + size, 0),
    tokens: tokens.length > 0,
    leftOut: [...leftOut].map(([actorId, reason]) => ({ actorId, reason })),
  };
}

function openBase(folder: string): Base {
  const { files } = readManifest(folder);
  return { folder, files: new Map(files.map((file) => [file.path, file])) };
}

/** Names in the folder of an unfinished backup. */
const DRAFT_ENTRIES: readonly string[] = [
  ...ACTOR_FOLDERS,
  VMS_FILE,
  TOKEN_DATABASE,
  TOKEN_SECRET,
  MANIFEST,
  LOCK_FILE,
];

/** Makes the folder in which the backup is written. Empties a folder that an earlier attempt has left. */
function openDraft(target: string): string {
  const draft = target + UNFINISHED;
  makeFolder(draft);
  assertOwn(draft);
  const holder = lockFolder(draft);
  if (holder !== undefined) {
    throw new AgentVmError("data_in_use", `Another backup is being written into ${draft}: ${holder}`, {
      hint: "Wait for its end, or choose another name.",
    });
  }
  for (const name of readdirSync(draft)) {
    if (name !== LOCK_FILE) rmSync(join(draft, name), { recursive: true });
  }
  for (const folder of ACTOR_FOLDERS) mkdirSync(join(draft, folder), { mode: 0o700 });
  return draft;
}

/** @throws AgentVmError `invalid_argument` if the folder is a link, another user's, or not of an earlier attempt */
function assertOwn(draft: string): void {
  const found = lstatSync(draft);
  const isOwn = found.isDirectory() && found.uid === process.geteuid?.();
  const foreign = isOwn && readdirSync(draft).find((name) => !isDraftEntry(name));
  if (foreign === undefined) return;
  const what = isOwn ? `has ${String(foreign)}, which no backup has` : "is a link or another user's";
  throw new AgentVmError("invalid_argument", `${draft} ${what}. Move it away, or choose another name`, {
    argument: "DIR",
  });
}

/** SQLite leaves journals beside its databases. */
function isDraftEntry(name: string): boolean {
  return DRAFT_ENTRIES.includes(name.replace(/\.db-(journal|wal|shm)$/, ".db"));
}

/** The actors that were copied, and the reasons why others were not. */
interface Copied {
  /** Unix milliseconds. An actor that is younger was made, or made again, while the others were copied. */
  beganAt: number;
  saved: Map<string, SavedActor>;
  leftOut: Map<string, string>;
}

async function saveActors(
  { dataDir, onProgress }: BackupOptions,
  draft: string,
  base: Base | undefined,
): Promise<Copied> {
  const beganAt = Date.now();
  const ids = new ActorFiles(dataDir).ids();
  const saved = new Map<string, SavedActor>();
  const leftOut = new Map<string, string>();
  const queue = [...ids];
  for (const [done, actorId] of queue.entries()) {
    onProgress(Math.min(done, ids.length), ids.length);
    try {
      const actor = await saveActor(dataDir, draft, actorId, base);
      leftOut.delete(actorId);
      if (actor !== undefined) saved.set(actorId, actor);
    } catch (error) {
      if (isOfBackup(error, draft)) throw error;
      dropActor(draft, actorId);
      // The actor is damaged, or is being made or destroyed: another attempt follows after all others.
      if (!leftOut.has(actorId)) queue.push(actorId);
      leftOut.set(actorId, (error as Error).message);
    }
  }
  onProgress(ids.length, ids.length);
  return { beganAt, saved, leftOut };
}

/** Result code of SQLite for a full disk. */
const SQLITE_FULL = 13;

/** Returns whether an error is one of writing the backup, and not one of reading an actor. */
function isOfBackup(error: unknown, draft: string): boolean {
  const { errcode, syscall, path } = error as { errcode?: number; syscall?: string; path?: string };
  return (
    errcode === SQLITE_FULL || syscall === "fsync" || syscall === "write" || path?.startsWith(draft) === true
  );
}

/** Copies the index of VMs. Drops actors that were destroyed while the others were copied. */
async function saveIndex(
  dataDir: string,
  draft: string,
  { beganAt, saved, leftOut }: Copied,
): Promise<BackupFile[]> {
  const hasIndex = existsSync(join(dataDir, VMS_FILE));
  const path = join(draft, VMS_FILE);
  if (hasIndex) await copyDatabase(join(dataDir, VMS_FILE), path);
  const indexed = hasIndex ? indexedIds(path) : undefined;
  const isThere = (actorId: string, createdAt?: number) =>
    indexed?.has(actorId) !== false && isStillThere(dataDir, actorId, createdAt);
  for (const [actorId, { createdAt }] of saved) {
    if (isThere(actorId, createdAt)) continue;
    dropActor(draft, actorId);
    saved.delete(actorId);
  }
  const actors = new ActorFiles(dataDir);
  const isYoung = (actorId: string) => (actors.read(actorId)?.createdAt ?? 0) >= beganAt;
  for (const actorId of leftOut.keys()) {
    if (!isThere(actorId) || isYoung(actorId)) leftOut.delete(actorId);
  }
  if (!hasIndex) return [];
  pruneIndex(path, (actorId) => saved.has(actorId));
  return [{ path: VMS_FILE, ...(await syncHashed(path)) }];
}

async function saveTokens(dataDir: string, draft: string): Promise<BackupFile[]> {
  const files: BackupFile[] = [];
  for (const path of [TOKEN_DATABASE, TOKEN_SECRET]) {
    const source = join(dataDir, path);
    if (!existsSync(source)) continue;
    const target = join(draft, path);
    if (path === TOKEN_SECRET) files.push({ path, ...(await copyHashed(source, target)) });
    else {
      await copyDatabase(source, target);
      files.push({ path, ...(await syncHashed(target)) });
    }
  }
  return files;
}

/** Writes the manifest, brings all names to disk, and gives the backup its name. */
function finish(
  draft: string,
  target: string,
  { dataDir, ...content }: Pick<Manifest, "vms" | "files"> & { dataDir: string },
): void {
  const manifest: Manifest = {
    format: BACKUP_FORMAT,
    dataFormat: readDataMark(dataDir)?.format ?? 1,
    agentVm: packageVersion(),
    createdAt: new Date().toISOString(),
    ...content,
  };
  const text = `${JSON.stringify(manifest)}\n`;
  writeFileSync(join(draft, MANIFEST), text, { mode: 0o600, flag: "wx", flush: true });
  for (const folder of ACTOR_FOLDERS) syncFolder(join(draft, folder));
  rmSync(join(draft, LOCK_FILE));
  syncFolder(draft);
  renameSync(draft, target);
  syncFolder(dirname(target));
}
