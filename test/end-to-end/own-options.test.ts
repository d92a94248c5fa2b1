import { expect, test } from "vitest";
import { startTestServer } from "../support/servers.ts";
import { failure } from "../support/until.ts";

const MIB = 1024 * 1024;
const perVm = {
  limits: { memoryBytes: 512 * MIB, processes: 64, inodes: 5_000 },
  env: true,
  network: true,
  rootFilesystems: {
    small: { format: "agentos-filesystem-snapshot-v1", filesystem: { entries: [] } },
  },
  destroyAfterMs: 60_000,
};

test("a VM has the options that its creator has chosen, also after a sleep", async () => {
  const server = await startTestServer({ kind: "kernel", vm: { perVm: { ...perVm, rootFilesystems: {} } } });
  const { vm } = server.client();
  const input = {
    limits: { processes: 40, inodes: 4_000 },
    env: { TIER: "free" },
    labels: { tier: "free" },
    network: { outbound: { allow: ["api.example:443"] } },
    destroyAfterMs: 50_000,
  };
  const own = vm.getOrCreate("a", { createWithInput: input });
  for (let round = 0; round < 2; round++) {
    expect((await own.exec("echo $TIER")).stdout).toBe("free\n");
    const status = await own.status();
    expect(status.processes.limit).toBe(40);
    expect(status.files.limit).toBe(4_000);
    expect(status.memory.limit).toBe(2048 * MIB);
    expect(status.labels).toEqual({ tier: "free" });
    expect(status.own).toEqual({
      limits: { processes: 40, inodes: 4_000 },
      env: ["TIER"],
      outbound: { allow: ["api.example:443"] },
      rootFilesystem: null,
      destroyAfterMs: 50_000,
    });
    expect((await own.getNetworkPolicy()).outbound).toEqual({ allow: ["api.example:443"] });
    await own.sleep();
  }
  // Another handle of the key does not change them, nor does its input.
  expect(
    (await vm.getOrCreate("a", { createWithInput: { env: { TIER: "pro" } } }).exec("echo $TIER")).stdout,
  ).toBe("free\n");
  const { key } = await own.fork("b");
  expect((await vm.get(key).status()).own.limits).toEqual({ processes: 40, inodes: 4_000 });
});

test("a server refuses options that it does not let a VM choose, and makes no VM", async () => {
  const server = await startTestServer({
    kind: "kernel",
    vm: { perVm: { limits: { memoryBytes: 512 * MIB } } },
  });
  const client = server.client();
  const refused: [input: object, argument: string][] = [
    [{ limits: { memoryBytes: 513 * MIB } }, "limits.memoryBytes"],
    [{ limits: { processes: 20 } }, "limits.processes"],
    [{ limits: { memoryBytes: 1 } }, "limits.memoryBytes"],
    [{ limits: { memory: 1 } }, "limits.memory"],
    [{ env: { A: "b" } }, "env"],
    [{ network: { outbound: "all" } }, "network"],
    [{ rootFilesystem: "/etc/passwd" }, "rootFilesystem"],
    [{ destroyAfterMs: 1 }, "destroyAfterMs"],
    [{ labels: { a: 1 } }, "labels.a"],
    [{ software: ["/root"] }, "software"],
  ];
  for (const [input, argument] of refused) {
    const made = client.vm.getOrCreate("a", { createWithInput: input }).exists("/");
    expect(await failure(made)).toMatchObject({ code: "invalid_argument", metadata: { argument } });
    expect(await failure(client.vm.create("a", { input }))).toMatchObject({ code: "invalid_argument" });
  }
  expect((await client.vm.list()).vms).toEqual([]);
  const plain = (await startTestServer({ kind: "kernel" })).client();
  const chosen = plain.vm.create("a", { input: { rootFilesystem: "x" } });
  expect(await failure(chosen)).toMatchObject({
    metadata: { hint: expect.stringContaining("rootFilesystems") },
  });
  await client.vm.create("a", { input: { limits: { memoryBytes: 512 * MIB } } });
});

test("setLimits changes limits of a VM up to the server's maxima, and keeps them", async () => {
  const server = await startTestServer({ kind: "kernel", vm: { perVm: { limits: perVm.limits } } });
  const vm = server.client().vm.getOrCreate("a");
  await vm.exec("true");
  await vm.setLimits({ memoryBytes: 256 * MIB, inodes: 4_500 });
  expect((await vm.status()).memory.limit).toBe(256 * MIB);
  expect(await failure(vm.setLimits({ memoryBytes: 1024 * MIB }))).toMatchObject({
    code: "invalid_argument",
  });
  expect(await failure(vm.setLimits({ openFiles: 100 }))).toMatchObject({ code: "invalid_argument" });
  await vm.restart();
  const { memory, files } = await vm.status();
  expect([memory.limit, files.limit]).toEqual([256 * MIB, 4_500]);
  expect((await vm.exec("df --output=itotal / | tail -1")).stdout.trim()).toBe("4500");
});

test("a VM that has slept for destroyAfterMs is destroyed", async () => {
  const server = await startTestServer({ kind: "kernel", vm: { destroyAfterMs: 300, sleepTimeoutMs: 200 } });
  const client = server.client();
  const vm = client.vm.getOrCreate("a");
  await vm.writeFile("/workspace/x", "x");
  expect((await client.vm.list()).vms).toHaveLength(1);
  await expect.poll(async () => (await client.vm.list()).vms).toEqual([]);
  expect(await vm.exists("/workspace/x")).toBe(false);
});

test("a quota of the server limits VMs, and how many are awake", async () => {
  const server = await startTestServer({ kind: "kernel", options: { quota: { maxVms: 3, maxAwake: 1 } } });
  const { vm } = server.client();
  await vm.getOrCreate("a").exec("true");
  await vm.getOrCreate("b").status();
  expect(await failure(vm.getOrCreate("b").exec("true"))).toMatchObject({
    code: "limit_exceeded",
    metadata: { limit: "quota.maxAwake", value: 1 },
  });
  await vm.getOrCreate("a").sleep();
  expect((await vm.getOrCreate("b").exec("echo up")).stdout).toBe("up\n");
  await vm.getOrCreate("c").status();
  expect(await failure(vm.getOrCreate("d").status())).toMatchObject({
    code: "limit_exceeded",
    metadata: { limit: "quota.maxVms", value: 3 },
  });
  await vm.getOrCreate("c").destroy();
  expect((await vm.getOrCreate("d").status()).state).toBe("sleeping");
});

test("a client learns which options the server lets a VM choose, with a token of any right", async () => {
  const token = "the server's token";
  const rootFilesystems = { small: "/nonexistent/small.tar" };
  const server = await startTestServer({
    kind: "kernel",
    vm: { perVm: { ...perVm, rootFilesystems } },
    options: { token },
  });
  const choices = {
    limits: perVm.limits,
    env: true,
    network: true,
    rootFilesystems: ["small"],
    destroyAfterMs: 60_000,
  };
  expect(await server.client({ token }).vm.options()).toEqual(choices);
  const weak = await server.client({ token }).tokens.create({ vms: "a", may: ["cron"] });
  expect(await server.client({ token: weak.token }).vm.options()).toEqual(choices);
  expect(await failure(server.client({ token: "wrong" }).vm.options())).toMatchObject({
    code: "unauthorized",
  });
  const url = `${server.endpoint}/vms/options?name=other`;
  const response = await fetch(url, { headers: { "x-rivet-token": token } });
  expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([
    404,
    "actor_type_not_found",
  ]);
});
