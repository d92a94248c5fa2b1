// @module-tag any-user
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { ROOT } from "../../../../support/doctor-after.ts";

/** Asks for a wall when no descriptor is left, and again when there are some. */
const ASK = `
import { closeSync, openSync } from "node:fs";
import { cgroupSupport } from "./src/runtime/sandbox/kernel/processes/cgroup.ts";
import { lackOfOwnUids } from "./src/runtime/sandbox/own-uids.ts";
const ask = () => [lackOfOwnUids, () => cgroupSupport().description].map((question) => {
  try { return question() ?? "own uids"; } catch (error) { return error.code; }
});
const open = [];
try { for (;;) open.push(openSync("/dev/null")); } catch {}
const busy = ask();
for (const fd of open) closeSync(fd);
console.log(JSON.stringify({ busy, free: ask() }));
`;

function answers(limit: number): { busy: string[]; free: string[] } {
  const { stdout } = spawnSync(
    "prlimit",
    [`--nofile=${limit}`, process.execPath, "--input-type=module", "-e", ASK],
    { cwd: ROOT, encoding: "utf8" },
  );
  return JSON.parse(stdout);
}

test("a server without a descriptor left does not take its own shortage for a host without walls", () => {
  const { busy, free } = answers(256);
  // An ordinary user has no uids to give, however many descriptors there are.
  expect(busy).toEqual([process.getuid?.() === 0 ? "EMFILE" : "the server is not root", "EMFILE"]);
  expect(free.join()).not.toContain("EMFILE");
});
