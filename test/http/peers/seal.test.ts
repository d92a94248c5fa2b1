import { expect, onTestFinished, test, vi } from "vitest";
import { Nonces } from "../../../src/http/peers/seal.ts";

test("forgets requests that are too old, also after the clock was set back", () => {
  vi.useFakeTimers({ toFake: ["Date"], now: 10_000_000 });
  const passed = vi.spyOn(performance, "now").mockReturnValue(0);
  onTestFinished(() => {
    vi.useRealTimers();
    passed.mockRestore();
  });
  const nonces = new Nonces();
  const nonce = "n".repeat(24);
  expect(nonces.take({ at: Date.now(), nonce })).toBe(undefined);
  vi.setSystemTime(6_000_000);
  expect(nonces.take({ at: Date.now(), nonce })).toBe("repeated");
  vi.advanceTimersByTime(61_000);
  passed.mockReturnValue(61_000);
  expect(nonces.take({ at: Date.now(), nonce })).toBe(undefined);
});
