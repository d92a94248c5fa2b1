import { expect, onTestFinished, test, vi } from "vitest";
import { MAX_REVOKED_AGE_MS, REVOKED_AGE_MS } from "../../../../src/http/tokens/shared/limits.ts";
import type { RevokedPage } from "../../../../src/http/tokens/shared/messages.ts";
import { RevokedTokens } from "../../../../src/http/tokens/shared/revoked-tokens.ts";
import { failure } from "../../../support/until.ts";

const PAGE: RevokedPage = { epoch: "e", after: 0, tokens: [["revoked", Date.now() + 3_600_000]] };

/** Makes a list that is some milliseconds old, and whose next question is answered by `answer`. */
async function listOf(age: number, answer: () => Promise<RevokedPage>) {
  let asked = 0;
  const list = new RevokedTokens({
    desk: { revoked: async () => (asked++ === 0 ? PAGE : await answer()) },
    onRevoked: () => undefined,
    isWatched: () => false,
  });
  onTestFinished(() => list.close());
  await list.fresh();
  const now = performance.now() + age;
  const clock = vi.spyOn(performance, "now").mockReturnValue(now);
  onTestFinished(() => clock.mockRestore());
  return { list, clock, now, asked: () => asked };
}

const NEVER = () => new Promise<never>(() => undefined);

test("a list that is not too old decides while the actor that knows gives no answer", async () => {
  const { list, clock, now, asked } = await listOf(REVOKED_AGE_MS + 1, NEVER);
  // The first request waits a moment, and later ones do not wait for the same question again.
  await list.fresh();
  clock.mockReturnValue(now + 10_000);
  for (let count = 0; count < 100; count++) await list.fresh();
  expect([list.has("revoked"), asked()]).toEqual([true, 2]);
});

test("a newer list that comes in time counts", async () => {
  const newer: RevokedPage = { epoch: "e", after: 1, tokens: [["later", Date.now() + 3_600_000]] };
  const { list } = await listOf(REVOKED_AGE_MS + 1, async () => newer);
  await list.fresh();
  expect(list.has("later")).toBe(true);
});

test("a list that is too old refuses tokens until there is a newer one", async () => {
  const error = new Error("no server");
  let isUp = false;
  const { list } = await listOf(MAX_REVOKED_AGE_MS + 1, async () => {
    if (isUp) return PAGE;
    throw error;
  });
  expect(await failure(list.fresh())).toBe(error);
  isUp = true;
  await list.fresh();
});
