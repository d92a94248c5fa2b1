const ESC = 0x1b;
const BEL = 0x07;
const CAN = 0x18;
const SUB = 0x1a;

/** A longer unfinished sequence is output like any other. */
const MAX_UNFINISHED_BYTES = 4096;

/**
 * Returns how many bytes at the end of a terminal's output are the beginning of an escape sequence or of a character of
 * UTF-8. The bytes that follow will complete it.
 */
export function unfinishedBytes(output: Uint8Array): number {
  const from = Math.max(0, output.length - MAX_UNFINISHED_BYTES);
  const at = output.lastIndexOf(ESC);
  if (at >= from && !isComplete(output.subarray(at + 1))) {
    // A string such as a title ends with ESC \, so its beginning is an ESC before.
    return output.length - (stringStart(output, from, at) ?? at);
  }
  const start = stringStart(output, from, output.length);
  return start === undefined ? unfinishedCharacter(output) : output.length - start;
}

/** Whether the bytes behind an ESC complete its sequence. The beginning of a string counts as complete. */
function isComplete(rest: Uint8Array): boolean {
  const [kind] = rest;
  if (kind === undefined) return false;
  const body = rest.subarray(1);
  if (kind === 0x5b)
    return body.some((byte) => (byte >= 0x40 && byte <= 0x7e) || byte === CAN || byte === SUB);
  if (kind >= 0x20 && kind <= 0x2f) return body.some((byte) => byte >= 0x30);
  return true;
}

/** Finds the beginning of a string sequence (OSC, DCS, SOS, PM or APC) that is open before `end`. */
function stringStart(output: Uint8Array, from: number, end: number): number | undefined {
  let open: number | undefined;
  for (let index = from; index < end; index++) {
    const byte = output[index];
    if (byte === BEL || byte === CAN || byte === SUB) open = undefined;
    if (byte !== ESC) continue;
    const kind = output[index + 1] ?? 0;
    open = [0x5d, 0x50, 0x58, 0x5e, 0x5f].includes(kind) ? index : undefined;
  }
  return open;
}

function unfinishedCharacter(output: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, output.length); back++) {
    const byte = output[output.length - back] ?? 0;
    if (byte < 0x80) return 0;
    if (byte < 0xc0) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return length > back ? back : 0;
  }
  return 0;
}
