import { type Call, posixError } from "../posix.ts";

/** tmpfs gives memory out by the page, and so does this. */
const BLOCK_BYTES = 4096;

/** stat(2) counts in these. */
const SECTOR_BYTES = 512;

export interface MemoryLimits {
  /** Bytes of all files together; writes past it are ENOSPC. */
  filesystemBytes: number;
  /** Files, directories and links; more are ENOSPC. */
  inodes: number;
}

/** What a tree may still take, counted as tmpfs counts. */
export class Quota {
  #blocks: number;
  #inodes: number;

  constructor(limits: MemoryLimits) {
    this.#blocks = Math.floor(limits.filesystemBytes / BLOCK_BYTES);
    this.#inodes = limits.inodes;
  }

  takeInode(call: Call): void {
    if (this.#inodes < 1) throw posixError("ENOSPC", call);
    this.#inodes--;
  }

  /** Takes what a file needs to grow to a size. */
  grow(from: number, to: number, call: Call): void {
    const blocks = blocksOf(to) - blocksOf(from);
    if (blocks > this.#blocks) throw posixError("ENOSPC", call);
    this.#blocks -= blocks;
  }

  /** Gives back an inode and the content it had. */
  release(size: number): void {
    this.#inodes++;
    this.#blocks += blocksOf(size);
  }
}

export function sectorsOf(size: number): number {
  return (blocksOf(size) * BLOCK_BYTES) / SECTOR_BYTES;
}

function blocksOf(size: number): number {
  return Math.ceil(size / BLOCK_BYTES);
}
