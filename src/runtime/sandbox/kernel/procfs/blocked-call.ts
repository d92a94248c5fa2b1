import type { ProcessLook } from "./process-reads.ts";

/** Bits of poll(2) that ask for input: POLLIN, POLLPRI, POLLRDNORM. The bits of epoll(7) are the same. */
const READABLE = 0x43;

/** Bits of epoll(7) that are events. None is set after the event of an entry with EPOLLONESHOT. */
const EPOLL_EVENTS = 0x0fffffff;

/** Descriptors of one poll(2), select(2) or epoll(7) that are looked at. A thread that waits for more has other things to do. */
const MAX_POLLED = 32;
/** The kernel's FD_SETSIZE, in bytes. */
const MAX_SET_BYTES = 128;

/** Bytes of the text about a thread's call: its number and 8 others. */
const MAX_CALL_TEXT = 256;

/** Bytes of one epoll descriptor's text that are read. */
const MAX_EPOLL_TEXT = 16 * 1024;

/** Calls in which a thread waits for descriptors, by their numbers: read(2) and its like, accept(2), poll(2) and its like. */
const WAITS: Readonly<Record<string, ReadonlyMap<number, string>>> = {
  x64: new Map([
    ...[0, 17, 19, 43, 45, 47, 288, 295].map((number) => [number, "read"] as const),
    ...([
      [7, "poll"],
      [271, "ppoll"],
      [23, "select"],
      [270, "select"],
    ] as const),
    ...([
      [232, "epoll"],
      [281, "epoll"],
      [441, "epoll2"],
    ] as const),
  ]),
  arm64: new Map([
    ...[63, 65, 67, 69, 202, 207, 212, 242].map((number) => [number, "read"] as const),
    ...([
      [73, "ppoll"],
      [72, "select"],
      [22, "epoll"],
      [441, "epoll2"],
    ] as const),
  ]),
};

/** State of a thread that does not wait for descriptors. */
export type ThreadState =
  /** It runs, or the kernel does not say. */
  | "running"
  /** It sleeps in a call of another kind, or with a time limit. */
  | "asleep"
  /** It waits for room for output too, or for the end of a connection. */
  | "output"
  /** Its descriptors cannot be known. */
  | "unknown";

/**
 * Returns the descriptors for whose input a thread waits without a time limit. All of it is the VM's word.
 *
 * @param folder the thread's folder in a procfs
 */
export async function awaitedDescriptors(folder: string, look: ProcessLook): Promise<number[] | ThreadState> {
  const [number, ...args] = ((await look.readStart(`${folder}/syscall`, MAX_CALL_TEXT)) ?? "running")
    .toString()
    .trim()
    .split(" ");
  const kind = WAITS[process.arch]?.get(Number(number));
  if (number === "running") return "running";
  const arg = (index: number) => Number(args[index] ?? 0);
  // The kernel shows an int as an unsigned number.
  const int = (index: number) => Number(BigInt.asIntN(32, BigInt(args[index] ?? 0)));
  const isEndless = (index: number) => arg(index) === 0;
  switch (kind) {
    case "read":
      return [arg(0)];
    case "poll":
      return int(2) < 0 ? await polled(look, folder, arg(0), arg(1)) : "asleep";
    case "ppoll":
      return isEndless(2) ? await polled(look, folder, arg(0), arg(1)) : "asleep";
    case "select":
      return isEndless(4) ? await selected(look, folder, arg(0), [arg(1), arg(2)]) : "asleep";
    case "epoll":
      return int(3) < 0 ? await watched(look, folder, arg(0)) : "asleep";
    case "epoll2":
      return isEndless(3) ? await watched(look, folder, arg(0)) : "asleep";
    default:
      return "asleep";
  }
}

async function polled(
  look: ProcessLook,
  folder: string,
  address: number,
  count: number,
): Promise<number[] | ThreadState> {
  if (count === 0) return "asleep";
  const entries = count > MAX_POLLED ? undefined : await look.readMemory(`${folder}/mem`, address, count * 8);
  if (entries === undefined) return "unknown";
  const found: number[] = [];
  for (let at = 0; at < entries.length; at += 8) {
    const fd = entries.readInt32LE(at);
    if (fd < 0) continue;
    if ((entries.readUInt16LE(at + 4) & READABLE) === 0) return "output";
    found.push(fd);
  }
  return found;
}

async function selected(
  look: ProcessLook,
  folder: string,
  count: number,
  [inputs, outputs]: [inputs: number, outputs: number],
): Promise<number[] | ThreadState> {
  if (outputs !== 0) {
    const awaited = await inSet(look, folder, count, outputs);
    if (awaited === undefined) return "unknown";
    if (awaited.length > 0) return "output";
  }
  const found = inputs === 0 ? [] : await inSet(look, folder, count, inputs);
  if (found === undefined || found.length > MAX_POLLED) return "unknown";
  return found.length === 0 ? "asleep" : found;
}

/** Returns the descriptors in an fd_set. */
async function inSet(
  look: ProcessLook,
  folder: string,
  count: number,
  address: number,
): Promise<number[] | undefined> {
  const length = Math.min(Math.ceil(count / 8), MAX_SET_BYTES);
  const set = await look.readMemory(`${folder}/mem`, address, length);
  if (set === undefined) return undefined;
  const found: number[] = [];
  for (let fd = 0; fd < Math.min(count, set.length * 8); fd++) {
    if (((set[fd >> 3] ?? 0) & (1 << (fd & 7))) !== 0) found.push(fd);
  }
  return found;
}

async function watched(look: ProcessLook, folder: string, epoll: number): Promise<number[] | ThreadState> {
  const text = (await look.readStart(`${folder}/fdinfo/${epoll}`, MAX_EPOLL_TEXT))?.toString("latin1");
  if (text === undefined || text.length === MAX_EPOLL_TEXT) return "unknown";
  const entries = [...text.matchAll(/^tfd:\s*(\d+) events:\s*([0-9a-f]+)/gm)]
    .map(([, fd, events]) => ({ fd: Number(fd), events: Number.parseInt(events ?? "0", 16) }))
    .filter(({ events }) => (events & EPOLL_EVENTS) !== 0);
  if (entries.length > MAX_POLLED) return "unknown";
  return entries.every(({ events }) => (events & READABLE) !== 0) ? entries.map(({ fd }) => fd) : "output";
}
