import { expect, test } from "vitest";
import { KeptOutcomes } from "../../src/actors/kept-outcomes.ts";
import { FairPool } from "../../src/base/fair-pool.ts";
import { seededRandom } from "../support/random.ts";

test("all VMs together count the outcomes that they keep, whatever happens in whatever order", () => {
  const { below } = seededRandom(1);
  const pool = new FairPool(2_000);
  const limits = { calls: 20, keptBytes: 1_500, retentionMs: 60_000, tombstones: 5 };
  for (let round = 0; round < 20; round++) {
    const vms = Array.from({ length: 3 }, () => new KeptOutcomes(limits, pool));
    const steps = [
      (vm: KeptOutcomes, id: string) => {
        if (vm.get(id) === undefined) vm.add(id, { ok: true, output: 7 }, below(300), below(5));
      },
      (vm: KeptOutcomes, id: string) => vm.forget(id),
      (vm: KeptOutcomes) => vm.makeRoom(below(30)),
      (vm: KeptOutcomes) => below(50) === 0 && vm.dispose(),
    ];
    for (let step = 0; step < 500; step++) {
      const vm = vms[below(3)] as KeptOutcomes;
      steps[below(steps.length)]?.(vm, `call ${below(60)}`);
      expect(pool.bytes).toBe(vms.reduce((sum, { bytes }) => sum + bytes, 0));
      expect(pool.bytes).toBeLessThanOrEqual(2_000);
    }
    for (const vm of vms) vm.dispose();
    expect(pool.bytes).toBe(0);
  }
});
