import { expect, test } from "vitest";
import { startVm } from "../../support/vm.ts";

function text(chunks: { data: Uint8Array }[]): string {
  return Buffer.concat(chunks.map(({ data }) => data)).toString();
}

test("readShell returns all output after a given chunk", async () => {
  const { vm, events, screenHas } = startVm();
  const { shellId } = await vm.openShell();
  await screenHas(shellId, /\$ $/);
  const before = await vm.readShell(shellId);
  await vm.writeShell(shellId, "echo one; echo two; exit\n");
  await vm.waitShell(shellId);
  const rest = await vm.readShell(shellId, { after: before.chunks.at(-1)?.seq });
  expect(text(before.chunks) + text(rest.chunks)).toBe(
    text(events.flatMap((event) => (event.name === "shellData" ? [event.payload] : []))),
  );
  expect(rest).toMatchObject({ truncated: false, running: false, exitCode: 0 });
});

test("readShell returns the last 256 KiB of output", async () => {
  const { vm } = startVm();
  const { shellId } = await vm.openShell({ command: "seq", args: ["1", "200000"] });
  await vm.waitShell(shellId);
  const { chunks, truncated } = await vm.readShell(shellId);
  expect(truncated).toBe(true);
  expect(chunks.reduce((sum, { data }) => sum + data.byteLength, 0)).toBeLessThanOrEqual(256 * 1024);
  expect(text(chunks).endsWith("199999\r\n200000\r\n")).toBe(true);
});
