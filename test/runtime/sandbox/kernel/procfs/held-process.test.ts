// @module-tag any-user
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { ROOT } from "../../../../support/doctor-after.ts";

/** Looks at a child when no descriptor is left, when there are some, and after its end. */
const LOOK = `
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { HeldProcess } from "./src/runtime/sandbox/kernel/procfs/held-process.ts";
const child = spawn("sleep", ["1000"], { stdio: "ignore" });
const held = HeldProcess.childOf(process.pid);
const look = () => [held.isAlive, held.hasEnded];
const open = [];
try { for (;;) open.push(openSync("/dev/null")); } catch {}
const busy = look();
for (const fd of open) closeSync(fd);
const free = look();
child.kill("SIGKILL");
await once(child, "exit");
console.log(JSON.stringify({ busy, free, ended: look() }));
`;

test("a server without a descriptor left takes no process for alive, and none for ended", () => {
  const { stdout } = spawnSync(
    "prlimit",
    ["--nofile=256", process.execPath, "--input-type=module", "-e", LOOK],
    { cwd: ROOT, encoding: "utf8" },
  );
  expect(JSON.parse(stdout)).toEqual({ busy: [false, false], free: [true, false], ended: [false, true] });
});
