import { AgentVmError } from "../api/errors.ts";

let draining = false;
const listeners = new Set<() => void>();

/** Whether this process shuts down: it takes no new work, and ends when the work that runs has ended. */
export function isDraining(): boolean {
  return draining;
}

export function beginDraining(): void {
  draining = true;
  for (const listener of listeners) listener();
}

/** Calls a function when this process begins to shut down. */
export function onDraining(listener: () => void): void {
  listeners.add(listener);
}

/** @throws AgentVmError `server_stopping` if this process shuts down */
export function assertNotDraining(): void {
  if (draining) throw serverStopping();
}

/** @returns the error of a call that has not begun, and may be repeated */
export function serverStopping(): AgentVmError {
  return new AgentVmError("server_stopping", "The server shuts down and takes no new calls");
}
