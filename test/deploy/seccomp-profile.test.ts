import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { FORBIDDEN_CALLS, RESTRICTED_CALLS } from "../../src/runtime/sandbox/system-calls.ts";
import { DOCKER_DENIED } from "../support/docker-profile.ts";

const ROOT = join(import.meta.dirname, "../..");

/** Calls that build and enter a VM. The filter of a VM refuses them to its programs. */
const OF_THE_SANDBOX = [
  "fsconfig",
  "fsmount",
  "fsopen",
  "fspick",
  "keyctl",
  "mount",
  "mount_setattr",
  "move_mount",
  "open_tree",
  "pivot_root",
  "sethostname",
  "setns",
  "umount2",
  "unshare",
];

const profile = JSON.parse(readFileSync(join(ROOT, "deploy/seccomp.json"), "utf8")) as {
  defaultAction: string;
  syscalls: { names: string[]; action: string }[];
};
const allowed = new Set(profile.syscalls.flatMap(({ names }) => names));

test("the profile refuses calls that it does not name", () => {
  expect(profile.defaultAction).toBe("SCMP_ACT_ERRNO");
  expect(new Set(profile.syscalls.map(({ action }) => action))).toEqual(new Set(["SCMP_ACT_ALLOW"]));
});

test("of the calls that no VM may make, the profile allows those of the sandbox", () => {
  const refused = [...FORBIDDEN_CALLS, ...DOCKER_DENIED.map(([name]) => name)];
  expect(refused.filter((name) => allowed.has(name)).sort()).toEqual(
    [...OF_THE_SANDBOX, ...OF_THE_SANDBOX].sort(),
  );
});

test("the profile allows every call that a VM may make in part", () => {
  // libc uses clone if clone3 fails with ENOSYS.
  expect(RESTRICTED_CALLS.filter((name) => !allowed.has(name))).toEqual(["clone3"]);
});

test("the profile allows every call of the helper programs", () => {
  const folder = join(ROOT, "src/runtime/sandbox/kernel/helpers");
  const programs = readdirSync(folder).filter((name) => name.endsWith(".pl"));
  const texts = programs.map((name) => readFileSync(join(folder, name), "utf8")).join("");
  const calls = [...new Set(Array.from(texts.matchAll(/\$SYS\{(\w+)\}/g), ([, name = ""]) => name))];
  expect(calls.length).toBeGreaterThan(20);
  expect(calls.filter((name) => !allowed.has(name))).toEqual([]);
});
