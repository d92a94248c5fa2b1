import type { TLSSocket } from "node:tls";

/** Protocols of ALPN, the preferred one first. */
export const HTTP2_FIRST = ["h2", "http/1.1"];
export const HTTP1_ONLY = ["http/1.1"];

/**
 * A connection to the outside that was opened before the program's handshake ends, so that the server offers the program
 * the protocol of the host.
 */
export class Ahead {
  readonly #connection: TLSSocket | undefined;
  #failure: Error | undefined;
  #isTaken = false;

  /** @param opened the connection; why there is none; or `undefined` if it must not be opened before a request */
  constructor(opened: TLSSocket | Error | undefined) {
    if (opened instanceof Error) this.#failure = opened;
    else this.#connection = opened;
  }

  /** Protocols to offer the program. Without a connection its requests get the reason. */
  get protocols(): string[] {
    return this.#connection === undefined || this.#connection.alpnProtocol === "h2"
      ? HTTP2_FIRST
      : HTTP1_ONLY;
  }

  /**
   * Hands out the connection, once.
   *
   * @returns `undefined` if another one must be opened
   * @throws the failure to open it, once
   */
  take(): TLSSocket | undefined {
    const [failure, isTaken] = [this.#failure, this.#isTaken];
    this.#failure = undefined;
    this.#isTaken = true;
    if (failure !== undefined) throw failure;
    return isTaken || this.#connection?.destroyed ? undefined : this.#connection;
  }

  /** Calls back if the host closes the connection before it is taken. */
  onceLost(callback: () => void): void {
    this.#connection?.once("close", () => {
      if (!this.#isTaken) callback();
    });
  }

  /** Closes the connection of a program that has left, or that speaks another protocol. */
  close(): void {
    if (this.#isTaken) return;
    this.#isTaken = true;
    this.#connection?.destroy();
  }
}
