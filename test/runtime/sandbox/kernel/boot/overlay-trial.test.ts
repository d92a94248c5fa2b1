// @module-tag any-user
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Shield } from "../../../../../src/runtime/sandbox/kernel/boot/shield.ts";
import { findTools } from "../../../../../src/runtime/sandbox/kernel/tools.ts";
import { testFolder } from "../../../../support/temporary-folder.ts";

const mountOf = (source: string) => ({ source, target: "/opt/shared" });

/** A shield whose unshare(1) fails as that of a busy host, a number of times. */
function busyHost(failures: number) {
  const folder = testFolder();
  const unshare = join(folder, "unshare");
  const count = join(folder, "count");
  const lines = [
    "#!/bin/sh",
    `echo >> ${count}`,
    `if [ "$(wc -l < ${count})" -le ${failures} ]; then`,
    'echo "unshare: fork failed: Resource temporarily unavailable" >&2; exit 1; fi',
    `exec ${findTools().unshare} "$@"`,
  ];
  writeFileSync(unshare, `${lines.join("\n")}\n`);
  chmodSync(unshare, 0o755);
  return new Shield(join(folder, "shield"), { ...findTools(), unshare });
}

test("a folder has its overlay although the host was too busy for the first trial", async () => {
  expect(await busyHost(1).cover(mountOf("/usr/share"))).toHaveProperty("layer");
});

test("a host that stays busy shares no folder without its overlay", async () => {
  await expect(busyHost(99).cover(mountOf("/usr/share"))).rejects.toThrow(
    /overlay .* could not be tried \(unshare: fork failed: Resource temporarily unavailable\)/,
  );
});

test("a trial that cannot start shares no folder without its overlay", async () => {
  const folder = testFolder();
  const shield = new Shield(join(folder, "shield"), { ...findTools(), unshare: join(folder, "gone") });
  await expect(shield.cover(mountOf("/usr/share"))).rejects.toThrow("ENOENT");
});

test("a folder of which the kernel makes no overlay is shared without", async () => {
  const folder = testFolder();
  mkdirSync(join(folder, "inside"));
  const shield = new Shield(join(folder, "inside", "shield"), findTools());
  const tries = await Promise.all([shield.cover(mountOf(folder)), shield.cover(mountOf("/proc"))]);
  expect(tries.filter((mount) => "layer" in mount)).toEqual([]);
});
