// @module-tag any-user
// @module-tag attack
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const SCRIPT = `
import { vmOptionsSchema } from "./src/runtime/options.ts";
import { assembleVm } from "./src/runtime/vm.ts";
import { openShared } from "./src/runtime/vm-shared.ts";
const options = vmOptionsSchema.parse({});
const vm = assembleVm(openShared(options), { emit() {}, keepAwake() {} });
await vm.spawn("sleep", [process.argv[1]]);
await vm.exec("setsid -f env -i sleep " + process.argv[1]);
const { shellId } = await vm.openShell();
await vm.writeShell(shellId, "trap '' HUP TERM; sleep " + process.argv[1] + "\\n");
await vm.exec("until [ $(pgrep -c sleep) = 3 ]; do sleep 0.01; done");
console.log("running");
setInterval(() => {}, 1000);
`;

function sleepers(mark: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8") === `sleep\0${mark}\0`;
    } catch {
      return false;
    }
  });
}

test("SIGKILL of the server ends all processes of its VMs", async () => {
  const mark = String(100_000 + process.pid);
  const server = spawn(process.execPath, ["--input-type=module-typescript", "-e", SCRIPT, mark], {
    cwd: join(import.meta.dirname, "../../../.."),
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((resolve) => server.stdout.once("data", resolve));
  expect(sleepers(mark).length).toBe(3);
  server.kill("SIGKILL");
  await expect.poll(() => sleepers(mark)).toEqual([]);
});
