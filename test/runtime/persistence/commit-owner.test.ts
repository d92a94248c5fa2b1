import { expect, test } from "vitest";
import { NO_GARBAGE } from "../../../src/runtime/persistence/garbage.ts";
import { Commits, FIRST_HEAD, loadHead } from "../../../src/runtime/persistence/head.ts";
import { storageFailed } from "../../../src/runtime/store/coded-store.ts";
import { HEAD_KEY, OWNER_KEY } from "../../../src/runtime/store/keys.ts";
import { ownedStore } from "../../../src/runtime/store/owned-store.ts";
import { MemoryStore, type StoreEntry } from "../../../src/runtime/store/store.ts";

/** A store that keeps a head whose answer is lost. */
class LosesAnswers extends MemoryStore {
  /** Runs when the head is stored. */
  stored: () => Promise<void> = async () => undefined;
  /** Whether the mark of the owner cannot be read. */
  hidesOwner = false;

  override async get(keys: readonly string[]) {
    if (this.hidesOwner && keys.includes(OWNER_KEY)) throw storageFailed("No answer", new Error("timeout"));
    return await super.get(keys);
  }

  override async put(entries: readonly StoreEntry[]) {
    await super.put(entries);
    if (entries[0]?.[0] !== HEAD_KEY) return;
    await this.stored();
    throw storageFailed("No answer", new Error("timeout"));
  }
}

test("a commit whose answer is lost fails if another instance has begun since", async () => {
  const store = new LosesAnswers();
  const commits = new Commits(ownedStore(store, { isShared: true }), FIRST_HEAD);
  store.stored = async () => void (await ownedStore(store).get([]));
  await expect(commits.commit({ journal: 1 }, NO_GARBAGE)).rejects.toMatchObject({ code: "vm_stopped" });
  expect(commits.head).toBe(FIRST_HEAD);
});

test("a commit whose answer is lost fails if nobody can say who is the owner, and the next commit counts", async () => {
  const store = new LosesAnswers();
  const commits = new Commits(ownedStore(store, { isShared: true }), FIRST_HEAD);
  store.stored = async () => {
    store.hidesOwner = true;
  };
  await expect(commits.commit({ journal: 1 }, NO_GARBAGE)).rejects.toMatchObject({ code: "storage_failed" });
  expect(commits.isUnsure).toBe(true);
  store.hidesOwner = false;
  store.stored = async () => undefined;
  await commits.commit({ journal: 2 }, NO_GARBAGE);
  expect([commits.isUnsure, (await loadHead(store)).journal]).toEqual([false, 2]);
});
