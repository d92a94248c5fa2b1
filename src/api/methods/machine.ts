import { z } from "zod";
import type { LoggedEventName } from "../events.ts";
import { MAX_LABEL_BYTES, MAX_LABELS } from "../limits.ts";
import { fitsUtf8 } from "../size.ts";
import { offset, options } from "../values.ts";
import type { OwnLimits } from "../vm-input.ts";
import { type CallsOf, methodsOf, takes } from "./method.ts";
import type { OutboundPolicy } from "./network.ts";

const method = methodsOf("machine");
const actorMethod = methodsOf("actor");

/** State of a VM. `sleeping`: it has no processes, and its files are stored. The next action that needs it boots it. */
export type VmState = "awake" | "booting" | "sleeping";

/** Labels of a VM, by name. */
export type Labels = Record<string, string>;

/** A resource of a VM: how much is used, and its limit. */
export interface ResourceUse {
  /** Amount in use: bytes, or a number of processes. `null` if it is not known. */
  used: number | null;
  /** Limit: bytes, or a number of processes. `null` without a limit. */
  limit: number | null;
}

/** State of a VM, and what it uses. */
export interface VmStatus {
  /** `awake`, `booting` or `sleeping`. */
  state: VmState;
  /** Number of boots of the VM so far. Processes, shells and listening ports belong to one generation. */
  generation: number;
  /** Time of the last boot, in milliseconds since the Unix epoch; `null` while the VM sleeps. */
  bootedAt: number | null;
  /** Milliseconds since the last boot; 0 while the VM sleeps. */
  uptimeMs: number;
  /** Labels that `setLabels` has set. */
  labels: Labels;
  /** Options that the creator of the VM has chosen for it. */
  own: {
    /** Limits of this VM alone. The other fields of the status have the limits in effect. */
    limits: OwnLimits;
    /** Names of its variables. */
    env: string[];
    /** Outbound policy that it began with; `null` for the server's. `getNetworkPolicy` returns the policy in effect. */
    outbound: OutboundPolicy | null;
    /** Name of its first files; `null` for the server's. */
    rootFilesystem: string | null;
    /** Milliseconds of sleep after which the server destroys it; `null` for the server's option. */
    destroyAfterMs: number | null;
  };
  /** Processes and threads, with the VM's own init. The limit is `limits.processes`. */
  processes: ResourceUse;
  /** Bytes of memory: with cgroups of processes and files in memory, else of processes. The limit is `limits.memoryBytes`. */
  memory: ResourceUse & {
    /** Whether the kernel enforces the limit: `false` if the server may not create cgroups. */
    enforced: boolean;
  };
  /** CPU milliseconds since the boot, and `limits.cpus`. */
  cpu: {
    /** CPU milliseconds of all processes since the boot; `null` if nobody counts them. */
    used: number | null;
    /** CPU milliseconds have no limit. */
    limit: null;
    /** CPUs that the VM may use at once; `null` without a limit. */
    cpus: number | null;
  };
  /** Bytes of the VM's files. While the VM sleeps, of the last checkpoint. The limit is `limits.filesystemBytes`, or less if the files would leave too little of `limits.memoryBytes` to programs. */
  disk: ResourceUse;
  /** Files, directories and links. While the VM sleeps, of the last checkpoint. The limit is `limits.inodes`. */
  files: ResourceUse;
  /** Number of open sessions. */
  sessions: number;
  /** Number of running shells. */
  shells: number;
}

/** Resources that a VM has used in a time. */
export interface UsedResources {
  /** Milliseconds that the VM was awake. */
  awakeMs: number;
  /** CPU milliseconds of its processes. */
  cpuMs: number;
  /** Bytes that its programs sent outside, through the server's proxy. */
  bytesOut: number;
  /** Bytes that its programs received from outside, through the server's proxy. */
  bytesIn: number;
}

/** Resources that a VM has used since its creation. */
export interface VmUsage extends UsedResources {
  /** The last 168 hours in which the VM was awake, oldest first. */
  hours: (UsedResources & {
    /** Start of the hour, in milliseconds since the Unix epoch. */
    at: number;
    /** Bytes of its files at the last measurement of the hour; `null` if they were not measured. */
    diskBytes: number | null;
  })[];
}

/** An event of a VM in the server's log. */
export interface EventLogEntry {
  /**
   * Number of the event, for `after`. A later event has a larger number, also after a restart of the server, and on another
   * server if its clock is not behind.
   */
  number: number;
  /** Time of the event, in milliseconds since the Unix epoch. */
  at: number;
  /** Name of the event. */
  name: LoggedEventName;
  /** Payload as JSON, cut after 2,000 characters. */
  text: string;
}

/** Options of `getEventLog`. */
export interface EventLogOptions {
  /** Number of the last event that the caller has. @default 0, every event */
  after?: number;
}

const label = z.string({ error: "a string" }).refine((text) => fitsUtf8(text, MAX_LABEL_BYTES), {
  error: `at most ${MAX_LABEL_BYTES} bytes`,
});

/** Schema of labels. */
export const labels: z.ZodType<Labels> = z
  .record(label.min(1, { error: "a name" }), label, { error: "an object of strings" })
  .refine((given) => Object.keys(given).length <= MAX_LABELS, { error: `at most ${MAX_LABELS} labels` });

const amount = z.number({ error: "a number" });

const ownLimits = options({
  filesystemBytes: amount.optional(),
  inodes: amount.optional(),
  processes: amount.optional(),
  openFiles: amount.optional(),
  memoryBytes: amount.optional(),
  cpus: amount.optional(),
  captureBytes: amount.optional(),
});

/** The life of a VM. */
export const MACHINE_METHODS = {
  /**
   * Returns the state of the VM, and what it uses of its limits. Never boots the VM.
   *
   * @throws AgentVmError `storage_failed`
   */
  status: method<() => Promise<VmStatus>>()({ right: "any", input: takes(), reads: true, looks: true }),
  /**
   * Returns the resources that the VM has used since its creation, and in each of the last hours in which it was awake.
   * Never boots the VM. The server measures every minute and before the VM sleeps: a crash of the server loses a minute.
   *
   * @throws AgentVmError `storage_failed`
   */
  usage: method<() => Promise<VmUsage>>()({ right: "any", input: takes(), reads: true, looks: true }),
  /**
   * Ends every process of the VM and boots it again with the same files. Commands in flight end with the reason
   * `vm_stopped`; shells and agents end. Sessions, snapshots, cron jobs and previews stay.
   *
   * @throws AgentVmError `storage_failed`: the files could not be stored, and the VM goes on; `boot_failed`
   */
  restart: method<() => Promise<void>>()({ right: "admin", input: takes(), boots: true, long: true }),
  /**
   * Puts the VM to sleep now: stores its files and ends every process. The next action that needs the VM boots it again
   * with the same files. Does nothing if the VM sleeps already.
   *
   * @throws AgentVmError `storage_failed`: the files could not be stored, and the VM stays awake
   */
  sleep: method<() => Promise<void>>()({ right: "admin", input: takes(), long: true }),
  /**
   * Replaces the labels of the VM. They are durable, and `client.vm.list()` finds VMs by them.
   *
   * @param labels at most 32 labels; names and values of at most 256 bytes
   * @throws AgentVmError `storage_failed`
   */
  setLabels: actorMethod<(labels: Labels) => Promise<void>>()({
    right: "admin",
    input: takes(["labels", labels]),
  }),
  /**
   * Changes limits of the VM, up to the maxima of `vmActor({ perVm: { limits } })`. They are durable. `memoryBytes` and
   * `cpus` apply at once if the server may create cgroups; the other limits apply with the next boot, for example after
   * `restart()`. With cgroup version 1, memory below the amount in use applies with the next boot too.
   *
   * @param limits limits to change; others stay
   * @throws AgentVmError `invalid_argument` for a limit that the server does not let a VM choose, or above its maximum
   */
  setLimits: actorMethod<(limits: OwnLimits) => Promise<void>>()({
    right: "admin",
    input: takes(["limits", ownLimits]),
  }),
  /**
   * Returns late events of the VM that the caller's token may see, oldest first: boots, ends of processes, ports, denied
   * connections, cron jobs and the like, at most 500. The server keeps them in memory, also while the VM sleeps. Never boots the VM.
   *
   * @param options `after`: number of the last event that the caller has. @default every kept event
   * @throws AgentVmError `invalid_argument`
   */
  getEventLog: actorMethod<(options?: EventLogOptions) => Promise<EventLogEntry[]>>()({
    right: "any",
    input: takes(["options", options({ after: offset.optional() }).optional()]),
    reads: true,
    looks: true,
  }),
  /**
   * Deletes the VM: ends every process, and deletes files, snapshots, sessions, cron jobs, previews and the key. Its key is
   * free when the call resolves, and the next `getOrCreate` with the key makes a new VM. Connections to the VM end with
   * `vm_destroyed`.
   *
   * @example
   * ```ts
   * const vm = client.vm.getOrCreate("scratch");
   * await vm.exec("npm test");
   * await vm.destroy();
   * ```
   */
  destroy: actorMethod<() => Promise<void>>()({ right: "admin", input: takes() }),
};

/** The methods for the life of a VM that the VM answers itself. */
export type MachineMethods = Pick<CallsOf<typeof MACHINE_METHODS>, "status" | "usage" | "restart" | "sleep">;
