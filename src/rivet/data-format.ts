import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import { AgentVmError } from "../api/errors.ts";
import { parseJson } from "../base/json.ts";
import { packageVersion } from "../base/package-version.ts";
import { ifThere } from "../base/system-errors.ts";
import { holdDataFolder } from "./data-lock.ts";

/**
 * Newest format of a data folder: which files it has, and how they belong together. Format 2 has large values in files beside the
 * databases (`databases/ID.values`). The mark is agent-vm's own: RivetKit does not read it.
 */
const DATA_FORMAT = 2;

/** File of the mark. */
export const MARK_FILE = "format.json";

const markSchema = z.object({
  format: z.int().positive(),
  /** Version of the server that used the folder last. */
  agentVm: z.string(),
  /** Whether a restore into the folder has begun and not ended. */
  isRestoring: z.boolean().optional(),
});

/** The format of a data folder. A folder without this mark has format 1. */
export type DataMark = z.infer<typeof markSchema>;

/**
 * Takes a data folder for a server: locks it, and notes the server's version.
 *
 * @throws AgentVmError `data_in_use`, `storage_too_new`, `restore_unfinished`
 */
export function openDataFolder(path: string): void {
  holdDataFolder(path);
  const mark = readDataMark(path);
  const agentVm = packageVersion();
  if (mark?.isRestoring === true) {
    throw new AgentVmError("restore_unfinished", `A restore of the data folder ${path} broke off`, { path });
  }
  assertReadable(mark, `The data folder ${path}`);
  if (mark?.format !== DATA_FORMAT || mark.agentVm !== agentVm) {
    writeDataMark(path, { format: DATA_FORMAT, agentVm });
  }
}

/** @throws AgentVmError `storage_too_new` if this version cannot read a folder with this mark */
export function assertReadable(mark: DataMark | undefined, what: string): void {
  if (mark === undefined || mark.format <= DATA_FORMAT) return;
  const { format, agentVm } = mark;
  throw new AgentVmError(
    "storage_too_new",
    `${what} has format ${format}, written by agent-vm ${agentVm.slice(0, 40)}. This is agent-vm ${packageVersion()}, which reads formats up to ${DATA_FORMAT}`,
    { format, supported: DATA_FORMAT },
  );
}

/** Reads the mark of a data folder; `undefined` if it has no readable mark. */
export function readDataMark(folder: string): DataMark | undefined {
  const text = ifThere(() => fs.readFileSync(join(folder, MARK_FILE), "utf8"));
  return text === undefined ? undefined : markSchema.safeParse(parseJson(text)).data;
}

/** Writes the mark of a data folder. */
export function writeDataMark(folder: string, mark: DataMark): void {
  writeWhole(join(folder, MARK_FILE), `${JSON.stringify(mark)}\n`);
}

/** Replaces a file that only its user reads. It is whole after a loss of power. */
export function writeWhole(file: string, text: string): void {
  const draft = `${file}.new`;
  fs.rmSync(draft, { force: true });
  fs.writeFileSync(draft, text, { mode: 0o600, flag: "wx", flush: true });
  fs.renameSync(draft, file);
  syncFolder(dirname(file));
}

export function removeDataMark(folder: string): void {
  fs.rmSync(join(folder, MARK_FILE), { force: true });
  syncFolder(folder);
}

/** Makes the names in a folder outlive a loss of power. */
export function syncFolder(folder: string): void {
  const descriptor = fs.openSync(folder, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}
