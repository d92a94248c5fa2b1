// @module-tag any-user
import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { Tags, withTag } from "../../../../../src/runtime/sandbox/kernel/procfs/slack-tag.ts";

test("acquire() reuses tags, except for those of running commands and living daemons", async () => {
  const tags = new Tags(process.pid, 4);
  expect([tags.acquire(), tags.acquire(), tags.acquire(), tags.acquire()]).toEqual([1, 2, 3, 4]);
  // Like in a VM, an ordinary user may read the slack of a process in a user namespace that the user has made.
  const daemon = withTag(2, () => spawn("unshare", ["--user", "sh", "-c", "echo up; exec sleep 1001"]));
  onTestFinished(() => void daemon.kill());
  await once(daemon.stdout, "data");
  for (const tag of [1, 2, 4]) tags.release(tag);
  expect([tags.acquire(), tags.acquire()]).toEqual([1, 4]);
  expect(() => tags.acquire()).toThrow("MAX_TAGS = 4");
  daemon.kill();
  await once(daemon, "exit");
  tags.release(4);
  expect([tags.acquire(), tags.acquire()]).toEqual([2, 4]);
});
