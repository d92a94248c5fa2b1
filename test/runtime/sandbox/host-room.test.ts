// @module-tag any-user
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { awakeCapacity } from "../../../src/runtime/sandbox/host-room.ts";
import { hasOwnUids, uidRange } from "../../../src/runtime/sandbox/own-uids.ts";
import { ROOT } from "../../support/doctor-after.ts";

/** Takes uids until there is none. */
const TAKE_ALL = `
import { acquireUid } from "./src/runtime/sandbox/kernel/boot/host-uids.ts";
let taken = 0;
try { for (;; taken++) acquireUid(); } catch ({ code, metadata }) {
  console.log(JSON.stringify({ taken, code, resource: metadata.resource }));
}`;

test.skipIf(!hasOwnUids())(
  "a root server has a place for each of its uids at most, and is full without one",
  () => {
    const { count } = uidRange();
    expect(awakeCapacity()).toBeLessThanOrEqual(count);
    const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", TAKE_ALL], {
      cwd: ROOT,
      encoding: "utf8",
    });
    const { taken, ...error } = JSON.parse(stdout) as { taken: number };
    expect(error).toEqual({ code: "server_full", resource: "uids" });
    // Processes of an earlier server may still have some.
    expect(taken).toBeLessThanOrEqual(count);
  },
);
