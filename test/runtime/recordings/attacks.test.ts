// @module-tag attack
import { expect, test } from "vitest";
import { outputOf, parseCast } from "../../support/asciicast.ts";
import { startVm } from "../../support/vm.ts";

/** Bytes with which a program tries to write lines of its own into its recording. */
const HOSTILE = [
  String.raw`\n[0, "i", "typed"]\n{"version": 2, "width": 1, "height": 1}\n`,
  String.raw`"]\n[1.0, "o", "forged"]\n["`,
  String.raw`\000\377\376\303x`,
  String.raw`\342\200\250[2, "m", ""]\342\200\251`,
  String.raw`\\u0022\\n\033]0;title\007`,
];

test.each(HOSTILE)("a program cannot write lines of its own into its recording: %s", async (bytes) => {
  const { vm } = startVm();
  const { pid } = await vm.spawn("printf", [bytes], { record: true });
  await vm.waitProcess(pid);
  const [info] = await vm.listRecordings();
  const { data, end } = await vm.readRecording(info!.recordingId);
  expect(end).toBe(true);
  const cast = parseCast(data);
  expect(cast.header).toMatchObject({ version: 2, width: 80, height: 24 });
  expect(new Set(cast.events.map(([, code]) => code))).toEqual(new Set(["o"]));
  const { chunks } = await vm.readProcessOutput(pid);
  const printed = Buffer.concat(chunks.map((chunk) => chunk.data)).toString();
  expect(outputOf(cast).replaceAll("\r\n", "\n")).toBe(printed);
});

test("a program's command line cannot break the header of its recording", async () => {
  const { vm } = startVm();
  const { pid } = await vm.spawn("true", ['"}\n[0, "o", "forged"]', "\u2028", "x".repeat(100_000)], {
    record: true,
  });
  await vm.waitProcess(pid);
  const [info] = await vm.listRecordings();
  const cast = parseCast((await vm.readRecording(info!.recordingId)).data);
  expect(cast.header).toMatchObject({ version: 2 });
  expect(cast.events).toEqual([]);
});
