import { expect, test, vi } from "vitest";
import { ask, open, scriptedVm } from "../../../support/scripted.ts";

vi.mock("../../../../src/runtime/sessions/limits.ts", async (original) => ({
  ...(await original<typeof import("../../../../src/runtime/sessions/limits.ts")>()),
  MAX_TRANSCRIPT_PART: 1000,
}));

test.each(["json", "markdown"] as const)(
  "a long transcript comes in parts that are one document: %s",
  async (format) => {
    const { vm } = scriptedVm();
    const id = await open(vm);
    await ask(vm, id, Array.from({ length: 60 }, (_, index) => `say word${index}.`).join("; "));
    const parts: string[] = [];
    for (let after = -1, end = false; !end; ) {
      const part = await vm.readTranscript(id, { format, after });
      parts.push(part.data);
      ({ last: after, end } = part);
    }
    const text = parts.join("");
    expect(parts.length).toBeGreaterThan(1);
    for (let index = 0; index < 60; index++) expect(text).toContain(`word${index}.`);
    if (format === "json") {
      expect(JSON.parse(text).events).toHaveLength((await vm.getSessionEvents(id)).length);
    } else {
      expect(text.match(/^# Session/gm)).toHaveLength(1);
    }
  },
);
