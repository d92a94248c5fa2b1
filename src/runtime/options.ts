import { z } from "zod";
import { MAX_ARGUMENT_BYTES } from "../api/limits.ts";
import { networkSchema } from "../api/network-policy.ts";
import { fitsVariable, timezone } from "../api/values.ts";

const MIB = 1024 * 1024;

const absolutePath = z
  .string()
  .max(4095)
  .regex(/^\/[^\0]*$/, "must be an absolute path")
  .refine((path) => !/\/\.{0,2}(\/|$)/.test(path.slice(0, path.length > 1 ? undefined : 0)), {
    message: "must be normalized",
  });

/** Environment variables: names without `=` and NUL, values without NUL. */
const envSchema = z
  .record(
    z.string().regex(/^[^=\0]+$/, "must have names without = and NUL"),
    z.string().regex(/^[^\0]*$/, "must not contain NUL"),
  )
  .refine((variables) => Object.entries(variables).every(fitsVariable), {
    message: `a variable has at most ${MAX_ARGUMENT_BYTES} bytes, name and value together`,
  });

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

/** Places that a VM makes itself: nothing can be laid over them or into them. */
const CLOSED_TARGETS = [
  "/proc",
  "/sys",
  "/dev",
  "/run",
  "/usr",
  "/opt/agentos",
  "/bin",
  "/sbin",
  "/lib",
  "/lib32",
  "/lib64",
  "/libx32",
  "/var/run",
  "/var/lock",
  "/home/user",
];

/** Folders of a VM's own: they take mounts inside, but none may hide them. */
const OWN_FOLDERS = [
  "/",
  "/etc",
  "/home",
  "/home/agentos",
  "/workspace",
  "/tmp",
  "/var",
  "/var/tmp",
  "/opt",
  "/root",
];

const softwareTarget = absolutePath
  .refine((path) => !CLOSED_TARGETS.some((taken) => path === taken || path.startsWith(`${taken}/`)), {
    message: `must not be at or below ${CLOSED_TARGETS.join(", ")}`,
  })
  .refine((path) => !OWN_FOLDERS.includes(path), {
    message: `must not hide one of the VM's own folders ${OWN_FOLDERS.join(", ")}`,
  });

const mountSchema = z.strictObject({
  /** A file or directory of the host. */
  hostPath: absolutePath,
  /** Where it appears in the VM, read-only. */
  path: softwareTarget,
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
