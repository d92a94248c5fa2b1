// @module-tag any-user
import { expect, test } from "vitest";
import { fileVm } from "../../support/vm.ts";

const shared = fileVm();

test("arguments arrive verbatim, without a shell", async () => {
  const { vm } = shared();
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

test("args are optional", async () => {
  const { vm } = shared();
  expect((await vm.execArgv("pwd")).stdout).toBe("/home/agentos\n");
});

test("runs a program by a path relative to cwd", async () => {
  const { vm } = shared();
  await vm.writeFile("/workspace/hi.sh", "#!/bin/sh\necho hi $1\n");
  await vm.exec("chmod +x /workspace/hi.sh");
  expect((await vm.execArgv("./hi.sh", ["there"], { cwd: "/workspace" })).stdout).toBe("hi there\n");
});

test("not found is 127, not executable 126, with a message on stderr", async () => {
  const { vm } = shared();
  const missing = await vm.execArgv("no-such-program");
  expect(missing.exitCode).toBe(127);
  expect(missing.stderr).toContain("no-such-program: not found");
  await vm.writeFile("/tmp/plain", "text");
  expect((await vm.execArgv("/tmp/plain")).exitCode).toBe(126);
});
