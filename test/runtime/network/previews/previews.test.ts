import { expect, test } from "vitest";
import { Previews } from "../../../../src/runtime/network/previews/previews.ts";
import { MemoryStore } from "../../../../src/runtime/store/store.ts";

test("a token is neither stored nor listed, and opens only its port", async () => {
  const store = new MemoryStore();
  const previews = new Previews(store);
  const [first, second] = [await previews.create(3000), await previews.create(3001)];
  for (const { token } of [first, second]) {
    expect(token).toMatch(/^[a-z2-7]{32}$/);
    const kept = (await store.list("")).map(([key, value]) => `${key} ${Buffer.from(value)}`).join("\n");
    expect(kept).not.toContain(token);
    expect(JSON.stringify(await previews.list())).not.toContain(token);
  }
  expect([(await previews.open(first.token))?.port, (await previews.open(second.token))?.port]).toEqual([
    3000, 3001,
  ]);
  await previews.close();
});

test("tokens survive a restart, and a revoked token stays revoked", async () => {
  const store = new MemoryStore();
  const before = new Previews(store);
  const [kept, gone, byId] = [await before.create(1), await before.create(2), await before.create(3)];
  await before.expire(gone.token);
  await before.expire((await before.list()).find(({ port }) => port === 3)?.id ?? "");
  await before.close();
  const after = new Previews(store);
  expect((await after.open(kept.token))?.port).toBe(1);
  expect([await after.open(gone.token), await after.open(byId.token)]).toEqual([undefined, undefined]);
  expect(await after.list()).toMatchObject([{ port: 1, expiresAt: kept.expiresAt }]);
  await after.close();
});

test("a preview that cannot be stored neither counts nor opens", async () => {
  const store = new MemoryStore();
  const previews = new Previews(store);
  const put = store.put.bind(store);
  store.put = () => Promise.reject(new Error("no room"));
  await expect(previews.create(3000)).rejects.toThrow("no room");
  store.put = put;
  expect(await previews.list()).toEqual([]);
  await previews.close();
});
