// @module-tag slow
// @module-tag any-user
import { expect, test } from "vitest";
import { MAX_CAPTURED_BYTES } from "../../../src/runtime/processes/limits.ts";
import { startVm } from "../../support/vm.ts";

const MIB = 1024 * 1024;

test("concurrent execs share the capture budget of a VM and return it, and kill no exec that has no room", async () => {
  const { vm } = startVm({ limits: { captureBytes: 24 * MIB } });
  const fill = "head -c 23M /dev/zero; touch /tmp/full-$$; until [ -e /tmp/go ]; do sleep 0.02; done";
  const execs = Array.from({ length: 7 }, () => vm.exec(fill));
  await expect
    .poll(async () => (await vm.readdir("/tmp")).filter((name) => name.startsWith("full")).length, {
      timeout: 30_000,
    })
    .toBe(7);
  const small = await vm.exec("echo small", { outputLimit: "kill" });
  expect(small).toMatchObject({ exitCode: 0, reason: "exit", stdout: "", truncated: true });
  await vm.writeFile("/tmp/go", "");
  const results = await Promise.all(execs);
  const captured = results.reduce((sum, { stdout }) => sum + stdout.length, 0);
  expect(captured).toBe(MAX_CAPTURED_BYTES);
  expect(results.some(({ truncated }) => truncated)).toBe(true);
  const alone = await vm.exec("head -c 23M /dev/zero");
  expect([alone.stdout.length, alone.truncated]).toEqual([23 * MIB, false]);
});
