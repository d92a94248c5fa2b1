import { expect, test } from "vitest";
import { processesOf } from "../../../src/adapters/mastra/processes.ts";
import { connectionLost, processNotFound } from "../../../src/api/errors.ts";

class ProcessHandle {
  readonly stdout = "";
  readonly stderr = "";
}

class SandboxProcessManager {
  readonly _tracked = new Map();
}

interface Processes {
  spawn(command: string): Promise<{ wait(): Promise<unknown>; kill(): Promise<boolean> }>;
  list(): Promise<unknown>;
}

test.each([
  ["has ended with its server does not run", processNotFound(7), { running: false, exitCode: 137 }],
  ["is out of reach may run", connectionLost("No server"), { running: true }],
])("a process that %s", async (_what, error, expected) => {
  const vm = {
    run: async () => ({ running: true, pid: 7, startedAt: 1, after: -1 }),
    attach: async () => {
      throw error;
    },
  };
  const place = { vm, directory: async () => "/workspace" };
  const classes = { ProcessHandle, SandboxProcessManager };
  const processes = processesOf(place as never, classes as never) as Processes;
  const handle = await processes.spawn("sleep 1000");
  await expect(handle.wait()).rejects.toBe(error);
  expect(await processes.list()).toEqual([{ pid: "7", ...expected }]);
});
