import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // A VM boots in milliseconds; this bounds a test that hangs.
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // What a test waits for comes at once, but a machine may be busy.
    expect: { poll: { timeout: 10_000 } },
    pool: "forks",
    // Much of a test is waiting for processes, so that a core for the runner need not be kept free.
    maxWorkers: Math.max(2, availableParallelism()),
  },
});
