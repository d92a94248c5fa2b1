import { z } from "zod";
import { MAX_KEY_BYTES, MAX_KEY_PARTS, MAX_LISTED_LABELS, MAX_LISTED_VMS } from "./limits.ts";
import { type Labels, labels, type VmState } from "./methods/machine.ts";
import { type Input, takes } from "./methods/method.ts";
import { fitsUtf8 } from "./size.ts";

/** Options of `client.vm.list()`. */
export interface VmListOptions {
  /**
   * Only VMs whose key begins with these parts: `["team"]` finds `["team"]` and `["team", "alice"]`, and not `["team-2"]`. A
   * string stands for one part. @default every VM
   */
  prefix?: string | string[];
  /** Only VMs that have all of these labels with these values, at most 8. @default every VM */
  labels?: Labels;
  /** Only VMs in this state. @default every state */
  state?: VmState;
  /** Whether each entry of an awake VM has `use`. @default false */
  use?: boolean;
  /** Largest number of VMs in the answer, 1 to 1,000. @default 100 */
  limit?: number;
  /** `cursor` of the previous page. @default the first page */
  cursor?: string;
}

/** Resources that an awake VM uses now. */
export interface VmListUse {
  /** Bytes of memory; `null` if nobody counts them. */
  memoryBytes: number | null;
  /** CPU milliseconds since the boot; `null` if nobody counts them. */
  cpuMs: number | null;
  /** Bytes of its files; `null` if they are not known. */
  diskBytes: number | null;
  /** Number of sessions whose agent answers a prompt. */
  promptsRunning: number;
}

/** A VM in a list. */
export interface VmListEntry {
  /** Key of the VM. */
  key: string[];
  /** Id of the VM's actor, for `client.vm.getForId()`. */
  actorId: string;
  /** `awake`, `booting` or `sleeping`. Behind a Rivet Engine also `sleeping` if the VM is awake and its server does not answer. */
  state: VmState;
  /** Time of the VM's creation, in milliseconds since the Unix epoch. */
  createdAt: number;
  /**
   * Time of the last call or preview visit, in milliseconds since the Unix epoch. Behind a Rivet Engine, for a VM with the state
   * `sleeping`: time at which it fell asleep; if its server does not answer, time at which it woke.
   */
  lastUsedAt: number;
  /** Bytes that the VM takes in the server's data folder. Behind a Rivet Engine: bytes of its files when they were last measured. */
  storedBytes: number;
  /** Number of processes; 0 while the VM sleeps. */
  processes: number;
  /** Labels that `setLabels` has set. */
  labels: Labels;
  /** Resources that the VM uses, with the option `use`. Absent while the VM does not run. */
  use?: VmListUse;
}

/** A page of VMs, in the order of their keys. */
export interface VmPage {
  /** The VMs. */
  vms: VmListEntry[];
  /** Pass it as `cursor` for the next page; `null` on the last page. */
  cursor: string | null;
}

const MAX_CURSOR_LENGTH = 8 * MAX_KEY_BYTES;

const vmListOptions = z.strictObject({
  prefix: z
    .union([z.string(), z.array(z.string()).max(MAX_KEY_PARTS)], {
      error: `a string, or an array of at most ${MAX_KEY_PARTS} strings`,
    })
    .refine((prefix) => fitsUtf8([prefix].flat().join("/"), MAX_KEY_BYTES), {
      error: `a prefix of at most ${MAX_KEY_BYTES} bytes`,
    })
    .optional(),
  labels: labels
    .refine((given) => Object.keys(given).length <= MAX_LISTED_LABELS, {
      error: `at most ${MAX_LISTED_LABELS} labels`,
    })
    .optional(),
  state: z.enum(["awake", "booting", "sleeping"], { error: '"awake", "booting" or "sleeping"' }).optional(),
  use: z.boolean({ error: "true or false" }).default(false),
  limit: z
    .int({ error: `an integer from 1 to ${MAX_LISTED_VMS}` })
    .min(1, { error: `an integer from 1 to ${MAX_LISTED_VMS}` })
    .max(MAX_LISTED_VMS, { error: `an integer from 1 to ${MAX_LISTED_VMS}` })
    .default(100),
  cursor: z
    .string({ error: "a string" })
    .max(MAX_CURSOR_LENGTH, { error: "the cursor of a page" })
    .optional(),
});

/** Checked options of `client.vm.list()`. */
export type VmQuery = z.output<typeof vmListOptions>;

/** The arguments of `client.vm.list()`. */
export const VM_LIST_INPUT: Input<[VmQuery]> = takes(["options", vmListOptions]);
