import { expect, onTestFinished, test } from "vitest";
import { BootCycle } from "../../src/runtime/boots.ts";
import { vmOptionsSchema } from "../../src/runtime/options.ts";
import { ChangeJournal } from "../../src/runtime/persistence/change-journal.ts";
import { RoomList } from "../../src/runtime/room.ts";
import { HEAD_KEY } from "../../src/runtime/store/keys.ts";
import { MemoryStore, type StoreEntry } from "../../src/runtime/store/store.ts";
import { openShared } from "../../src/runtime/vm-shared.ts";
import { failure, quietFor } from "../support/until.ts";

/** A store that stores a head only when the test lets it. */
class HoldsHeads extends MemoryStore {
  readonly begun = Promise.withResolvers<void>();
  readonly released = Promise.withResolvers<void>();

  override async put(entries: readonly StoreEntry[]) {
    if (entries[0]?.[0] === HEAD_KEY) {
      this.begun.resolve();
      await this.released.promise;
    }
    await super.put(entries);
  }
}

/** @param stopping code of the server that runs before a VM goes down */
function bootCycle(
  store: MemoryStore,
  rooms: RoomList,
  stopping: () => Promise<void> = async () => undefined,
): BootCycle {
  const options = vmOptionsSchema.parse({ runtime: "memory" });
  const boots = new BootCycle(
    openShared(options).factory,
    {
      options,
      store,
      rootFilesystem: undefined,
      maxResultBytes: Number.POSITIVE_INFINITY,
      keepAwake: () => undefined,
      onFailure: () => undefined,
      report: () => undefined,
    },
    rooms,
    {
      beforeBoot: () => undefined,
      starting: () => undefined,
      stopping,
      readOnly: () => undefined,
      booted: () => undefined,
      shutDown: () => undefined,
    },
  );
  onTestFinished(() => boots.end("destroy"));
  return boots;
}

test("a boot that fails ends after the commit under way, so that the next boot finds it", async () => {
  const store = new HoldsHeads();
  const record = { action: "write", path: "/file", content: Buffer.from("x") } as const;
  await new ChangeJournal(store, 0).append(record);
  const rooms = new RoomList(() => undefined);
  let isFirst = true;
  rooms.add({
    async complete() {
      if (!isFirst) return;
      isFirst = false;
      // The journal has a change, so that a checkpoint follows the restoration.
      await store.begun.promise;
      throw new Error("the room failed");
    },
  });
  const boots = bootCycle(store, rooms);
  const life: string[] = [];
  const failed = failure(boots.booted()).then(({ message }) => void life.push(message));
  await store.begun.promise;
  await quietFor(50);
  life.push("stored");
  store.released.resolve();
  await failed;
  expect(life).toEqual(["stored", "the room failed"]);
  const { files } = await boots.booted();
  expect(Buffer.from(await files.readFile("/file")).toString()).toBe("x");
});

test("a VM that boots again while it was told to sleep is not told that it goes down", async () => {
  const life: string[] = [];
  const rooms = new RoomList(() => undefined);
  rooms.add({
    up: () => void life.push("up"),
    beforeDown: async () => void life.push("beforeDown"),
    down: () => void life.push("down"),
  });
  const told = Promise.withResolvers<void>();
  const hook = Promise.withResolvers<void>();
  const boots = bootCycle(new MemoryStore(), rooms, () => {
    told.resolve();
    return hook.promise;
  });
  const first = await boots.booted();
  const resting = boots.rest();
  await told.promise;
  await boots.replace(first, async () => undefined);
  await boots.booted();
  hook.resolve();
  await resting;
  expect(life).toEqual(["up", "down", "up"]);
});
