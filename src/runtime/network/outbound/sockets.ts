import { isIP, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls, type SecureContext, TLSSocket } from "node:tls";
import { canonicalHost } from "../../../api/network-rule.ts";
import { HALF_OPEN_MS, OUTBOUND_CONNECT_TIMEOUT_MS } from "../limits.ts";
import type { VmAuthority } from "./authority/authority.ts";
import type { Outside } from "./meter.ts";
import type { Sink } from "./sink.ts";

/**
 * Time for a program to send its request to the proxy.
 * @unit ms
 * @past The proxy cuts the connection.
 */
export const GREETING_MS = 30_000;

/**
 * Time to send the last bytes of a connection whose other side has closed.
 * @unit ms
 * @past The server cuts the connection.
 */
const FLUSH_MS = 30_000;

const KEEP_ALIVE_MS = 60_000;

/** Type, version and length of a TLS record, and the longest record of a handshake. */
const RECORD_HEAD_BYTES = 5;
const MAX_RECORD_BYTES = 16_384;

/** The entry of HTTP/2 in a list of protocols, with its length. */
const ALPN_HTTP2 = Buffer.from("\u0002h2");

/** A client of HTTP/2 begins with `PRI * HTTP/2.0`. No method of HTTP/1.1 begins so. */
const HTTP2_PREFACE = Buffer.from("PRI");

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

/**
 * Waits for the first TLS record of a connection, and leaves it unread.
 *
 * @returns whether a program offers HTTP/2 in it. Only a hint: the handshake decides
 */
export async function offersHttp2(socket: Duplex): Promise<boolean> {
  const head = await peek(socket, RECORD_HEAD_BYTES);
  if (head === undefined) return false;
  const length = Math.min(head.readUInt16BE(3), MAX_RECORD_BYTES);
  return (await peek(socket, RECORD_HEAD_BYTES + length))?.includes(ALPN_HTTP2) === true;
}

/** Waits for the first bytes of a connection, and leaves them unread. @returns whether they are HTTP/2, and no request of HTTP/1.1 */
export async function beginsHttp2(socket: Duplex): Promise<boolean> {
  return (await peek(socket, HTTP2_PREFACE.length))?.equals(HTTP2_PREFACE) === true;
}

/** Returns the next bytes, and leaves them unread. Cuts a program that ends before, or takes longer than GREETING_MS. */
function peek(socket: Duplex, count: number): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => cut(), GREETING_MS);
    const finish = (bytes?: Buffer) => {
      clearTimeout(timer);
      socket.off("readable", look);
      socket.off("close", leave);
      socket.off("end", cut);
      resolve(bytes);
    };
    const leave = () => finish();
    const cut = () => void socket.destroy();
    // One listener for all pieces: a new one for each could be called again and again for the same bytes.
    const look = () => {
      const bytes = socket.read(count) as Buffer | null;
      if (bytes === null) return;
      // At its end a stream returns less than was asked for.
      if (bytes.byteLength < count) return cut();
      finish(bytes);
      socket.unshift(bytes);
    };
    if (socket.destroyed) return leave();
    socket.once("close", leave);
    socket.once("end", cut);
    socket.on("readable", look);
    // The event does not repeat for bytes that wait already.
    look();
  });
}

/** Returns a signal that aborts when the connection closes. */
export function signalOf(socket: Duplex): AbortSignal {
  const abort = new AbortController();
  if (socket.destroyed) abort.abort();
  socket.once("close", () => abort.abort());
  return abort.signal;
}

/**
 * Relays bytes both ways. A side that has ended still gets the rest of the other. Both sockets must allow half-open.
 *
 * @param sink writes the outside's bytes, if the outside uses it
 */
export function joinHalves(inside: Socket, outside: Outside, sink: Sink): void {
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
  inside.pipe(outside);
  if (!sink.isUsed) outside.pipe(inside);
}

/**
 * Speaks TLS to a host over a connection, and checks its certificate.
 *
 * @param protocols of ALPN
 * @throws Error if the handshake fails, or takes longer than OUTBOUND_CONNECT_TIMEOUT_MS
 */
export async function openTls(
  socket: Duplex,
  host: string,
  protocols: string[],
  trust: SecureContext | undefined,
): Promise<TLSSocket> {
  const servername = canonicalHost(host) ?? host;
  // SNI takes no addresses. The certificate is still checked against the address.
  const secure = connectTls({
    socket,
    host: servername,
    ...(isIP(servername) === 0 && { servername }),
    ALPNProtocols: protocols,
    ...(trust !== undefined && { secureContext: trust }),
  });
  secure.once("close", () => socket.destroy());
  const timer = setTimeout(
    () => secure.destroy(new Error("the handshake takes too long")),
    OUTBOUND_CONNECT_TIMEOUT_MS,
  );
  try {
    await new Promise<void>((resolve, reject) => {
      secure.once("secureConnect", resolve);
      secure.on("error", reject);
      secure.once("close", () => reject(new Error("the host closed the connection")));
    });
    return secure;
  } catch (error) {
    throw new Error(`TLS with ${servername} failed: ${(error as Error).message}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Ends the TLS of a program's connection in a host's place.
 *
 * @param protocols of ALPN
 * @returns `undefined` if the program leaves, asks for another host, or takes longer than GREETING_MS
 */
export async function acceptTls(
  socket: Duplex,
  host: string,
  authority: VmAuthority,
  protocols: string[],
): Promise<TLSSocket | undefined> {
  const secure = new TLSSocket(socket, {
    isServer: true,
    secureContext: authority.contextOf(host),
    // A program that speaks none of them fails here, and not with an answer that it cannot read.
    ALPNProtocols: protocols,
    // A program that asks for another name than the one that it has connected to gets nothing.
    SNICallback: (name, done) =>
      done(canonicalHost(name) === host ? null : new Error(`the connection is one to ${host}`)),
  });
  secure.on("error", () => secure.destroy());
  secure.once("close", () => socket.destroy());
  socket.once("close", () => secure.destroy());
  const leave = () => secure.destroy();
  const timer = setTimeout(leave, GREETING_MS);
  // A program may end its side later, but not in its handshake.
  secure.once("end", leave);
  try {
    return await new Promise((resolve) => {
      secure.once("secure", () => {
        secure.off("end", leave);
        resolve(secure);
      });
      secure.once("close", () => resolve(undefined));
    });
  } finally {
    clearTimeout(timer);
  }
}
