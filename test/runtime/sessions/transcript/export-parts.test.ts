// @module-tag slow
import { expect, test } from "vitest";
import { ask, open, scriptedVm } from "../../../support/scripted.ts";

test.each(["json", "markdown"] as const)(
  "a long transcript comes in parts that are one document: %s",
  async (format) => {
    const { vm } = scriptedVm();
    const id = await open(vm);
    await ask(vm, id, Array.from({ length: 5 }, (_, index) => `big 1000000; tool t${index}`).join("; "));
    const parts: string[] = [];
    for (let after = -1, end = false; !end; ) {
      const part = await vm.readTranscript(id, { format, after });
      parts.push(part.data);
      ({ last: after, end } = part);
    }
    const text = parts.join("");
    expect(parts.length).toBe(2);
    if (format === "json") {
      expect(JSON.parse(text).events).toHaveLength((await vm.getSessionEvents(id)).length);
    } else {
      expect(text.match(/^# Session/gm)).toHaveLength(1);
      expect(text.match(/^## Tool: /gm)).toHaveLength(5);
    }
  },
);
