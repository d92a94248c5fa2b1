import { expect, test } from "vitest";
import { endDoubledActors } from "../../src/rivet/doubled-actors.ts";

/** A definition whose actors note their starts and ends. `stops` is the work of an actor's end, by the actor's number. */
function definition(stops: Record<number, () => Promise<void>> = {}) {
  const told: string[] = [];
  let made = 0;
  const definition = {
    instantiate() {
      const number = ++made;
      return {
        async start(...args: unknown[]) {
          told.push(`start ${number} with ${args.length}`);
        },
        async onStop(mode: string) {
          told.push(`${mode} ${number}`);
          await stops[number]?.();
          told.push(`end ${number}`);
        },
      };
    },
  };
  endDoubledActors(definition, { limitMs: 20 });
  const run = crypto.randomUUID();
  const start = async (name: string) => {
    const actor = definition.instantiate();
    await actor.start("driver", "client", `${run}-${name}`, "name", ["key"], "region", "read ahead");
    return actor;
  };
  return { told, start };
}

test("an actor that starts ends an older actor of its id first, and reads its state again", async () => {
  const { told, start } = definition();
  await start("a");
  await start("b");
  await Promise.all([start("a"), start("a")]);
  expect(told).toEqual([
    "start 1 with 7",
    "start 2 with 7",
    "sleep 1",
    "end 1",
    "start 3 with 6",
    "sleep 3",
    "end 3",
    "start 4 with 6",
  ]);
});

test("an actor starts although the end of the older one fails or never comes", async () => {
  const failing = definition({ 1: () => Promise.reject(new Error("no")) });
  await failing.start("a");
  await failing.start("a");
  expect(failing.told).toEqual(["start 1 with 7", "sleep 1", "start 2 with 6"]);
  const endless = definition({ 1: () => new Promise(() => undefined) });
  await endless.start("a");
  await endless.start("a");
  expect(endless.told).toEqual(["start 1 with 7", "sleep 1", "start 2 with 6"]);
});

test("an actor that has stopped is not ended again", async () => {
  const { told, start } = definition();
  const first = await start("a");
  await first.onStop("sleep");
  await start("a");
  expect(told).toEqual(["start 1 with 7", "sleep 1", "end 1", "start 2 with 7"]);
});

test("a second stop of an actor waits for the end of the first", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { told, start } = definition({ 1: () => promise });
  const actor = await start("a");
  const stops = [actor.onStop("sleep"), actor.onStop("sleep").then(() => told.push("second"))];
  resolve();
  await Promise.all(stops);
  expect(told).toEqual(["start 1 with 7", "sleep 1", "end 1", "second"]);
});

test("a stop that a newer actor of the id has overtaken does not end for RivetKit", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { told, start } = definition({ 1: () => promise });
  const first = await start("a");
  const stopping = first.onStop("sleep").then(() => told.push("RivetKit forgets the actor"));
  const second = start("a");
  resolve();
  await second;
  expect(await Promise.race([stopping, new Promise((settle) => setTimeout(settle, 20, "on"))])).toBe("on");
  await (await second).onStop("sleep");
  expect(told.at(-1)).toBe("end 2");
});
