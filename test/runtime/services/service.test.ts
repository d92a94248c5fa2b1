import { expect, test } from "vitest";
import { ReplayBudget } from "../../../src/runtime/processes/replay-buffer.ts";
import type { SandboxProcess } from "../../../src/runtime/sandbox/processes.ts";
import { Service } from "../../../src/runtime/services/service.ts";

/** A process that has ended and whose children are killed when the test says so. */
function processOf() {
  const kills: PromiseWithResolvers<void>[] = [];
  const process = {
    pid: 1,
    exited: Promise.resolve({ exitCode: 0 }),
    onOutput: () => undefined,
    signalAll: async () => undefined,
    killTree() {
      const kill = Promise.withResolvers<void>();
      kills.push(kill);
      return kill.promise;
    },
  };
  return { process: process as unknown as SandboxProcess, kills };
}

test("a stop that ends late leaves the process of a newer start to the next stop", async () => {
  const [first, second] = [processOf(), processOf()];
  const spawned = [first.process, second.process];
  const service = new Service(
    { name: "app", command: "app", restart: "never" },
    {
      spawn: async () => spawned.shift() as SandboxProcess,
      listens: async () => undefined,
      running: () => undefined,
      changed: () => undefined,
      wrote: () => undefined,
      kept: new ReplayBudget(1000),
    },
    true,
  );
  await service.start();
  await expect.poll(() => service.state).toBe("exited");
  const stopped = service.stop();
  const started = service.start();
  first.kills[1]?.resolve();
  await started;
  first.kills[0]?.resolve();
  await stopped;
  void service.stop();
  await expect.poll(() => second.kills.length).toBe(1);
});
