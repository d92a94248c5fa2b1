import { z } from "zod";
import { AgentVmError } from "../../api/errors.ts";
import { decodeJson, encodeJson, type Store } from "../store.ts";
import { storageDamaged } from "./codec.ts";
import { HEAD } from "./keys.ts";

/** The format of everything under `fs/`. A server refuses what a newer one has written. */
export const FORMAT_VERSION = 1;

const integer = z.int().nonnegative();

const snapshotSchema = z.object({
  id: z.string(),
  name: z.string().nullable(),
  createdAt: integer,
  root: integer,
  files: integer,
  bytes: integer,
});

const headSchema = z.object({
  version: z.literal(FORMAT_VERSION),
  /** Counts commits. */
  generation: integer,
  /** Number of the tree's root record; `null` before the first checkpoint. */
  root: integer.nullable(),
  /** Journal records from this number on came after the checkpoint. */
  journal: integer,
  /** Numbers from these on belong to no commit. */
  nextPack: integer,
  nextPage: integer,
  nextRoot: integer,
  /** When the checkpoint was taken, in milliseconds since the Unix epoch. */
  takenAt: integer,
  snapshots: z.array(snapshotSchema),
});

/** The one record that says what counts; putting it is the commit. */
export type Head = z.infer<typeof headSchema>;
export type SnapshotRecord = z.infer<typeof snapshotSchema>;

export const FIRST_HEAD: Head = {
  version: FORMAT_VERSION,
  generation: 0,
  root: null,
  journal: 0,
  nextPack: 0,
  nextPage: 0,
  nextRoot: 0,
  takenAt: 0,
  snapshots: [],
};

/** @throws AgentVmError `storage_too_new` for what a newer server has written, `storage_damaged` for what none has. */
export async function loadHead(store: Store): Promise<Head> {
  const [bytes] = await store.get([HEAD]);
  if (bytes === undefined) return FIRST_HEAD;
  let value: unknown;
  try {
    value = decodeJson(bytes);
  } catch {
    throw storageDamaged("its head record is no JSON");
  }
  const head = headSchema.safeParse(value);
  if (head.success) return head.data;
  const version = (value as { version?: unknown } | null)?.version;
  if (typeof version === "number" && version > FORMAT_VERSION) throw tooNew(version);
  throw storageDamaged("its head record has an unknown form");
}

function tooNew(format: number): AgentVmError {
  return new AgentVmError(
    "storage_too_new",
    `The VM's files were stored in format ${format}, which this server does not read: it reads format ${FORMAT_VERSION}`,
    { format, supported: FORMAT_VERSION },
  );
}

export async function putHead(store: Store, head: Head): Promise<void> {
  await store.put([[HEAD, encodeJson(head)]]);
}
