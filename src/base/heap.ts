import { setFlagsFromString } from "node:v8";
import { MIB } from "../api/units.ts";

/** Milliseconds without a start or an end before V8 is asked. A server that wakes VMs has other work. */
const QUIET_MS = 5_000;

/** Ends that are worth a collection. */
const MIN_ENDS = 20;

/** V8 begins a collection when 64 MB have been added outside its heap. */
const PRESSURE_BYTES = 96 * MIB;

let ends = 0;
let timer: NodeJS.Timeout | undefined;

/** Notes that something with much memory has begun. */
export function noteStart(): void {
  timer?.refresh();
}

/**
 * Notes that something with much memory has ended. When many have, V8 gives their memory back to the host.
 *
 * V8 13 looks for garbage while a program makes more, and a few minutes later. A server whose VMs have all fallen asleep since makes none,
 * and would keep what they had.
 *
 * @param left how many have not ended. While they are most, their memory is not worth the look
 */
export function noteEnd(left: number): void {
  ends += 1;
  if (ends < MIN_ENDS || ends < left) return;
  timer ??= setTimeout(shrinkHeap, QUIET_MS).unref();
  timer.refresh();
}

/** Makes V8 collect all garbage, largely beside the program, and give free pages back. `gc()` would hold the event loop throughout. */
function shrinkHeap(): void {
  ends = 0;
  timer = undefined;
  // V8 keeps free pages for itself unless this holds when a collection begins.
  setFlagsFromString("--optimize-for-size");
  try {
    // Nobody writes to this memory, so the host never has to give it.
    new ArrayBuffer(PRESSURE_BYTES).transfer(0);
  } catch {
    // The host has no address space for it.
  } finally {
    setFlagsFromString("--no-optimize-for-size");
  }
}
