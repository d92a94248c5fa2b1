import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // A VM boots in milliseconds; this bounds a test that hangs.
    testTimeout: 30_000,
    hookTimeout: 30_000,
    pool: "forks",
  },
});
