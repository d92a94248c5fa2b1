import { closeSync, openSync, readSync } from "node:fs";
import { basename } from "node:path";
import { MAX_LISTED_PORTS } from "../../../../api/limits.ts";
import type { ListeningSocket } from "../../sandbox.ts";
import { readProc } from "../procfs.ts";
import { heldSockets } from "./held-sockets.ts";

/** The kernel's number of the state LISTEN. */
const LISTEN = "0A";

/** The kernel lists sockets that listen first: a table is read as far as they go. */
const READ_BYTES = 16 * 1024;

/** Descriptors that are looked at to find whose a socket is. */
const MAX_DESCRIPTORS = 65_536;

interface Entry {
  port: number;
  address: string;
  inode: string;
}

interface Owner {
  pid: number;
  command: string;
}

/** Who holds which socket, as last found: whoever asks again soon looks for new sockets only. */
export type Owners = Map<string, Owner>;

/** Sockets that listen in a VM, read through a descriptor of its own procfs. */
export async function listListening(
  procFd: number,
  owners: Owners,
  signal: AbortSignal,
): Promise<ListeningSocket[]> {
  const entries = ["tcp", "tcp6"].flatMap((table) => readTable(`/proc/self/fd/${procFd}/1/net/${table}`));
  const inodes = new Set(entries.map(({ inode }) => inode));
  for (const [inode, { pid }] of owners) {
    if (!inodes.has(inode) || readProc(`/proc/self/fd/${procFd}/${pid}/comm`) === undefined)
      owners.delete(inode);
  }
  await findOwners(new Set([...inodes].filter((inode) => !owners.has(inode))), procFd, owners, signal);
  return entries
    .map(({ port, address, inode }) => ({ port, address, ...(owners.get(inode) ?? UNKNOWN) }))
    .sort((a, b) => a.port - b.port || (a.address < b.address ? -1 : 1));
}

const UNKNOWN = { pid: null, command: null };

function readTable(path: string): Entry[] {
  const entries: Entry[] = [];
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch {
    // A kernel without IPv6, or a VM that has just ended.
    return [];
  }
  try {
    let rest = "";
    const buffer = Buffer.alloc(READ_BYTES);
    for (let isFirst = true; entries.length < MAX_LISTED_PORTS; ) {
      const count = readSync(fd, buffer);
      if (count === 0) return entries;
      const lines = (rest + buffer.toString("latin1", 0, count)).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
        if (isFirst) isFirst = false;
        else if (state !== LISTEN) return entries;
        else entries.push({ ...parseAddress(local), inode });
      }
    }
    return entries;
  } catch {
    // The VM has ended meanwhile.
    return entries;
  } finally {
    closeSync(fd);
  }
}

/** `0100007F:1F90`: the address as the machine's words in hexadecimal, the port as a number. */
function parseAddress(text: string): { address: string; port: number } {
  const [hex = "", port = ""] = text.split(":");
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => [...Buffer.from(word, "hex").reverse()]);
  return { address: bytes.length === 4 ? bytes.join(".") : ipv6(bytes), port: Number.parseInt(port, 16) };
}

/** In the form that everybody writes, which URL knows. */
function ipv6(bytes: readonly number[]): string {
  const groups: string[] = [];
  for (let index = 0; index < bytes.length; index += 2) {
    groups.push((((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0)).toString(16));
  }
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

/** Which process holds each socket: the first that has it among its descriptors. */
async function findOwners(
  wanted: Set<string>,
  procFd: number,
  owners: Owners,
  signal: AbortSignal,
): Promise<void> {
  if (wanted.size === 0) return;
  for await (const { inode, pid } of heldSockets(procFd, { left: MAX_DESCRIPTORS, signal })) {
    if (!wanted.delete(inode)) continue;
    owners.set(inode, { pid, command: commandOf(`/proc/self/fd/${procFd}/${pid}`) });
    if (wanted.size === 0) return;
  }
}

/** What was started: the kernel's own name is that of a thread, `MainThread` for Node. */
function commandOf(folder: string): string {
  const [program = ""] = (readProc(`${folder}/cmdline`) ?? "").split("\0");
  return basename(program) || (readProc(`${folder}/comm`) ?? "").trimEnd();
}
