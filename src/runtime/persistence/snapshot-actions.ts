import { MAX_SNAPSHOT_READ_BYTES } from "../../api/limits.ts";
import type {
  ArchiveImport,
  CheckpointResult,
  FileChange,
  ReadSnapshotFileOptions,
  RestoreOptions,
  RootSnapshotExport,
  SnapshotFile,
  SnapshotInfo,
  UndoResult,
} from "../../api/methods/snapshot-types.ts";
import type { SnapshotMethods } from "../../api/methods/snapshots.ts";
import { joined } from "../../base/bytes.ts";
import type { BootCycle } from "../boots.ts";
import { checkPath } from "../filesystem/paths.ts";
import { ResultBudget } from "../filesystem/result-budget.ts";
import { excludes } from "../filesystem/scan.ts";
import type { Mounts } from "../mounts/mounts.ts";
import { isWhiteout, OverlayView } from "../mounts/overlay-view.ts";
import { posixError } from "../sandbox/posix.ts";
import type { Store } from "../store/store.ts";
import type { Packing } from "../tar/pack.ts";
import { diffTrees } from "./diff.ts";
import { exportTree } from "./export.ts";
import type { ForkSource } from "./fork.ts";
import { readPart, StoredSnapshots } from "./stored-snapshots.ts";
import { undoPaths } from "./undo.ts";

const AS_A_STREAM = "exportSnapshot() of this package's client streams the whole tree as a tar archive.";
const IN_PARTS = "This package's client streams it; or export less of it.";

interface SnapshotActionsOptions {
  maxResultBytes: number;
  /** Keeps the VM's files; `undefined` without storage. */
  store: Store | undefined;
  /** Globs of absolute paths that are not stored. */
  exclude: readonly string[];
  /** The overlays among the VM's mounts. */
  mounts: Pick<Mounts, "overlays" | "without">;
}

/** The methods for all files of a VM: checkpoints, snapshots, diffs, archives and forks. */
export class SnapshotActions implements Omit<SnapshotMethods, "fork"> {
  readonly #boots: BootCycle;
  readonly #options: SnapshotActionsOptions;
  readonly #stored: StoredSnapshots;

  constructor(boots: BootCycle, options: SnapshotActionsOptions) {
    this.#boots = boots;
    this.#options = options;
    this.#stored = new StoredSnapshots(options.store);
  }

  async snapshotRootFilesystem(): Promise<RootSnapshotExport> {
    const { sandbox } = await this.#boots.booted();
    const budget = this.#budget("snapshotRootFilesystem", AS_A_STREAM);
    return exportTree(sandbox.files.tree, excludes(this.#options.exclude), budget);
  }

  async checkpoint(): Promise<CheckpointResult> {
    return (await this.#boots.durable()).persistence.checkpoint();
  }

  restore({ allowMissing = false }: RestoreOptions = {}): Promise<void> {
    return this.#boots.restore({ allowMissing });
  }

  async createSnapshot(name?: string): Promise<SnapshotInfo> {
    const { persistence } = await this.#boots.durable();
    return persistence.withArchive(async (archive, checkpoint) => {
      await checkpoint();
      return archive.addSnapshot(name);
    });
  }

  async listSnapshots(): Promise<SnapshotInfo[]> {
    return await this.#stored.list();
  }

  async deleteSnapshot(snapshotId: string): Promise<void> {
    const { persistence } = await this.#boots.durable();
    await persistence.withArchive((archive) => archive.deleteSnapshot(snapshotId));
  }

  async restoreSnapshot(snapshotId: string): Promise<void> {
    const booted = await this.#boots.booted();
    const { persistence } = await this.#boots.durable();
    // Fails for an unknown or damaged snapshot before any process is ended.
    await persistence.withArchive((archive) => archive.openTree(snapshotId));
    await this.#boots.replace(booted, () => persistence.adopt(snapshotId));
  }

  async diff(snapshotId?: string): Promise<FileChange[]> {
    const { persistence } = await this.#boots.durable();
    const budget = this.#budget("diff", "Compare in the VM, with exec.");
    return await persistence.withArchive((archive, checkpoint) =>
      archive.keeping(async () => {
        const before = await archive.openTree(snapshotId);
        await checkpoint();
        const view = new OverlayView(await this.#options.mounts.overlays());
        return await diffTrees(before, await archive.openTree(), budget, (change) => view.show(change));
      }),
    );
  }

  async diffSnapshots(from: string, to: string): Promise<FileChange[]> {
    const budget = this.#budget("diffSnapshots", "Compare in the VM, with exec.");
    const view = new OverlayView(await this.#options.mounts.overlays());
    return await this.#stored.read([from, to], ([before, after]) =>
      diffTrees(before!, after!, budget, (change) => view.show(change)),
    );
  }

  async readSnapshotFile(
    snapshotId: string,
    path: string,
    { offset = 0, length = MAX_SNAPSHOT_READ_BYTES }: ReadSnapshotFileOptions = {},
  ): Promise<SnapshotFile> {
    checkPath(path, "open");
    const view = new OverlayView(await this.#options.mounts.overlays());
    const stored = view.changeOf(path)?.path ?? path;
    return await this.#stored.read([snapshotId], async ([tree]) => {
      const entry = await tree!.find(stored);
      const isGone = entry === undefined || (stored !== path && isWhiteout(entry));
      if (isGone) throw posixError("ENOENT", { syscall: "open", path });
      if (entry.type === "directory") throw posixError("EISDIR", { syscall: "read", path });
      const { type, mode, mtimeMs } = entry;
      if (type === "file")
        return {
          type,
          size: entry.size,
          mode,
          mtimeMs,
          content: await readPart(tree!, entry, offset, length),
        };
      const target = Buffer.from(entry.target);
      const content = new Uint8Array(target.subarray(offset, offset + length));
      return { type, size: target.length, mode, mtimeMs, content };
    });
  }

  async undo(paths: string[], snapshotId?: string): Promise<UndoResult[]> {
    const { sandbox, persistence } = await this.#boots.durable();
    const { mounts } = this.#options;
    const view = new OverlayView(await mounts.overlays());
    const changes = paths.map((path) => view.changeOf(path));
    const overlays = changes.flatMap((change) => change?.overlay ?? []);
    const wanted = paths.map((path, index) => changes[index]?.path ?? path);
    const undone = await persistence.changeTree(async (archive) => {
      const tree = await archive.openTree(snapshotId);
      return await mounts.without(overlays, () => undoPaths(wanted, tree, sandbox.files));
    });
    return undone.map((result, index) => ({ ...result, path: paths[index] ?? result.path }));
  }

  async exportTar(path = "/"): Promise<Uint8Array> {
    const { tars } = await this.#boots.booted();
    return await this.#gather("exportTar", await tars.pack(path));
  }

  async exportSnapshot(): Promise<Uint8Array> {
    const { tars } = await this.#boots.booted();
    return await this.#gather("exportSnapshot", await tars.pack());
  }

  async importTar(data: Uint8Array, path = "/"): Promise<ArchiveImport> {
    return (await this.#boots.booted()).tars.importTar(data, path);
  }

  /**
   * Opens a snapshot, or a checkpoint of the files as they are now. Takes no other checkpoint while work reads it.
   *
   * @throws AgentVmError `snapshot_not_found`
   */
  async withForkSource<Result>(
    work: (source: ForkSource) => Promise<Result>,
    snapshotId?: string,
  ): Promise<Result> {
    const { persistence } = await this.#boots.durable();
    return await persistence.withArchive(async (archive, checkpoint) => {
      if (snapshotId === undefined) await checkpoint();
      return await work(await archive.openFork(snapshotId));
    });
  }

  async #gather(action: string, packing: Packing): Promise<Uint8Array> {
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
    // A single piece may be part of a larger buffer, or shared.
    return parts.length === 1 ? new Uint8Array(parts[0]!) : joined(parts, bytes);
  }

  #budget(action: string, instead: string): ResultBudget {
    return new ResultBudget(action, this.#options.maxResultBytes, instead);
  }
}
