import { decodeName } from "../../names.ts";

/** Flags of inotify(7). */
export const IN = {
  MODIFY: 0x2,
  ATTRIB: 0x4,
  MOVED_FROM: 0x40,
  MOVED_TO: 0x80,
  CREATE: 0x100,
  DELETE: 0x200,
  DELETE_SELF: 0x400,
  UNMOUNT: 0x2000,
  Q_OVERFLOW: 0x4000,
  IGNORED: 0x8000,
  ISDIR: 0x40000000,
} as const;

export interface InotifyEvent {
  /** Watch descriptor. -1 for an overflow. */
  wd: number;
  mask: number;
  /** Equal in the two events of a rename. */
  cookie: number;
  /** Empty if the event is about the directory itself. */
  name: string;
}

const EVENT_HEAD = 16;

/** Parses the bytes of read(2) on an inotify descriptor, in the byte order of every supported architecture. */
export function* eventsIn(bytes: Buffer): Generator<InotifyEvent> {
  for (let offset = 0; offset + EVENT_HEAD <= bytes.length; ) {
    const length = bytes.readUInt32LE(offset + 12);
    const nameAt = offset + EVENT_HEAD;
    yield {
      wd: bytes.readInt32LE(offset),
      mask: bytes.readUInt32LE(offset + 4),
      cookie: bytes.readUInt32LE(offset + 8),
      name: nameIn(bytes, nameAt, nameAt + length),
    };
    offset = nameAt + length;
  }
}

export interface DirectoryEntry {
  name: string;
  isDirectory: boolean;
}

const DIRENT_HEAD = 19;
const DT_DIR = 4;

/** Parses the bytes of getdents64(2), without `.` and `..`. */
export function* entriesIn(bytes: Buffer): Generator<DirectoryEntry> {
  for (let offset = 0; offset + DIRENT_HEAD <= bytes.length; ) {
    const length = bytes.readUInt16LE(offset + 16);
    const name = nameIn(bytes, offset + DIRENT_HEAD, offset + length);
    if (name !== "." && name !== "..") yield { name, isDirectory: bytes[offset + 18] === DT_DIR };
    offset += length;
  }
}

/** Reads a name that ends with NUL. */
function nameIn(bytes: Buffer, start: number, end: number): string {
  const nul = bytes.indexOf(0, start);
  return decodeName(bytes.toString("latin1", start, nul === -1 || nul > end ? end : nul));
}
