import { type Headers, pack } from "tar-stream";

export interface MadeEntry extends Headers {
  body?: string;
  /** Changes the entry's header, whose checksum is then made good. */
  patch?(header: Buffer): void;
}

const BLOCK = 512;
export const END = Buffer.alloc(2 * BLOCK);

/** One entry as its bytes, without an end. */
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

/** An archive as no honest tar would make it. */
export async function madeTar(...entries: MadeEntry[]): Promise<Buffer> {
  const made: Buffer[] = [];
  for (const entry of entries) made.push(await madeEntry(entry));
  return Buffer.concat([...made, END]);
}
