// @module-tag attack
import { expect, test } from "vitest";
import { MAX_TOKEN_REQUEST_BYTES } from "../../../../src/http/limits.ts";
import { questionText } from "../../../../src/http/tokens/shared/question-text.ts";

const PIECE = Buffer.alloc(MAX_TOKEN_REQUEST_BYTES / 4, "a");

/** A request whose head does not tell its size. */
function streamed(pieces: number, onCancel: () => void = () => undefined): Request {
  let left = pieces;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (left === 0) return controller.close();
      left -= 1;
      controller.enqueue(PIECE);
    },
    cancel: onCancel,
  });
  const options = { method: "POST", body, duplex: "half" } as RequestInit;
  return new Request("http://actor/request/agent-vm/tokens", options);
}

test("a question without a told size is read whole, up to the limit", async () => {
  expect(await questionText(streamed(8))).toHaveLength(8 * PIECE.byteLength);
});

test("an endless question is given up at the limit", async () => {
  let isCancelled = false;
  const endless = streamed(Number.POSITIVE_INFINITY, () => {
    isCancelled = true;
  });
  expect(await questionText(endless)).toBeUndefined();
  expect(isCancelled).toBe(true);
});

test("other paths and methods are no questions", async () => {
  const options = { method: "POST", body: "{}" };
  expect(await questionText(new Request("http://actor/request/other", options))).toBeUndefined();
  expect(await questionText(new Request("http://actor/request/agent-vm/tokens"))).toBeUndefined();
});
