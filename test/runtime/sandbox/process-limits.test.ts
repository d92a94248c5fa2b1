import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

/** Prints the limits of a process that has no descriptor left. */
const SCRIPT = `
  import { openSync } from "node:fs";
  import { ownProcessLimits, hostLimit } from "./src/runtime/sandbox/process-limits.ts";
  const free = ownProcessLimits().length;
  try { for (;;) openSync("/dev/null"); } catch (error) {
    if (error.code !== "EMFILE") throw error;
  }
  console.log(JSON.stringify({ free, limits: ownProcessLimits() }));
`;

test("a limit that cannot be read for want of descriptors counts as reached", async () => {
  const node = [process.execPath, "--input-type=module", "-e", SCRIPT];
  const { stdout } = await promisify(execFile)("bash", ["-c", 'ulimit -n 128; exec "$@"', "bash", ...node]);
  const { free, limits } = JSON.parse(stdout) as {
    free: number;
    limits: { limit: number; running: number }[];
  };
  expect(limits.length).toBeGreaterThanOrEqual(free);
  expect(limits.filter(({ limit, running }) => !(running > limit))).toEqual([]);
});
