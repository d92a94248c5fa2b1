import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { type StoredToken, TokenStore } from "../../../src/http/tokens/token-store.ts";
import { testFolder } from "../../support/temporary-folder.ts";

const token = (id: string, parent: string | null = null, expiresAt = Date.now() + 60_000): StoredToken => ({
  id,
  parent,
  owner: null,
  label: "",
  createdAt: Date.now(),
  lifetimeMs: 60_000,
  expiresAt,
  latest: null,
  may: ["admin"],
  vms: { keys: [["a"]] },
});

test("removes a token with everything that was made with it, and nothing else", async () => {
  const store = new TokenStore(join(testFolder(), "tokens.db"));
  const ids = Array.from({ length: 1_200 }, (_, n) => `child-${n}`);
  for (const each of [token("root"), token("other"), ...ids.map((id) => token(id, "root"))]) store.add(each);
  store.add(token("grandchild", "child-7"));
  const removed: string[] = [];
  await store.remove("root", (gone) => removed.push(...gone));
  expect(new Set(removed)).toEqual(new Set(["root", "grandchild", ...ids]));
  expect(store.count(null)).toBe(1);
  expect(store.has("other")).toBe(true);
  store.close();
});

test("finishes at its start what a server began to remove before it died", () => {
  const folder = testFolder();
  const first = new TokenStore(join(folder, "tokens.db"));
  first.add(token("child", "a removed token"));
  first.add(token("grandchild", "child"));
  first.close();
  const second = new TokenStore(join(folder, "tokens.db"));
  expect([second.has("child"), second.has("grandchild")]).toEqual([false, false]);
  second.close();
});

test("forgets expired tokens", async () => {
  const store = new TokenStore(join(testFolder(), "tokens.db"));
  store.add(token("old", null, Date.now() - 1));
  store.add(token("new"));
  store.forgetExpired();
  expect(store.count(null)).toBe(1);
  expect(store.has("old")).toBe(false);
  expect((await store.list(10, 0, () => true)).tokens.map(({ id }) => id)).toEqual(["new"]);
  store.close();
});

test("a failure of the file is a failure of the storage, and damage is told once", () => {
  const path = join(testFolder(), "tokens.db");
  const failures: unknown[] = [];
  const store = new TokenStore(path, (error) => failures.push(error));
  const other = new DatabaseSync(path);
  other.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  other.close();
  writeFileSync(path, readFileSync(path).fill("x", 4096));
  const failed = expect.objectContaining({ code: "storage_failed" });
  for (const question of [() => store.has("a"), () => store.count(), () => store.renew("a", 1, null)])
    expect(question).toThrow(failed);
  expect(failures).toEqual([failed]);
});
