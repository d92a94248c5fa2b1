import { readSync } from "node:fs";

/** Bytes of one read. The kernel gives no more of a terminal at once. */
const READ_BYTES = 4096;
/**
 * Reads in a row of a terminal when its program ends. A terminal holds about 64 KiB, which is 17 reads.
 * @unit reads
 * @past Output of programs that still write is lost.
 */
const MAX_LAST_READS = 256;

const SCRATCH = Buffer.allocUnsafeSlow(READ_BYTES);

/** The parts of UnixTerminal, and of its stream, that its public type leaves out. */
export interface TerminalSource {
  readonly fd: number;
  readonly _socket: {
    readonly destroyed: boolean;
    destroy(error?: Error): unknown;
    /** Takes what the stream holds, and emits "data" with it. */
    read(): unknown;
    emit(event: "data", data: Buffer): boolean;
  };
}

/**
 * Delivers the last output of a terminal before its end. node-pty 1.1.0 destroys its stream 200 ms after the program has
 * ended (DESTROY_SOCKET_TIMEOUT_MS), also if the stream is paused, and drops the bytes that the stream and the terminal
 * hold. The exit follows the stream's "close", and so the last output.
 */
export function deliverLastOutput({ fd, _socket: socket }: TerminalSource): void {
  const { destroy } = socket;
  socket.destroy = (error) => {
    // The descriptor of a destroyed stream may belong to another VM.
    if (!socket.destroyed) while (socket.read() !== null);
    for (let reads = 0; !socket.destroyed && reads < MAX_LAST_READS; reads++) {
      const data = readNow(fd);
      if (data === undefined) break;
      socket.emit("data", data);
    }
    return destroy.call(socket, error);
  };
}

/** Returns a copy of bytes that the terminal holds, or `undefined` if it is empty or has been hung up. */
function readNow(fd: number): Buffer | undefined {
  try {
    const count = readSync(fd, SCRATCH);
    return count === 0 ? undefined : Buffer.from(SCRATCH.subarray(0, count));
  } catch {
    // EAGAIN: somebody may still write. EIO: nobody has the terminal open.
    return undefined;
  }
}
