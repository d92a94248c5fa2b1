import { expect, test } from "vitest";
import { CallNote } from "../../src/actors/call-note.ts";

test("a call whose note cannot be dropped has not begun, and may be repeated", async () => {
  const ended = { instanceId: "last", begun: ["one"] };
  const actor = { state: { ended } as { ended?: typeof ended } };
  const note = new CallNote(actor);
  const failing = note.forget(() => Promise.reject(new Error("given actor does not belong to runner")));
  await expect(failing).rejects.toMatchObject({ code: "server_stopping" });
  expect(actor.state.ended).toEqual(ended);
  await note.forget(async () => undefined);
  expect(actor.state.ended).toBeUndefined();
});
