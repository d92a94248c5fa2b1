import { basename } from "node:path";
import type { VmPort } from "../../../../api/methods/network.ts";
import { MAX_LISTED_PORTS } from "../limits.ts";
import type { ProcessLook, ProcessReads } from "../procfs/process-reads.ts";
import { readProc } from "../procfs/procfs.ts";
import { heldSockets, tableLines } from "./held-sockets.ts";

/** Number of the state LISTEN in the kernel's tables. */
const LISTEN = "0A";

/**
 * Descriptors that the server inspects to find the process that owns a port.
 * @unit descriptors
 * @past The `pid` of the port is `null`.
 */
const MAX_DESCRIPTORS = 65_536;

/** Bytes of a path (PATH_MAX of the kernel). */
const MAX_PROGRAM_BYTES = 4096;

interface Entry {
  port: number;
  address: string;
  inode: string;
}

interface Holder {
  pid: number;
  command: string;
}

/** Owners of sockets by inode, from the last search. The next search looks only for new sockets. */
export type Owners = Map<string, Holder>;

/**
 * Counts the TCP sockets of a VM that listen or are connected; `undefined` if the kernel does not say. The tables of sockets take
 * milliseconds to read, however few sockets there are: the kernel walks through a table of all network namespaces.
 */
export function countSockets(procFd: number): number | undefined {
  const count = (file: string, name: string) => {
    const text = readProc(`/proc/self/fd/${procFd}/1/net/${file}`);
    return text === undefined ? undefined : Number(new RegExp(`^${name}: inuse (\\d+)`, "m").exec(text)?.[1]);
  };
  const [ipv4, ipv6 = 0] = [count("sockstat", "TCP"), count("sockstat6", "TCP6")];
  const sum = (ipv4 ?? Number.NaN) + ipv6;
  return Number.isNaN(sum) ? undefined : sum;
}

/**
 * Lists the sockets that listen in a VM, through a descriptor of the VM's own procfs.
 *
 * @param signal aborted before `procFd` is closed. Another VM may have its number then
 * @throws the signal's reason
 */
export async function listListening(
  procFd: number,
  owners: Owners,
  reads: ProcessReads,
  signal: AbortSignal,
): Promise<VmPort[]> {
  const entries = [...(await readTable(procFd, "tcp", signal)), ...(await readTable(procFd, "tcp6", signal))];
  signal.throwIfAborted();
  const inodes = new Set(entries.map(({ inode }) => inode));
  for (const [inode, { pid }] of owners) {
    if (!inodes.has(inode) || readProc(`/proc/self/fd/${procFd}/${pid}/comm`) === undefined)
      owners.delete(inode);
  }
  const wanted = new Set([...inodes].filter((inode) => !owners.has(inode)));
  if (wanted.size > 0) await findOwners(wanted, procFd, { owners, look: reads.begin(), signal });
  signal.throwIfAborted();
  return entries
    .map(({ port, address, inode }) => ({ port, address, ...(owners.get(inode) ?? UNKNOWN) }))
    .sort((a, b) => a.port - b.port || (a.address < b.address ? -1 : 1));
}

const UNKNOWN = { pid: null, command: null };

/** Reads the listening sockets of a table, which come first. */
async function readTable(procFd: number, table: "tcp" | "tcp6", signal: AbortSignal): Promise<Entry[]> {
  const entries: Entry[] = [];
  let isHeading = true;
  for await (const lines of tableLines(procFd, table, signal)) {
    for (const line of lines) {
      const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
      if (isHeading) isHeading = false;
      else if (state !== LISTEN || entries.length === MAX_LISTED_PORTS) return entries;
      else entries.push({ ...parseAddress(local), inode });
    }
  }
  return entries;
}

/** Parses `0100007F:1F90`: the address in machine words and the port, all in hexadecimal. */
function parseAddress(text: string): { address: string; port: number } {
  const [hex = "", port = ""] = text.split(":");
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => [...Buffer.from(word, "hex").reverse()]);
  return { address: bytes.length === 4 ? bytes.join(".") : ipv6(bytes), port: Number.parseInt(port, 16) };
}

/** Formats an IPv6 address in its short form, by URL. */
function ipv6(bytes: readonly number[]): string {
  const groups: string[] = [];
  for (let index = 0; index < bytes.length; index += 2) {
    groups.push((((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0)).toString(16));
  }
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

/** Finds the first process that holds each socket. */
async function findOwners(
  wanted: Set<string>,
  procFd: number,
  { owners, look, signal }: { owners: Owners; look: ProcessLook; signal: AbortSignal },
) {
  for await (const { inode, pid } of heldSockets(procFd, { left: MAX_DESCRIPTORS, signal })) {
    if (!wanted.delete(inode)) continue;
    owners.set(inode, { pid, command: await commandOf(`/proc/self/fd/${procFd}/${pid}`, look, signal) });
    if (wanted.size === 0) return;
  }
}

/** Returns the program's name. The kernel's short name is that of a thread, such as `MainThread` for Node. */
async function commandOf(folder: string, look: ProcessLook, signal: AbortSignal): Promise<string> {
  const line = await look.readStart(`${folder}/cmdline`, MAX_PROGRAM_BYTES);
  signal.throwIfAborted();
  const [program = ""] = (line?.toString() ?? "").split("\0");
  return basename(program) || (readProc(`${folder}/comm`) ?? "").trimEnd();
}
