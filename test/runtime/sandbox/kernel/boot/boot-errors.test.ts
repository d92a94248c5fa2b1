// @module-tag any-user
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { vmOptionsSchema } from "../../../../../src/runtime/options.ts";
import { KernelSandboxFactory } from "../../../../../src/runtime/sandbox/kernel/factory.ts";
import { ownDescendants } from "../../../../support/host.ts";
import { testFolder } from "../../../../support/temporary-folder.ts";

test("a boot that fails says what it could not do, and leaves nothing", async () => {
  const file = join(testFolder(), "file");
  writeFileSync(file, "text");
  const options = vmOptionsSchema.parse({ software: [{ hostPath: file, path: "/opt/shared" }] });
  const factory = new KernelSandboxFactory(options);
  onTestFinished(() => factory.close());
  await factory.prepare();
  rmSync(file);
  const before = ownDescendants();
  const boot = () => factory.boot(AbortSignal.timeout(30_000));
  await expect(boot()).rejects.toMatchObject({
    code: "boot_failed",
    message: "The VM did not boot: cannot mount the folder /opt/shared: ENOENT, no such file or directory",
  });
  expect(ownDescendants()).toEqual(before);
  mkdirSync(file);
  await expect(boot()).rejects.toMatchObject({ message: expect.stringContaining("ENOTDIR") });
  rmSync(file, { recursive: true });
  writeFileSync(file, "text");
  await (await boot()).dispose();
});
