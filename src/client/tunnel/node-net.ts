import type * as Net from "node:net";
import { AgentVmError } from "../../api/errors.ts";

/** Returns Node's module for sockets. @throws AgentVmError `not_supported` in a browser */
export function nodeNet(what: string): typeof Net {
  const { process } = globalThis as { process?: { getBuiltinModule?(name: string): unknown } };
  const net = process?.getBuiltinModule?.("node:net") as typeof Net | undefined;
  if (net !== undefined) return net;
  throw new AgentVmError("not_supported", `${what} needs sockets, which a browser does not have`, {
    hint: "Use Node 20.16 or newer. In a page, vmWebSocket() opens a WebSocket to a server inside.",
  });
}
