import type * as Net from "node:net";
import { type AgentVmError, connectionLost, receivedError } from "../../api/errors.ts";
import { parseJson } from "../../base/json.ts";
import { joinSocket } from "../../base/mux/join.ts";
import type { MuxStream } from "../../base/mux/stream.ts";
import { MAX_RECONNECT_DELAY_MS, RECONNECT_DELAY_MS } from "../limits.ts";
import type { RawHandle } from "../rivet/raw.ts";
import { TunnelLine } from "./line.ts";
import { nodeNet } from "./node-net.ts";
import { checkTunnelOptions } from "./options.ts";
import type { TunnelOut, TunnelOutOptions } from "./types.ts";

const OPTIONS = ["name", "port", "localPort", "localHost", "localSocketPath", "onError"];

/**
 * Errors after which an accepted service is not offered again. All others may pass: the server starts, or has not noticed the end
 * of the last connection.
 */
const FINAL: ReadonlySet<string> = new Set([
  "unauthorized",
  "forbidden",
  "forbidden_origin",
  "vm_destroyed",
  "actor_not_found",
  "invalid_argument",
]);

/** Offers a service of this machine inside the VM, also after a lost connection. */
export async function openTunnelOut(raw: RawHandle, options: TunnelOutOptions): Promise<TunnelOut> {
  const offer = new Offer(raw, options);
  await offer.begin();
  const close = () => offer.close();
  return { host: offer.host, port: options.port, close, [Symbol.asyncDispose]: close };
}

class Offer {
  readonly host: string;
  readonly #net: typeof Net;
  readonly #options: TunnelOutOptions;
  readonly #line: TunnelLine;
  readonly #onError: (error: AgentVmError) => void;
  readonly #sockets = new Set<Net.Socket>();
  #stream: MuxStream | undefined;
  #failures = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  constructor(raw: RawHandle, options: TunnelOutOptions) {
    checkTunnelOptions("tunnelOut", options, OPTIONS, ["name", "port"]);
    this.host = `${options.name}.agent-vm`;
    this.#options = options;
    this.#onError = options.onError ?? (() => undefined);
    this.#net = nodeNet("tunnelOut");
    this.#line = new TunnelLine(raw, (stream) => this.#take(stream));
  }

  /** @throws AgentVmError if the VM does not accept the service */
  async begin(): Promise<void> {
    const { host } = this;
    try {
      await this.#line.openStream({ offer: { host, port: this.#options.port } }, (stream) => {
        this.#stream = stream;
        this.#failures = 0;
        stream.onClosed = (_wasReset, error) =>
          this.#ended(error ?? connectionLost("The server ended the offer"));
      });
    } catch (error) {
      if (this.#failures === 0) await this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    // The server withdraws the service before it closes the WebSocket.
    this.#stream?.reset();
    for (const socket of this.#sockets) socket.destroy();
    await this.#line.close();
  }

  #ended(error: AgentVmError): void {
    this.#stream = undefined;
    if (this.#isClosed) return;
    if (FINAL.has(error.code)) {
      void this.close();
      this.#onError(error);
      return;
    }
    const delay = Math.min(RECONNECT_DELAY_MS * 2 ** this.#failures, MAX_RECONNECT_DELAY_MS);
    this.#failures += 1;
    this.#retry = setTimeout(() => {
      this.begin().catch((error: AgentVmError) => this.#ended(error));
    }, delay);
  }

  /** Connects a program of the VM to the service. */
  #take(incoming: MuxStream): void {
    const { offer } = Object(parseJson(new TextDecoder().decode(incoming.body))) as { offer?: unknown };
    if (this.#isClosed || offer !== this.#stream?.id) return void incoming.reset();
    const { port, localPort = port, localHost = "127.0.0.1", localSocketPath } = this.#options;
    const place =
      localSocketPath === undefined ? { host: localHost, port: localPort } : { path: localSocketPath };
    const socket = this.#net.connect({ ...place, allowHalfOpen: true, noDelay: true });
    const shown = localSocketPath ?? `${localHost}:${localPort}`;
    const refuse = ({ code = "", message }: NodeJS.ErrnoException) => {
      const error = receivedError(code, `The service at ${shown} cannot be reached: ${message}`, {});
      incoming.reset(error);
      this.#onError(error);
    };
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    socket.once("error", refuse);
    incoming.onClosed = () => socket.destroy();
    socket.once("connect", () => {
      socket.off("error", refuse);
      incoming.accept();
      void joinSocket(incoming, socket, ({ message }) => connectionLost(message));
    });
  }
}
