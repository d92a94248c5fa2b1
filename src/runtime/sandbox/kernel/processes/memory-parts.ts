import { MIB } from "../../../../api/units.ts";
import type { VmLimits } from "../../../options.ts";

/** Memory that stays with programs: a part of the limit, and at least so many bytes, unless that is more than half of it. */
const [RESERVED_PART, RESERVED_BYTES, MOST_RESERVED] = [1 / 8, 64 * MIB, 1 / 2];

/** Memory of System V segments, as part of that of files. It belongs to no process, as files do. */
const SEGMENTS_PART = 1 / 2;

/** Bytes of memory that no end of a process frees. */
export interface HeldMemory {
  files: number;
  /** Files and memory mounts together. */
  together: number;
  /** System V segments. */
  segments: number;
}

/**
 * Bounds the memory that files, memory mounts and segments may take. Without a reserve for programs a full tree would fill `memoryBytes`, and the
 * kernel would kill every further command, also a command that deletes files.
 *
 * @param isEnforced whether the kernel counts memory toward `memoryBytes`
 */
export function heldMemory({ filesystemBytes, memoryBytes }: VmLimits, isEnforced: boolean): HeldMemory {
  if (!isEnforced)
    return {
      files: filesystemBytes,
      together: Number.POSITIVE_INFINITY,
      segments: filesystemBytes * SEGMENTS_PART,
    };
  const reserved = Math.min(
    memoryBytes * MOST_RESERVED,
    Math.max(memoryBytes * RESERVED_PART, RESERVED_BYTES),
  );
  const together = Math.floor(memoryBytes - reserved);
  const files = Math.min(filesystemBytes, together);
  return { files, together, segments: Math.min(files * SEGMENTS_PART, memoryBytes - reserved / 2 - files) };
}
