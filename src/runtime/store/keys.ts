/**
 * All keys of a VM's store. Each room of the runtime owns one prefix, and no other room reads or writes below it.
 *
 * | prefix       | room        | format | what lies there                                                  |
 * | ------------ | ----------- | ------ | ---------------------------------------------------------------- |
 * | `fs/`        | persistence | 3      | checkpoints, snapshots and the journal of changes                |
 * | `processes/` | processes   | 1      | the table of spawned processes                                   |
 * | `cron/`      | cron        | 1      | jobs, how far their ticks have been considered, and their runs   |
 * | `net/`       | network     | 1      | policy and encrypted secrets set at run time, hashes of previews  |
 * | `session/`   | sessions    | 1      | records of sessions and their transcripts                        |
 * | `watch/`     | watches     | 1      | file watches, made again after each boot                         |
 * | `machine/`   | machine     | 1      | labels, the number of boots, bytes of files, resources used      |
 * | `services/`  | services    | 1      | services that startService has defined, and stopped services     |
 * | `mounts/`    | mounts      | 1      | mounts that mountFs has made                                     |
 * | `recording/` | recordings  | 1      | recordings of shells and processes                               |
 * | `owner`      | store       | 1      | the instance of the VM that may change the store                 |
 * | `owner-end`  | store       | 1      | the last instance that has ended in order                        |
 *
 * The format of `fs/` is stored in its head record, and a server refuses a newer one. The other rooms store no number: they
 * may add optional fields, and a change that an older server cannot read needs a new prefix.
 * Keys are ordered as text, so numbers are padded with zeros.
 */
export const PREFIXES = {
  files: "fs/",
  processes: "processes/",
  cron: "cron/",
  network: "net/",
  sessions: "session/",
  watches: "watch/",
  machine: "machine/",
  services: "services/",
  mounts: "mounts/",
  recordings: "recording/",
} as const;

/** Newest format of everything under `fs/`. */
export const FILES_FORMAT = 3;

/**
 * Formats that a server reads. Format 2 is format 1 with holes, chunks of pack -1, and with steps in place of long paths. Format 3 has
 * blocks with a CRC-32. A VM has the newest format from its next checkpoint on.
 */
export const READABLE_FILES_FORMATS = [1, 2, FILES_FORMAT] as const;

/** The mark of the VM's instance that may change the store. Servers without this key leave the mark as it is. */
export const OWNER_KEY = "owner";

/** The note of the last instance that has ended in order. Servers without this key take that instance for a killed instance. */
export const OWNER_END_KEY = "owner-end";

const padded = (number: number, digits: number): string => String(number).padStart(digits, "0");

/** The record that says which checkpoint, snapshots and journal records count. */
export const HEAD_KEY = `${PREFIXES.files}head`;

const FILE_DIGITS = 12;

/** Records of one kind lie under its prefix. A record may have several parts: `fs/pack/000000000007/0000`. */
export type FileRecord = "pack" | "page" | "root" | "journal" | "garbage";

export const prefixOf = (kind: FileRecord): string => `${PREFIXES.files}${kind}/`;

export const keyOf = (kind: FileRecord, number: number): string =>
  `${prefixOf(kind)}${padded(number, FILE_DIGITS)}`;

export const partOf = (kind: FileRecord, number: number, part: number): string =>
  `${keyOf(kind, number)}/${padded(part, 4)}`;

/** The number in the key of a record or of one of its parts. */
export const numberIn = (kind: FileRecord, key: string): number => {
  const { length } = prefixOf(kind);
  return Number(key.slice(length, length + FILE_DIGITS));
};

/** Labels and the number of boots. */
export const MACHINE_KEY = `${PREFIXES.machine}record`;

/** Bytes of the VM's files at the last measurement, which lists of a VM that sleeps show. */
export const SIZE_KEY = `${PREFIXES.machine}size`;

/** Resources that the VM has used. */
export const USAGE_KEY = `${PREFIXES.machine}usage`;

/** Everything of one recording lies below this key. */
export const recordingKey = (recordingId: string): string => `${PREFIXES.recordings}${recordingId}/`;

export const recordingInfoKey = (recordingId: string): string => `${recordingKey(recordingId)}info`;

export const recordingPieces = (recordingId: string): string => `${recordingKey(recordingId)}piece/`;

export const recordingPieceKey = (recordingId: string, piece: number): string =>
  `${recordingPieces(recordingId)}${padded(piece, 6)}`;

/** Services that were defined or stopped at run time. */
export const SERVICES_KEY = `${PREFIXES.services}table`;

/** Mounts that were made at run time. */
export const MOUNTS_KEY = `${PREFIXES.mounts}table`;

export const PROCESS_TABLE_KEY = `${PREFIXES.processes}table`;

/** Definitions and states of jobs by their place, runs and their output by the run's number. */
type CronRecord = "job" | "state" | "run" | "output";

export const cronPrefix = (kind: CronRecord): string => `${PREFIXES.cron}${kind}/`;

export const cronKey = (kind: CronRecord, number: number): string =>
  `${cronPrefix(kind)}${padded(number, 12)}`;

/** The number at the end of a key of this kind. */
export const cronNumber = (kind: CronRecord, key: string): number =>
  Number(key.slice(cronPrefix(kind).length));

/** A policy that was set at run time. */
export const NETWORK_POLICY_KEY = `${PREFIXES.network}policy`;

/** Secrets that were set at run time, encrypted. */
export const SECRETS_KEY = `${PREFIXES.network}secrets`;

/** Previews, by the hash of their token. */
export const PREVIEWS = `${PREFIXES.network}preview/`;

export const previewKey = (hash: string): string => `${PREVIEWS}${hash}`;

/** Previews with options. An older server does not know them: it must not open a preview without its password. */
export const GUARDED_PREVIEWS = `${PREFIXES.network}guarded-preview/`;

export const guardedPreviewKey = (hash: string): string => `${GUARDED_PREVIEWS}${hash}`;

/** Records that the rooms of a VM read while it starts. All are small, and none has content of files. */
export const START_KEYS: readonly string[] = [
  MACHINE_KEY,
  USAGE_KEY,
  NETWORK_POLICY_KEY,
  SECRETS_KEY,
  MOUNTS_KEY,
  SERVICES_KEY,
];

export const watchKey = (id: string): string => `${PREFIXES.watches}${id}`;

/** Records of sessions: how each was made and its state now. */
export const SESSION_RECORDS = `${PREFIXES.sessions}record/`;

export const recordPrefix = (sessionId: string): string => `${SESSION_RECORDS}${sessionId}/`;

export const recordKey = (sessionId: string, part: number): string =>
  `${recordPrefix(sessionId)}${padded(part, SESSION_DIGITS)}`;

const SESSION_DIGITS = 16;

/** The first and next number of a session's transcript. */
export const positionKey = (sessionId: string): string => `${PREFIXES.sessions}position/${sessionId}`;

/** Pages of events, under the number of their last event: the events after a number are one range of keys. */
export const pagePrefix = (sessionId: string): string => `${PREFIXES.sessions}page/${sessionId}/`;

export const pageKey = (sessionId: string, lastSeq: number): string =>
  `${pagePrefix(sessionId)}${padded(lastSeq, SESSION_DIGITS)}`;

/** Pieces of events that do not fit into one value. */
export const piecePrefix = (sessionId: string): string => `${PREFIXES.sessions}piece/${sessionId}/`;

export const pieceKey = (sessionId: string, seq: number, piece: number): string =>
  `${piecePrefix(sessionId)}${padded(seq, SESSION_DIGITS)}/${padded(piece, SESSION_DIGITS)}`;
