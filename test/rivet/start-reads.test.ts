// @module-tag slow
import { Runner } from "@rivetkit/engine-runner";
import { expect, type TestContext, test } from "vitest";
import { joinStartReads } from "../../src/rivet/start-reads.ts";
import { PATIENT, startEngine } from "../support/engine.ts";
import { startRunner } from "../support/engine-runner.ts";

type Entry = [Uint8Array, Uint8Array];

const key = (...bytes: number[]) => Uint8Array.from(bytes);
const value = (text: string) => new TextEncoder().encode(text);

const STATE = key(1);
const CONNECTION = key(2, 7);
const TOKEN = key(3);
const QUEUE = key(5, 1, 1);
const STEP = key(6, 1, 9);
const PAGE = key(8, 1, 9);

/** Values that an actor may have, of which all but the last two are RivetKit's own. */
const STORED: Entry[] = [STATE, CONNECTION, key(2, 8), TOKEN, QUEUE, STEP, PAGE]
  .map((each): Entry => [each, value(`value of ${each}`)])
  .concat([
    [key(4, 0), value("a file")],
    [key(5, 1, 2, 1), value("a message")],
  ]);

/** Starts a runner whose requests for values are counted. */
async function counted(context: TestContext) {
  const asked: string[] = [];
  class Counted extends Runner {
    override kvGet(...args: Parameters<Runner["kvGet"]>) {
      asked.push("get");
      return super.kvGet(...args);
    }
    override kvListPrefix(...args: Parameters<Runner["kvListPrefix"]>) {
      asked.push("prefix");
      return super.kvListPrefix(...args);
    }
    override kvListRange(...args: Parameters<Runner["kvListRange"]>) {
      asked.push("range");
      return super.kvListRange(...args);
    }
  }
  class Joined extends Counted {}
  joinStartReads(Joined.prototype);
  // A second call changes nothing.
  joinStartReads(Joined.prototype);
  const engine = await startEngine(context, PATIENT);
  const { runner, actorId } = await startRunner(engine, Joined);
  /** Reads as RivetKit 2.2 does when it starts an actor. */
  const start = async () => {
    const state = await runner.kvGet(actorId, [STATE]);
    const rest = await Promise.all([
      runner.kvGet(actorId, [TOKEN, QUEUE]),
      runner.kvListPrefix(actorId, key(2)),
      runner.kvListPrefix(actorId, key(8, 1)),
      runner.kvListPrefix(actorId, key(6, 1)),
    ]);
    return [state, ...rest];
  };
  return { runner, actorId, asked, start };
}

const stored = (...keys: Uint8Array[]) =>
  keys.map((each) => STORED.find(([other]) => other.join() === each.join()));

test("an actor's start asks the engine twice for everything that RivetKit reads, and gets what is stored", async (context) => {
  const { runner, actorId, asked, start } = await counted(context);
  await runner.kvPut(actorId, STORED);
  asked.length = 0;
  const values = await start();
  expect(asked).toEqual(["range", "range"]);
  expect(values).toEqual([
    stored(STATE).map((entry) => entry?.[1]),
    stored(TOKEN, QUEUE).map((entry) => entry?.[1]),
    stored(CONNECTION, key(2, 8)),
    stored(PAGE),
    stored(STEP),
  ]);
  // Nobody gets these values a second time.
  asked.length = 0;
  await runner.kvListPrefix(actorId, key(6, 1));
  await runner.kvGet(actorId, [TOKEN, QUEUE]);
  expect(asked).toEqual(["prefix", "get"]);
});

test("an actor's start without a value gets nothing, also of what is not stored", async (context) => {
  const { start, asked } = await counted(context);
  expect(await start()).toEqual([[null], [null, null], [], [], []]);
  expect(asked).toEqual(["range", "range"]);
});

test("reads again what the actor has changed since the start began", async (context) => {
  const { runner, actorId, asked } = await counted(context);
  await runner.kvPut(actorId, STORED);
  await runner.kvGet(actorId, [STATE]);
  await runner.kvPut(actorId, [[STEP, value("newer")]]);
  await runner.kvDelete(actorId, [TOKEN]);
  asked.length = 0;
  expect(await runner.kvListPrefix(actorId, key(6, 1))).toEqual([[STEP, value("newer")]]);
  expect(await runner.kvGet(actorId, [TOKEN, QUEUE])).toEqual([
    null,
    ...stored(QUEUE).map((each) => each?.[1]),
  ]);
  expect(asked).toEqual(["prefix", "get"]);
});

test("asks for workflows and SQLite's pages by themselves if a queue has many messages", async (context) => {
  const { runner, actorId, asked, start } = await counted(context);
  await runner.kvPut(actorId, STORED);
  const messages = Array.from({ length: 40 }, (_, index): Entry => [key(5, 1, 2, index), value("message")]);
  await runner.kvPut(actorId, messages);
  asked.length = 0;
  const [, , , pages, steps] = await start();
  expect([pages, steps]).toEqual([stored(PAGE), stored(STEP)]);
  expect(asked).toEqual(["range", "range", "prefix", "prefix"]);
});

test("gives every one of many workflow steps", async (context) => {
  const { runner, actorId, start } = await counted(context);
  const steps = Array.from({ length: 40 }, (_, index): Entry => [key(6, 1, index), value(`step ${index}`)]);
  await runner.kvPut(actorId, [...stored(STATE).flatMap((entry) => (entry ? [entry] : [])), ...steps]);
  const [, , , , listed] = await start();
  expect(listed).toEqual(steps);
});
