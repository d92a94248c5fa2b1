import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { copyHostCpus } from "../../../../../src/runtime/sandbox/kernel/boot/host-cpus.ts";
import { temporaryFolder } from "../../../../support/temporary-folder.ts";

test("VMs see the numbers and places of CPUs, and no clock or counter", async () => {
  const folder = temporaryFolder();
  const hidden = [
    "cpu0/cpufreq/scaling_cur_freq",
    "cpu0/thermal_throttle/count",
    "vulnerabilities/mds",
    "uevent",
  ];
  const shown = ["cpu0/topology/core_id", "cpu11/topology/core_id", "online", "possible"];
  for (const path of [...hidden, ...shown]) {
    mkdirSync(dirname(join(folder, "cpus", path)), { recursive: true });
    writeFileSync(join(folder, "cpus", path), "1\n");
  }
  mkdirSync(join(folder, "host", "cpu"), { recursive: true });
  const mask = process.umask(0o077);
  onTestFinished(() => void process.umask(mask));
  await copyHostCpus(join(folder, "host", "cpu"), join(folder, "cpus"));
  const listing = execFileSync("find", [".", "-mindepth", "1", "-printf", "%P %m\n"], {
    cwd: join(folder, "host", "cpu"),
  });
  expect(listing.toString().trim().split("\n").sort()).toEqual(
    [
      ...shown.map((path) => `${path} 644`),
      ...["cpu0", "cpu0/topology", "cpu11", "cpu11/topology"].map((path) => `${path} 755`),
    ].sort(),
  );
});
