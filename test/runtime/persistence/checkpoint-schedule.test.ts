import { expect, test } from "vitest";
import {
  CheckpointSchedule,
  type ScheduleDeps,
} from "../../../src/runtime/persistence/checkpoint-schedule.ts";

const RESULT = { files: 0, bytes: 0, durationMs: 0 };

/** Starts a schedule of a VM in which a background child runs. */
function start(intervalMs: number) {
  const taken = Promise.withResolvers<void>();
  const awake: Promise<unknown>[] = [];
  const deps: ScheduleDeps = {
    intervalMs,
    take: async () => {
      taken.resolve();
      return RESULT as never;
    },
    isDirty: () => false,
    isBusy: async () => true,
    keepAwake: (work) => void awake.push(work),
    onFailure: taken.reject,
  };
  return { schedule: new CheckpointSchedule(deps), taken: taken.promise, awake };
}

test("a checkpoint of what background children change does not keep the VM awake", async () => {
  const { schedule, taken, awake } = start(1);
  await taken;
  schedule.stop();
  await schedule.idle();
  expect(awake).toEqual([]);
});

test("a checkpoint that a caller waits for keeps the VM awake", async () => {
  const { schedule, awake } = start(1_000_000);
  await schedule.checkpoint();
  schedule.stop();
  expect(awake).toHaveLength(1);
});
