import type { Frame } from "../helpers/frames.ts";

/** A report of the spawner; see spawner.pl. The spawner runs inside the VM, so no report is taken on trust. */
type SpawnerMessage = { what: "ready"; pid: number } | CommandMessage;

/** A report about one command. */
export type CommandMessage =
  | { what: "started"; id: number; pid: number; stdinFd: number; stdoutFd: number; stderrFd: number }
  | { what: "refused" | "failed"; id: number; errno: number }
  | { what: "exited"; id: number; status: number; userUs: number; systemUs: number; maxRssKib: number };

/** Longest report, in bytes. */
export const MAX_MESSAGE_BYTES = 64;

const NOTHING = 0;
const ERRNO = 4;
const PIPES = 16;
const EXIT = 28;

/** @throws Error for a frame that the spawner has no reason to send */
export function messageIn({ kind, number, body }: Frame): SpawnerMessage {
  const is = (expected: string, bytes: number) => kind === expected && body.length === bytes;
  if (is("R", NOTHING)) return { what: "ready", pid: number };
  if (is("N", ERRNO)) return { what: "refused", id: number, errno: body.readUInt32BE(0) };
  if (is("F", ERRNO)) return { what: "failed", id: number, errno: body.readUInt32BE(0) };
  if (is("S", PIPES)) {
    const [pid = 0, stdinFd = 0, stdoutFd = 0, stderrFd = 0] = [0, 4, 8, 12].map((at) =>
      body.readUInt32BE(at),
    );
    return { what: "started", id: number, pid, stdinFd, stdoutFd, stderrFd };
  }
  if (is("E", EXIT)) {
    const [userUs = 0, systemUs = 0, maxRssKib = 0] = [4, 12, 20].map((at) =>
      counted(body.readBigUInt64BE(at)),
    );
    return { what: "exited", id: number, status: body.readUInt32BE(0), userUs, systemUs, maxRssKib };
  }
  throw new Error(`the spawner sent ${JSON.stringify(kind)} with ${body.length} bytes`);
}

function counted(value: bigint): number {
  if (value > Number.MAX_SAFE_INTEGER) throw new Error(`the spawner counts up to ${value}`);
  return Number(value);
}
