// @module-tag attack
import { expect, test } from "vitest";
import { EventHooks } from "../../src/actors/event-hooks.ts";
import type { VmEvents } from "../../src/api/events.ts";
import { FairPool } from "../../src/base/fair-pool.ts";
import type { ActorLog } from "../../src/rivet/log.ts";

type Payload = VmEvents["sessionEvent"];

test("events of all VMs that wait for slow hooks have a bound, and the VM with the most loses its own", async () => {
  const pool = new FairPool(1 << 20);
  const vm = () => {
    const free = Promise.withResolvers<void>();
    const got: unknown[] = [];
    const dropped: unknown[] = [];
    const work: Promise<unknown>[] = [];
    const hook = async (payload: Payload) => {
      got.push(payload);
      await free.promise;
    };
    const hooks = new EventHooks(
      { sessionEvent: { name: "onSessionEvent", run: hook } },
      {
        timeoutMs: 60_000,
        log: { error: (line: object) => dropped.push(line) } as unknown as ActorLog,
        keepAwake: (waiting) => void work.push(waiting),
        pool,
      },
    );
    const tell = (text: string) => hooks.tell("sessionEvent", { text } as unknown as Payload);
    const end = async () => {
      free.resolve();
      await Promise.all(work);
    };
    return { tell, end, got, dropped };
  };
  const [quiet, loud] = [vm(), vm()];
  for (let count = 0; count < 10; count++) quiet.tell(`quiet ${count}`);
  for (let count = 0; count < 100; count++) loud.tell("x".repeat(20_000));
  expect(pool.bytes).toBeLessThanOrEqual(1 << 20);
  expect(loud.dropped).toMatchObject([{ hook: "onSessionEvent", dropped: expect.any(Number) }]);
  await Promise.all([quiet.end(), loud.end()]);
  expect(quiet.got).toHaveLength(10);
  expect(quiet.dropped).toEqual([]);
  expect(pool.bytes).toBe(0);
});
