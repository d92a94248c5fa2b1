import process from "node:process";
import { limitExceeded } from "../../api/errors.ts";
import { MAX_TRANSFER_BYTES } from "../../api/limits.ts";
import { anyEvent } from "../../base/any-event.ts";
import { readAtMost } from "../../base/read-at-most.ts";

/** Writes to a stream, and waits until the stream has room for more. */
export async function write(stream: NodeJS.WriteStream, data: string | Uint8Array): Promise<void> {
  if (stream.writable && !stream.write(data)) await anyEvent(stream, ["drain", "close"]);
}

/** Reads all of stdin. @throws AgentVmError `limit_exceeded` above the largest file that a VM takes */
export async function readStdin(): Promise<Uint8Array> {
  const content = await readAtMost(process.stdin, MAX_TRANSFER_BYTES);
  if (content !== undefined) return content;
  throw limitExceeded({ MAX_TRANSFER_BYTES }, "Stdin has more bytes than a file may have", "Write less.");
}

/** Whether a person can answer questions: they are asked on stderr and answered on stdin. */
export function hasPerson(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true && !process.env.CI;
}

/** Counts a terminal that does not say its size, such as a new pseudo-terminal, as one of 80 columns and 24 lines. */
export function assumeSize(): void {
  for (const stream of [process.stdout, process.stderr]) {
    if (!stream.isTTY) continue;
    const assume = () => {
      stream.columns ||= 80;
      stream.rows ||= 24;
    };
    assume();
    stream.on("resize", assume);
  }
}

let readerHasGone = (): void => process.exit(0);

/** Ends the program quietly when the reader of a pipe has gone, as `agent-vm ls | head -1` does. */
export function endWithReader(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
      readerHasGone();
    });
  }
}

/** Calls a function instead of ending the program, for an action that has something to end first. */
export function onReaderGone(gone: () => void): void {
  readerHasGone = gone;
}
