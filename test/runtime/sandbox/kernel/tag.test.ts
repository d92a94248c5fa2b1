import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { Tags, withTag } from "../../../../src/runtime/sandbox/kernel/tag.ts";

test("tags come round again, but not those of commands that run or of daemons that live", async () => {
  const tags = new Tags(process.pid, 4);
  expect([tags.acquire(), tags.acquire(), tags.acquire(), tags.acquire()]).toEqual([1, 2, 3, 4]);
  // As in a VM: an ordinary user may look at the mark of a process in a user namespace of its own.
  const daemon = withTag(2, () => spawn("unshare", ["--user", "sh", "-c", "echo up; exec sleep 1001"]));
  onTestFinished(() => void daemon.kill());
  await once(daemon.stdout, "data");
  for (const tag of [1, 2, 4]) tags.release(tag);
  expect([tags.acquire(), tags.acquire()]).toEqual([1, 4]);
  expect(() => tags.acquire()).toThrow("4 commands are running");
  daemon.kill();
  await once(daemon, "exit");
  tags.release(4);
  expect([tags.acquire(), tags.acquire()]).toEqual([2, 4]);
});
