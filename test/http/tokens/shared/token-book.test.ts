import { expect, onTestFinished, test, vi } from "vitest";
import { TokenBook } from "../../../../src/http/tokens/shared/token-book.ts";
import type { StoredToken } from "../../../../src/http/tokens/token-store.ts";
import { MemoryStore } from "../../../../src/runtime/store/store.ts";

const token = (id: string, more: Partial<StoredToken> = {}): StoredToken => ({
  ...{ id, parent: null, owner: null, label: `label of ${id}`, createdAt: 1, lifetimeMs: 60_000 },
  ...{ expiresAt: Date.now() + 60_000, latest: null, may: ["read"], vms: { keys: [["a"]] } },
  ...more,
});
const idsOf = async (book: TokenBook) => (await book.list(100, 0, () => true)).tokens.map(({ id }) => id);
const none = () => undefined;

test("another instance knows the tokens in their order, with their ends, and has them numbered as before", async () => {
  const store = new MemoryStore();
  const first = await TokenBook.open(store, none);
  for (const id of ["c", "a", "b"]) await first.add(token(id));
  const expiresAt = Date.now() + 600_000;
  await first.renew("a", expiresAt, null);
  await first.remove("c", none);
  const page = await first.list(1, 0, () => true);
  const second = await TokenBook.open(store, none);
  expect(await idsOf(second)).toEqual(["a", "b"]);
  expect(second.get("a")).toEqual(token("a", { expiresAt, createdAt: 1 }));
  const rest = await second.list(1, page.next as number, () => true);
  expect(rest.tokens.map(({ id }) => id)).toEqual(["b"]);
});

test("a revoked token ends with all that were made with it, also if the removal was cut off", async () => {
  const store = new MemoryStore();
  const book = await TokenBook.open(store, none);
  await book.add(token("root"));
  await book.add(token("child", { parent: "root" }));
  await book.add(token("grandchild", { parent: "child" }));
  await book.add(token("other"));
  const removed: string[] = [];
  await book.remove("root", (ids) => removed.push(...ids));
  expect(removed).toEqual(["root", "child", "grandchild"]);
  expect(["root", "child", "grandchild", "other", "unknown"].map((id) => book.has(id))).toEqual([
    false,
    false,
    false,
    true,
    true,
  ]);

  const { key, value } = {
    key: "token/orphan",
    value: { number: 9, token: token("orphan", { parent: "root" }) },
  };
  await store.put([[key, Buffer.from(JSON.stringify(value))]]);
  const next = await TokenBook.open(store, none);
  expect(await idsOf(next)).toEqual(["other"]);
  expect(next.has("orphan")).toBe(false);
  expect(
    next
      .revokedAfter("", 0)
      .tokens.map(([id]) => id)
      .sort(),
  ).toEqual(["child", "grandchild", "orphan", "root"]);
});

test("a server learns of each revoked token once, and of all again from another instance", async () => {
  const store = new MemoryStore();
  const book = await TokenBook.open(store, none);
  await book.add(token("a"));
  await book.add(token("b"));
  await book.remove("a", none);
  const page = book.revokedAfter("", 0);
  expect(page.tokens.map(([id]) => id)).toEqual(["a"]);
  await book.remove("b", none);
  expect(book.revokedAfter(page.epoch, 1).tokens.map(([id]) => id)).toEqual(["b"]);
  expect(book.revokedAfter(page.epoch, 2).tokens).toEqual([]);
  const { epoch, after, tokens } = (await TokenBook.open(store, none)).revokedAfter(page.epoch, 2);
  expect(epoch).not.toBe(page.epoch);
  expect([after, tokens.length]).toEqual([0, 2]);
});

test("what has expired leaves the storage", async () => {
  const store = new MemoryStore();
  const book = await TokenBook.open(store, none);
  await book.add(token("short", { expiresAt: Date.now() - 1 }));
  await book.add(token("revoked", { expiresAt: Date.now() + 30 }));
  await book.remove("revoked", none);
  await expect.poll(() => Date.now()).toBeGreaterThan(book.revokedAfter("", 0).tokens[0]?.[1] as number);
  await TokenBook.open(store, none);
  expect(await store.list("")).toEqual([]);
});

test("a revoked token counts to its client until it expires, and then leaves the storage with the next token", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  onTestFinished(() => void vi.useRealTimers());
  const store = new MemoryStore();
  const book = await TokenBook.open(store, none);
  await book.add(token("long", { owner: "client" }));
  await book.add(token("short", { owner: "client", expiresAt: Date.now() + 100 }));
  const [, end = 0] = await book.remove("short", none).then(() => book.revokedAfter("", 0).tokens[0] ?? []);
  await book.remove("long", none);
  const counts = (of: TokenBook) => [of.count("client"), of.count(), of.count(null), of.count("other")];
  expect(counts(await TokenBook.open(store, none))).toEqual(counts(book));
  vi.setSystemTime(end + 1);
  book.forgetExpired();
  expect(counts(book)).toEqual([1, 1, 0, 0]);
  await book.add(token("next"));
  expect((await store.list("")).map(([key]) => key)).toEqual(["revoked/long", "token/next"]);
});
