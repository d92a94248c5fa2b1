import type { SnapshotMethods } from "../api/actions.ts";
import type {
  ArchiveImport,
  CheckpointResult,
  FileChange,
  RestoreOptions,
  RootSnapshotExport,
  SnapshotInfo,
  UndoResult,
} from "../api/types.ts";
import { ResultBudget } from "./filesystem/result-budget.ts";
import type { Machine } from "./machine.ts";
import type { Archive } from "./persistence/archive.ts";
import { diffTrees, readTree } from "./persistence/diff.ts";
import { exportTree } from "./persistence/export.ts";
import { ForkSource } from "./persistence/fork.ts";
import type { Persistence } from "./persistence/persistence.ts";
import { excludes } from "./persistence/scan.ts";
import { Snapshots } from "./persistence/snapshots.ts";
import { undoPaths } from "./persistence/undo.ts";
import { visitAll } from "./sandbox/pace.ts";
import type { OpenPacking } from "./tar/download.ts";

const AS_A_STREAM = "exportSnapshot() of this package's client streams the whole tree as a tar archive.";
const IN_PARTS = "This package's client streams it; or export less of it.";

export interface TreesSettings {
  maxResultBytes: number;
  /** Globs of what is not kept. */
  exclude: readonly string[];
}

/** What is done with all of a VM's files: checkpoints, snapshots, differences, archives, forks. */
export class Trees implements Omit<SnapshotMethods, "fork"> {
  readonly #machine: Machine;
  readonly #settings: TreesSettings;

  constructor(machine: Machine, settings: TreesSettings) {
    this.#machine = machine;
    this.#settings = settings;
  }

  async snapshotRootFilesystem(): Promise<RootSnapshotExport> {
    const { sandbox } = await this.#machine.booted();
    const budget = this.#budget("snapshotRootFilesystem", AS_A_STREAM);
    return exportTree(sandbox.files.tree, excludes(this.#settings.exclude), budget);
  }

  async checkpoint(): Promise<CheckpointResult> {
    return (await this.#machine.persistence()).checkpoint();
  }

  restore({ allowMissing = false }: RestoreOptions = {}): Promise<void> {
    return this.#machine.restore(allowMissing);
  }

  async createSnapshot(name?: string): Promise<SnapshotInfo> {
    return (await this.#snapshots()).create(name);
  }

  async listSnapshots(): Promise<SnapshotInfo[]> {
    return (await this.#snapshots()).list();
  }

  async deleteSnapshot(snapshotId: string): Promise<void> {
    await (await this.#snapshots()).delete(snapshotId);
  }

  async restoreSnapshot(snapshotId: string): Promise<void> {
    const booted = await this.#machine.booted();
    const persistence = await this.#machine.persistence();
    new Snapshots(persistence).find(snapshotId);
    await this.#machine.replace(booted, () => persistence.adopt(snapshotId));
  }

  async diff(snapshotId?: string): Promise<FileChange[]> {
    const persistence = await this.#machine.persistence();
    const { archive } = persistence;
    const budget = this.#budget("diff", "Compare in the VM, with exec.");
    // Read before the checkpoint, which may collect it.
    const before = await readTree(archive.entries(await rootOf(persistence, archive, snapshotId)));
    return persistence.withCheckpoint(() => diffTrees(before, archive.entries(archive.root), budget));
  }

  async undo(paths: string[], snapshotId?: string): Promise<UndoResult[]> {
    const persistence = await this.#machine.persistence();
    const { files, store } = persistence;
    return persistence.changeTree(async (archive) => {
      const root = await rootOf(persistence, archive, snapshotId);
      return undoPaths(paths, archive.entries(root), files, store);
    });
  }

  async exportTar(path = "/"): Promise<Uint8Array> {
    const { tars } = await this.#machine.booted();
    return await this.#gather("exportTar", await tars.pack(path));
  }

  async exportSnapshot(): Promise<Uint8Array> {
    const { tars } = await this.#machine.booted();
    return await this.#gather("exportSnapshot", await tars.pack());
  }

  async importTar(data: Uint8Array, path = "/"): Promise<ArchiveImport> {
    return (await this.#machine.booted()).tars.importTar(data, path);
  }

  /** Takes a checkpoint, and holds it while work reads it. */
  async withForkSource<Result>(work: (source: ForkSource) => Promise<Result>): Promise<Result> {
    const persistence = await this.#machine.persistence();
    return await persistence.withCheckpoint((archive) => work(new ForkSource(persistence.store, archive)));
  }

  async #gather(action: string, packing: OpenPacking): Promise<Uint8Array> {
    const budget = this.#budget(action, IN_PARTS);
    const parts: Uint8Array[] = [];
    let bytes = 0;
    try {
      for await (const piece of packing.pieces) {
        budget.addBytes(piece.length);
        parts.push(piece);
        bytes += piece.length;
      }
    } finally {
      await packing.close();
    }
    const whole = new Uint8Array(bytes);
    let offset = 0;
    await visitAll(parts, (part) => {
      whole.set(part, offset);
      offset += part.length;
    });
    return whole;
  }

  #budget(action: string, instead: string): ResultBudget {
    return new ResultBudget(action, this.#settings.maxResultBytes, instead);
  }

  async #snapshots(): Promise<Snapshots> {
    return new Snapshots(await this.#machine.persistence());
  }
}

/** The tree of a snapshot, or of the last checkpoint. */
async function rootOf(
  persistence: Persistence,
  archive: Archive,
  snapshotId: string | undefined,
): ReturnType<Archive["rootOfSnapshot"]> {
  if (snapshotId === undefined) return archive.root;
  return await archive.rootOfSnapshot(new Snapshots(persistence).find(snapshotId));
}
