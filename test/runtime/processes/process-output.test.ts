// @module-tag any-user
import { expect, test } from "vitest";
import { startVm } from "../../support/vm.ts";

function text(chunks: { data: Uint8Array }[]): string {
  return Buffer.concat(chunks.map(({ data }) => data)).toString();
}

test("readProcessOutput returns the output after a given chunk", async () => {
  const { vm, outputHas } = startVm();
  const { pid } = await vm.spawn("cat");
  await vm.writeProcessStdin(pid, "one\n");
  await outputHas(pid, "one\n");
  const first = await vm.readProcessOutput(pid);
  expect({ ...first, chunks: text(first.chunks) }).toEqual({
    chunks: "one\n",
    truncated: false,
    running: true,
    exitCode: null,
  });
  await vm.writeProcessStdin(pid, "two\n");
  await vm.closeProcessStdin(pid);
  await vm.waitProcess(pid);
  const second = await vm.readProcessOutput(pid, { after: first.chunks.at(-1)?.seq });
  expect({ ...second, chunks: text(second.chunks) }).toEqual({
    chunks: "two\n",
    truncated: false,
    running: false,
    exitCode: 0,
  });
});

test("readProcessOutput returns the newest MiB and says `truncated`", async () => {
  const { vm } = startVm();
  const { pid } = await vm.spawn("bash", ["-c", "seq 1 1000000"]);
  await vm.waitProcess(pid);
  const { chunks, truncated } = await vm.readProcessOutput(pid);
  expect(truncated).toBe(true);
  const bytes = chunks.reduce((sum, { data }) => sum + data.byteLength, 0);
  expect(bytes).toBeLessThanOrEqual(1024 * 1024);
  expect(bytes).toBeGreaterThan(700_000);
  expect(text(chunks).endsWith("999999\n1000000\n")).toBe(true);
  const after = chunks[3]?.seq ?? 0;
  expect((await vm.readProcessOutput(pid, { after })).truncated).toBe(false);
});

test("a flood of output stays in order and does not pile up", { tags: ["slow"] }, async () => {
  const { vm, events, event } = startVm();
  const { pid } = await vm.spawn("bash", ["-c", "seq 1 2000000"]);
  await event("processExit");
  const chunks = events.flatMap((e) => (e.name === "processOutput" ? [e.payload] : []));
  expect(chunks.every(({ data }) => data.byteLength <= 192 * 1024)).toBe(true);
  const lines = text(chunks).split("\n");
  expect(lines.length).toBe(2_000_001);
  expect(lines.every((line, index) => index === 2_000_000 || line === String(index + 1))).toBe(true);
  expect((await vm.readProcessOutput(pid)).chunks.length).toBeLessThan(1000);
});
