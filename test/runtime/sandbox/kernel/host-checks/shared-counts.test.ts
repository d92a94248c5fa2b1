// @module-tag attack
import { totalmem } from "node:os";
import { expect, test } from "vitest";
import { checkSharedCounts } from "../../../../../src/runtime/sandbox/kernel/host-checks/shared-counts.ts";

const host = (fileMax: string, orphans: string | undefined) => (path: string) =>
  ({ "/proc/sys/fs/file-max": fileMax, "/proc/sys/net/ipv4/tcp_max_orphans": orphans })[path];

test("warns of counts of the host that VMs can take before their memory ends", () => {
  const { ok, detail, fixes } = checkSharedCounts(host("100000\n", "16384\n"));
  expect([ok, detail]).toEqual([
    true,
    "VMs can take all 100000 open files and all 16384 closed TCP connections with unsent bytes",
  ]);
  expect(fixes).toHaveLength(2);
  expect(fixes[0]).toMatch(/^On the host: sysctl fs\.file-max=\d+$/);
  expect(fixes[1]).toMatch(/^On the host: sysctl net\.ipv4\.tcp_max_orphans=\d+$/);
});

test("is content with counts that end after the memory, and with counts that a container does not show", () => {
  const enough = String(Math.ceil(totalmem() / 256));
  for (const read of [host("9223372036854775807\n", "2147483647\n"), host(enough, undefined)])
    expect(checkSharedCounts(read)).toMatchObject({ detail: "the memory of VMs ends first", fixes: [] });
});
