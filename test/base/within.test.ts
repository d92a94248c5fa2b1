import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { unlessAborted, within } from "../../src/base/within.ts";

const never = new Promise<never>(() => undefined);

const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;

test("returns the result of work that ends in time, and clears its timer", async () => {
  const before = timers();
  expect(await within(Promise.resolve("done"), 60_000)).toBe("done");
  expect(timers()).toBe(before);
});

test("returns undefined after the timeout, at once if it is negative", async () => {
  expect(await within(never, 5)).toBeUndefined();
  expect(await within(never, -1)).toBeUndefined();
});

test("throws the error of the work", async () => {
  await expect(within(Promise.reject(new Error("broken")), 1_000)).rejects.toThrow("broken");
});

test("keeps the process alive while it waits, and no longer", () => {
  const module = new URL("../../src/base/within.ts", import.meta.url).href;
  const program = `
    import { within } from ${JSON.stringify(module)};
    await within(new Promise(() => undefined), 20);
    await within(Promise.resolve(), 600_000);
    console.log("both have ended");`;
  const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
    encoding: "utf8",
    timeout: 60_000,
  });
  expect(stdout).toBe("both have ended\n");
});

test("returns the result of work unless the signal is aborted", async () => {
  const { signal } = new AbortController();
  expect(await unlessAborted(Promise.resolve(1), signal)).toBe(1);
  expect(await unlessAborted(undefined, signal)).toBeUndefined();
});

test("throws the reason of a signal that is aborted before or during the work", async () => {
  const controller = new AbortController();
  const during = expect(unlessAborted(never, controller.signal)).rejects.toThrow("stopped");
  controller.abort(new Error("stopped"));
  await during;
  await expect(unlessAborted(never, controller.signal)).rejects.toThrow("stopped");
});
