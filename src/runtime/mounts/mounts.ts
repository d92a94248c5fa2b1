import { z } from "zod";
import { AgentVmError, invalidArgument, limitExceeded, notSupported } from "../../api/errors.ts";
import {
  type MountInfo,
  type MountMethods,
  type MountOptions,
  mount as mountSchema,
} from "../../api/methods/mounts.ts";
import { loadOnce } from "../../base/load-once.ts";
import { Mutex } from "../../base/mutex.ts";
import { makeDirectories } from "../filesystem/parents.ts";
import type { VmLimits, VmOptions } from "../options.ts";
import type { Room } from "../room.ts";
import { codeOf, posixError } from "../sandbox/posix.ts";
import { capabilityOf, requireCapability, type Sandbox } from "../sandbox/sandbox.ts";
import { MOUNTS_KEY } from "../store/keys.ts";
import { encodeJson, tryDecodeJson } from "../store/store.ts";
import type { VmServices } from "../vm-services.ts";
import { settleFolders } from "./host-folders.ts";
import { MAX_MOUNTS, MAX_MOUNTS_BYTES } from "./limits.ts";
import type { Overlay } from "./overlay-view.ts";
import { assertMemory, baseOf, foldersOf, isReadOnly, planMount } from "./plan.ts";
import { checkTarget, isWithin } from "./targets.ts";

interface MountsDeps
  extends Pick<
    VmServices,
    "sandbox" | "liveSandbox" | "upcomingSandbox" | "store" | "runtime" | "filesMayHaveChanged" | "onFailure"
  > {
  options: Pick<VmOptions, "mounts" | "hostFolders" | "volumes">;
  /** Folder of the server's data, which has the volumes. */
  dataFolder: string | undefined;
  /** Limits of the VM now. */
  limits(): VmLimits;
}

interface Entry {
  mount: MountOptions;
  /** The operator's: of the option `mounts`. */
  isOption: boolean;
  error: string | null;
  /** Gives the volume free, while it is mounted. */
  release?: (() => void) | undefined;
}

/** Size of the empty file system in the place of a mount that could not be made. */
const COVER = { kind: "memory", bytes: 64 * 1024, inodes: 16 } as const;

const recordSchema = z.object({ mounts: z.array(z.unknown()) });

/** The mounts of one VM. They are made with each boot, in the order in which they were asked for. */
export class Mounts implements MountMethods, Room {
  readonly #deps: MountsDeps;
  readonly #table = new Map<string, Entry>();
  readonly #changes = new Mutex();
  readonly #load = loadOnce(() => this.#loadRecord());

  constructor(deps: MountsDeps) {
    this.#deps = deps;
  }

  /** Makes all mounts in a sandbox that has its files. A mount that fails leaves an empty place that nobody can write to. */
  async complete(sandbox: Sandbox): Promise<void> {
    if (sandbox.mounts === undefined) {
      if (this.#deps.options.mounts.length > 0)
        throw notSupported("The option `mounts`", "mounts", sandbox.runtime);
      return;
    }
    await this.#load();
    this.down();
    settleFolders(foldersOf(this.#deps.options));
    await this.#changes.run(async () => {
      for (const entry of this.#table.values()) await this.#makeOrCover(sandbox, entry);
    });
  }

  down(): void {
    for (const entry of this.#table.values()) release(entry);
  }

  stop(): void {
    this.down();
  }

  async mountFs(mount: MountOptions): Promise<void> {
    requireCapability(this.#deps.runtime, "mounts", "mountFs");
    checkTarget(mount.path, "mount.path");
    await this.#load();
    const sandbox = await this.#deps.sandbox();
    await this.#changes.run(async () => {
      await this.#assertRoom(mount);
      const record = encodeJson({ mounts: [...this.#stored(), mount] });
      if (record.byteLength > MAX_MOUNTS_BYTES)
        throw limitExceeded({ MAX_MOUNTS_BYTES }, "The mounts of the VM are too large", "Unmount one first.");
      const entry: Entry = { mount, isOption: false, error: null };
      await this.#make(sandbox, entry);
      try {
        await this.#deps.store.put([[MOUNTS_KEY, record]]);
      } catch (error) {
        // A mount that cannot be stored changes nothing.
        await sandbox.mounts?.unmount(mount.path).catch(this.#deps.onFailure);
        release(entry);
        throw error;
      }
      this.#table.set(mount.path, entry);
      // The VM went down meanwhile. The next boot makes the mount.
      if (this.#deps.liveSandbox() !== sandbox) release(entry);
      this.#deps.filesMayHaveChanged();
    });
  }

  async unmountFs(path: string): Promise<void> {
    requireCapability(this.#deps.runtime, "mounts", "unmountFs");
    await this.#load();
    // A boot that has begun makes the mount, and then it is taken away.
    await this.#deps.upcomingSandbox();
    await this.#changes.run(async () => {
      const entry = this.#table.get(path);
      if (entry === undefined)
        throw new AgentVmError("mount_not_found", `The VM has no mount at ${path}`, { path });
      if (entry.isOption) throw invalidArgument("path", "a mount that mountFs has made", path);
      if (this.#inside(path) !== undefined) throw posixError("EBUSY", { syscall: "umount", path });
      const left = this.#stored().filter((mount) => mount !== entry.mount);
      await this.#deps.store.put([[MOUNTS_KEY, encodeJson({ mounts: left })]]);
      try {
        await this.#deps.liveSandbox()?.mounts?.unmount(path);
      } catch (error) {
        // The VM still has the mount, unless it has ended meanwhile.
        if (codeOf(error) !== "vm_stopped") {
          await this.#deps.store.put([[MOUNTS_KEY, encodeJson({ mounts: this.#stored() })]]);
          throw error;
        }
      }
      this.#table.delete(path);
      release(entry);
    });
  }

  async listMounts(): Promise<MountInfo[]> {
    requireCapability(this.#deps.runtime, "mounts", "listMounts");
    await this.#load();
    return [...this.#table.values()].map(({ mount, isOption, error }) => ({
      path: mount.path,
      kind: mount.plugin.id,
      readOnly: isReadOnly(mount),
      ...(!isOption && { config: { ...mount.plugin.config } }),
      error,
    }));
  }

  /** The overlays of the VM. */
  async overlays(): Promise<Overlay[]> {
    await this.#load();
    return [...this.#table.values()].flatMap(({ mount: { path, plugin } }) =>
      plugin.id === "overlay" ? [{ path, base: baseOf(plugin.config.hostPath, this.#deps.options) }] : [],
    );
  }

  /** Takes overlays away, changes the files that the VM keeps of them, and makes them again. Programs stand still meanwhile. */
  async without<Result>(paths: readonly string[], work: () => Promise<Result>): Promise<Result> {
    const sandbox = this.#deps.liveSandbox();
    if (paths.length === 0 || sandbox?.mounts === undefined) return await work();
    const { mounts, processes } = sandbox;
    return await this.#changes.run(async () => {
      const entries = [...new Set(paths)].flatMap((path) => this.#table.get(path) ?? []);
      const thaw = await processes?.freeze();
      try {
        for (const { mount } of entries) await mounts.unmount(mount.path);
        return await work();
      } finally {
        try {
          for (const entry of entries) await this.#makeOrCover(sandbox, entry);
        } finally {
          thaw?.();
        }
      }
    });
  }

  /** @throws AgentVmError `vm_stopped` only */
  async #makeOrCover(sandbox: Sandbox, entry: Entry): Promise<void> {
    try {
      await this.#make(sandbox, entry);
      entry.error = null;
    } catch (error) {
      if (codeOf(error) === "vm_stopped") throw error;
      const { code, message } =
        error instanceof AgentVmError ? error : { code: "internal_error", message: "" };
      // A client does not see the operator's paths.
      entry.error = entry.isOption || message === "" ? `The mount could not be made (${code})` : message;
      this.#deps.onFailure(error);
      const cover = { path: entry.mount.path, readOnly: true, source: COVER };
      await sandbox.mounts?.mount(cover).catch(this.#deps.onFailure);
    }
  }

  async #make(sandbox: Sandbox, entry: Entry): Promise<void> {
    const { options, dataFolder } = this.#deps;
    const mounts = capabilityOf(sandbox, "mounts", "mountFs");
    const { request, release } = planMount(entry.mount, { ...options, dataFolder }, entry.isOption);
    try {
      await makeDirectories(sandbox.files, request.path);
      await mounts.mount(request);
    } catch (error) {
      release();
      throw error;
    }
    entry.release = release;
  }

  async #assertRoom(mount: MountOptions): Promise<void> {
    const { path } = mount;
    const { runtime } = this.#deps;
    const limits = this.#deps.limits();
    if (this.#table.has(path)) throw posixError("EEXIST", { syscall: "mount", path });
    if (this.#inside(path) !== undefined) throw posixError("EBUSY", { syscall: "mount", path });
    if (this.#table.size >= MAX_MOUNTS)
      throw limitExceeded({ MAX_MOUNTS }, "Mount limit of the VM reached", "Unmount one first.");
    assertMemory(
      [...this.#table.values(), { mount }].map((entry) => entry.mount),
      { ...limits, ...(await runtime.enforced(limits)) },
    );
  }

  /** Returns a mount that lies inside a path. */
  #inside(path: string): string | undefined {
    return [...this.#table.keys()].find((other) => other !== path && isWithin(other, path));
  }

  #stored(): MountOptions[] {
    return [...this.#table.values()].filter(({ isOption }) => !isOption).map(({ mount }) => mount);
  }

  async #loadRecord(): Promise<void> {
    const [bytes] = await this.#deps.store.get([MOUNTS_KEY]);
    const { mounts = [] } = recordSchema.safeParse(bytes && tryDecodeJson(bytes)).data ?? {};
    for (const mount of this.#deps.options.mounts)
      this.#table.set(mount.path, { mount, isOption: true, error: null });
    for (const stored of mounts) {
      const { data } = mountSchema.safeParse(stored);
      // The operator's mount at the same path counts. An entry that is not valid any more is left out.
      if (data !== undefined && !this.#table.has(data.path))
        this.#table.set(data.path, { mount: data, isOption: false, error: null });
    }
  }
}

function release(entry: Entry): void {
  entry.release?.();
  entry.release = undefined;
}
