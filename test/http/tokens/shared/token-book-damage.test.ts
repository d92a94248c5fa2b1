import { expect, test } from "vitest";
import { TokenBook } from "../../../../src/http/tokens/shared/token-book.ts";
import type { StoredToken } from "../../../../src/http/tokens/token-store.ts";
import { MemoryStore } from "../../../../src/runtime/store/store.ts";

const token = (id: string): StoredToken => ({
  ...{ id, parent: null, owner: null, label: "", createdAt: 1, lifetimeMs: 60_000 },
  ...{ expiresAt: Date.now() + 60_000, latest: null, may: ["read"], vms: { keys: [["a"]] } },
});
const none = () => undefined;

test("damaged notes are named and passed over, and the token of a damaged revocation stays revoked", async () => {
  const store = new MemoryStore();
  const book = await TokenBook.open(store, none);
  for (const id of ["a", "b", "gone"]) await book.add(token(id));
  await book.remove("gone", none);
  await store.put([
    ["token/no-json", Buffer.from("{")],
    ["token/no-token", Buffer.from('{"number":7}')],
    ["token/no-number", Buffer.from(JSON.stringify({ token: token("no-number") }))],
    ["token/same-number", Buffer.from(JSON.stringify({ number: 1, token: token("same-number") }))],
    ["revoked/gone", Buffer.from("?")],
  ]);
  const damaged: string[] = [];
  const next = await TokenBook.open(store, (key) => damaged.push(key));
  expect(damaged.sort()).toEqual(["revoked/gone", "token/no-json", "token/no-token"]);
  const { tokens } = await next.list(100, 0, () => true);
  expect(tokens.map(({ id }) => id).sort()).toEqual(["a", "b", "no-number", "same-number"]);
  expect(next.has("gone")).toBe(false);
  for (const { id } of tokens) await next.remove(id, none);
  expect((await (await TokenBook.open(store, none)).list(100, 0, () => true)).tokens).toEqual([]);
});
