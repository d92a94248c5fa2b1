// @module-tag any-user
import { expect, onTestFinished, test, vi } from "vitest";
import { vmOptionsSchema } from "../../../../../src/runtime/options.ts";
import { OutputShare } from "../../../../../src/runtime/sandbox/kernel/commands/output-share.ts";
import { KernelSandboxFactory } from "../../../../../src/runtime/sandbox/kernel/factory.ts";
import { spawnPty } from "../../../../../src/runtime/sandbox/kernel/terminal/terminal-end.ts";

/** More than the kernel gives in one read of a terminal, and less than a terminal holds. */
const LINES = Array.from({ length: 1000 }, (_, index) => `line ${String(index + 1).padStart(4, "0")}\n`).join(
  "",
);
const PRINT_LINES = "stty -onlcr; seq -f 'line %04g' 1 1000; exit 7";

test("output that a paused terminal still holds at its program's end comes before the exit, once and in order", async () => {
  const options = { cols: 80, rows: 24, env: { PATH: "/usr/bin:/bin" }, encoding: null };
  const pty = spawnPty("sh", ["-c", PRINT_LINES], options);
  let text = "";
  pty.onData((data) => {
    pty.pause();
    text += data;
  });
  const { exitCode } = await new Promise<{ exitCode: number }>((resolve) => pty.onExit(resolve));
  expect(text).toBe(LINES);
  expect(exitCode).toBe(7);
});

test("a terminal whose turn does not come before its program's end loses no output", async () => {
  const factory = new KernelSandboxFactory(vmOptionsSchema.parse({}));
  const sandbox = await factory.boot(AbortSignal.timeout(30_000));
  onTestFinished(() => sandbox.dispose());
  const mayReadOn = vi.spyOn(OutputShare.prototype, "mayReadOn").mockReturnValue(false);
  onTestFinished(() => mayReadOn.mockRestore());
  const request = { command: "sh", args: ["-c", PRINT_LINES], env: {}, cwd: "/", cols: 80, rows: 24 };
  const terminal = await sandbox.terminals.open(request);
  let text = "";
  terminal.onOutput((data) => {
    text += data.toString();
  });
  expect(await terminal.exited).toMatchObject({ exitCode: 7 });
  expect(text.replaceAll("\r", "")).toBe(LINES);
  expect(mayReadOn).toHaveBeenCalled();
});
