import { expect, test } from "vitest";
import { MemoryStore } from "../../../src/runtime/store/store.ts";
import { startOutboundVm, startOutside } from "../../support/outside.ts";

const MIB = 1024 * 1024;

test("usage adds up what a VM has used over its boots", async () => {
  const { port } = await startOutside();
  const store = new MemoryStore();
  const policy = { outbound: { allow: ["api.test", `127.0.0.1:${port}`] } };
  const start = () => startOutboundVm(policy, { "api.test": ["127.0.0.1"] }, { store }).vm;
  const vm = start();
  expect(await vm.usage()).toEqual({ awakeMs: 0, cpuMs: 0, bytesOut: 0, bytesIn: 0, hours: [] });
  await vm.exec("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done");
  await vm.exec(`head -c ${2 * MIB} /dev/zero > /workspace/big`);
  const { exitCode } = await vm.exec(
    `curl -sS --data-binary @/workspace/big -o /dev/null http://api.test:${port}/`,
  );
  expect(exitCode).toBe(0);
  const first = await vm.usage();
  expect(first.cpuMs).toBeGreaterThan(50);
  expect(first.awakeMs).toBeGreaterThan(0);
  expect(first.bytesOut).toBeGreaterThan(2 * MIB);
  expect(first.bytesIn).toBeGreaterThan(0);
  expect(first.hours.at(-1)?.diskBytes).toBeGreaterThanOrEqual(2 * MIB);
  expect(await vm.fileBytes()).toBeGreaterThanOrEqual(2 * MIB);

  await vm.sleep();
  expect(await vm.fileBytes()).toBe(undefined);
  const asleep = await vm.usage();
  await vm.exec("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done");
  await vm.dispose("sleep");
  const woken = start();
  const last = await woken.usage();
  expect(last.cpuMs).toBeGreaterThan(asleep.cpuMs + 50);
  expect(last.bytesOut).toBe(asleep.bytesOut);
  expect(last.hours.reduce((sum, { cpuMs }) => sum + cpuMs, 0)).toBeCloseTo(last.cpuMs);
  expect(woken.state()).toBe("sleeping");
});
