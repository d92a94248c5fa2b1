import { afterEach, expect, test, vi } from "vitest";
import { askUser } from "../../src/http/authorize.ts";
import type { Logger } from "../../src/http/logger.ts";
import { failure } from "../support/until.ts";

afterEach(() => void vi.useRealTimers());

test("a refusal because authorize did not answer in time is in the log, and any other is not", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const errors: unknown[] = [];
  const logger = { error: (line: unknown) => void errors.push(line) } as unknown as Logger;
  const request = { headers: new Headers(), token: "mine" };
  expect(await failure(askUser(() => undefined, request, logger))).toMatchObject({ code: "unauthorized" });
  expect(errors).toEqual([]);
  const refused = failure(askUser(() => new Promise<never>(() => undefined), request, logger));
  vi.runOnlyPendingTimers();
  expect(await refused).toMatchObject({ code: "unauthorized", metadata: { reason: "invalid" } });
  expect(errors).toMatchObject([
    { msg: "authorize failed", err: { message: expect.stringContaining("10000 ms") } },
  ]);
});
