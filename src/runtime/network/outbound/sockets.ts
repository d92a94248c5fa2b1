import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { canonicalHost } from "../../../api/network-rule.ts";

/**
 * Time for a program to send its request to the proxy.
 * @unit ms
 * @past The proxy cuts the connection.
 */
export const GREETING_MS = 30_000;

/**
 * Time for a program to close a connection that the outside has closed.
 * @unit ms
 * @past The server cuts the connection.
 */
const CLOSE_GRACE_MS = 2_000;

/**
 * Time without a byte on a connection that one side has ended.
 * @unit ms
 * @past The server cuts the connection.
 */
const HALF_OPEN_MS = 300_000;

/**
 * Time to send the last bytes of a connection whose other side has closed.
 * @unit ms
 * @past The server cuts the connection.
 */
const FLUSH_MS = 30_000;

const KEEP_ALIVE_MS = 60_000;

/** Passes the first byte to `look` and leaves it unread. Cuts a connection that sends nothing for GREETING_MS. */
export function onFirstByte(socket: Duplex, look: (first: number) => void): void {
  const timer = setTimeout(() => socket.destroy(), GREETING_MS);
  socket.once("close", () => clearTimeout(timer));
  socket.once("readable", () => {
    clearTimeout(timer);
    const first = socket.read(1) as Buffer | null;
    if (first === null) return void socket.destroy();
    socket.unshift(first);
    look(first[0] as number);
  });
}

/** Returns a signal that aborts when the connection closes. */
export function signalOf(socket: Duplex): AbortSignal {
  const abort = new AbortController();
  socket.once("close", () => abort.abort());
  return abort.signal;
}

/** Relays bytes both ways until both sides have ended. */
export function join(inside: Duplex, outside: Socket): void {
  outside.on("error", () => inside.destroy());
  // Deliver what has arrived, then close. A program that does not close within CLOSE_GRACE_MS is cut off.
  outside.once("close", () => inside.end(() => setTimeout(() => inside.destroy(), CLOSE_GRACE_MS).unref()));
  inside.once("close", () => outside.destroy());
  inside.pipe(outside).pipe(inside);
}

/** Relays bytes both ways. A side that has ended still gets the rest of the other. Both sockets must allow half-open. */
export function joinHalves(inside: Socket, outside: Socket): void {
  for (const [socket, other] of [
    [inside, outside],
    [outside, inside],
  ] as const) {
    socket.setNoDelay(true);
    socket.on("error", () => other.resetAndDestroy());
    socket.once("end", () => {
      for (const one of [inside, outside]) one.setTimeout(HALF_OPEN_MS, () => one.destroy());
    });
    // Bytes that the other side has not taken yet are still sent.
    socket.once("close", () => {
      other.destroySoon();
      const timer = setTimeout(() => other.destroy(), FLUSH_MS).unref();
      other.once("close", () => clearTimeout(timer));
    });
  }
  // A host that has vanished ends no connection by itself.
  outside.setKeepAlive(true, KEEP_ALIVE_MS);
  inside.pipe(outside).pipe(inside);
}

/** Speaks TLS to a host over a connection. */
export function openTls(socket: Socket, host: string, ca: string | undefined): Duplex {
  const servername = canonicalHost(host) ?? host;
  // SNI takes no addresses. The certificate is still checked against the address.
  const isAddress = /^[\d.]+$|:/.test(servername);
  const secure = connectTls({
    socket,
    host: servername,
    ...(isAddress ? {} : { servername }),
    ALPNProtocols: ["http/1.1"],
    ...(ca === undefined ? {} : { ca }),
  });
  secure.once("close", () => socket.destroy());
  return secure;
}
