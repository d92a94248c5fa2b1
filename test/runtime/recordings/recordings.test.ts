import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { MAX_RECORDINGS } from "../../../src/runtime/recordings/limits.ts";
import { MemoryStore } from "../../../src/runtime/store/store.ts";
import { outputOf, parseCast } from "../../support/asciicast.ts";
import { durableVm } from "../../support/durable-vm.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { failure, until } from "../../support/until.ts";
import { startVm, type TestVm } from "../../support/vm.ts";

type Vm = TestVm["vm"];

/** Reads a whole recording. */
async function read(vm: Vm, recordingId: string): Promise<string> {
  let text = "";
  let after = -1;
  for (;;) {
    const { data, last, end } = await vm.readRecording(recordingId, { after });
    text += data;
    after = last;
    if (end) return text;
    if (data === "") throw new Error("The recording goes on");
  }
}

test("a recorded shell becomes a file in the format asciicast v2, with its sizes", async () => {
  const { vm } = startVm();
  const script = "printf 'h\\303'; sleep 0.1; printf '\\244llo\\033[1m\\n'; read x; stty size";
  const { shellId } = await vm.openShell({
    command: "sh",
    args: ["-c", script],
    cols: 100,
    rows: 30,
    record: true,
  });
  await until(async () => (await vm.readShell(shellId)).chunks.length > 1);
  await vm.resizeShell(shellId, 50, 20);
  await vm.writeShell(shellId, "\n");
  await vm.waitShell(shellId);
  const [info] = await vm.listRecordings();
  expect(info).toMatchObject({ shellId, running: false, truncated: false, command: `sh -c ${script}` });
  const text = await read(vm, info!.recordingId);
  expect(Buffer.byteLength(text)).toBe(info!.bytes);
  const cast = parseCast(text);
  expect(cast.header).toMatchObject({ version: 2, width: 100, height: 30 });
  expect(cast.events.filter(([, code]) => code === "r").map(([, , size]) => size)).toEqual(["50x20"]);
  expect(outputOf(cast)).toContain("hällo\x1b[1m\r\n");
  expect(outputOf(cast)).toContain("20 50\r\n");
});

test("asciinema plays a recording", async ({ skip }) => {
  const { vm } = startVm();
  const { pid } = await vm.spawn("sh", ["-c", "echo one; echo two >&2"], { record: true });
  await vm.waitProcess(pid);
  const [info] = await vm.listRecordings();
  const path = join(temporaryFolder(), "x.cast");
  writeFileSync(path, await read(vm, info!.recordingId));
  try {
    execFileSync("asciinema", ["--version"]);
  } catch {
    return skip("the host has no asciinema");
  }
  // It wants a terminal of its own.
  const played = execFileSync("script", ["-qec", `asciinema cat ${path}`, "/dev/null"], {
    env: { ...process.env, LANG: "C.UTF-8" },
    input: "",
  });
  expect(played.toString()).toContain("one\r\n");
});

test("a process that is recorded keeps both streams, also while it runs", async () => {
  const { vm, outputHas } = startVm();
  const { pid } = await vm.spawn("sh", ["-c", "echo out; echo err >&2; read x; echo $x"], { record: true });
  await outputHas(pid, "err", "stderr");
  const [{ recordingId } = { recordingId: "" }] = await vm.listRecordings();
  const first = await vm.readRecording(recordingId);
  expect(first.end).toBe(false);
  expect(outputOf(parseCast(first.data)).split("\r\n").sort()).toEqual(["", "err", "out"]);
  await vm.writeProcessStdin(pid, "more\n");
  await vm.waitProcess(pid);
  const rest = await vm.readRecording(recordingId, { after: first.last });
  expect(rest).toMatchObject({ data: expect.stringContaining("more\\r\\n"), end: true });
  expect(outputOf(parseCast(first.data + rest.data))).toContain("more\r\n");
});

test("what is not recorded leaves no recording, and no input is recorded", async () => {
  const { vm } = startVm();
  const plain = await vm.openShell({ command: "true", args: [] });
  await vm.waitShell(plain.shellId);
  expect(await vm.listRecordings()).toEqual([]);
  const script = "stty -echo; echo ready; read password; echo ok";
  const { shellId } = await vm.openShell({ command: "sh", args: ["-c", script], record: true });
  await until(async () => (await vm.readShell(shellId)).chunks.length > 0);
  await vm.writeShell(shellId, "hunter2\n");
  await vm.waitShell(shellId);
  const text = await read(vm, (await vm.listRecordings())[0]!.recordingId);
  expect(text).toContain("ok");
  expect(text).not.toContain("hunter2");
});

test("a recording that floods stops at its limit and stays valid", async () => {
  const { vm } = startVm();
  const flood = "head -c 4000000 /dev/zero";
  const { shellId } = await vm.openShell({ command: "sh", args: ["-c", flood], record: true });
  await vm.waitShell(shellId);
  const [info] = await vm.listRecordings();
  expect(info).toMatchObject({ truncated: true });
  expect(info!.bytes).toBeLessThanOrEqual(8 * 1024 * 1024);
  expect(parseCast(await read(vm, info!.recordingId)).events.length).toBeGreaterThan(1);
});

test("recordings survive a sleep, the oldest ended one makes room, and a deleted one is gone", async () => {
  const store = new MemoryStore();
  const machine = durableVm({}, store);
  const vm = machine.vm() as unknown as Vm;
  for (let index = 0; index < MAX_RECORDINGS + 1; index++) {
    const { pid } = await vm.spawn("echo", [String(index)], { record: true });
    await vm.waitProcess(pid);
  }
  const before = await vm.listRecordings();
  expect(before).toHaveLength(MAX_RECORDINGS);
  await vm.dispose("sleep");
  const next = durableVm({}, store).vm() as unknown as Vm;
  const after = await next.listRecordings();
  expect(after).toEqual(before);
  const [oldest, newest] = [after[0]!, after.at(-1)!];
  expect(outputOf(parseCast(await read(next, oldest.recordingId)))).toBe("1\r\n");
  expect(outputOf(parseCast(await read(next, newest.recordingId)))).toBe(`${MAX_RECORDINGS}\r\n`);
  await next.deleteRecording(oldest.recordingId);
  expect(await failure(next.readRecording(oldest.recordingId))).toMatchObject({
    code: "recording_not_found",
  });
  const left = await store.list("recording/");
  expect(left.some(([key]) => key.includes(oldest.recordingId))).toBe(false);
});

test("a deletion that breaks off can be repeated, and leaves nothing", async () => {
  const store = new MemoryStore();
  const { vm } = startVm({}, undefined, { store });
  const { pid } = await vm.spawn("echo", ["x"], { record: true });
  await vm.waitProcess(pid);
  const [info] = await vm.listRecordings();
  const deleteRange = store.deleteRange.bind(store);
  store.deleteRange = async (from, to) => {
    if (!from.startsWith("recording/")) return await deleteRange(from, to);
    const [first] = await store.list(from, { limit: 1 });
    if (first !== undefined) await store.delete([first[0]]);
    throw new Error("ENOSPC");
  };
  await expect(vm.deleteRecording(info!.recordingId)).rejects.toThrow();
  store.deleteRange = deleteRange;
  await vm.deleteRecording(info!.recordingId);
  expect(await vm.listRecordings()).toEqual([]);
  expect(await store.list("recording/")).toEqual([]);
});
