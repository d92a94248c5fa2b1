// @module-tag any-user
// @module-tag slow
import { expect } from "vitest";
import { durableVm } from "../../support/durable-vm.ts";
import { testRows } from "../../support/rows.ts";

const asPaths = (paths: readonly string[]) => expect.arrayContaining([...paths]);

/** A way to break a VM, and what its next boot puts back. */
const BREAKS: [line: string, putBack: unknown][] = [
  [
    "rm -rf --no-preserve-root / 2>/dev/null",
    asPaths(["/bin", "/home/agentos", "/etc/passwd", "/workspace"]),
  ],
  ["rmdir /home/agentos; mkdir /workspace/home; ln -s /workspace/home /home/agentos", undefined],
  ["rmdir /home/agentos; mkdir /tmp/home; ln -s /tmp/home /home/agentos", ["/home/agentos"]],
  ["rm -r /home/agentos; echo text > /home/agentos", ["/home/agentos"]],
  ["rm -r /workspace; ln -s loop /workspace", ["/workspace"]],
  ["rm /etc/passwd; chmod 000 ~", ["/etc/passwd", "/home/agentos"]],
  ["rm /bin /sbin /lib64", asPaths(["/sbin"])],
  [
    "printf 'echo noise; exit 1' > ~/.bashrc; cp ~/.bashrc ~/.profile; printf 'sleep 1000' > ~/.bash_profile",
    undefined,
  ],
  ["cd /tmp; seq 5000 | xargs touch; head -c 9m /dev/zero > full; head -c 99m /dev/zero > ~/full", undefined],
];

testRows(BREAKS, 6)("a VM takes commands again after a sleep: %s", async (line, putBack) => {
  const machine = durableVm({ limits: { filesystemBytes: 64 * 1024 * 1024 } });
  await machine.vm().writeFile("/opt/kept", "kept");
  await machine.vm().exec(`cd /; ${line}`, { cwd: "/" });
  await machine.sleep();
  const { stdout, stderr } = await machine
    .vm()
    .exec(
      "pwd; cd ~; whoami; echo text > /tmp/a; ls -d /workspace/ /etc/ssl/ /bin/sh; grep -c ^ /etc/services",
    );
  expect([stderr, stdout.split("\n").slice(1)]).toEqual([
    "",
    ["agentos", "/bin/sh", "/etc/ssl/", "/workspace/", expect.stringMatching(/^\d+$/), ""],
  ]);
  const booted = await machine.test().event("vmBooted");
  expect(booted.putBack).toEqual(putBack);
});
