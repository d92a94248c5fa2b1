import { MAX_TOKEN_REQUEST_BYTES } from "../../limits.ts";
import { TOKENS_PATH } from "./messages.ts";

/** Bytes of a question: arguments of a call, and the rights of its client. */
const MAX_QUESTION_BYTES = 2 * MAX_TOKEN_REQUEST_BYTES;

/** Returns whether a path is that of questions. */
export const isQuestion = (path: string) => path === TOKENS_PATH || path === `/request${TOKENS_PATH}`;

/** @returns `undefined` for a request that is not a question, or is too large for one */
export async function questionText(request: Request): Promise<string | undefined> {
  if (request.method !== "POST" || !isQuestion(new URL(request.url).pathname)) return undefined;
  if (request.body === null) return undefined;
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  // Anyone may send a request, and need not say how large it is.
  for await (const piece of request.body as unknown as AsyncIterable<Uint8Array>) {
    bytes += piece.byteLength;
    if (bytes > MAX_QUESTION_BYTES) return undefined;
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}
