import { AgentVmError, invalidArgument } from "../../api/errors.ts";
import { isLoopback } from "../access.ts";
import { checkedSecret } from "../tokens/secret.ts";

/** How the servers behind one Rivet Engine reach each other. */
export interface PeerOptions {
  /** Secret of all servers behind the engine, at least 32 bytes. A server with another secret is a stranger. */
  secret: string;
  /**
   * URL at which the other servers reach this one: `"http://10.0.0.5:6421"`. A server with VMs listens on its host and port for
   * the others alone. A server without VMs needs none.
   */
  advertise?: string | undefined;
  /** Address to listen on for the other servers, if it differs from the host of `advertise`. */
  host?: string | undefined;
  /** Port to listen on for the other servers, if it differs from the port of `advertise`. */
  port?: number | undefined;
  /** Certificate and key of this server, in PEM. `advertise` is an `https` URL then. @default plain HTTP */
  tls?: { cert: string; key: string } | undefined;
  /** Authorities that sign the certificates of the other servers, in PEM. @default the authorities of Node */
  ca?: string | undefined;
}

/** Checked options of a server. */
export interface Peers {
  secret: Uint8Array;
  ca: string | undefined;
  /** Address for the other servers; `undefined` for a server without VMs. */
  listener: PeerAddress | undefined;
}

export interface PeerAddress {
  url: string;
  host: string;
  port: number;
  tls: { cert: string; key: string } | undefined;
}

/**
 * @param server whether this server runs VMs, and whether there is a Rivet Engine
 * @returns `undefined` for a server that does not know the others
 * @throws AgentVmError `invalid_argument`
 */
export function checkPeers(
  options: PeerOptions | undefined,
  { hasVms, behindEngine }: { hasVms: boolean; behindEngine: boolean },
): Peers | undefined {
  if (options === undefined && hasVms) return undefined;
  if (options === undefined || !behindEngine) {
    const what =
      options === undefined ? "A server without VMs needs `peers`" : "`peers` needs a Rivet Engine";
    throw new AgentVmError(
      "invalid_argument",
      `${what}. Set RIVET_ENGINE, and AGENT_VM_PEER_SECRET to one secret for all servers.`,
    );
  }
  const { secret, ca } = options;
  return {
    secret: checkedSecret(secret, "`peers.secret` (AGENT_VM_PEER_SECRET)"),
    ca,
    listener: hasVms ? addressOf(options) : undefined,
  };
}

function addressOf({ advertise = "", host, port, tls }: PeerOptions): PeerAddress {
  const url = URL.canParse(advertise) ? new URL(advertise) : undefined;
  const isPlain = url && url.pathname === "/" && url.search === "" && url.hash === "" && url.username === "";
  if (!isPlain || !/^https?:$/.test(url.protocol))
    throw invalidArgument(
      "peers.advertise",
      "the URL at which other servers reach this one (AGENT_VM_ADVERTISE), such as http://10.0.0.5:6421",
      advertise,
    );
  if ((url.protocol === "https:") !== (tls !== undefined))
    throw invalidArgument(
      "peers.advertise",
      "an https URL with a certificate (AGENT_VM_PEER_CERT, AGENT_VM_PEER_KEY), or an http URL without",
      advertise,
    );
  const own = url.hostname.replace(/^\[|\]$/g, "");
  return {
    url: url.origin,
    host: host ?? (isLoopback(url.origin) ? "127.0.0.1" : own),
    port: port ?? Number(url.port || (url.protocol === "https:" ? 443 : 80)),
    tls,
  };
}
