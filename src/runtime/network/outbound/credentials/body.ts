import type { Readable } from "node:stream";
import { anyEvent } from "../../../../base/any-event.ts";
import { BodyCollector } from "../../../../base/body-collector.ts";
import { within } from "../../../../base/within.ts";
import { MAX_SECRET_BODY_BYTES, SECRET_BODY_MS } from "../../limits.ts";

/** The beginning of a request's body. */
export interface TakenBody {
  bytes: Buffer;
  /** `false`: the request has more, which is not read yet. */
  isWhole: boolean;
}

/**
 * Reads the body of a request up to MAX_SECRET_BODY_BYTES.
 *
 * @throws Error if the program does not send it within SECRET_BODY_MS, or breaks off
 */
export async function takeBody(request: Readable): Promise<TakenBody> {
  // The last piece may pass the limit.
  const body = new BodyCollector();
  const deadline = performance.now() + SECRET_BODY_MS;
  for (;;) {
    const piece = request.read() as Buffer | null;
    if (piece !== null) {
      body.add(piece);
      if (body.length > MAX_SECRET_BODY_BYTES) return { bytes: body.take(), isWhole: false };
      continue;
    }
    if (request.readableEnded) return { bytes: body.take(), isWhole: true };
    if (request.destroyed) throw new Error("the program broke off its request");
    const left = deadline - performance.now();
    if (left <= 0) throw new Error(`the request's body did not arrive within ${SECRET_BODY_MS} ms`);
    await within(anyEvent(request, ["readable", "end", "close", "error"]), left);
  }
}
