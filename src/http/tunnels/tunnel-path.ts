import { parseJson } from "../../base/json.ts";

/** A WebSocket that leads into a VM, by its path. */
export type TunnelTarget =
  | { kind: "tunnel"; actorId: string }
  /** A WebSocket to a server inside. `path` is for that server, byte for byte. */
  | { kind: "socket"; actorId: string; port: number; path: string };

const TUNNEL = /^\/gateway\/([\w-]{1,64})(?:@[^/?#]*)?\/(?:tunnel|port\/([1-9]\d{0,4})(\/.*))$/;

const PARAMS = "rivet_conn_params.";

/** @returns `undefined` for any other URL */
export function parseTunnel(url: string): TunnelTarget | undefined {
  const [, actorId, portText, path] = TUNNEL.exec(url) ?? [];
  if (actorId === undefined) return undefined;
  if (portText === undefined || path === undefined) return { kind: "tunnel", actorId };
  const port = Number(portText);
  return port <= 65_535 ? { kind: "socket", actorId, port, path } : undefined;
}

/** Returns the connection parameters among the subprotocols of a WebSocket, as RivetKit's clients send them. */
export function paramsOf(protocols: string | undefined): unknown {
  const text = listOf(protocols).find((name) => name.startsWith(PARAMS));
  if (text === undefined) return undefined;
  try {
    return parseJson(decodeURIComponent(text.slice(PARAMS.length)));
  } catch {
    return undefined;
  }
}

/** Returns the subprotocols that are for a server inside the VM. */
export function protocolsInside(protocols: string | undefined): string[] {
  return listOf(protocols).filter((name) => !name.startsWith(PARAMS));
}

function listOf(protocols = ""): string[] {
  return protocols
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}
