import process from "node:process";

/**
 * Sends this process SIGTERM.
 *
 * For RivetKit 2.2, which tells a Rivet Engine on the signal, and by nothing else, that this process stops.
 */
export function signalStop(): void {
  process.kill(process.pid, "SIGTERM");
}
