import type { Server, Socket } from "node:net";
import { deferred } from "../../../../base/deferred.ts";
import type { HostCall } from "../../host-call.ts";
import { encodeFrame, type Frame, FrameReader } from "../helpers/frames.ts";
import {
  CALL_GREETING_MS,
  MAX_CALL_ARGUMENT_BYTES,
  MAX_CALL_ARGUMENTS,
  MAX_CALL_PIECE_BYTES,
  MAX_HOST_CALLERS,
  MAX_UNREAD_CALL_BYTES,
} from "../limits.ts";

/** Abstract name of the server's Unix socket in a VM's network namespace. `caller.pl` has it too. */
export const CALL_NAME = "agentos/host";

/** Longest message about a file that cannot be read. It contains the path, which is one argument: at most 128 KiB. */
const MAX_REASON_BYTES = 256 * 1024;

/** Frames that may answer a question, and their longest bodies in bytes. */
type Answers = Readonly<Record<string, number>>;

/**
 * Takes calls of a VM's programs at a socket that listens in the VM's network namespace.
 *
 * @param stopped ends all calls
 * @returns a function that ends all calls too
 */
export function takeCalls(server: Server, stopped: AbortSignal, onCall: (call: HostCall) => void) {
  const sockets = new Set<Socket>();
  const close = () => {
    stopped.removeEventListener("abort", close);
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  stopped.addEventListener("abort", close);
  // The system may be out of descriptors for a moment.
  server.on("error", () => undefined);
  server.on("connection", (socket) => {
    if (sockets.size >= MAX_HOST_CALLERS) return refuse(socket);
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    const isOverfull = () => unread(sockets) > MAX_UNREAD_CALL_BYTES;
    new CallSocket(socket, onCall, isOverfull);
  });
  return close;
}

/** Bytes that the programs have not read yet. */
function unread(sockets: ReadonlySet<Socket>): number {
  let bytes = 0;
  for (const socket of sockets) bytes += socket.writableLength;
  return bytes;
}

function refuse(socket: Socket): void {
  const text = `Too many programs call the host at once (MAX_HOST_CALLERS = ${MAX_HOST_CALLERS}). Try again later.\n`;
  socket.on("error", () => socket.destroy());
  socket.write(encodeFrame("E", 0, Buffer.from(text)));
  socket.write(encodeFrame("x", 1));
  socket.destroySoon();
}

/** The server's end of a call. A program that breaks the protocol is cut off. */
class CallSocket implements HostCall {
  args: readonly string[] = [];
  session = "";
  readonly gone: AbortSignal;
  readonly #socket: Socket;
  readonly #onCall: (call: HostCall) => void;
  readonly #isOverfull: () => boolean;
  /** The frame that the program owes, once it has introduced itself. */
  #owed: { answers: Answers; answer: PromiseWithResolvers<Frame> } | undefined;
  #isIntroduced = false;
  /** Cuts off a program that owes the rest of a frame. */
  #late: NodeJS.Timeout | undefined;

  constructor(socket: Socket, onCall: (call: HostCall) => void, isOverfull: () => boolean) {
    this.#socket = socket;
    this.#onCall = onCall;
    this.#isOverfull = isOverfull;
    const gone = new AbortController();
    this.gone = gone.signal;
    this.#late = this.#cutLater();
    socket.on("error", () => socket.destroy());
    socket.once("close", () => {
      clearTimeout(this.#late);
      const reason = new Error("the program has ended");
      this.#owed?.answer.reject(reason);
      gone.abort(reason);
    });
    const reader = new FrameReader(undefined, (kind) => this.#limitOf(kind));
    socket.on("data", (data: Buffer) => {
      try {
        for (const frame of reader.push(data)) {
          clearTimeout(this.#late);
          this.#late = undefined;
          this.#onFrame(frame);
        }
        if (reader.isInFrame) this.#late ??= this.#cutLater();
      } catch {
        socket.destroy();
      }
    });
  }

  get isClosed(): boolean {
    return this.#socket.destroyed;
  }

  async write(stream: "stdout" | "stderr", data: Uint8Array): Promise<void> {
    if (this.#socket.destroyed) return;
    // Output and end of a call that answers at once leave together, so that the program wakes up once.
    this.#socket.cork();
    process.nextTick(() => this.#socket.uncork());
    if (this.#socket.write(encodeFrame(stream === "stdout" ? "o" : "E", 0, data))) return;
    if (this.#isOverfull()) this.#socket.destroy();
    if (this.#socket.destroyed) return;
    const { promise, resolve } = deferred<void>();
    this.#socket.once("drain", resolve);
    this.#socket.once("close", resolve);
    await promise;
    this.#socket.off("drain", resolve);
    this.#socket.off("close", resolve);
  }

  async read(): Promise<Buffer> {
    return (await this.#ask({ i: MAX_CALL_PIECE_BYTES }, encodeFrame("n", 0))).body;
  }

  async readFile(path: string, maxBytes: number): Promise<Buffer> {
    const answers = { f: maxBytes, F: MAX_REASON_BYTES };
    const { kind, body } = await this.#ask(answers, encodeFrame("r", maxBytes, Buffer.from(path)));
    if (kind === "F") throw new Error(body.toString());
    return body;
  }

  exit(code: number): void {
    if (this.#socket.destroyed) return;
    this.#socket.write(encodeFrame("x", code));
    // The connection stays open until the program has read everything, or has ended.
    this.#socket.destroySoon();
    const timer = this.#cutLater().unref();
    this.#socket.once("close", () => clearTimeout(timer));
  }

  async #ask(answers: Answers, request: Buffer): Promise<Frame> {
    // One question after the other.
    await this.#owed?.answer.promise.catch(() => undefined);
    this.gone.throwIfAborted();
    const answer = Promise.withResolvers<Frame>();
    this.#owed = { answers, answer };
    this.#socket.write(request);
    return await answer.promise;
  }

  #cutLater(): NodeJS.Timeout {
    return setTimeout(() => this.#socket.destroy(), CALL_GREETING_MS);
  }

  /** Longest body of a frame that may come now. */
  #limitOf(kind: string): number | undefined {
    if (!this.#isIntroduced) return kind === "a" ? MAX_CALL_ARGUMENT_BYTES : undefined;
    const answers = this.#owed?.answers ?? {};
    return Object.hasOwn(answers, kind) ? answers[kind] : undefined;
  }

  #onFrame(frame: Frame): void {
    const owed = this.#owed;
    if (owed !== undefined) {
      this.#owed = undefined;
      owed.answer.resolve(frame);
      return;
    }
    this.#isIntroduced = true;
    // The session and the program's name come before the arguments.
    if (hasMoreZeros(frame.body, MAX_CALL_ARGUMENTS + 1)) throw new Error("too many arguments");
    const [session = "", ...args] = frame.body.toString().split("\0");
    this.session = session;
    this.args = args;
    this.#onCall(this);
  }
}

function hasMoreZeros(bytes: Buffer, most: number): boolean {
  let count = 0;
  for (let at = bytes.indexOf(0); at >= 0 && count <= most; at = bytes.indexOf(0, at + 1)) count += 1;
  return count > most;
}
