import { constants } from "node:os";
import { expect, onTestFinished, test, vi } from "vitest";
import { vmOptionsSchema } from "../../../../src/runtime/options.ts";
import { KernelSandboxFactory } from "../../../../src/runtime/sandbox/kernel/factory.ts";

/** kill(2) takes 0 for the caller's process group. SIGURG is harmless where it goes astray. */
test("a signal for a shell that was gone before it was found reaches nobody", async () => {
  const factory = new KernelSandboxFactory(vmOptionsSchema.parse({}));
  const sandbox = await factory.boot(new AbortController().signal);
  onTestFinished(() => sandbox.dispose());
  const kill = vi.spyOn(process, "kill");
  onTestFinished(() => kill.mockRestore());
  const request = { command: "sh", args: ["-c", "exit 0"], env: {}, cwd: "/", cols: 80, rows: 24 };
  for (let round = 0; round < 40; round++) {
    const terminal = await sandbox.terminal(request).catch(() => undefined);
    terminal?.signal(constants.signals.SIGURG);
  }
  expect(kill.mock.calls.filter(([pid]) => pid <= 0)).toEqual([]);
});
