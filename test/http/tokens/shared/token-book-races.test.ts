// @module-tag attack
import { expect, test } from "vitest";
import { TokenBook } from "../../../../src/http/tokens/shared/token-book.ts";
import type { StoredToken } from "../../../../src/http/tokens/token-store.ts";
import { MemoryStore, type StoreEntry } from "../../../../src/runtime/store/store.ts";

const END = Date.now() + 60_000;
const LATER = END + 600_000;
const token = (id: string, parent: string | null = null): StoredToken => ({
  ...{ id, parent, owner: null, label: "", createdAt: 1, lifetimeMs: 60_000 },
  ...{ expiresAt: END, latest: null, may: ["read"], vms: { keys: [["a"]] } },
});
const none = () => undefined;
const revoked = { code: "unauthorized", metadata: { reason: "revoked" } };
const idsOf = async (book: TokenBook) => (await book.list(100, 0, () => true)).tokens.map(({ id }) => id);
const endsOf = (book: TokenBook) => Object.fromEntries(book.revokedAfter("", 0).tokens);

/** A store whose next change of a kind waits until a test lets it go on. */
class HeldStore extends MemoryStore {
  readonly #held = new Map<string, { reached: () => void; free: Promise<void> }>();

  hold(change: string): { reached: Promise<void>; release: () => void } {
    const reached = Promise.withResolvers<void>();
    const free = Promise.withResolvers<void>();
    this.#held.set(change, { reached: reached.resolve, free: free.promise });
    return { reached: reached.promise, release: free.resolve };
  }

  override async put(entries: readonly StoreEntry[]): Promise<void> {
    await this.#pass(`put ${entries[0]?.[0].split("/")[0]}`);
    await super.put(entries);
  }

  override async delete(keys: readonly string[]): Promise<void> {
    await this.#pass("delete");
    await super.delete(keys);
  }

  async #pass(change: string): Promise<void> {
    const held = this.#held.get(change);
    this.#held.delete(change);
    held?.reached();
    await held?.free;
  }
}

async function openWith(...tokens: StoredToken[]): Promise<{ store: HeldStore; book: TokenBook }> {
  const store = new HeldStore();
  const book = await TokenBook.open(store, none);
  for (const each of tokens) await book.add(each);
  return { store, book };
}

test.each(["put revoked", "delete"])(
  "a renewal during the step '%s' of a revocation is refused",
  async (step) => {
    const { store, book } = await openWith(token("a"), token("kept"));
    const held = store.hold(step);
    const removal = book.remove("a", none);
    await held.reached;
    const renewal = book.renew("a", LATER, null).then(none, (error: unknown) => error);
    held.release();
    await removal;
    expect(await renewal).toMatchObject(revoked);
    const next = await TokenBook.open(store, none);
    expect(await idsOf(next)).toEqual(["kept"]);
    expect(next.has("a")).toBe(false);
  },
);

test("a revocation that meets a renewal notes the end of the renewed token", async () => {
  const { store, book } = await openWith(token("a"));
  const held = store.hold("put token");
  const renewal = book.renew("a", LATER, null).catch(none);
  await held.reached;
  const removal = book.remove("a", none);
  held.release();
  await Promise.all([renewal, removal]);
  expect(endsOf(book)).toEqual({ a: LATER });
  expect(endsOf(await TokenBook.open(store, none))).toEqual({ a: LATER });
});

test("of two renewals at once, the later end holds", async () => {
  const { store, book } = await openWith(token("a"));
  await Promise.all([book.renew("a", LATER, null), book.renew("a", LATER - 1000, null)]);
  expect(book.get("a")?.expiresAt).toBe(LATER);
  expect((await TokenBook.open(store, none)).get("a")?.expiresAt).toBe(LATER);
});

test.each(["put revoked", "delete"])(
  "a token made during the step '%s' of its maker's revocation is refused",
  async (step) => {
    const { store, book } = await openWith(token("root"), token("maker", "root"));
    const held = store.hold(step);
    const removal = book.remove("root", none);
    await held.reached;
    expect(["root", "maker"].map((id) => book.has(id))).toEqual([false, false]);
    const making = Promise.resolve(book.add(token("child", "maker"))).then(none, (error: unknown) => error);
    held.release();
    await removal;
    expect(await making).toMatchObject(revoked);
    expect(await idsOf(book)).toEqual([]);
    expect(await idsOf(await TokenBook.open(store, none))).toEqual([]);
  },
);

test("a token that is being made when its maker is revoked is refused or revoked", async () => {
  const { store, book } = await openWith(token("root"), token("maker", "root"));
  const held = store.hold("put token");
  const making = book.add(token("child", "maker"));
  await held.reached;
  const waiting = book.add(token("second", "maker"));
  const removal = book.remove("root", none);
  held.release();
  await Promise.allSettled([making, waiting]);
  await removal;
  await expect(waiting).rejects.toMatchObject(revoked);
  for (const each of [book, await TokenBook.open(store, none)]) {
    expect(["root", "maker", "child"].map((id) => each.has(id))).toEqual([false, false, false]);
    expect(await idsOf(each)).toEqual([]);
  }
});

test("two revocations at once note the end once", async () => {
  const { store, book } = await openWith(token("root"), token("child", "root"));
  await Promise.all(["root", "child", "root"].map((id) => book.remove(id, none)));
  for (const each of [book, await TokenBook.open(store, none)])
    expect(endsOf(each)).toEqual({ root: END, child: END });
});

test("a revocation that is not stored leaves the token valid, and may be repeated", async () => {
  const { store, book } = await openWith(token("root"), token("child", "root"));
  const put = store.put;
  store.put = () => Promise.reject(new Error("no disk"));
  await expect(book.remove("root", none)).rejects.toThrow("no disk");
  store.put = put;
  expect(["root", "child"].map((id) => book.has(id))).toEqual([true, true]);
  await book.renew("child", LATER, null);
  await book.remove("root", none);
  expect(endsOf(book)).toEqual({ root: END, child: LATER });
});

test("a renewal after a revocation whose answer was lost moves the end of its note", async () => {
  const { store, book } = await openWith(token("a"));
  const put = store.put.bind(store);
  store.put = async (entries) => {
    await put(entries);
    throw new Error("no answer");
  };
  await expect(book.remove("a", none)).rejects.toThrow("no answer");
  store.put = put;
  await book.renew("a", LATER, null);
  for (let instance = 0; instance < 2; instance += 1)
    expect(endsOf(await TokenBook.open(store, none))).toEqual({ a: LATER });
  expect((await store.list("token/")).length).toBe(0);
});
