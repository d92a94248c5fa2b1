import { type FileHandle, open } from "node:fs/promises";
import { pidsIn } from "../procfs/procfs.ts";

/** Bytes that are read of all processes' lists together. A program may have 65,530 mappings of 100 bytes each. */
const MAX_BYTES = 8 * 1024 * 1024;

const PIECE_BYTES = 64 * 1024;

/** Matches `7f00-7f01 rw-s 00000000 00:28 2  /workspace/x`: shared and writable, then offset, device and inode. */
const SHARED_WRITABLE = /^\S+ .w.s \S+ \S+ (\d+)/gm;

/**
 * Lists the inodes of files that processes of a VM have mapped shared and writable. On a tmpfs a write through such a
 * mapping changes the file's times only if it is the first access to its page. msync(2) and munmap(2) never change
 * them. The list may include inodes of other file systems.
 *
 * @param procFd the VM's own procfs
 * @param signal aborted before `procFd` is closed. Another VM may have its number then
 * @throws the signal's reason
 */
export async function mappedFiles(procFd: number, signal: AbortSignal): Promise<ReadonlySet<number>> {
  const inodes = new Set<number>();
  let left = MAX_BYTES;
  signal.throwIfAborted();
  for (const pid of pidsIn(`/proc/self/fd/${procFd}`)) {
    let file: FileHandle | undefined;
    try {
      file = await open(`/proc/self/fd/${procFd}/${pid}/maps`);
      left -= await readMappings(file, left, inodes);
    } catch {
      // The process has ended, or the server may not inspect it.
    } finally {
      await file?.close();
    }
    signal.throwIfAborted();
  }
  return inodes;
}

/** @returns the number of bytes that were read */
async function readMappings(file: FileHandle, limit: number, inodes: Set<number>): Promise<number> {
  const piece = Buffer.allocUnsafe(PIECE_BYTES);
  let bytes = 0;
  let rest = "";
  while (bytes < limit) {
    const { bytesRead } = await file.read(piece, 0, PIECE_BYTES);
    if (bytesRead === 0) break;
    bytes += bytesRead;
    const text = rest + piece.toString("latin1", 0, bytesRead);
    const end = text.lastIndexOf("\n") + 1;
    for (const [, inode] of text.slice(0, end).matchAll(SHARED_WRITABLE)) inodes.add(Number(inode));
    rest = text.slice(end);
  }
  inodes.delete(0);
  return bytes;
}
