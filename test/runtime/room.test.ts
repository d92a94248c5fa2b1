import { expect, onTestFinished, test, vi } from "vitest";
import { BootCycle } from "../../src/runtime/boots.ts";
import { Cron } from "../../src/runtime/cron/cron.ts";
import { Network } from "../../src/runtime/network/network.ts";
import { vmOptionsSchema } from "../../src/runtime/options.ts";
import { type Room, RoomList } from "../../src/runtime/room.ts";
import { MemoryStore } from "../../src/runtime/store/store.ts";
import { openShared } from "../../src/runtime/vm-shared.ts";
import { ownDescendants } from "../support/host.ts";
import { failure } from "../support/until.ts";
import { startVm } from "../support/vm.ts";

/** A room that records its life, under a name. */
function recorded(name: string, life: string[]): Required<Room> {
  const note = (step: string) => void life.push(`${name} ${step}`);
  return {
    prepare: async () => note("prepare"),
    complete: async () => note("complete"),
    programStarts: () => note("programStarts"),
    env: () => ({ [name]: "1", SHARED: name }),
    up: () => note("up"),
    running: () => note("running"),
    beforeDown: async () => undefined,
    down: () => note("down"),
    stop: () => note("stop"),
    settled: async (reason) => note(`settled ${reason}`),
  };
}

/** Boots of a memory VM with two recorded rooms. */
function cycle(change: (first: Required<Room>) => void = () => undefined) {
  const life: string[] = [];
  const failures: unknown[] = [];
  const onFailure = (error: unknown) => void failures.push(error);
  const rooms = new RoomList(onFailure);
  const first = rooms.add(recorded("first", life));
  change(first);
  rooms.add(recorded("second", life));
  // A room may have no part in the life of its VM.
  rooms.add(new Map());
  const options = vmOptionsSchema.parse({ runtime: "memory" });
  const { factory } = openShared(options);
  const boots = new BootCycle(
    factory,
    {
      options,
      store: new MemoryStore(),
      rootFilesystem: undefined,
      maxResultBytes: Number.POSITIVE_INFINITY,
      keepAwake: () => undefined,
      onFailure,
      report: () => undefined,
    },
    rooms,
    {
      beforeBoot: async () => void life.push("beforeBoot"),
      starting: () => undefined,
      stopping: () => undefined,
      readOnly: () => undefined,
      booted: () => void life.push("booted"),
      shutDown: (reason) => void life.push(`shutDown ${reason}`),
    },
  );
  return { life, failures, rooms, boots };
}

test("a room is prepared before it is up, goes down before it settles, and settles last", async () => {
  const { life, rooms, boots } = cycle();
  await boots.booted();
  await boots.booted();
  const ended = boots.end("sleep");
  rooms.stop();
  await ended;
  await rooms.settled("sleep");
  expect(life).toEqual([
    "beforeBoot",
    "first prepare",
    "second prepare",
    "first complete",
    "second complete",
    "booted",
    "first up",
    "second up",
    "first stop",
    "second stop",
    "first down",
    "second down",
    "shutDown sleep",
    "first settled sleep",
    "second settled sleep",
  ]);
});

test("a room goes down and comes up again when other files take the place of these", async () => {
  const { life, boots } = cycle();
  const boot = await boots.booted();
  await boots.replace(boot, async () => void life.push("adopted"));
  await boots.booted();
  expect(life.filter((step) => !step.startsWith("second"))).toEqual([
    "beforeBoot",
    "first prepare",
    "first complete",
    "booted",
    "first up",
    "first down",
    "adopted",
    "shutDown sleep",
    "beforeBoot",
    "first prepare",
    "first complete",
    "booted",
    "first up",
  ]);
  await boots.end("destroy");
});

test("a room that cannot prepare fails the boot, and the next call boots again", async () => {
  const error = new Error("not prepared");
  const { life, boots } = cycle((first) => {
    const { prepare } = first;
    first.prepare = async (sandbox) => {
      first.prepare = prepare;
      await prepare(sandbox);
      throw error;
    };
  });
  expect(await failure(boots.booted())).toBe(error);
  expect(life).toEqual(["beforeBoot", "first prepare"]);
  await boots.booted();
  expect(life.at(-1)).toBe("second up");
  await boots.end("destroy");
});

test("a room that fails does not keep the others from their part", async () => {
  const fail = () => {
    throw new Error("a room's own failure");
  };
  const { life, failures, rooms, boots } = cycle((first) => {
    Object.assign(first, { up: fail, running: fail, down: fail, stop: fail });
    first.settled = async () => fail();
  });
  await boots.booted();
  rooms.running(Promise.resolve());
  const ended = boots.end("destroy");
  rooms.stop();
  await ended;
  expect((await failure(rooms.settled("destroy"))).message).toBe("a room's own failure");
  expect(failures.length).toBe(4);
  expect(life.filter((step) => step.startsWith("second"))).toEqual([
    "second prepare",
    "second complete",
    "second up",
    "second running",
    "second stop",
    "second down",
    "second settled destroy",
  ]);
});

test("each room hears of a program that starts, and a later room's variables come over an earlier room's", async () => {
  const { rooms, life } = cycle();
  expect(await rooms.programStarts()).toEqual({ first: "1", second: "1", SHARED: "second" });
  expect(life).toEqual(["first programStarts", "second programStarts"]);
});

test("a VM whose rooms throw when they stop ends all the same, and leaves no process", async () => {
  const thrown = new Error("cannot stop");
  for (const room of [Cron, Network]) {
    const spy = vi.spyOn(room.prototype, "stop").mockImplementation(() => {
      throw thrown;
    });
    onTestFinished(() => spy.mockRestore());
  }
  const failures: unknown[] = [];
  const { vm, events } = startVm({}, undefined, { onFailure: (error) => void failures.push(error) });
  await vm.spawn("sleep", ["1000"]);
  await vm.dispose("destroy");
  expect(failures).toEqual([thrown, thrown]);
  expect(events.at(-1)).toEqual({ name: "vmShutdown", payload: { reason: "destroy" } });
  await expect.poll(ownDescendants).toEqual([]);
});
