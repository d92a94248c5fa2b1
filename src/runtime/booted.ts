import { MAX_TRANSFERS, TRANSFER_IDLE_MS } from "../api/limits.ts";
import { Files } from "./filesystem/files.ts";
import { TransferTable } from "./filesystem/transfer-table.ts";
import { FileTransfers } from "./filesystem/transfers.ts";
import { Mutex } from "./mutex.ts";
import type { VmOptions } from "./options.ts";
import { DurableFiles } from "./persistence/durable-files.ts";
import { Persistence } from "./persistence/persistence.ts";
import { excludes } from "./persistence/scan.ts";
import type { Sandbox } from "./sandbox/sandbox.ts";
import type { Store } from "./store.ts";
import type { ChangeTree } from "./tar/import.ts";
import type { RootFilesystem } from "./tar/root-filesystem.ts";
import { TarTransfers } from "./tar/transfers.ts";

/** Everything that lives as long as one boot. */
export interface Booted {
  sandbox: Sandbox;
  files: Files;
  transfers: FileTransfers;
  tars: TarTransfers;
  /** `undefined` where there is no store. */
  persistence: Persistence | undefined;
}

export interface Furniture {
  options: VmOptions;
  store: Store | undefined;
  /** What a new VM starts from. */
  rootFilesystem: RootFilesystem | undefined;
  maxResultBytes: number;
  /** Files whose content is lost are left out, once somebody has said so. */
  allowMissing: boolean;
  keepAwake(work: Promise<unknown>): void;
  onCheckpointFailure(error: unknown): void;
}

/** Puts back what the store has, and sets up the rooms that a sandbox carries. */
export async function furnish(sandbox: Sandbox, furniture: Furniture): Promise<Booted> {
  const { options, maxResultBytes } = furniture;
  const settings = { maxResultBytes };
  const persistence = await persist(sandbox, furniture);
  const table = new TransferTable(MAX_TRANSFERS, TRANSFER_IDLE_MS);
  const isExcluded = excludes(options.persistence.exclude);
  if (persistence === undefined) {
    const changes = new Mutex();
    const change: ChangeTree = (work) => changes.run(work);
    const tars = new TarTransfers(sandbox.files, { table, isExcluded, change });
    const transfers = new FileTransfers(sandbox.files, { table });
    return { sandbox, files: new Files(sandbox.files, settings), transfers, tars, persistence };
  }
  const files = new DurableFiles(sandbox.files, settings, persistence);
  const transfers = new FileTransfers(sandbox.files, { table, placed: () => persistence.keepNow() });
  const change: ChangeTree = (work) => persistence.changeTree(work);
  const tars = new TarTransfers(sandbox.files, { table, isExcluded, change });
  return { sandbox, files, transfers, tars, persistence };
}

async function persist(sandbox: Sandbox, furniture: Furniture): Promise<Persistence | undefined> {
  const { options, store, rootFilesystem, allowMissing, keepAwake, onCheckpointFailure } = furniture;
  const plant = async () => rootFilesystem?.plant(sandbox.files);
  if (store === undefined) {
    await plant();
    return undefined;
  }
  const { checkpoint, persistence } = options;
  return await Persistence.open(
    store,
    sandbox.files,
    { intervalMs: checkpoint.intervalMs, exclude: persistence.exclude },
    { allowMissing },
    {
      ...(rootFilesystem && { plant }),
      keepAwake,
      isBusy: () => sandbox.isBusy(),
      freeze: () => sandbox.freeze(),
      mappedFiles: () => sandbox.mappedFiles(),
      onFailure: onCheckpointFailure,
    },
  );
}

/** @param keep what is in its files now */
export async function vacate({ sandbox, transfers, persistence }: Booted, keep: boolean): Promise<void> {
  try {
    await transfers.dispose();
    if (persistence !== undefined) {
      if (keep) await sandbox.halt();
      await persistence.close(keep);
    }
  } finally {
    await sandbox.dispose();
  }
}
