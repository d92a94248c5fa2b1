// @module-tag any-user
// @module-tag attack
import { execFileSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { MAX_LEFT_PIPES } from "../../../../src/runtime/sandbox/kernel/limits.ts";
import { openDescriptors } from "../../../support/host.ts";
import { startVm } from "../../../support/vm.ts";

function pipes(): number {
  return openDescriptors().filter((target) => target.startsWith("pipe:")).length;
}

/** Receives descriptors with each connection and keeps them. */
const HOARDER = `
import socket
listener = socket.socket(socket.AF_UNIX)
listener.bind("/tmp/hoard")
listener.listen()
print("ready", flush=True)
hoard = []
while True:
  connection, _ = listener.accept()
  hoard.extend(socket.recv_fds(connection, 1, 2)[1])
  connection.send(b"x")
  connection.close()
`;

const HAND_OVER = `
import socket
connection = socket.socket(socket.AF_UNIX)
connection.connect("/tmp/hoard")
socket.send_fds(connection, [b"x"], [1, 2])
connection.recv(1)
`;

test("a daemon cannot make the server keep the pipes of all commands", { tags: ["slow"] }, async () => {
  const { vm, outputHas } = startVm();
  await vm.writeFile("/tmp/hand-over", HAND_OVER);
  const { pid } = await vm.spawn("python3", ["-c", HOARDER]);
  await outputHas(pid, "ready");
  const before = pipes();
  // Each command leaves two pipes.
  const commands = MAX_LEFT_PIPES / 2 + 20;
  for (let started = 0; started < commands; started += 4)
    await Promise.all(Array.from({ length: 4 }, () => vm.execArgv("python3", ["/tmp/hand-over"])));
  expect(pipes() - before).toBeGreaterThan(MAX_LEFT_PIPES - 10);
  expect(pipes() - before).toBeLessThanOrEqual(MAX_LEFT_PIPES + 10);
  await vm.dispose("destroy");
  await expect.poll(pipes).toBeLessThan(before);
});

test("a server without free descriptors kills a command whose pipes it cannot open, and survives", async () => {
  const { vm } = startVm();
  await vm.boot();
  const spare = withoutDescriptors();
  expect(await vm.exec("true")).toMatchObject({ signal: "SIGKILL", exitCode: 137 });
  spare();
  expect((await vm.exec("echo on")).stdout).toBe("on\n");
});

/** Opens every descriptor that this process may have, after lowering the limit to make that quick. */
function withoutDescriptors(): () => void {
  const pid = String(process.pid);
  const limits = execFileSync("prlimit", [
    "--pid",
    pid,
    "--nofile",
    "--raw",
    "--noheadings",
    "--output=SOFT,HARD",
  ]);
  const [soft, hard] = limits.toString().trim().split(/\s+/) as [string, string];
  execFileSync("prlimit", ["--pid", pid, `--nofile=256:${hard}`]);
  const taken: number[] = [];
  try {
    for (;;) taken.push(openSync("/dev/null", "r"));
  } catch {
    // EMFILE: the limit is reached.
  }
  const giveBack = () => {
    for (const fd of taken.splice(0)) closeSync(fd);
    execFileSync("prlimit", ["--pid", pid, `--nofile=${soft}:${hard}`]);
  };
  onTestFinished(giveBack);
  return giveBack;
}
