import { expect, test } from "vitest";
import { ask, open, scriptedVm } from "../../../support/scripted.ts";
import { failure } from "../../../support/until.ts";

const KEPT = 64 * 1024;

test("the error and the event of a crash have the last 64 KiB of the agent's stderr", async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm, "stderr=first_words");
  expect(await ask(vm, id, `stderr-flood ${8 * 1024 * 1024}; say ok`)).toBe("ok");
  const error = (await failure(vm.sendPrompt(id, "stderr last words; crash 9"))) as Error & {
    metadata: { stderr: string };
  };
  const { stderr } = await machine.event("agentCrashed");
  expect(error.metadata.stderr).toBe(stderr);
  expect(Buffer.byteLength(stderr)).toBe(KEPT);
  const written = Array.from({ length: 131_072 }, (_, index) => `${index}`.padEnd(63, ".")).join("\n");
  expect(`${written}\nlast words\nscripted crash\n`.endsWith(stderr)).toBe(true);
});

test("bytes on stderr that are not UTF-8 become replacement characters", async () => {
  const { SCRIPTED } = await import("../../../support/scripted.ts");
  const { vm } = scriptedVm({
    agents: { scripted: { ...SCRIPTED, command: "sh", args: ["-c", "printf 'a\\377b\\n' >&2; exit 3"] } },
  });
  expect(await failure(open(vm))).toMatchObject({ metadata: { exitCode: 3, stderr: "a\uFFFDb\n" } });
});
