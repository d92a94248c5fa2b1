// @module-tag any-user
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { startVm } from "../../support/vm.ts";

test("output arrives in order and before the exit", async () => {
  const { vm, events, event } = startVm();
  const { pid } = await vm.spawn("bash", [
    "-c",
    "for i in $(seq 1 2000); do echo $i; done; echo end >&2; exit 9",
  ]);
  const exit = await event("processExit");
  expect(exit).toEqual({ pid, exitCode: 9, reason: "exit" });
  const mine = events.filter(({ name }) => name === "processOutput" || name === "processExit");
  expect(mine.at(-1)?.name).toBe("processExit");
  const chunks = mine.flatMap((e) => (e.name === "processOutput" ? [e.payload] : []));
  expect(chunks.map(({ seq }) => seq)).toEqual(chunks.map((_, index) => index));
  const stdout = Buffer.concat(
    chunks.filter(({ stream }) => stream === "stdout").map(({ data }) => data),
  ).toString();
  expect(stdout).toBe(Array.from({ length: 2000 }, (_, index) => `${index + 1}\n`).join(""));
});

test("the pid is the one that ps shows inside", async () => {
  const { vm } = startVm();
  const { pid } = await vm.spawn("sleep", ["1000"]);
  // A process has its pid before it has executed the program.
  await expect.poll(async () => (await vm.exec(`ps -o args= -p ${pid}`)).stdout).toBe("sleep 1000\n");
  expect((await vm.allProcesses()).find((process) => process.pid === pid)).toMatchObject({
    command: "sleep",
    args: ["sleep", "1000"],
    user: "agentos",
    state: "S",
  });
});

test("spawnProcess returns the pid", async () => {
  const { vm } = startVm();
  const pid = await vm.spawnProcess("true");
  expect(await vm.waitProcess(pid)).toBe(0);
});

test("an unknown command exits 127 with a message on stderr", async () => {
  const { vm, output } = startVm();
  const { pid } = await vm.spawn("no-such-program", ["x"]);
  expect(await vm.waitProcess(pid)).toBe(127);
  expect(output(pid, "stderr")).toContain("no-such-program: not found");
});

test("stdin stays open until it is closed", async () => {
  const { vm, output, outputHas } = startVm();
  const { pid } = await vm.spawn("cat", [], { stdin: "first\n" });
  await outputHas(pid, "first\n");
  await vm.writeProcessStdin(pid, "hello from stdin\n");
  await vm.writeProcessStdin(pid, new Uint8Array([0xff, 0x00, 0x0a]));
  await vm.closeProcessStdin(pid);
  expect(await vm.waitProcess(pid)).toBe(0);
  expect(output(pid)).toBe("first\nhello from stdin\n\ufffd\0\n");
  await vm.closeProcessStdin(pid);
  await vm.writeProcessStdin(pid, "ignored");
});

test("a buffer may be used again when its bytes are accepted as stdin", async () => {
  const { vm, output } = startVm();
  // More than a pipe holds.
  const buffer = new Uint8Array(200_000).fill(65);
  const { pid } = await vm.spawn(
    "sh",
    ["-c", "while ! [ -e /workspace/go ]; do sleep 0.01; done; sha256sum"],
    { stdin: buffer },
  );
  const hash = createHash("sha256").update(buffer);
  for (const byte of [66, 67, 68]) {
    hash.update(buffer.fill(byte));
    await vm.writeProcessStdin(pid, buffer);
  }
  buffer.fill(69);
  await vm.closeProcessStdin(pid);
  await vm.exec("echo > /workspace/go");
  await vm.waitProcess(pid);
  expect(output(pid)).toContain(hash.digest("hex"));
});

test("waitProcess answers many callers before and after the exit", async () => {
  const { vm } = startVm();
  const { pid } = await vm.spawn("sh", ["-c", "sleep 0.2; exit 3"]);
  expect(await Promise.all(Array.from({ length: 20 }, () => vm.waitProcess(pid)))).toEqual(Array(20).fill(3));
  expect(await vm.waitProcess(pid)).toBe(3);
});

test("refuses stdin past the limit of unread bytes", async () => {
  const { vm } = startVm();
  const { pid } = await vm.spawn("sleep", ["1000"]);
  const block = new Uint8Array(20 << 20);
  await vm.writeProcessStdin(pid, block);
  await expect(vm.writeProcessStdin(pid, block)).rejects.toMatchObject({
    code: "limit_exceeded",
    metadata: { limit: "MAX_PENDING_STDIN_BYTES" },
  });
  await vm.killProcess(pid);
});
