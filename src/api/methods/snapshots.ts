import { z } from "zod";
import { MAX_ID_BYTES, MAX_SNAPSHOT_READ_BYTES } from "../limits.ts";
import { fitsUtf8 } from "../size.ts";
import { actorKey, binary, bool, id, integer, offset, options, path, paths } from "../values.ts";
import { type CallsOf, methodsOf, takes } from "./method.ts";
import type {
  ArchiveImport,
  CheckpointResult,
  FileChange,
  ForkedVm,
  ForkOptions,
  ReadSnapshotFileOptions,
  RestoreOptions,
  RootSnapshotExport,
  SnapshotFile,
  SnapshotInfo,
  UndoResult,
} from "./snapshot-types.ts";

const actorMethod = methodsOf("actor");
const method = methodsOf("snapshots");

const snapshotName = z
  .string({ error: "a name" })
  .refine((name) => name !== "" && fitsUtf8(name, MAX_ID_BYTES), {
    error: `a name of 1 to ${MAX_ID_BYTES} bytes`,
  });

const part = options({
  offset: offset.optional(),
  length: integer(1, MAX_SNAPSHOT_READ_BYTES, `an integer from 1 to ${MAX_SNAPSHOT_READ_BYTES}`).optional(),
});

/** Durable files: checkpoints, snapshots, differences, archives and forks. */
export const SNAPSHOT_METHODS = {
  /**
   * Exports the VM's own files, without mounts, in agentOS's snapshot format.
   *
   * @throws AgentVmError `response_too_large` above 31 MiB; use `exportSnapshot` instead
   */
  snapshotRootFilesystem: method<() => Promise<RootSnapshotExport>>()({
    right: "files",
    input: takes(),
    boots: true,
    reads: true,
  }),
  /**
   * Stores all files as they are now. Resolves when the checkpoint is durable.
   *
   * @throws AgentVmError `no_storage`; `storage_failed`
   */
  checkpoint: method<() => Promise<CheckpointResult>>()({ right: "snapshots", input: takes(), boots: true }),
  /**
   * Boots the VM from its last checkpoint, if it is not up.
   *
   * @param options `allowMissing` boots without files whose stored content is lost
   * @throws AgentVmError `storage_damaged`; `storage_failed`; `boot_failed`
   */
  restore: method<(options?: RestoreOptions) => Promise<void>>()({
    right: "snapshots",
    input: takes(["options", options({ allowMissing: bool.optional() }).optional()]),
    boots: true,
  }),
  /**
   * Takes a checkpoint that stays until it is deleted. A VM keeps at most 128 snapshots.
   *
   * @param name label of 1 to 256 bytes. @default none
   * @throws AgentVmError `limit_exceeded`; `no_storage`; `storage_failed`
   */
  createSnapshot: method<(name?: string) => Promise<SnapshotInfo>>()({
    right: "snapshots",
    input: takes(["name", snapshotName.optional()]),
    boots: true,
  }),
  /**
   * Lists the VM's snapshots, oldest first. Never boots the VM.
   *
   * @throws AgentVmError `no_storage`
   */
  listSnapshots: method<() => Promise<SnapshotInfo[]>>()({
    right: "snapshots",
    input: takes(),
    reads: true,
    looks: true,
  }),
  /**
   * Replaces the VM's files with those of a snapshot. Ends all processes; the next call boots the VM again.
   *
   * @param snapshotId id that `createSnapshot` returned
   * @throws AgentVmError `snapshot_not_found`; `no_storage`; `storage_failed`
   */
  restoreSnapshot: method<(snapshotId: string) => Promise<void>>()({
    right: "snapshots",
    input: takes(["snapshotId", id]),
    boots: true,
  }),
  /**
   * Deletes a snapshot and frees the content that only this snapshot holds.
   *
   * @param snapshotId id that `createSnapshot` returned
   * @throws AgentVmError `snapshot_not_found`; `no_storage`; `storage_failed`
   */
  deleteSnapshot: method<(snapshotId: string) => Promise<void>>()({
    right: "snapshots",
    input: takes(["snapshotId", id]),
    boots: true,
  }),
  /**
   * Lists the paths that changed since a snapshot. Takes a checkpoint to compare with.
   *
   * @param snapshotId id that `createSnapshot` returned. @default the last checkpoint, which the VM takes itself about a second after a command
   * @throws AgentVmError `snapshot_not_found`; `no_storage`; `response_too_large`
   */
  diff: method<(snapshotId?: string) => Promise<FileChange[]>>()({
    right: "snapshots",
    input: takes(["snapshotId", id.optional()]),
    boots: true,
  }),
  /**
   * Lists the paths that changed between two snapshots. Never boots the VM.
   *
   * @param from id of the earlier snapshot
   * @param to id of the later snapshot
   * @throws AgentVmError `snapshot_not_found`; `no_storage`; `storage_damaged`; `response_too_large`
   */
  diffSnapshots: method<(from: string, to: string) => Promise<FileChange[]>>()({
    right: "snapshots",
    input: takes(["from", id], ["to", id]),
    reads: true,
  }),
  /**
   * Reads a file as it was in a snapshot, up to 4 MiB a call. Links are not followed, and the content of a link is its target.
   * Never boots the VM. Other files of mounts than changes of overlays are in no snapshot.
   *
   * @param snapshotId id that `createSnapshot` returned
   * @param path absolute path of a regular file or a symbolic link
   * @param options part of the file to read
   * @throws AgentVmError `snapshot_not_found`; `ENOENT`; `EISDIR` for a directory; `no_storage`; `storage_damaged`
   * @example
   * ```ts
   * const { id } = await agent.createSnapshot();
   * await agent.exec("npm update");
   * const { content } = await agent.readSnapshotFile(id, "/workspace/package.json");
   * ```
   */
  readSnapshotFile: method<
    (snapshotId: string, path: string, options?: ReadSnapshotFileOptions) => Promise<SnapshotFile>
  >()({
    right: "files",
    input: takes(["snapshotId", id], ["path", path], ["options", part.optional()]),
    reads: true,
  }),
  /**
   * Puts paths back as they were in a snapshot, each with everything below it.
   *
   * @param paths absolute paths, at most 10,000
   * @param snapshotId id that `createSnapshot` returned. @default the last checkpoint, which the VM takes itself about a second after a command
   * @returns one result a path, in order
   * @throws AgentVmError `snapshot_not_found`; `no_storage`
   */
  undo: method<(paths: string[], snapshotId?: string) => Promise<UndoResult[]>>()({
    right: "snapshots",
    input: takes(["paths", paths], ["snapshotId", id.optional()]),
    boots: true,
  }),
  /**
   * Exports the VM's own files at and below a path as a tar archive. This package's client returns a stream of any size
   * and takes `onProgress` and `signal`; it sends nothing before the stream is read, and the server drops an archive that
   * nobody reads for a minute. Another client gets up to 31 MiB.
   *
   * @param path absolute path of a directory or a single file. @default "/"
   * @throws AgentVmError `ENOENT`; `response_too_large`
   */
  exportTar: method<(path?: string) => Promise<Uint8Array>>()({
    right: "files",
    input: takes(["path", path.optional()]),
    boots: true,
    reads: true,
  }),
  /**
   * Exports the files that a checkpoint keeps of the whole VM as a tar archive. This package's client returns a stream of
   * any size and takes `onProgress` and `signal`; another client gets up to 31 MiB.
   *
   * @throws AgentVmError `response_too_large`
   */
  exportSnapshot: method<() => Promise<Uint8Array>>()({
    right: "files",
    input: takes(),
    boots: true,
    reads: true,
  }),
  /**
   * Unpacks a tar archive, with or without gzip: all of it or, after an error, nothing. Durable when it resolves. This
   * package's client takes bytes or a stream of any size, `onProgress` and `signal`; another client sends up to 31 MiB.
   *
   * @param data the archive
   * @param path absolute path of the directory to unpack into; created when it is missing. @default "/"
   * @throws AgentVmError `invalid_archive` for a damaged archive or one with entries outside of the path; `ENOSPC`
   */
  importTar: method<(data: Uint8Array, path?: string) => Promise<ArchiveImport>>()({
    right: "files",
    input: takes(["data", binary], ["path", path.optional()]),
    boots: true,
    long: true,
  }),
  /**
   * Creates a new VM with the files that this VM has now, or had at a snapshot.
   *
   * @param newKey key of the new VM
   * @param options the `snapshot` whose files the new VM gets, and whether it has the `secrets` of `setSecrets` too, which needs
   * the right `admin`. @default the files as they are now, without secrets
   * @returns key and actor id of the new VM
   * @throws AgentVmError `duplicate_key` when a VM has that key; `snapshot_not_found`; `no_storage`; `storage_failed`; `not_supported`
   * for secrets behind a Rivet Engine without `AGENT_VM_SECRET`
   * @example
   * ```ts
   * const { key } = await agent.fork("my-agent-2");
   * await client.vm.get(key).exec("ls /workspace");
   * ```
   */
  fork: actorMethod<(newKey: string | string[], options?: ForkOptions) => Promise<ForkedVm>>()({
    right: "create",
    input: takes(
      ["newKey", actorKey],
      ["options", options({ secrets: bool.optional(), snapshot: id.optional() }).optional()],
    ),
    boots: true,
    long: true,
    signal: true,
  }),
};

export type SnapshotMethods = CallsOf<typeof SNAPSHOT_METHODS>;
