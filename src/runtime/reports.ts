import type { ExitReason } from "../api/methods/process-types.ts";
import type { EndReason } from "./room.ts";

/**
 * Something that has happened in a VM, for the log and the metrics of its server. A report carries no argument, path, file
 * content, environment value or token.
 */
export type VmReport =
  /** The sandbox is up, with its files. */
  | { kind: "booted"; ms: number }
  | { kind: "bootFailed"; ms: number; error: unknown }
  /** The sandbox is down. `ms` is the time that its end took. */
  | { kind: "down"; reason: EndReason; ms: number; awakeMs: number }
  /** A command of `exec`, `spawn` or `run` has ended. */
  | { kind: "commandEnded"; ms: number; reason: ExitReason }
  /** The kernel has killed processes because the VM is at its memory limit. */
  | { kind: "outOfMemory"; kills: number }
  | { kind: "checkpoint"; ms: number; files: number; bytes: number }
  /** An operation of the VM's storage took longer than SLOW_STORAGE_MS. */
  | { kind: "slowStorage"; ms: number }
  /** The outbound policy has denied a connection. */
  | { kind: "denied" }
  /** A connection through the outbound proxy has ended. */
  | { kind: "traffic"; bytesOut: number; bytesIn: number };

/** Receives the reports of a VM. Must not throw. */
export type Report = (report: VmReport) => void;
