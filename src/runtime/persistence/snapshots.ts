import { randomBytes } from "node:crypto";
import { AgentVmError, limitExceeded } from "../../api/errors.ts";
import { MAX_SNAPSHOTS } from "../../api/limits.ts";
import type { SnapshotInfo } from "../../api/types.ts";
import type { SnapshotRecord } from "./head.ts";
import type { Persistence } from "./persistence.ts";

const ID_BYTES = 8;

/** Checkpoints that are kept under a name. They share what is alike with each other and with the VM's newest files. */
export class Snapshots {
  readonly #persistence: Persistence;

  constructor(persistence: Persistence) {
    this.#persistence = persistence;
  }

  async create(name?: string): Promise<SnapshotInfo> {
    return await this.#persistence.withCheckpoint(async (archive) => {
      if (archive.head.snapshots.length >= MAX_SNAPSHOTS) {
        throw limitExceeded("MAX_SNAPSHOTS", MAX_SNAPSHOTS, "The VM has as many snapshots as it can");
      }
      const { files, bytes } = archive.root;
      const record = {
        id: `snap-${randomBytes(ID_BYTES).toString("hex")}`,
        name: name ?? null,
        createdAt: Date.now(),
        files,
        bytes,
      };
      await archive.addSnapshot(record);
      return infoOf(record);
    });
  }

  /** Oldest first. */
  list(): SnapshotInfo[] {
    return this.#persistence.archive.head.snapshots.map(infoOf);
  }

  async delete(id: string): Promise<void> {
    await this.#persistence.alone(async (archive) => {
      this.find(id);
      await archive.deleteSnapshot(id);
    });
  }

  /** @throws AgentVmError `snapshot_not_found` */
  find(id: string): SnapshotRecord {
    const found = this.#persistence.archive.head.snapshots.find((snapshot) => snapshot.id === id);
    if (found === undefined) throw snapshotNotFound(id);
    return found;
  }
}

function infoOf({ id, name, createdAt, files, bytes }: Omit<SnapshotRecord, "root">): SnapshotInfo {
  return { id, name, createdAt, files, bytes };
}

function snapshotNotFound(id: string): AgentVmError {
  return new AgentVmError("snapshot_not_found", `Snapshot not found: ${id}`, { snapshotId: id });
}
