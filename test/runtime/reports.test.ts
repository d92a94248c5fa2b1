import { expect, test } from "vitest";
import { limitExceeded } from "../../src/api/errors.ts";
import type { VmReport } from "../../src/runtime/reports.ts";
import { MemoryStore } from "../../src/runtime/store/store.ts";
import { startVm } from "../support/vm.ts";

test("a VM reports boots, commands, checkpoints, denials, proxied bytes and its end, without their content", async () => {
  const reports: VmReport[] = [];
  const kinds = (kind: VmReport["kind"]) => reports.filter((report) => report.kind === kind);
  const { vm } = startVm({ network: { outbound: { allow: ["*"] } } }, undefined, {
    store: new MemoryStore(),
    report: (report) => void reports.push(report),
  });
  await vm.exec("echo s3cr3t > /workspace/s3cr3t; exit 3");
  const { pid } = await vm.spawn("true");
  await vm.waitProcess(pid);
  await vm.checkpoint();
  expect(kinds("booted")).toHaveLength(1);
  expect(kinds("commandEnded")).toMatchObject([{ reason: "exit" }, { reason: "exit" }]);
  expect(kinds("checkpoint").length).toBeGreaterThanOrEqual(1);
  expect(kinds("checkpoint")).toContainEqual(expect.objectContaining({ bytes: expect.any(Number) }));
  await vm.sleep();
  expect(kinds("down")).toMatchObject([{ reason: "sleep" }]);
  await vm.exists("/x");
  await vm.dispose("destroy");
  expect(kinds("booted")).toHaveLength(2);
  expect(kinds("down")).toMatchObject([{ reason: "sleep" }, { reason: "destroy" }]);
  expect(JSON.stringify(reports)).not.toContain("s3cr3t");
});

/** Boots a VM whose sandbox fails. @returns the reports */
async function failingBoot(error: Error): Promise<VmReport[]> {
  const reports: VmReport[] = [];
  const factory = {
    runtime: "memory" as const,
    capabilities: new Set<never>(),
    describe: () => Promise.reject(new Error("unused")),
    enforced: () => Promise.reject(new Error("unused")),
    boot: () => Promise.reject(error),
  };
  const report = (each: VmReport) => void reports.push(each);
  const { vm } = startVm({}, () => factory, { report });
  await vm.exists("/x").catch(() => undefined);
  return reports;
}

test("a VM reports a boot that fails, and not a boot that a quota refuses", async () => {
  const error = new Error("no namespaces");
  expect(await failingBoot(error)).toMatchObject([{ kind: "bootFailed", error }]);
  expect(await failingBoot(limitExceeded({ "quota.maxAwake": 1 }, "Full", "Wait."))).toEqual([]);
});
