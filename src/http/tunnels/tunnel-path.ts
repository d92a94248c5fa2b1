/** A WebSocket that leads into a VM, by its path. */
export type TunnelTarget =
  | { kind: "tunnel"; actorId: string }
  /** A WebSocket to a server inside. `path` is for that server, byte for byte. */
  | { kind: "socket"; actorId: string; port: number; path: string };

const TUNNEL = /^\/gateway\/([\w-]{1,64})(?:@[^/?#]*)?\/(?:tunnel|port\/([1-9]\d{0,4})(\/.*))$/;

/** @returns `undefined` for any other URL */
export function parseTunnel(url: string): TunnelTarget | undefined {
  const [, actorId, portText, path] = TUNNEL.exec(url) ?? [];
  if (actorId === undefined) return undefined;
  if (portText === undefined || path === undefined) return { kind: "tunnel", actorId };
  const port = Number(portText);
  return port <= 65_535 ? { kind: "socket", actorId, port, path } : undefined;
}
