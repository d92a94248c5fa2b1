import { parseGateway } from "../../api/gateway-path.ts";

/** A WebSocket that leads into a VM, by its path. */
export type TunnelTarget =
  | { kind: "tunnel"; actorId: string }
  /** A WebSocket to a server inside. `path` is for that server, byte for byte. */
  | { kind: "socket"; actorId: string; port: number; path: string };

const TUNNEL = /^\/(?:tunnel|port\/([1-9]\d{0,4})(\/.*))$/;

/** @returns `undefined` for any other URL */
export function parseTunnel(url: string): TunnelTarget | undefined {
  const { actorId, rest } = parseGateway(url) ?? {};
  const match = TUNNEL.exec(rest ?? "");
  if (actorId === undefined || match === null) return undefined;
  const [, portText, path] = match;
  if (portText === undefined || path === undefined) return { kind: "tunnel", actorId };
  const port = Number(portText);
  return port <= 65_535 ? { kind: "socket", actorId, port, path } : undefined;
}
