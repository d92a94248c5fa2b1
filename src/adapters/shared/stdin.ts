import { setTimeout as delay } from "node:timers/promises";
import { AgentVmError } from "../../api/errors.ts";
import { MIB } from "../../api/units.ts";
import type { AdapterVm } from "./workplace.ts";

/** Bytes of stdin that one call carries. */
const PIECE_BYTES = MIB;

/** Milliseconds until stdin that does not fit is sent again. */
const RETRY_MS = 50;

/** A process that gets input. */
export interface Receiver {
  vm: Pick<AdapterVm, "writeProcessStdin">;
  pid: number;
  /** Start of the process. No other process at the pid gets the input. */
  startedAt: number;
  /** Returns `true` when no more input should be sent. @default never */
  isOver?(): boolean;
}

/** Writes to a process's stdin in pieces. Waits while the process reads slowly. */
export async function sendInput(
  { vm, pid, startedAt, isOver = () => false }: Receiver,
  data: Uint8Array,
): Promise<void> {
  for (let at = 0; at < data.byteLength; at += PIECE_BYTES) {
    const piece = data.subarray(at, at + PIECE_BYTES);
    while (!(await isTaken(vm.writeProcessStdin(pid, piece, { startedAt }), isOver))) await delay(RETRY_MS);
  }
}

/** @returns `false` if the piece does not fit yet */
async function isTaken(writing: Promise<unknown>, isOver: () => boolean): Promise<boolean> {
  try {
    await writing;
    return true;
  } catch (error) {
    const isFull = error instanceof AgentVmError && error.code === "limit_exceeded";
    if (!isFull || isOver()) throw error;
    return false;
  }
}
