import { expect, test } from "vitest";
import { AgentVmError } from "../../../../../src/api/errors.ts";
import { MemoryStore } from "../../../../../src/runtime/store/store.ts";
import { startSecretVm, VALUE } from "../../../../support/secret-outside.ts";

test("placeholders in headers, queries and bodies become values, for their own host only", {
  tags: ["slow"],
}, async () => {
  const bodies: string[] = [];
  const { vm, curl, url, last } = await startSecretVm(
    { headers: {}, placeholderIn: ["headers", "query", "body"] },
    {
      listener: (request, response) => {
        let body = "";
        request.setEncoding("latin1").on("data", (text) => (body += text));
        request.on("end", () => {
          bodies.push(body);
          response.end();
        });
      },
    },
  );
  expect((await vm.exec("echo $API_KEY")).stdout).toBe("AGENT_SECRET_API_KEY\n");
  await curl(
    `-H "x-key: $API_KEY" -u "user:$API_KEY" "${url}/?key=$API_KEY&AGENT_SECRET_NO" -d "key=$API_KEY"`,
  );
  expect(last().headers["x-key"]).toBe(VALUE);
  expect(last().headers.authorization).toBe(`Basic ${Buffer.from(`user:${VALUE}`).toString("base64")}`);
  expect(last().url).toBe(`/?key=${encodeURIComponent(VALUE)}&AGENT_SECRET_NO`);
  await curl(
    `${url} -H 'content-type: application/json' -d '{"a":"AGENT_SECRET_API_KEY","b":"AGENT_SECRET_API_KEY_2"}'`,
  );
  await vm.exec("head -c 1100000 /dev/zero | tr '\\0' x >/tmp/large; echo AGENT_SECRET_API_KEY >>/tmp/large");
  await curl(`${url} -H 'transfer-encoding: chunked' --data-binary @/tmp/large`);
  await curl(`${url} -H 'content-encoding: gzip' -d AGENT_SECRET_API_KEY`);
  expect(bodies.slice(0, 2)).toEqual([
    `key=${encodeURIComponent(VALUE)}`,
    `{"a":"${VALUE}","b":"AGENT_SECRET_API_KEY_2"}`,
  ]);
  expect(bodies[2]?.length).toBe(1_100_021);
  expect(bodies.slice(2).every((body) => body.includes("AGENT_SECRET_API_KEY"))).toBe(true);
  // Another secret's host does not get this one.
  await vm.setSecrets({ API_KEY: { value: VALUE, hosts: ["else.test"] } });
  await curl(`-H "x-key: $API_KEY" ${url} --cacert /dev/null -k`);
  expect(last().headers["x-key"]).toBe("AGENT_SECRET_API_KEY");
});

test("setSecrets takes effect with the next request and outlives a sleep, encrypted", async () => {
  const store = new MemoryStore();
  const sealingKey = new Uint8Array(32).fill(7);
  const { vm, curl, url, port, last, again } = await startSecretVm(
    { hosts: ["else.test"] },
    { store, sealingKey },
  );
  const keyOf = async (from = curl) => {
    await from(`${url}/`);
    return last()?.headers["x-key"];
  };
  const later = { value: "later-secret", hosts: [`api.test:${port}`], headers: { "x-key": "{secret}" } };
  await vm.setSecrets({ LATER: later });
  expect(await keyOf()).toBe("later-secret");
  await vm.setSecrets({ LATER: { ...later, value: "newer-secret" } });
  expect(await keyOf()).toBe("newer-secret");
  expect(await vm.listSecrets()).toEqual([
    expect.objectContaining({ name: "API_KEY", from: "server", durable: true }),
    {
      ...{ name: "LATER", hosts: [`api.test:${port}`], carriedBy: ["header x-key"] },
      ...{ mask: false, from: "vm", durable: true },
    },
  ]);
  await vm.dispose("sleep");
  const entries = await store.list("");
  expect(entries.map(([key]) => key)).toContain("net/secrets");
  for (const [, value] of entries) expect(Buffer.from(value).includes("secret")).toBe(false);
  const woken = again();
  expect(await keyOf(woken.curl)).toBe("newer-secret");
  await woken.vm.setSecrets({ LATER: null });
  expect((await woken.vm.listSecrets()).map(({ name }) => name)).toEqual(["API_KEY"]);
  await woken.vm.dispose("sleep");
  expect((await store.list("")).map(([key]) => key)).not.toContain("net/secrets");
});

test("a server with another key, or without one, goes on without the stored secrets", async () => {
  const store = new MemoryStore();
  const secret = { value: "kept-secret", hosts: ["api.test"], headers: { "x-key": "{secret}" } };
  const first = await startSecretVm({}, { store, sealingKey: new Uint8Array(32).fill(1) });
  await first.vm.setSecrets({ KEPT: secret });
  await first.vm.dispose("sleep");
  const failures: unknown[] = [];
  const onFailure = (error: unknown) => failures.push(error);
  const other = await startSecretVm({}, { store, sealingKey: new Uint8Array(32).fill(2), onFailure });
  expect((await other.vm.listSecrets()).map(({ name }) => name)).toEqual(["API_KEY"]);
  expect(String(failures)).toContain("stored secrets cannot be read");
  await other.vm.dispose("sleep");
  const without = await startSecretVm({}, { store: new MemoryStore() });
  await without.vm.setSecrets({ KEPT: secret });
  expect((await without.vm.listSecrets()).at(-1)).toMatchObject({ name: "KEPT", durable: false });
});

test("a connection that was opened for a removed secret stays encrypted, without the secret", {
  tags: ["slow"],
}, async () => {
  const { vm, url, requests } = await startSecretVm();
  const program = `
    const https = require("node:https"), agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    const get = (path) => new Promise((resolve) =>
      https.get("${url}" + path, { agent }, (response) => response.on("end", resolve).resume()));
    (async () => {
      await get("/first");
      console.log("asked");
      await new Promise((resolve) => process.stdin.once("data", resolve));
      await get("/second");
      process.exit();
    })();`;
  const { pid } = await vm.spawn("node", ["-e", program], { env: { NODE_USE_ENV_PROXY: "" } });
  await expect.poll(async () => (await vm.readProcessOutput(pid)).chunks.length).toBe(1);
  await vm.setSecrets({ API_KEY: { value: VALUE, hosts: ["else.test"] } });
  await vm.writeProcessStdin(pid, "go");
  await vm.waitProcess(pid);
  expect(requests.map(({ url: path, headers }) => [path, headers.authorization])).toEqual([
    ["/first", `Bearer ${VALUE}`],
    ["/second", undefined],
  ]);
});

test("more secrets than a VM may have are refused", async () => {
  const { vm } = await startSecretVm();
  const secret = { value: "x", hosts: ["api.test"] };
  const many = Object.fromEntries(Array.from({ length: 32 }, (_, index) => [`KEY_${index}`, secret]));
  const error = await vm.setSecrets(many).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(AgentVmError);
  expect((error as AgentVmError).code).toBe("limit_exceeded");
  expect(await vm.listSecrets()).toHaveLength(1);
});

test("an opened connection keeps its connection to the host, and closes with it", {
  tags: ["slow"],
}, async () => {
  const ports = new Set<number | undefined>();
  const { vm, url, server } = await startSecretVm(
    {},
    {
      listener: (request, response) => {
        ports.add(request.socket.remotePort);
        response.end("ok");
      },
    },
  );
  const program = `
    const https = require("node:https"), agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    let socket;
    const get = () => new Promise((resolve) =>
      https.get("${url}", { agent }, (response) => { socket = response.socket; response.on("end", resolve).resume(); }));
    (async () => {
      await get();
      await get();
      socket.on("close", () => { console.log("closed"); process.exit(); });
      console.log("idle");
      // An unused connection does not keep the process.
      setTimeout(() => {}, 60_000);
    })();`;
  const { pid } = await vm.spawn("node", ["-e", program], { env: { NODE_USE_ENV_PROXY: "" } });
  await expect.poll(async () => (await vm.readProcessOutput(pid)).chunks.length).toBe(1);
  expect(ports.size).toBe(1);
  server.closeIdleConnections();
  await vm.waitProcess(pid);
  const { chunks } = await vm.readProcessOutput(pid);
  expect(Buffer.concat(chunks.map(({ data }) => data)).toString()).toBe("idle\nclosed\n");
});
