import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
} from "node:http2";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { Permit } from "../destination.ts";
import type { Ahead } from "../http/ahead.ts";

/** Bytes of one response, and of all responses of a connection, that may be under way from the host. */
const STREAM_WINDOW_BYTES = 256 * 1024;
const SESSION_WINDOW_BYTES = 1024 * 1024;

const MAX_HEADER_BYTES = 64 * 1024;

const SESSION_MEMORY_MIB = 10;

/** The host answers in HTTP/1.1 only. */
export class Http1Required extends Error {}

/**
 * The session with the host behind a program's session. It serves that one only, and both end together: a host's GOAWAY
 * closes the program's session, so that the program sees what it would see without the server.
 */
export class KeptSession {
  readonly #inside: ServerHttp2Session;
  readonly #url: string;
  readonly #openConnection: (permit: Permit | undefined, signal: AbortSignal) => Promise<Duplex>;
  readonly #closed = new AbortController();
  #session: Promise<ClientHttp2Session> | undefined;

  /**
   * @param url of the host
   * @param open opens a connection to the host
   */
  constructor(
    inside: ServerHttp2Session,
    url: string,
    open: (permit: Permit | undefined, signal: AbortSignal) => Promise<Duplex>,
    ahead: Ahead | undefined,
  ) {
    this.#inside = inside;
    this.#url = url;
    this.#openConnection = async (permit, signal) => ahead?.take() ?? (await open(permit, signal));
    ahead?.onceLost(() => inside.close());
    inside.once("close", () => {
      ahead?.close();
      this.#closed.abort();
    });
  }

  /** Begins a request, unless its signal is aborted. @throws Http1Required; the error of a connection that cannot be opened */
  async request(
    headers: OutgoingHttpHeaders,
    endStream: boolean,
    permit: Permit | undefined,
    signal: AbortSignal,
  ): Promise<ClientHttp2Stream> {
    this.#session ??= this.#start(permit);
    const session = await this.#session;
    signal.throwIfAborted();
    return session.request(headers, { endStream, waitForTrailers: !endStream });
  }

  async #start(permit: Permit | undefined): Promise<ClientHttp2Session> {
    try {
      return await this.#connect(permit);
    } catch (error) {
      // A denied connection may be allowed for the next request.
      this.#session = undefined;
      throw error;
    }
  }

  async #connect(permit: Permit | undefined): Promise<ClientHttp2Session> {
    const { signal } = this.#closed;
    const connection = await this.#openConnection(permit, signal);
    if (signal.aborted) connection.destroy();
    signal.throwIfAborted();
    if ("alpnProtocol" in connection && (connection as TLSSocket).alpnProtocol !== "h2") {
      connection.destroy();
      this.#inside.close();
      throw new Http1Required("the host speaks HTTP/1.1 only");
    }
    const session = connect(this.#url, {
      createConnection: () => connection,
      maxSessionMemory: SESSION_MEMORY_MIB,
      maxReservedRemoteStreams: 0,
      settings: {
        enablePush: false,
        initialWindowSize: STREAM_WINDOW_BYTES,
        maxHeaderListSize: MAX_HEADER_BYTES,
      },
    });
    session.once("connect", () => session.destroyed || session.setLocalWindowSize(SESSION_WINDOW_BYTES));
    session.on("error", () => undefined);
    const leave = () => session.destroy(undefined, constants.NGHTTP2_CANCEL);
    signal.addEventListener("abort", leave, { once: true });
    // The program opens another connection for its next requests. Open requests may go on.
    session.once("goaway", () => this.#inside.close());
    session.once("close", () => {
      signal.removeEventListener("abort", leave);
      connection.destroy();
      this.#inside.close();
    });
    return session;
  }
}
