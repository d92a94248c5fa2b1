import { expect, test } from "vitest";
import { startVm } from "../../support/vm.ts";

test("arguments arrive verbatim, without a shell", async () => {
  const { vm } = startVm();
  const args = [
    "",
    " ",
    "$HOME",
    "`id`",
    "a'b\"c",
    "*",
    "-n",
    "x\ny",
    "größe",
    "\\",
    "--",
    "x".repeat(100_000),
  ];
  const { stdout } = await vm.execArgv("printf", ["%s\\0", ...args]);
  expect(stdout.split("\0").slice(0, -1)).toEqual(args);
});

test("args default to none", async () => {
  const { vm } = startVm();
  expect((await vm.execArgv("pwd")).stdout).toBe("/home/agentos\n");
});

test("a program by its path, relative to cwd", async () => {
  const { vm } = startVm();
  await vm.writeFile("/workspace/hi.sh", "#!/bin/sh\necho hi $1\n");
  await vm.exec("chmod +x /workspace/hi.sh");
  expect((await vm.execArgv("./hi.sh", ["there"], { cwd: "/workspace" })).stdout).toBe("hi there\n");
});

test("not found is 127, not executable 126, with a message on stderr", async () => {
  const { vm } = startVm();
  const missing = await vm.execArgv("no-such-program");
  expect(missing.exitCode).toBe(127);
  expect(missing.stderr).toContain("no-such-program: not found");
  await vm.writeFile("/tmp/plain", "text");
  expect((await vm.execArgv("/tmp/plain")).exitCode).toBe(126);
});
