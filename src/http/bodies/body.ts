import type { IncomingMessage, ServerResponse } from "node:http";
import type { VmMethodName } from "../../api/methods/table.ts";
import type { VmMonitor } from "../../monitoring/monitor.ts";
import type { LiveVm } from "../../runtime/vm.ts";

/** The VM that serves a body. */
export interface BodyPlace {
  vm: Pick<LiveVm, "bodies" | "fetchStream" | "readTranscript">;
  monitor: Pick<VmMonitor, "log" | "called" | "traced">;
}

/** A request whose body, or whose answer's body, is bytes of a VM. */
export interface BodyRequest {
  request: IncomingMessage;
  query: URLSearchParams;
  /** Id of the transfer or of the session; empty for a request into the VM. */
  id: string;
}

/** Work that is about to begin. */
export interface BodyWork {
  /** Arguments, as the audit shows them. */
  args: readonly unknown[];
  /** @param signal aborts when the client is gone, or when its token ends */
  run(vm: BodyPlace["vm"], response: ServerResponse, signal: AbortSignal): Promise<void>;
}

export interface BodyKind {
  /** Method whose right the client needs, and under whose name the work is counted. */
  method: VmMethodName;
  /** Checks the request. @throws AgentVmError */
  prepare(body: BodyRequest): BodyWork;
}
