import process from "node:process";
import { endAll } from "../actors/awake-vms.ts";
import { drain } from "../actors/drain.ts";
import { DRAIN_TIMEOUT_MS, MAX_DRAIN_MS, SHUTDOWN_TIMEOUT_MS } from "../http/limits.ts";
import { onStopAsked } from "../http/operations.ts";
import { signalStop } from "../rivet/stop-signal.ts";

/**
 * Time between two looks at the process that has started the server, if npm has.
 * @unit ms
 */
const ORPHAN_CHECK_MS = 250;

/**
 * Makes SIGTERM, SIGINT and SIGHUP shut the server down. The server refuses new calls, waits for the calls that run, stores and ends
 * every VM, and exits 0, or 1 if files could not be stored. A second SIGTERM or SIGINT exits at once with 130. One SIGTERM with or after a SIGHUP or a `POST /drain` does not count.
 * RivetKit by itself ignores SIGTERM in production, and only stops listening in development. Behind a Rivet Engine the engine
 * gets every VM back before the server exits. Under `npx` and `npm run` the end of npm's shell counts as SIGTERM.
 *
 * @param options `drainMs`: longest wait for calls that run, in milliseconds. @default 5,000
 */
export function exitOnSignals(options: { drainMs?: number | undefined } = {}): void {
  const drainMs = Math.min(options.drainMs ?? DRAIN_TIMEOUT_MS, MAX_DRAIN_MS);
  let stopping = false;
  let asked = false;
  /** Whether one more SIGTERM belongs to a stop that was asked for: the process or the asker sends it. */
  let isForgiven = false;
  const stop = async (name: NodeJS.Signals): Promise<void> => {
    if (stopping && isForgiven && name === "SIGTERM") {
      isForgiven = false;
      return;
    }
    if (stopping) process.exit(130);
    stopping = true;
    setTimeout(() => process.exit(1), drainMs + SHUTDOWN_TIMEOUT_MS).unref();
    await drain(drainMs);
    const ended = await endAll("sleep");
    process.exit(ended.includes(false) ? 1 : 0);
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  const signal = () => {
    if (stopping || asked) return;
    asked = true;
    isForgiven = true;
    signalStop();
  };
  onStopAsked(signal);
  // The terminal of a server that was started by hand has gone. Its shell and the kernel both tell it, and RivetKit hears only SIGTERM.
  process.on("SIGHUP", signal);
  if (process.env.npm_command !== undefined) onOrphaned(signal);
}

/**
 * Calls a function when the process that has started this one is gone. npm hands its signals to a shell, which dies of
 * them without passing them on.
 */
function onOrphaned(orphaned: () => void): void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    orphaned();
  }, ORPHAN_CHECK_MS).unref();
}
