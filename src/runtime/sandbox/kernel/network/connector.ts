import { Socket as DatagramSocket } from "node:dgram";
import { Server, Socket } from "node:net";
import type { Entry } from "../commands/command.ts";
import type { Frame } from "../helpers/frames.ts";
import { HelperLost, HelperProcess } from "../helpers/helper-process.ts";
import { CHANNEL_FD, closeHandle } from "../helpers/launcher-channel.ts";
import type { Replaceable } from "../helpers/on-demand.ts";

/** Longest frame that the connector sends: the errno of a request. */
const MAX_ANSWER_BYTES = 64;

/** The kernel refused a socket or a connection. */
export class SocketRefused extends Error {
  readonly errno: number;

  constructor(errno: number) {
    super(`errno ${errno}`);
    this.errno = errno;
  }
}

type Handle = Socket | Server | DatagramSocket;

/**
 * A process that makes sockets in a VM's network namespace and passes them to the server. The server then holds the
 * kernel's own socket, without a relay. The connector enters only the VM's user and network namespaces. Since it is
 * outside the pid namespace, no process of the VM can signal, trace or inspect it. It uses the host's files, so that a
 * VM cannot make it load a library.
 */
export class Connector implements Replaceable {
  readonly ended: Promise<void>;
  readonly #helper: HelperProcess;
  readonly #waiting = new Map<number, PromiseWithResolvers<Handle>>();
  #lastId = 0;

  private constructor(helper: HelperProcess) {
    this.#helper = helper;
    this.ended = helper.ended.then(() => this.#lose());
  }

  /** @throws HelperLost if it does not start */
  static async start({ initPid, owner }: Entry, signal: AbortSignal): Promise<Connector> {
    let connector: Connector | undefined;
    const helper = await HelperProcess.launch({
      name: "connector",
      command: ["connector", String(CHANNEL_FD), String(initPid)],
      ...{ owner, signal },
      hasSmallPipes: true,
      maxFrameBytes: MAX_ANSWER_BYTES,
      // It answers requests only.
      onFrame: (frame) => {
        if (connector !== undefined) connector.#onFrame(frame);
      },
      onPassed: (message, handle) => {
        if (connector === undefined || !("id" in message)) closeHandle(handle);
        else connector.#onHandle(Number(message.id), handle as Handle | undefined);
      },
    });
    connector = new Connector(helper);
    return connector;
  }

  get isUsable(): boolean {
    return !this.#helper.isLost;
  }

  /** Requests without an answer. */
  get busy(): number {
    return this.#waiting.size;
  }

  /** Connects to a port of the VM's loopback. */
  connect(family: 4 | 6, port: number, signal: AbortSignal): Promise<Socket> {
    return this.#ask("c", Buffer.from([family, port >> 8, port & 0xff]), signal, Socket);
  }

  /** Listens on a port of 127.0.0.1 in the VM, or on a free port for 0. */
  listen(port: number, signal: AbortSignal): Promise<Server> {
    return this.#ask("l", Buffer.from([port >> 8, port & 0xff]), signal, Server);
  }

  /** Takes the datagrams that programs send to a port of 127.0.0.1 in the VM. */
  takeDatagrams(port: number, signal: AbortSignal): Promise<DatagramSocket> {
    return this.#ask("d", Buffer.from([port >> 8, port & 0xff]), signal, DatagramSocket);
  }

  /** Listens at an abstract name of the Unix sockets in the VM's network namespace. */
  listenAt(name: string, signal: AbortSignal): Promise<Server> {
    return this.#ask("u", Buffer.from(name), signal, Server);
  }

  async close(): Promise<void> {
    await this.#helper.close();
  }

  async #ask<Expected extends Handle>(
    kind: "c" | "l" | "d" | "u",
    body: Buffer,
    signal: AbortSignal,
    Expected: abstract new (...args: never[]) => Expected,
  ): Promise<Expected> {
    signal.throwIfAborted();
    if (this.#helper.isLost) throw this.#helper.loss;
    const id = ++this.#lastId;
    const answer = Promise.withResolvers<Handle>();
    this.#waiting.set(id, answer);
    const cancel = () => {
      this.#helper.send("x", id);
      answer.reject(signal.reason);
    };
    signal.addEventListener("abort", cancel, { once: true });
    this.#helper.send(kind, id, body);
    try {
      const handle = await answer.promise;
      if (handle instanceof Expected) return handle;
      closeHandle(handle);
      throw new HelperLost("the connector passed another kind of socket");
    } finally {
      signal.removeEventListener("abort", cancel);
      this.#waiting.delete(id);
    }
  }

  #onFrame({ kind, number, body }: Frame): void {
    if (kind !== "E" || body.length !== 4)
      throw new Error(`the connector sent ${JSON.stringify(kind)} with ${body.length} bytes`);
    this.#waiting.get(number)?.reject(new SocketRefused(body.readUInt32BE(0)));
  }

  #onHandle(id: number, handle: Handle | undefined): void {
    // The caller listens for the socket's errors only a moment later.
    if (handle instanceof Socket) handle.on("error", () => handle.destroy());
    const answer = this.#waiting.get(id);
    if (answer === undefined) closeHandle(handle);
    else if (handle === undefined) answer.reject(new HelperLost("the connector passed no socket"));
    else answer.resolve(handle);
  }

  #lose(): void {
    for (const { reject } of this.#waiting.values()) reject(this.#helper.loss);
  }
}
