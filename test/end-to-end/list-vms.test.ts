import { expect, test } from "vitest";
import { startTestServer } from "../support/servers.ts";
import { testFolder } from "../support/temporary-folder.ts";
import { failure } from "../support/until.ts";

/** A server in this process. */
const MEMORY = { kind: "kernel", vm: { runtime: "memory" } } as const;

test("list shows each VM with its state, labels and storage, and wakes none", async () => {
  const dataDir = testFolder();
  const first = await startTestServer({ kind: "kernel", process: true, dataDir });
  const before = Date.now();
  const vms = first.client().vm;
  await vms.getOrCreate(["team", "bob"]).writeFile("/workspace/x", "x");
  await vms.getOrCreate(["team", "alice"]).setLabels({ tier: "free" });
  await vms.getOrCreate("other").exec("true");
  const { vms: listed, cursor } = await vms.list();
  expect(cursor).toBe(null);
  expect(listed.map(({ key, state }) => [key.join("/"), state])).toEqual([
    ["other", "awake"],
    ["team/alice", "sleeping"],
    ["team/bob", "awake"],
  ]);
  expect(listed[0]?.processes).toBeGreaterThan(0);
  expect(listed[1]).toMatchObject({
    actorId: await vms.getOrCreate(["team", "alice"]).resolve(),
    labels: { tier: "free" },
    processes: 0,
  });
  for (const { createdAt, lastUsedAt, storedBytes } of listed) {
    expect(createdAt).toBeGreaterThanOrEqual(before);
    expect(lastUsedAt).toBeGreaterThanOrEqual(createdAt);
    expect(storedBytes).toBeGreaterThan(0);
  }
  await first.stop("SIGTERM");

  const second = await startTestServer({ kind: "kernel", process: true, dataDir });
  const again = second.client().vm;
  expect((await again.list()).vms.map(({ key, state, labels }) => [key.join("/"), state, labels])).toEqual([
    ["other", "sleeping", {}],
    ["team/alice", "sleeping", { tier: "free" }],
    ["team/bob", "sleeping", {}],
  ]);
  // The list has woken none.
  expect((await again.list({ state: "sleeping" })).vms).toHaveLength(3);
});

test("list finds VMs by prefix, labels and state, page by page", async () => {
  const server = await startTestServer(MEMORY);
  const vms = server.client().vm;
  const keys = [["a"], ["a", "1"], ["a", "2"], ["ab"], ["b", "a"], ["\u0001", "\0"]];
  for (const key of keys) await vms.getOrCreate(key).setLabels({ first: key[0] as string });
  const found = async (options: Parameters<typeof vms.list>[0]) =>
    (await vms.list(options)).vms.map(({ key }) => key.join("/"));
  expect(await found({ prefix: "a" })).toEqual(["a", "a/1", "a/2"]);
  expect(await found({ prefix: "" })).toHaveLength(keys.length);
  expect(await found({ prefix: ["a", "2"] })).toEqual(["a/2"]);
  expect(await found({ labels: { first: "a" } })).toEqual(["a", "a/1", "a/2"]);
  expect(await found({ state: "awake" })).toEqual([]);
  await vms.getOrCreate(["a", "2"]).exists("/");
  expect(await found({ state: "awake" })).toEqual(["a/2"]);

  const pages: string[][] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = await vms.list({ limit: 4, ...(cursor !== undefined && { cursor }) });
    pages.push(page.vms.map(({ key }) => JSON.stringify(key)));
    cursor = page.cursor;
  }
  expect(pages.map((page) => page.length)).toEqual([4, 2]);
  expect(new Set(pages.flat())).toEqual(new Set(keys.map((key) => JSON.stringify(key))));

  expect(await failure(vms.list({ limit: 0 }))).toMatchObject({
    code: "invalid_argument",
    metadata: { argument: "limit" },
  });
  expect(await failure(vms.list({ cursor: "garbage" }))).toMatchObject({ code: "invalid_argument" });
  expect(await failure(vms.list({ colour: "red" } as never))).toMatchObject({ code: "invalid_argument" });
});

test("list needs the server's token", async () => {
  const server = await startTestServer({ ...MEMORY, options: { token: "right" } });
  const listed = (token?: string) => server.client(token === undefined ? {} : { token }).vm.list();
  expect(await listed("right")).toEqual({ vms: [], cursor: null });
  expect(await failure(listed("wrong"))).toMatchObject({ code: "unauthorized" });
  expect(await failure(listed())).toMatchObject({ code: "unauthorized" });
});

test("an actor name that the server does not have is actor_type_not_found", async () => {
  const server = await startTestServer(MEMORY);
  const client = server.client() as unknown as Record<
    string,
    typeof server extends never ? never : ReturnType<typeof server.client>["vm"]
  >;
  const known = { code: "actor_type_not_found", metadata: { known: ["vm"] } };
  expect(await failure(client.nothing!.getOrCreate("a").exists("/"))).toMatchObject(known);
  expect(await failure(client.nothing!.create("a"))).toMatchObject(known);
  expect(await failure(client.nothing!.list())).toMatchObject(known);
});

test("list adds memory, CPU time and files of VMs that run if they are wanted", async () => {
  const { vm: vms } = (await startTestServer({ kind: "kernel" })).client();
  await vms.getOrCreate("awake").exec("head -c 200000 /dev/zero > /tmp/file");
  await vms.create("asleep");
  const { vms: listed } = await vms.list({ use: true });
  const [asleep, awake] = listed;
  expect(asleep).not.toHaveProperty("use");
  expect(awake?.use?.memoryBytes).toBeGreaterThan(0);
  expect(awake?.use?.cpuMs).toBeGreaterThanOrEqual(0);
  expect(awake?.use?.diskBytes).toBeGreaterThan(200_000);
  expect(awake?.use?.promptsRunning).toBe(0);
  expect((await vms.list()).vms[1]).not.toHaveProperty("use");
});

test("looks at the snapshots are no use of a VM", async () => {
  const { vm: vms } = (await startTestServer({ kind: "kernel" })).client();
  const vm = vms.getOrCreate("looked-at");
  await vm.writeFile("/workspace/x", "x");
  await vm.createSnapshot();
  const lastUse = async () => (await vms.list()).vms[0]?.lastUsedAt;
  const before = await lastUse();
  await expect.poll(Date.now).toBeGreaterThan(before ?? 0);
  await vm.listSnapshots();
  expect(await lastUse()).toBe(before);
  await vm.exists("/");
  await expect.poll(lastUse).toBeGreaterThan(before ?? 0);
});
