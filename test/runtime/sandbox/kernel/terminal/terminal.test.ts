// @module-tag any-user
import { constants } from "node:os";
import { expect, onTestFinished, test, vi } from "vitest";
import { vmOptionsSchema } from "../../../../../src/runtime/options.ts";
import { KernelSandboxFactory } from "../../../../../src/runtime/sandbox/kernel/factory.ts";

/** kill(2) with pid 0 signals the caller's process group. A stray SIGURG is harmless. */
test("a signal to a shell that ended before the server found its pid is dropped", async () => {
  const factory = new KernelSandboxFactory(vmOptionsSchema.parse({}));
  const sandbox = await factory.boot(AbortSignal.timeout(30_000));
  onTestFinished(() => sandbox.dispose());
  const kill = vi.spyOn(process, "kill");
  onTestFinished(() => kill.mockRestore());
  const request = { command: "sh", args: ["-c", "exit 0"], env: {}, cwd: "/", cols: 80, rows: 24 };
  let started = 0;
  for (let round = 0; round < 40; round++) {
    const terminal = await sandbox.terminals.open(request).catch(() => undefined);
    terminal?.signal(constants.signals.SIGURG);
    if (terminal !== undefined) started += 1;
  }
  expect(started).toBeGreaterThan(0);
  expect(kill.mock.calls.filter(([pid]) => pid <= 0)).toEqual([]);
});
