// @module-tag attack
import { once } from "node:events";
import { expect, test } from "vitest";
import type { VmState } from "../../src/api/methods/machine.ts";
import { VmDirectory } from "../../src/directory/vm-directory.ts";
import { testFolder } from "../support/temporary-folder.ts";
import { failure } from "../support/until.ts";

/** A directory with a quota of two awake VMs, and a way to add VMs. */
function directory() {
  const opened = new VmDirectory(testFolder(), {
    quota: { maxAwake: 2 },
    lifetimes: new Map([["vm", null]]),
    isStarting: () => false,
    store: async () => undefined,
    destroy: async () => undefined,
    onFailure: (error) => expect.unreachable(String(error)),
    onReplaced: () => undefined,
  });
  const enter = (key: string) => {
    const vm = { state: "sleeping" as VmState };
    const live = {
      state: () => vm.state,
      processes: () => 0,
      sessions: async () => 0,
      use: async () => undefined,
      lastUsedAt: () => 0,
    };
    const { admitBoot } = opened.enter(
      { actorId: key, name: "vm", key: [key] },
      { labels: {}, destroyAfterMs: undefined },
      live,
    );
    return () => {
      vm.state = "booting";
      admitBoot();
    };
  };
  return { opened, boots: ["one", "two"].map(enter) };
}

test("the trial boots of the health check stay within the quota of awake VMs", async () => {
  const { opened, boots } = directory();
  const trials: string[] = [];
  const trial = async () => void trials.push("trial");
  expect(await opened.tryBoot(trial)).toBe(true);
  for (const boot of boots) boot();
  expect(await opened.tryBoot(trial)).toBe(false);
  expect(trials).toEqual(["trial"]);
  opened.close();
});

test("a trial boot gives up its place to a VM, and only then", async () => {
  const { opened, boots } = directory();
  const [first, second] = boots;
  const place = Promise.withResolvers<AbortSignal>();
  const trial = opened.tryBoot(async (signal) => {
    place.resolve(signal);
    await once(signal, "abort");
    throw new Error("cancelled");
  });
  const signal = await place.promise;
  first?.();
  expect(signal.aborted).toBe(false);
  second?.();
  expect(await trial).toBe(false);
  const broken = directory().opened.tryBoot(() => Promise.reject(new Error("no namespaces")));
  expect(await failure(broken)).toMatchObject({ message: "no namespaces" });
  opened.close();
});
