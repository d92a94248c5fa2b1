import { setTimeout as delay } from "node:timers/promises";
import { AgentVmError } from "../../api/errors.ts";
import type { VmFetchResponse, VmPort, WaitForPortOptions } from "../../api/methods/network.ts";
import { PORT_WAIT_MS } from "./limits.ts";

/** Delay between two checks of a port. It doubles from the first to the longest. */
const FIRST_DELAY_MS = 5;
const LONGEST_DELAY_MS = 250;

interface Readiness {
  listening(): Promise<VmPort[]>;
  get(port: number, path: string, timeoutMs: number): Promise<VmFetchResponse>;
  /** Aborts the wait. */
  signal: AbortSignal;
}

/** Resolves when a port listens and, if `path` is given, answers it with the expected status (default 200 to 399). */
export async function waitForPort(
  port: number,
  { timeoutMs = PORT_WAIT_MS, path, status }: WaitForPortOptions,
  { listening, get, signal }: Readiness,
): Promise<void> {
  const end = performance.now() + timeoutMs;
  let last = "nothing listens there";
  for (let wait = FIRST_DELAY_MS; ; wait = Math.min(wait * 2, LONGEST_DELAY_MS)) {
    const left = () => Math.max(1, Math.ceil(end - performance.now()));
    if (signal.aborted) throw aborted(signal, port);
    if ((await listening()).some((entry) => entry.port === port)) {
      if (path === undefined) return;
      try {
        const response = await get(port, path, left());
        if (
          status === undefined ? response.status >= 200 && response.status < 400 : response.status === status
        ) {
          return;
        }
        last = `${path} was answered with ${response.status}`;
      } catch (error) {
        if (signal.aborted) throw aborted(signal, port);
        // The last request may have too little time left, so an earlier status says more than its error.
        if (!last.startsWith(path)) last = (error as Error).message;
      }
    }
    if (performance.now() >= end) {
      throw new AgentVmError("port_timeout", `Port ${port} was not ready within ${timeoutMs} ms: ${last}`, {
        port,
        timeoutMs,
      });
    }
    await delay(Math.min(wait, left()), undefined, { signal }).catch(() => {
      throw aborted(signal, port);
    });
  }
}

/** Returns the error of an aborted wait: the VM stopped, or the caller aborted. */
function aborted({ reason }: AbortSignal, port: number): Error {
  if (reason instanceof AgentVmError) return reason;
  return new AgentVmError("wait_aborted", `The wait for port ${port} was cancelled`, { port });
}
