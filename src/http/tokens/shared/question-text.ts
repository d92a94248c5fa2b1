import { readAtMost } from "../../../base/read-at-most.ts";
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
  // Anyone may send a request, and need not say how large it is.
  const body = request.body as unknown as AsyncIterable<Uint8Array>;
  return (await readAtMost(body, MAX_QUESTION_BYTES))?.toString();
}
