import { z } from "zod";
import { PERMISSION_TIMEOUT_MS } from "../api/limits.ts";
import { service } from "../api/methods/services.ts";
import { networkSchema } from "../api/network-policy.ts";
import { MIB } from "../api/units.ts";
import { timezone } from "../api/values.ts";
import { bindingsSchema, hostFunctionsSchema } from "./host-functions/options.ts";
import { hostFoldersSchema, mountsSchema, volumesSchema } from "./mounts/options.ts";
import { absolutePath, envSchema, mountTarget } from "./option-values.ts";
import { FILTERED_CALLS } from "./sandbox/system-calls.ts";
import { MAX_SERVICES } from "./services/limits.ts";
import { unmetNeed } from "./services/order.ts";
import { agentsSchema } from "./sessions/agents/options.ts";
import { rootSnapshotSchema } from "./tar/snapshot.ts";

const positive = z.int().positive();

const limitsSchema = z.strictObject({
  /**
   * Size of the VM's file tree. If `limits.memoryBytes` is enforced, files and memory mounts together leave an eighth of it to programs,
   * at least 64 MiB, but not more than half of it.
   * @unit bytes
   * @past A write fails, in the VM and through the API. The API never writes half of a file.
   * @code ENOSPC
   */
  filesystemBytes: positive.min(MIB).default(1024 * MIB),
  /**
   * Files, directories and links of the VM's file tree.
   * @unit entries
   * @past Creating another entry fails, in the VM and through the API.
   * @code ENOSPC
   */
  inodes: positive.min(1000).default(200_000),
  /**
   * Processes and threads of the VM. Its init and its spawner count.
   * @unit processes
   * @past `fork` in the VM fails with EAGAIN. The API can start 16 more, then `exec`, `spawn` and `openShell` throw.
   * @code EAGAIN
   */
  processes: positive.min(16).default(512),
  /**
   * Open descriptors of one process. The server's own hard limit bounds it.
   * @unit descriptors
   * @past `open` in the VM fails with EMFILE.
   */
  openFiles: positive.min(64).default(4096),
  /**
   * Memory of all processes and of the files that they write, if the server may create cgroups. Its banner says whether the
   * limit is enforced. Files that are written through the API count as the server's under root.
   * @unit bytes
   * @past The kernel kills a process of the VM. Its `reason` is `oom`.
   */
  memoryBytes: positive.min(16 * MIB).default(2048 * MIB),
  /**
   * CPUs that all processes of the VM may use together, if the server may create cgroups. Fractions are allowed. Without it
   * each VM has an equal share of the CPUs, and what others leave.
   * @unit CPUs
   * @past The kernel pauses the VM's processes until the next period of 100 ms.
   */
  cpus: z.number().min(0.01).max(4096).optional(),
  /**
   * Captured output of one `exec`, stdout and stderr together.
   * @unit bytes
   * @past Further output is dropped and `truncated` is `true`. With `outputLimit: "kill"` the server kills the command.
   */
  captureBytes: positive.max(24 * MIB).default(16 * MIB),
});

/** Limits without defaults: chosen limits of one VM, or their maxima. */
export const chosenLimitsSchema = z.strictObject(
  Object.fromEntries(
    Object.entries(limitsSchema.shape).map(([name, schema]) => [
      name,
      (schema instanceof z.ZodDefault ? schema.unwrap() : schema).optional(),
    ]),
  ) as unknown as { [Name in keyof typeof limitsSchema.shape]: z.ZodOptional<z.ZodNumber> },
);

export type ChosenLimits = z.output<typeof chosenLimitsSchema>;

const mountSchema = z.strictObject({
  /** A file or directory of the host. */
  hostPath: absolutePath,
  /** Absolute path in the VM, read-only. */
  path: mountTarget,
});

const softwareSchema = z
  .custom<string | z.input<typeof mountSchema>>(
    (mount) => typeof mount === "string" || typeof Object(mount).hostPath === "string",
    "must be a path of the host, or { hostPath, path }. VMs have the host's programs, not packages of agentOS",
  )
  .transform((mount) => (typeof mount === "string" ? { hostPath: mount, path: mount } : mount))
  .pipe(mountSchema);

export const vmOptionsSchema = z.strictObject({
  /** `kernel`: the kernel sandbox. `memory`: a file tree in the server's memory, without processes. */
  runtime: z.enum(["kernel", "memory"]).default("kernel"),
  /** Variables of every command, over the base environment and under a call's own `env`. */
  env: envSchema.default({}),
  /** Working directory of a command without `cwd`. */
  defaultCwd: absolutePath.default("/home/agentos"),
  /** IANA time zone of the VMs: `TZ` of every command, and `/etc/localtime`. Cron jobs have their own. */
  timezone: timezone.optional(),
  /** Limits of each VM: files, processes, memory and captured output. docs/limits.md lists them. */
  limits: limitsSchema.prefault({}),
  /**
   * System calls that programs of the VM may make: all but the list in docs/security.md, with
   * `"none"` all, with `allow` those of the list too. Linux's own checks stay.
   */
  seccomp: z
    .union(
      [
        z.enum(["default", "none"]),
        z.strictObject({
          /** Names of refused system calls that programs of a VM may make after all. At most 128. */
          allow: z.array(z.enum(FILTERED_CALLS)).max(128),
        }),
      ],
      {
        error: 'must be "default", "none" or { allow: [...] } with names of refused system calls',
      },
    )
    .default("default"),
  /** Host files and directories that every VM sees read-only, besides /usr. */
  software: z.array(softwareSchema).max(64).default([]),
  /** Mounts of every VM: folders of the host, memory, volumes and overlays. See docs/mounts.md. */
  mounts: mountsSchema.default([]),
  /** Folders of the host that a client may mount into its VM with `mountFs`. See docs/mounts.md. */
  hostFolders: hostFoldersSchema.default([]),
  /** Volumes that a client may mount into its VM with `mountFs`. See docs/mounts.md. */
  volumes: volumesSchema.default([]),
  /** VMs that are booted ahead, so that a new VM or a VM that wakes need not boot. See docs/machines.md. */
  pool: z
    .strictObject({
      /** VMs that wait. `0` boots each VM when it is needed. Only VMs with the `limits` of this actor come from the pool. */
      size: z.int().min(0).max(64).default(2),
    })
    .prefault({}),
  /** Coding agents for sessions: folders of built-in agents, and your own agents. See docs/agents.md. */
  agents: agentsSchema.default({}),
  /** Functions of the server that programs of the VMs call as `agentos-GROUP NAME`, by group and name. See docs/host-functions.md. */
  hostFunctions: hostFunctionsSchema.default({}),
  /** Host functions in the array form of agentOS. Their groups join those of `hostFunctions`. */
  bindings: bindingsSchema.default([]),
  /**
   * First files of every new VM, over the base tree: a snapshot of snapshotRootFilesystem, or the absolute path of a tar
   * archive on the host, plain or gzip.
   */
  rootFilesystem: z
    .union([absolutePath, rootSnapshotSchema], {
      error:
        "must be a snapshot of snapshotRootFilesystem, or the absolute path of a tar archive on the host",
    })
    .optional(),
  /** Options that the creator of a VM may choose for it, see docs/machines.md. Labels are always allowed. */
  perVm: z
    .strictObject({
      /** Largest value of each limit that a VM may choose. A limit that is left out cannot be chosen. */
      limits: chosenLimitsSchema.default({}),
      /** Whether a VM may have variables of its own. */
      env: z.boolean().default(false),
      /** Whether a VM may choose the outbound policy that it begins with. */
      network: z.boolean().default(false),
      /** First files that a VM may choose by name: a snapshot, or the absolute path of a tar archive on the host. */
      rootFilesystems: z
        .record(z.string().min(1).max(256), z.union([absolutePath, rootSnapshotSchema]))
        .default({}),
      /** Longest `destroyAfterMs` that a VM may choose. */
      destroyAfterMs: z.int().positive().optional(),
    })
    .prefault({}),
  /** Milliseconds of sleep after which the server destroys a VM with everything kept of it. */
  destroyAfterMs: z.int().positive().optional(),
  /** How often files are stored. */
  checkpoint: z
    .strictObject({
      /** Milliseconds between checkpoints while a process runs. A crash of the server can lose this much. */
      intervalMs: z.int().min(100).max(2_147_483_647).default(10_000),
    })
    .prefault({}),
  /**
   * Programs that the server keeps running in every VM: they start with each boot, in the order of their needs. At most 32.
   * See docs/services.md.
   */
  services: z
    .array(service)
    .max(MAX_SERVICES)
    .superRefine((services, context) => {
      const message = unmetNeed(services);
      if (message !== undefined) context.addIssue({ code: "custom", message });
    })
    .default([]),
  /** Which files are stored. */
  persistence: z
    .strictObject({
      /** Globs of absolute paths that are not stored, besides /tmp, /run, /proc, /dev and /sys. */
      exclude: z.array(z.string().min(1).max(4095)).max(64).default([]),
    })
    .prefault({}),
  /** Defaults of cron jobs. */
  cron: z
    .strictObject({
      /** IANA time zone of cron jobs without `timezone`. */
      timezone: timezone.default("UTC"),
    })
    .prefault({}),
  /** Rules of agent sessions. */
  sessions: z
    .strictObject({
      /** Milliseconds after which the server rejects an unanswered permission request. */
      permissionTimeoutMs: z.int().min(1).max(2_147_483_647).default(PERMISSION_TIMEOUT_MS),
    })
    .prefault({}),
  /** Outbound policy: hosts that programs of the VM may reach. See docs/networking.md. */
  network: networkSchema.prefault({}),
  /** Milliseconds that a hook of the server may take, such as `onVmStart`. `onVmStop` has at most 10,000. */
  hookTimeoutMs: z.int().min(1).max(2_147_483_647).default(30_000),
  /** Milliseconds that a VM stays awake without a process, shell, connection or call. */
  sleepTimeoutMs: z.int().positive().max(2_147_483_647).default(60_000),
});

/** Options of `vmActor()`. */
export type VmOptionsInput = z.input<typeof vmOptionsSchema>;

/** Options of `vmActor()` with every default filled in. */
export type VmOptions = z.output<typeof vmOptionsSchema>;

/** Limits of each VM with every default filled in. docs/limits.md lists them. */
export type VmLimits = VmOptions["limits"];
