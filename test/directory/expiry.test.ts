import { afterEach, expect, test, vi } from "vitest";
import { Expiry } from "../../src/directory/expiry.ts";
import { VmRows } from "../../src/directory/vm-rows.ts";
import { testFolder } from "../support/temporary-folder.ts";

afterEach(() => void vi.useRealTimers());

test("an index that closes while a VM is destroyed destroys no other VM, and looks no more", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const rows = new VmRows(testFolder());
  for (const actorId of ["a", "b"]) rows.insert({ actorId, name: "vm", key: [actorId], createdAt: 1 });
  const begun: string[] = [];
  const { promise: destroyed, resolve: finish } = Promise.withResolvers<void>();
  const failures: unknown[] = [];
  const expiry = new Expiry({
    rows,
    lifetimes: new Map([["vm", 1]]),
    isInUse: () => false,
    destroy: async (actorId) => {
      begun.push(actorId);
      await destroyed;
      rows.forget(actorId);
    },
    onFailure: (error) => failures.push(error),
  });
  expiry.arm();
  vi.runOnlyPendingTimers();
  expect(begun).toHaveLength(1);
  expiry.close();
  finish();
  await new Promise(setImmediate);
  expiry.arm();
  expect(begun).toHaveLength(1);
  expect(vi.getTimerCount()).toBe(0);
  expect(failures).toEqual([]);
});
