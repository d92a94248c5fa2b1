import { z } from "zod";
import { PERMISSION_TIMEOUT_MS } from "../api/limits.ts";
import { networkSchema } from "../api/network-policy.ts";
import { timezone } from "../api/values.ts";
import { absolutePath, envSchema, mountTarget } from "./option-values.ts";
import { agentsSchema } from "./sessions/agents/options.ts";
import { rootSnapshotSchema } from "./tar/snapshot.ts";

const MIB = 1024 * 1024;

const positive = z.int().positive();

export const limitsSchema = z.strictObject({
  /** Bytes of the VM's file tree; writes past it are ENOSPC. */
  filesystemBytes: positive.min(MIB).default(1024 * MIB),
  /** Files, directories and links of the VM's tree; more are ENOSPC. */
  inodes: positive.min(1000).default(200_000),
  /**
   * Processes and threads; a fork past it is EAGAIN. The API can start 16 more, which is the way in when a VM's own
   * processes have reached it.
   */
  processes: positive.min(16).default(512),
  /** Open descriptors of one process; more are EMFILE. */
  openFiles: positive.min(64).default(4096),
  /**
   * Memory of all processes and of the files that they write, in bytes, where the server may create cgroups; past it
   * the kernel kills a process of the VM. The banner says whether it is enforced. Files that are written through the
   * API count as the server's under root; `filesystemBytes` bounds them.
   */
  memoryBytes: positive.min(16 * MIB).default(2048 * MIB),
  /** Captured output of one exec, stdout and stderr together, in bytes. */
  captureBytes: positive.max(24 * MIB).default(16 * MIB),
});

const mountSchema = z.strictObject({
  /** A file or directory of the host. */
  hostPath: absolutePath,
  /** Where it appears in the VM, read-only. */
  path: mountTarget,
});

const softwareSchema = z
  .custom<string | z.input<typeof mountSchema>>()
  .transform((mount) => (typeof mount === "string" ? { hostPath: mount, path: mount } : mount))
  .pipe(mountSchema);

export const vmOptionsSchema = z.strictObject({
  /** What a VM runs in: the kernel sandbox, or a file tree in memory without processes. */
  runtime: z.enum(["kernel", "memory"]).default("kernel"),
  /** Variables of every command, merged over the base environment; a call's own `env` comes last. */
  env: envSchema.default({}),
  /** Working directory of a command that names none. */
  defaultCwd: absolutePath.default("/home/agentos"),
  limits: limitsSchema.prefault({}),
  /** Host files and directories that every VM sees read-only, besides /usr. */
  software: z.array(softwareSchema).max(64).default([]),
  /** Coding agents for sessions: where built-in ones are installed, and ones of your own; see docs/agents.md. */
  agents: agentsSchema.default({}),
  /**
   * What every new VM starts from: a snapshot of snapshotRootFilesystem, or the absolute path of a tar archive on the
   * host, packed with gzip or not. It is laid over the tree that a VM has anyway.
   */
  rootFilesystem: z
    .union([absolutePath, rootSnapshotSchema], {
      error:
        "must be a snapshot of snapshotRootFilesystem, or the absolute path of a tar archive on the host",
    })
    .optional(),
  checkpoint: z
    .strictObject({
      /** Milliseconds between checkpoints while something runs; what a crash of the server can cost. */
      intervalMs: z.int().min(100).max(2_147_483_647).default(10_000),
    })
    .prefault({}),
  persistence: z
    .strictObject({
      /** Globs of absolute paths that are not kept, besides /tmp, /run, /proc, /dev and /sys. */
      exclude: z.array(z.string().min(1).max(4095)).max(64).default([]),
    })
    .prefault({}),
  /** Of jobs that run by the clock. */
  cron: z
    .strictObject({
      /** IANA name of the time zone of jobs that name none. */
      timezone: timezone.default("UTC"),
    })
    .prefault({}),
  sessions: z
    .strictObject({
      /** Milliseconds after which an agent's request for permission is rejected. */
      permissionTimeoutMs: z.int().min(1).max(2_147_483_647).default(PERMISSION_TIMEOUT_MS),
    })
    .prefault({}),
  /** What processes reach outside the VM; see docs/networking.md. */
  network: networkSchema.prefault({}),
  /** Milliseconds that an idle VM stays awake: no process, no shell, no connection, no call. */
  sleepTimeoutMs: z.int().positive().max(2_147_483_647).default(60_000),
});

/** What `vmActor()` takes. */
export type VmOptionsInput = z.input<typeof vmOptionsSchema>;

/** The same with every default filled in. */
export type VmOptions = z.output<typeof vmOptionsSchema>;

export type VmLimits = VmOptions["limits"];
export type SoftwareMount = VmOptions["software"][number];
