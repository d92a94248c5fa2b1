// @module-tag any-user
// @module-tag attack
import { expect, test } from "vitest";
import { seccompSupport } from "../../../../../src/runtime/sandbox/kernel/seccomp/support.ts";
import { startVm } from "../../../../support/vm.ts";

const filtered = seccompSupport("default").filter !== "";

test("a core dump of a command never reaches the host's handler", async () => {
  const { vm } = startVm();
  const { stdout } = await vm.exec("grep '^Max core' /proc/self/limits /proc/1/limits -h");
  // A handler that is a program runs at any limit but 1. See core(5).
  expect(stdout.replace(/ +/g, " ")).toBe("Max core file size 1 1 bytes \n".repeat(2));
});

test("a command cannot take back the mark by which the kernel ends it first", async () => {
  const { vm } = startVm();
  const { stdout, stderr } = await vm.exec(
    "cat /proc/self/oom_score_adj; for to in 0 499 -1000; do echo $to > /proc/self/oom_score_adj; done; cat /proc/$$/oom_score_adj",
  );
  expect(stdout).toBe("1000\n1000\n");
  expect(stderr.match(/Read-only file system/g)?.length).toBe(3);
});

test("nor can a shell on a terminal", async () => {
  const { vm, screenHas } = startVm();
  const line =
    "echo 0 > /proc/self/oom_score_adj; cat /proc/self/oom_score_adj; grep '^Max core' /proc/self/limits";
  const { shellId } = await vm.openShell({ command: "sh", args: ["-c", line] });
  expect(await screenHas(shellId, /bytes/)).toMatch(
    /Read-only file system\r\n1000\r\nMax core file size +1 +1 +bytes/,
  );
});

test.runIf(filtered)("a command lowers its core limit in appearance alone", async () => {
  const { vm } = startVm();
  const { stdout } = await vm.exec("ulimit -c 0 && ulimit -Hc 0 && grep '^Max core' /proc/self/limits");
  expect(stdout).toMatch(/^Max core file size +1 +1 +bytes/);
});

test.runIf(filtered)("a command cannot lower the limits of the commands that follow", async () => {
  const { vm } = startVm();
  const limits = "grep -v 'Max pending' /proc/self/limits";
  const before = (await vm.exec(limits)).stdout;
  const attempt = await vm.exec(
    "for pid in $PPID 1; do prlimit --pid $pid --nofile=10:10 --fsize=0:0 --as=4096:4096; done",
  );
  expect(attempt.stderr.match(/Operation not permitted/g)?.length).toBe(2);
  expect((await vm.exec(limits)).stdout).toBe(before);
  expect((await vm.exec("prlimit --pid $PPID --nofile --noheadings --output SOFT")).stdout.trim()).toMatch(
    /^\d+$/,
  );
});
