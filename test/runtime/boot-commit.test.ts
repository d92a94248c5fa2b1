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
      stopping: () => undefined,
      readOnly: () => undefined,
      booted: () => undefined,
      shutDown: () => undefined,
    },
  );
  onTestFinished(() => boots.end("destroy"));
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
