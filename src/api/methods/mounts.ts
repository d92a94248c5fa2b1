import { z } from "zod";
import { MAX_PATH_BYTES } from "../limits.ts";
import { fitsUtf8 } from "../size.ts";
import { bool, integer } from "../values.ts";
import { type CallsOf, methodsOf, takes } from "./method.ts";

const method = methodsOf("mounts");

/** A folder of the host, live in both directions. The server's options say which folders a VM may mount. */
export interface HostDirPlugin {
  /** Names the plugin. */
  id: "host_dir";
  /** Settings of the mount. */
  config: {
    /** Absolute path on the server's host. A link below the allowed folder is refused. */
    hostPath: string;
  };
}

/** A file system in memory, whose files end with the boot of the VM. */
export interface MemoryPlugin {
  /** Names the plugin. */
  id: "memory";
  /** Settings of the mount. */
  config?: {
    /** Size in bytes, at least 64 KiB. @default 64 MiB */
    sizeBytes?: number;
    /** Files, directories and links, at least 16. @default 16,384 */
    inodes?: number;
  };
}

/** A named folder of the server that outlives the VM, and that several VMs may mount at once. */
export interface VolumePlugin {
  /** Names the plugin. */
  id: "volume";
  /** Settings of the mount. */
  config: {
    /** Name of the volume: letters, digits, dots, dashes and underscores, at most 64. */
    name: string;
    /** `true`: no other VM may mount the volume meanwhile. @default false */
    exclusive?: boolean;
  };
}

/** A folder of the host as a base that stays as it is. The VM keeps its changes, which `diff` and `undo` know. */
export interface OverlayPlugin {
  /** Names the plugin. */
  id: "overlay";
  /** Settings of the mount. */
  config: {
    /** Absolute path on the server's host. */
    hostPath: string;
  };
}

/** A plugin and its settings. */
export type MountPlugin = HostDirPlugin | MemoryPlugin | VolumePlugin | OverlayPlugin;

/** A mount of a VM. */
export interface MountOptions {
  /** Absolute path in the VM. The directory is made if it is missing; the mount hides what is in it. */
  path: string;
  /** The plugin that makes the mount, and its settings. */
  plugin: MountPlugin;
  /** Whether the VM may only read. @default true for `host_dir`, false for the others */
  readOnly?: boolean;
}

/** A mount of a VM, as `listMounts` returns it. */
export interface MountInfo {
  /** Path in the VM. */
  path: string;
  /** Id of the plugin. */
  kind: MountPlugin["id"];
  /** Whether the VM may only read. */
  readOnly: boolean;
  /** Settings of a mount that `mountFs` made. A mount of the server's options does not show them. */
  config?: Record<string, unknown>;
  /** Why the last boot could not make the mount; `null` if it is there. The path is then empty and read-only. */
  error: string | null;
}

const shortPath = z
  .string({ error: "a path" })
  .refine((path) => fitsUtf8(path, MAX_PATH_BYTES) && !path.includes("\0"), {
    error: `a path of at most ${MAX_PATH_BYTES} bytes, without NUL`,
  });

/** Schema of the name of a volume. */
export const volumeName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, {
  error: "a name of letters, digits, dots, dashes and underscores, at most 64",
});

const atLeast = (minimum: number, unit: string) =>
  integer(minimum, Number.MAX_SAFE_INTEGER, `an integer of ${unit}, at least ${minimum}`).optional();

const onHost = z.strictObject({ hostPath: shortPath });

const plugin = z.discriminatedUnion(
  "id",
  [
    z.strictObject({ id: z.literal("host_dir"), config: onHost }),
    z.strictObject({
      id: z.literal("memory"),
      config: z
        .strictObject({ sizeBytes: atLeast(64 * 1024, "bytes"), inodes: atLeast(16, "inodes") })
        .optional(),
    }),
    z.strictObject({
      id: z.literal("volume"),
      config: z.strictObject({ name: volumeName, exclusive: bool.optional() }),
    }),
    z.strictObject({ id: z.literal("overlay"), config: onHost }),
  ],
  { error: "a plugin: host_dir, memory, volume or overlay" },
);

/** Schema of a mount. The runtime checks its path. */
export const mount: z.ZodType<MountOptions> = z.strictObject(
  { path: shortPath, plugin, readOnly: bool.optional() },
  { error: "a mount: { path, plugin: { id, config } }" },
);

/** Folders that a VM sees besides its own files. */
export const MOUNT_METHODS = {
  /**
   * Mounts a folder into the VM. Running programs see it when the call resolves. The mount is durable: it is made again with each
   * boot, before the first action.
   *
   * @param mount path in the VM, plugin and settings
   * @throws AgentVmError `mount_forbidden` for a folder or volume that the server's options do not allow; `mount_unavailable` if
   * the host cannot make the mount; `volume_in_use`; `limit_exceeded`; `EEXIST` if something is mounted there;
   * `ENOENT`, `ENOTDIR`, `ELOOP` or `EACCES` for a folder or a path that does not fit; `not_supported` in the memory runtime
   * @example
   * ```ts
   * await vm.mountFs({ path: "/mnt/data", plugin: { id: "host_dir", config: { hostPath: "/srv/data" } } });
   * await vm.mountFs({ path: "/mnt/scratch", plugin: { id: "memory", config: { sizeBytes: 16 * 1024 * 1024 } } });
   * ```
   */
  mountFs: method<(mount: MountOptions) => Promise<void>>()({
    right: "admin",
    input: takes(["mount", mount]),
    boots: true,
  }),
  /**
   * Takes a mount away, and forgets it. Never boots the VM. Programs that have files of it open keep them until they close them.
   *
   * @param path path of the mount in the VM
   * @throws AgentVmError `mount_not_found`; `EBUSY` if another mount lies inside; `invalid_argument` for a mount of the
   * server's options
   */
  unmountFs: method<(path: string) => Promise<void>>()({
    right: "admin",
    input: takes(["path", shortPath]),
  }),
  /** Returns all mounts of the VM, in the order in which they are made. Never boots the VM. */
  listMounts: method<() => Promise<MountInfo[]>>()({ right: "files", input: takes(), reads: true }),
};

export type MountMethods = CallsOf<typeof MOUNT_METHODS>;
