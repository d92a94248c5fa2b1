import { expect, onTestFinished, test, vi } from "vitest";
import { VmInstance } from "../../src/actors/instance.ts";
import { REPLACE_TIMEOUT_MS } from "../../src/actors/limits.ts";
import { createLogger } from "../../src/http/logger.ts";
import { Monitor } from "../../src/monitoring/monitor.ts";
import { checkOptions } from "../../src/runtime/check-options.ts";
import { MemoryStore } from "../../src/runtime/store/store.ts";
import { VmDefinition } from "../../src/runtime/vm-definition.ts";
import { failure } from "../support/until.ts";

const { options } = checkOptions({ runtime: "memory" });
const monitor = new Monitor(createLogger("silent")).vm("vm", ["one"]);

/** Starts instances of one actor behind an engine, over one storage. */
function startActor() {
  const store = new MemoryStore();
  const definition = new VmDefinition(options, {
    createVm: (_options, hooks, run) => new VmDefinition(options).create(hooks, { ...run, store }),
  });
  const actorId = crypto.randomUUID();
  const nothing = async () => undefined;
  const kv = {
    ...{ deleteRange: nothing, putBatch: nothing, deleteBatch: nothing },
    listRange: async () => [],
    getBatch: async () => [],
  };
  return (beforeSleep?: () => Promise<void>) =>
    VmInstance.create(
      definition,
      {
        ...{ actorId, name: "vm", key: ["one"], state: { alarms: [] }, kv, conns: new Map() },
        ...{ broadcast: () => undefined, destroy: () => undefined, client: () => undefined },
        schedule: { at: nothing },
        keepAwake: (work) => work,
        abortSignal: new AbortController().signal,
      },
      {},
      monitor,
      { peer: { fork: true, token: "t" }, mayMove: true, beforeSleep },
    );
}

test("an instance opens although the end of an older instance hangs, and the older instance writes nothing after it", async () => {
  const start = startActor();
  const older = await start(() => new Promise(() => undefined));
  await older.vm.writeFile("/workspace/note", "older");
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const starting = start();
  await vi.advanceTimersByTimeAsync(REPLACE_TIMEOUT_MS);
  vi.useRealTimers();
  const newer = await starting;
  await newer.vm.writeFile("/workspace/note", "newer");
  for (const change of [
    () => older.vm.writeFile("/workspace/note", "older again"),
    () => older.vm.checkpoint(),
    () => older.vm.setLabels({ of: "older" }),
  ])
    expect(await failure(change())).toMatchObject({ code: "vm_stopped" });
  await newer.dispose("sleep");
  const last = await start();
  expect(new TextDecoder().decode(await last.vm.readFile("/workspace/note"))).toBe("newer");
  expect(await last.vm.labels()).toEqual({});
  await last.dispose("sleep");
});
