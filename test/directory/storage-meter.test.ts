import { afterEach, expect, test, vi } from "vitest";
import { StorageMeter } from "../../src/directory/storage-meter.ts";
import { VolumeFiles } from "../../src/directory/volume-files.ts";
import { ActorFiles } from "../../src/rivet/actor-files.ts";
import { testFolder } from "../support/temporary-folder.ts";

afterEach(() => void vi.useRealTimers());

test("a meter measures again and again, and no more once it is closed, also if it closes during a measurement", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const folder = testFolder();
  const volumes = new VolumeFiles(folder);
  const measured: PromiseWithResolvers<number>[] = [];
  volumes.bytes = () => {
    const measurement = Promise.withResolvers<number>();
    measured.push(measurement);
    return measurement.promise;
  };
  const meter = new StorageMeter(new ActorFiles(folder), volumes, (error) =>
    expect.unreachable(String(error)),
  );
  const finish = async (bytes: number) => {
    measured.at(-1)?.resolve(bytes);
    await new Promise(setImmediate);
  };
  meter.keepMeasuring();
  await finish(1);
  expect(meter.bytes).toBe(1);
  vi.runOnlyPendingTimers();
  expect(measured).toHaveLength(2);
  meter.close();
  await finish(2);
  expect(vi.getTimerCount()).toBe(0);
});
