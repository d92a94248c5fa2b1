import { randomUUID } from "node:crypto";
import { AgentVmError } from "../api/errors.ts";
import { MAX_TRANSFERS, TRANSFER_IDLE_MS } from "../api/limits.ts";
import { Mutex } from "../base/mutex.ts";
import { unlessAborted, within } from "../base/within.ts";
import { Files } from "./filesystem/files.ts";
import { readOnlyFiles } from "./filesystem/read-only.ts";
import { excludes } from "./filesystem/scan.ts";
import type { VmOptions } from "./options.ts";
import { filesReadOnly } from "./persistence/codec.ts";
import { Persistence } from "./persistence/persistence.ts";
import type { Report } from "./reports.ts";
import type { RoomList } from "./room.ts";
import type { FileSystem } from "./sandbox/files.ts";
import { codeOf } from "./sandbox/posix.ts";
import type { Sandbox } from "./sandbox/sandbox.ts";
import type { Store } from "./store/store.ts";
import type { ChangeTree } from "./tar/import.ts";
import type { RootFilesystem } from "./tar/root-filesystem.ts";
import { TarTransfers } from "./tar/transfers.ts";
import { FileTransfers } from "./transfers/file-transfers.ts";
import { TransferTable } from "./transfers/transfer-table.ts";

const MACHINE_ID = "/etc/machine-id";

/** Everything that lives as long as one boot. */
export interface Boot {
  sandbox: Sandbox;
  files: Files;
  transfers: FileTransfers;
  tars: TarTransfers;
  /** `undefined` without a store. */
  persistence: Persistence | undefined;
}

export interface BootOptions {
  options: VmOptions;
  store: Store | undefined;
  /** Files that a new VM starts with. */
  rootFilesystem: RootFilesystem | undefined;
  maxResultBytes: number;
  /** Leaves out files whose content is lost. @default false: the files are read-only */
  allowMissing?: boolean;
  keepAwake(work: Promise<unknown>): void;
  onFailure(error: unknown): void;
  readonly report: Report;
}

/** Restores the files that the store has, and opens everything that lives as long as the boot. */
export async function openBoot(sandbox: Sandbox, boot: BootOptions): Promise<Boot> {
  const { options, maxResultBytes } = boot;
  const persistence = await persist(sandbox, boot);
  await sandbox.fitRoom?.();
  if (sandbox.processes !== undefined) await giveMachineId(sandbox.files);
  const damage = persistence?.damage;
  // On a kernel before 5.12, changes by programs end with the boot.
  if (damage !== undefined) await sandbox.makeReadOnly?.().catch(boot.onFailure);
  const tree = damage === undefined ? sandbox.files : readOnlyFiles(sandbox.files, filesReadOnly(damage));
  const table = new TransferTable(MAX_TRANSFERS, TRANSFER_IDLE_MS);
  const isExcluded = excludes(options.persistence.exclude);
  const files = new Files(tree, {
    maxResultBytes,
    changes: persistence && ((...change) => persistence.change(...change)),
  });
  const transfers = new FileTransfers(tree, { table, placed: async () => persistence?.keepNow() });
  const mutex = new Mutex();
  const change: ChangeTree = (work) => (persistence ? persistence.changeTree(work) : mutex.run(work));
  const tars = new TarTransfers(tree, { table, isExcluded, change });
  return { sandbox, files, transfers, tars, persistence };
}

/**
 * Gives a machine its id, see machine-id(5), unless it has one. The file is kept with the VM's other files. An id that
 * no checkpoint has stored is another one at the next boot.
 */
async function giveMachineId(files: FileSystem): Promise<void> {
  try {
    await files.lstat(MACHINE_ID);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") return;
    // A full tree has no id, and boots.
    const id = randomUUID().replaceAll("-", "");
    await files.writeFile(MACHINE_ID, Buffer.from(`${id}\n`)).catch(() => undefined);
  }
}

/**
 * Time for which a boot that fails waits for a checkpoint under way.
 * @unit ms
 */
const COMMIT_WAIT_MS = 30_000;

/**
 * Opens a boot together with the VM's rooms.
 *
 * @param signal aborts when the VM ends, which must not wait for storage that does not answer
 */
export async function openWithRooms(
  sandbox: Sandbox,
  rooms: RoomList,
  open: () => Promise<Boot>,
  signal: AbortSignal,
): Promise<Boot> {
  const opening = rooms
    .prepare(sandbox)
    .then(open)
    .then(async (booted) => {
      await rooms.complete(sandbox).catch(async (error: unknown) => {
        await booted.persistence?.close();
        // The next boot must find the head of a checkpoint under way.
        if (booted.persistence) await within(booted.persistence.idle(), COMMIT_WAIT_MS);
        throw error;
      });
      return booted;
    });
  try {
    return await unlessAborted(opening, signal);
  } catch (error) {
    // The storage may still answer later.
    opening.then(({ persistence }) => persistence?.close()).catch(() => undefined);
    throw error;
  }
}

async function persist(sandbox: Sandbox, boot: BootOptions): Promise<Persistence | undefined> {
  const { options, store, rootFilesystem, allowMissing = false, keepAwake, onFailure, report } = boot;
  const plant = async () => {
    try {
      await rootFilesystem?.unpack(sandbox.files);
    } catch (error) {
      const isFull = error instanceof AgentVmError && codeOf(error.cause) === "ENOSPC";
      if (!isFull || !(await sandbox.makeRoom?.(options.limits.filesystemBytes))) throw error;
      await rootFilesystem?.unpack(sandbox.files);
    }
  };
  if (store === undefined) {
    await plant();
    return undefined;
  }
  const { checkpoint, persistence } = options;
  return await Persistence.open(
    store,
    sandbox.files,
    { intervalMs: checkpoint.intervalMs, exclude: persistence.exclude, allowMissing },
    {
      makeRoom: async (bytes) => await sandbox.makeRoom?.(bytes).catch(onFailure),
      ...(rootFilesystem && { initialize: plant }),
      keepAwake,
      isBusy: async () => (await sandbox.processes?.isBusy()) ?? false,
      freeze: async () => (await sandbox.processes?.freeze()) ?? (() => undefined),
      mappedFiles: async () => (await sandbox.processes?.mappedFiles()) ?? new Set(),
      onFailure,
      report,
    },
  );
}

/**
 * Ends a boot and its sandbox.
 *
 * @param options `keep` stores the files as they are now
 */
export async function closeBoot(
  { sandbox, transfers, persistence }: Boot,
  { keep }: { keep: boolean },
): Promise<void> {
  try {
    await transfers.dispose();
    if (persistence !== undefined) {
      if (keep) await sandbox.halt();
      await persistence.close({ keep });
    }
  } finally {
    await sandbox.dispose();
  }
}
