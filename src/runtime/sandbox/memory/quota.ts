import { type Call, posixError } from "../posix.ts";

/** Size of a page, the unit in which tmpfs counts a file's memory. */
const BLOCK_BYTES = 4096;

/** Unit of `blocks` in stat(2). */
const SECTOR_BYTES = 512;

export interface MemoryLimits {
  /** Bytes of all files together. A write past the limit is ENOSPC. */
  filesystemBytes: number;
  /** Number of files, directories and links. Another one is ENOSPC. */
  inodes: number;
}

/** Space that a tree has left, counted like tmpfs. */
export class Quota {
  readonly #limits: MemoryLimits;
  #blocks: number;
  #inodes: number;

  constructor(limits: MemoryLimits) {
    this.#limits = limits;
    this.#blocks = Math.floor(limits.filesystemBytes / BLOCK_BYTES);
    this.#inodes = limits.inodes;
  }

  used(): { filesystemBytes: number; inodes: number } {
    const blocks = Math.floor(this.#limits.filesystemBytes / BLOCK_BYTES) - this.#blocks;
    return { filesystemBytes: blocks * BLOCK_BYTES, inodes: this.#limits.inodes - this.#inodes };
  }

  takeInode(call: Call): void {
    if (this.#inodes < 1) throw posixError("ENOSPC", call);
    this.#inodes--;
  }

  /** Takes the pages that a file needs to grow. */
  grow(from: number, to: number, call: Call): void {
    const blocks = blocksOf(to) - blocksOf(from);
    if (blocks > this.#blocks) throw posixError("ENOSPC", call);
    this.#blocks -= blocks;
  }

  /** Returns an inode and the pages of its content. */
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
