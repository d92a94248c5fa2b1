import { realpathSync, statSync } from "node:fs";
import { constants as os } from "node:os";
import { dirname } from "node:path";
import { AgentVmError, limitExceeded, vmStopped } from "../../../../api/errors.ts";
import { Mutex } from "../../../../base/mutex.ts";
import { type MountRequest, type SandboxMounts, WHITEOUT_TARGET } from "../../mounts.ts";
import type { Owner } from "../../own-uids.ts";
import { VM_UID } from "../../vm-layout.ts";
import type { FileWatch, FileWatchRequest, FileWatchSink } from "../../watches.ts";
import type { RootedFileSystem } from "../files/rooted-filesystem.ts";
import { HelperLost } from "../helpers/helper-process.ts";
import { KernelWatches } from "../watch/kernel-watches.ts";
import { mountError } from "./mount-errors.ts";
import { makeLayers } from "./overlay-layers.ts";
import { type MadeMount, type MountFailure, type MountOutcome, runMounter } from "./run-mounter.ts";

interface KernelMountsDeps {
  initPid: number;
  rootFd: number;
  files: RootedFileSystem;
  /** Host user of the VM under a root server. */
  owner: Owner | null;
  perl: string;
  /** Bytes that the VM's own files may have. */
  filesBytes: number;
  /** Limit of the VM's memory now, and bytes of it that its own files and its memory mounts may have together. */
  memory(): { memoryBytes: number; together: number };
}

/** Bits of a folder's mode by which other users of the host come through. */
const OTHERS = 0o011;

/** Errors of a file system that takes no map of users. */
const NO_MAP: readonly number[] = [os.errno.EINVAL, os.errno.EOPNOTSUPP];

/** The mounts of one VM that are made while it runs. One is made or taken away at a time. */
export class KernelMounts implements SandboxMounts {
  readonly #deps: KernelMountsDeps;
  readonly #changes = new Mutex();
  /** Watches of files in a mount, by its path. A watcher does not cross mounts. */
  readonly #watches = new Map<string, KernelWatches>();
  readonly #work = new Map<string, string>();
  /** Bytes of each memory mount that programs can write to. */
  readonly #memory = new Map<string, number>();
  /** Bytes that the VM's own files may have. */
  #rootBytes: number;
  readonly #ending = new AbortController();

  constructor(deps: KernelMountsDeps) {
    this.#deps = deps;
    this.#rootBytes = deps.filesBytes;
  }

  mount(request: MountRequest): Promise<void> {
    return this.#changes.run(() => this.#mount(request));
  }

  unmount(path: string): Promise<void> {
    return this.#changes.run(() => this.#unmount(path));
  }

  /** Changes the bytes that the VM's own files may have. */
  async resizeRoot(bytes: number): Promise<void> {
    const resized = await this.#changes.run(() => this.#run({ do: "resize", bytes }, {}));
    if ("step" in resized) throw failure("/", resized, "resize");
    this.#rootBytes = bytes;
  }

  /** Takes room back that `resizeRoot` gave and the VM's own files did not need. */
  async fitRoot(): Promise<void> {
    await this.#changes.run(() => this.#fitRoot()).catch(() => undefined);
  }

  /** Watches a file in a mount. @returns `undefined` for a file outside of all mounts */
  watch(request: FileWatchRequest, sink: FileWatchSink): Promise<FileWatch> | undefined {
    const { files, owner, perl } = this.#deps;
    const mounted = files.findMountAbove(request.realPath);
    if (mounted === undefined) return undefined;
    let watches = this.#watches.get(mounted.path);
    if (watches === undefined) {
      watches = new KernelWatches({ rootFd: mounted.fd, owner, perl, budget: files.tree.budget });
      this.#watches.set(mounted.path, watches);
    }
    const below = request.realPath.slice(mounted.path.length);
    return watches.watch({ ...request, realPath: below === "" ? "/" : below }, sink);
  }

  /** Waits for the running change, and ends the watches. The mounts end with the VM. */
  async close(): Promise<void> {
    this.#ending.abort();
    await this.#changes.run(async () => {
      await Promise.all([...this.#watches.values()].map((watches) => watches.close()));
    });
  }

  async #mount(request: MountRequest): Promise<void> {
    if (this.#ending.signal.aborted) throw vmStopped();
    const common = { target: request.path.slice(1), readonly: request.readOnly ? 1 : 0 };
    const made = await this.#make(request, common);
    if ("step" in made) throw mountError(made, request);
  }

  async #make(
    { path, readOnly, source }: MountRequest,
    common: { target: string; readonly: number },
  ): Promise<MountOutcome> {
    const { files, owner } = this.#deps;
    const kept = source.kind === "overlay";
    const take = (made: MadeMount) =>
      files.addMount({ path, kind: source.kind, writable: !readOnly, kept, ...made });
    if (source.kind === "memory") {
      const [uid, gid] = owner === null ? [VM_UID, VM_UID] : [owner.uid, owner.gid];
      const options = `size=${source.bytes},nr_inodes=${source.inodes},mode=755,uid=${uid},gid=${gid}`;
      let outcome: MountOutcome | undefined;
      try {
        if (!readOnly) {
          this.#memory.set(path, source.bytes);
          await this.#fitRoot();
        }
        outcome = await this.#run({ do: "memory", ...common, options }, { take });
        return outcome;
      } finally {
        if (outcome === undefined || "step" in outcome) await this.#giveBack(path);
      }
    }
    const { folder, name } = source.host;
    const ids = owner === null ? "" : `${owner.uid} ${owner.gid}`;
    const host = { ...common, folder, name, private: isPrivate(folder) ? 1 : 0 };
    const layers = source.kind === "overlay" ? await makeLayers(files, path) : undefined;
    const paths = layers && { upper: layers.upper.slice(1), work: layers.work.slice(1) };
    const what = paths ? { do: "overlay", ...paths, whiteout: WHITEOUT_TARGET } : { do: "host" };
    let outcome: MountOutcome | undefined;
    try {
      const made = await this.#run({ ...host, ...what, ids }, { take });
      // Without a map the VM sees what all users of the host may read.
      const lacksMap = "step" in made && made.step === "idmap" && NO_MAP.includes(made.errno);
      const isRead = readOnly || kept;
      outcome = lacksMap && isRead ? await this.#run({ ...host, ...what, ids: "" }, { take }) : made;
      return outcome;
    } finally {
      if (layers !== undefined) {
        if (outcome === undefined || "step" in outcome) await this.#dropWork(layers.work);
        else this.#work.set(path, layers.work);
      }
    }
  }

  /** Removes the folder that the kernel used for an overlay. A program of the VM may hold it. */
  async #dropWork(work: string | undefined): Promise<void> {
    if (work !== undefined) await this.#deps.files.removeTree(work).catch(() => undefined);
  }

  async #unmount(path: string): Promise<void> {
    if (this.#ending.signal.aborted) throw vmStopped();
    const { files } = this.#deps;
    const mounted = files.findMount(path);
    if (mounted === undefined) return;
    await this.#endWatches(path);
    const taken = await this.#run({ do: "unmount" }, { held: mounted.fd });
    // A mount that is not there any more is as good as taken away.
    if ("step" in taken && taken.errno !== os.errno.EINVAL) throw failure(path, taken);
    // A watch may have begun meanwhile. Nothing else runs between the last look and the end of the descriptor.
    while (this.#watches.has(path)) await this.#endWatches(path);
    await files.removeMount(path);
    await this.#dropWork(this.#work.get(path));
    this.#work.delete(path);
    await this.#giveBack(path);
  }

  /** Gives the bytes of a memory mount back to the VM's own files. */
  async #giveBack(path: string): Promise<void> {
    if (this.#memory.delete(path)) await this.#fitRoot().catch(() => undefined);
  }

  /** Bounds the VM's own files, so that they and the memory mounts leave memory to programs. @throws AgentVmError `limit_exceeded` */
  async #fitRoot(): Promise<void> {
    const { memoryBytes, together } = this.#deps.memory();
    const left = [...this.#memory.values()].reduce((rest, bytes) => rest - bytes, together);
    const bytes = Math.min(this.#deps.filesBytes, left);
    if (bytes === this.#rootBytes) return;
    // The kernel refuses a size below that of the files, and takes 0 for no limit.
    const resized = bytes > 0 ? await this.#run({ do: "resize", bytes }, {}) : undefined;
    if (resized === undefined || "step" in resized)
      throw limitExceeded(
        { "limits.memoryBytes": memoryBytes },
        "The memory mounts and the files of the VM together would leave too little memory to programs",
        "Delete files, ask for less, or unmount one first.",
      );
    this.#rootBytes = bytes;
  }

  async #endWatches(path: string): Promise<void> {
    const watches = this.#watches.get(path);
    this.#watches.delete(path);
    await watches?.close();
  }

  async #run(
    values: Readonly<Record<string, string | number>>,
    use: Parameters<typeof runMounter>[2],
  ): Promise<MountOutcome> {
    const { initPid, rootFd, owner, perl } = this.#deps;
    try {
      const { signal: ending } = this.#ending;
      return await runMounter({ initPid, rootFd, isRoot: owner !== null, perl, ending }, values, use);
    } catch (error) {
      if (this.#ending.signal.aborted) throw vmStopped();
      if (!(error instanceof HelperLost)) throw error;
      throw new AgentVmError("mount_unavailable", `The VM's mounts cannot be changed: ${error.message}`, {});
    }
  }
}

function failure(path: string, { step, errno }: MountFailure, what = "unmount"): AgentVmError {
  const message = `Cannot ${what} ${path}: the kernel refuses it (step ${step}, error ${errno})`;
  return new AgentVmError("mount_unavailable", message, { path });
}

/**
 * Whether a folder above, or the folder itself, lets no other user of the host through. A program of the VM can make
 * set-user-ID files, which matters if root owns them.
 */
function isPrivate(folder: string): boolean {
  if (process.getuid?.() !== 0) return true;
  try {
    for (let at = realpathSync(folder); ; at = dirname(at)) {
      if ((statSync(at).mode & OTHERS) === 0) return true;
      if (at === "/") return false;
    }
  } catch {
    // The mounter reports the error.
    return false;
  }
}
