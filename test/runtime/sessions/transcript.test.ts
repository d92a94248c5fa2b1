import { expect, test } from "vitest";
import { Transcript } from "../../../src/runtime/sessions/transcript.ts";
import { MemoryStore } from "../../../src/runtime/store.ts";

test("a thousand events that are stored at once are sent in order, over many turns of the server", async () => {
  let turns = 0;
  let isOver = false;
  const count = () => {
    turns++;
    if (!isOver) setImmediate(count);
  };
  const sent: number[] = [];
  const perTurn = new Map<number, number>();
  const transcript = new Transcript(new MemoryStore(), "session", {
    stored({ seq }) {
      sent.push(seq);
      perTurn.set(turns, (perTurn.get(turns) ?? 0) + 1);
      // As long as it takes to send one to a few clients.
      for (const end = performance.now() + 0.5; performance.now() < end; );
    },
    crowded: () => undefined,
    failed: () => undefined,
  });
  count();
  for (let index = 0; index < 1000; index++) transcript.append({ jsonrpc: "2.0", method: `${index}` });
  await transcript.flushed();
  isOver = true;
  expect(sent).toEqual(Array.from({ length: 1000 }, (_, index) => index));
  expect(Math.max(...perTurn.values())).toBeLessThan(50);
});
