import { type Headers, pack } from "tar-stream";

export interface MadeEntry extends Headers {
  body?: string;
  /** Changes the entry's header. Its checksum is corrected afterwards. */
  patch?(header: Buffer): void;
}

const BLOCK = 512;
export const END = Buffer.alloc(2 * BLOCK);

/** Makes the bytes of one entry, without the end of an archive. */
export async function madeEntry({ body = "", patch, ...header }: MadeEntry): Promise<Buffer> {
  const archive = pack();
  archive.entry({ mode: 0o644, mtime: new Date(0), ...header }, body);
  archive.finalize();
  const pieces: Buffer[] = [];
  for await (const piece of archive) pieces.push(piece);
  const bytes = Buffer.concat(pieces).subarray(0, -END.length);
  if (patch !== undefined) {
    patch(bytes);
    bytes.fill(" ", 148, 156);
    const sum = bytes.subarray(0, BLOCK).reduce((total, byte) => total + byte, 0);
    bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  }
  return bytes;
}

/** Makes an archive, including archives that no honest tar makes. */
export async function madeTar(...entries: MadeEntry[]): Promise<Buffer> {
  const made: Buffer[] = [];
  for (const entry of entries) made.push(await madeEntry(entry));
  return Buffer.concat([...made, END]);
}
