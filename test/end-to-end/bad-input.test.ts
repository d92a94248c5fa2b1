// @module-tag attack
import { expect, test } from "vitest";
import { sharedServer } from "../support/servers.ts";

const server = sharedServer();

test("answers careless and hostile calls with coded errors, and the VM keeps working", async () => {
  const client = server().client();
  const vm = client.vm.getOrCreate("bad-input");
  await vm.exec(
    "mkfifo /tmp/fifo; ln -s loop /tmp/loop; ln -s /etc/shadow /tmp/shadow; ln -s /../.. /tmp/root; ln -s ../../../../../etc/passwd /tmp/up",
  );
  const bad: [what: string, call: () => Promise<unknown>, code: string][] = [
    ["unknown pid", () => vm.waitProcess(4242), "process_not_found"],
    ["negative pid", () => vm.getProcess(-1), "invalid_argument"],
    ["unknown shell", () => vm.writeShell("shell-9", "x"), "shell_not_found"],
    ["missing path", () => vm.readFile("/nope"), "ENOENT"],
    ["relative path", () => vm.readFile("etc/passwd"), "invalid_argument"],
    ["path that is not normalized", () => vm.readFile("/tmp/../etc/passwd"), "invalid_argument"],
    ["path with NUL", () => vm.readFile("/tmp/a\0b"), "invalid_argument"],
    ["path of 10,000 characters", () => vm.readFile(`/${"a".repeat(9999)}`), "ENAMETOOLONG"],
    ["write to /proc", () => vm.writeFile("/proc/sys/kernel/hostname", "x"), "EROFS"],
    ["write to /sys", () => vm.writeFile("/sys/x", "x"), "EROFS"],
    ["write to /dev", () => vm.writeFile("/dev/null", "x"), "EROFS"],
    ["write to /usr", () => vm.writeFile("/usr/bin/x", "x"), "EROFS"],
    ["delete in /usr", () => vm.delete("/usr/bin/env"), "EROFS"],
    ["symlink loop", () => vm.readFile("/tmp/loop"), "ELOOP"],
    ["link to a host path", () => vm.readFile("/tmp/shadow"), "ENOENT"],
    ["FIFO", () => vm.readFile("/tmp/fifo"), "EINVAL"],
    ["device", () => vm.readFile("/dev/zero"), "EINVAL"],
    ["directory as a file", () => vm.readFile("/tmp"), "EISDIR"],
    ["file as a directory", () => vm.readdir("/etc/passwd"), "ENOTDIR"],
    ["missing cwd", () => vm.exec("true", { cwd: "/nope" }), "ENOENT"],
    ["cwd that is a file", () => vm.exec("true", { cwd: "/etc/passwd" }), "ENOTDIR"],
    ["relative cwd", () => vm.exec("true", { cwd: "tmp" }), "invalid_argument"],
    ["env name with =", () => vm.exec("true", { env: { "A=B": "x" } }), "invalid_argument"],
    ["env value with NUL", () => vm.exec("true", { env: { A: "x\0y" } }), "invalid_argument"],
    ["command with NUL", () => vm.exec("echo \0"), "invalid_argument"],
    ["command above 128 KiB", () => vm.exec(`: ${"x".repeat(200_000)}`), "invalid_argument"],
    ["negative timeout", () => vm.exec("true", { timeout: -1 }), "invalid_argument"],
    ["unknown signal", () => vm.signalProcess(4242, "SIGNOPE"), "invalid_argument"],
    ["terminal without columns", () => vm.openShell({ cols: 0 }), "invalid_argument"],
  ];
  for (const [what, call, code] of bad) {
    const error = await call().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error, what).toMatchObject({ name: "AgentVmError", code });
  }
  // Links inside the VM stay inside it, wherever they point.
  expect(new TextDecoder().decode(await vm.readFile("/tmp/up"))).toMatch(/^agentos:x:1000:/);
  expect(await vm.readdir("/tmp/root")).toEqual(await vm.readdir("/"));
  expect((await vm.exec("printf '%s' \"$A\"", { env: { A: "one\ntwo\n" } })).stdout).toBe("one\ntwo\n");
  expect((await vm.exec("wc -c", { stdin: new Uint8Array(20_000_000) })).stdout).toBe("20000000\n");
  expect((await vm.exec("od -An -tx1", { stdin: new Uint8Array([0, 255, 10]) })).stdout).toBe(" 00 ff 0a\n");
});
