// @module-tag slow
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, type TestContext, test } from "vitest";
import { type TunnelOut, terminal, type VmHandle } from "../../src/client/index.ts";
import { ENGINE_PROGRAM, type Engine, PATIENT, runEngine, startPeer } from "../support/engine.ts";
import type { ProgramServer } from "../support/servers.ts";
import { closed, next } from "../support/socket-events.ts";
import { connectTo, readAll, sha256, TCP_SERVER } from "../support/tcp.ts";
import { until } from "../support/until.ts";
import { startHttpServer, startWebSocketServer } from "../support/vm-servers.ts";
import { wsClient } from "../support/ws-client.ts";

const TOKEN = "token of the servers";
/** VMs of the first server and of another server. */
const [KEY, OTHER_KEY] = [["team", "one"], ["elsewhere"]];

/** More than the engine carries in one message. */
const LARGE_BYTES = 30_000_000;

/** Offers a service of a test to a VM. The service ends with that test, also among tests that run at the same time. */
async function offerTo(vm: VmHandle, { onTestFinished }: TestContext): Promise<TunnelOut> {
  await vm.setNetworkPolicy({ outbound: { allow: ["web.agent-vm:8080"] } });
  const service = createServer((_request, response) => void response.end("from the client"));
  onTestFinished(() => void service.close());
  await once(service.listen(0, "127.0.0.1"), "listening");
  const { port: localPort } = service.address() as AddressInfo;
  return await vm.tunnelOut({ name: "web", port: 8080, localPort });
}

/** Asks the offered service. */
const ASK_OFFER = "curl -sS --max-time 10 http://web.agent-vm:8080/";

describe.skipIf(ENGINE_PROGRAM === undefined)("servers behind one engine", () => {
  let engine: Engine & { end(): Promise<void> };
  /** The server that has the VM. */
  let owner: ProgramServer;
  const servers: Record<string, ProgramServer> = {};

  beforeAll(async () => {
    engine = await runEngine(PATIENT);
    // With its one VM it is full, so that the others are not on it.
    owner = await startPeer(engine, { env: { RIVET_TOTAL_SLOTS: "1" } });
    const vm = owner.client({ token: TOKEN }).vm.getOrCreate(KEY);
    // The engine learns of the server a moment after the server has started.
    await until(() => vm.exists("/").catch(() => false));
    await startHttpServer(vm as never, 3000);
    await startWebSocketServer(vm as never, 3001);
    await vm.writeFile("/tmp/tcp-server.cjs", TCP_SERVER);
    await vm.spawn("node", ["/tmp/tcp-server.cjs", "4000"]);
    await vm.waitForPort(4000);
    const [other, front] = await Promise.all([startPeer(engine), startPeer(engine, { vms: false })]);
    Object.assign(servers, { "another server": other, "a front without VMs": front });
    await startHttpServer(other.client({ token: TOKEN }).vm.getOrCreate(OTHER_KEY) as never, 3000);
  });
  afterAll(async () => {
    await Promise.all([owner, ...Object.values(servers)].map((server) => server?.stop("SIGKILL")));
    await engine.end();
  });

  describe.each(["another server", "a front without VMs"])("%s", (name) => {
    const at = () => servers[name] as ProgramServer;
    const vmOf = (token = TOKEN): VmHandle => at().client({ token }).vm.getOrCreate(KEY) as never;
    /** Leads a URL of the owner to this server. */
    const here = (url: string) => url.replace(`:${owner.port}/`, `:${at().port}/`);

    test("carries calls, events, terminals and forks", async () => {
      const vm = vmOf();
      const output: string[] = [];
      const connection = vm.connect();
      connection.on("processOutput", ({ data }) => output.push(Buffer.from(data).toString()));
      const { pid } = await connection.spawn("cat", []);
      await connection.writeProcessStdin(pid, "streamed");
      await connection.closeProcessStdin(pid);
      expect(await connection.waitProcess(pid)).toBe(0);
      await expect.poll(() => output.join("")).toBe("streamed");
      expect((await vm.exec("head -c 16000000 /dev/zero")).stdout).toHaveLength(16_000_000);
      const { key } = await vm.fork(["fork", name]);
      expect((await at().client({ token: TOKEN }).vm.get(key).exec("echo forked")).stdout).toBe("forked\n");
      const shown: string[] = [];
      const onData = (data: Uint8Array) => void shown.push(Buffer.from(data).toString());
      await using shell = await terminal(vm, { onData });
      shell.write("echo answer-$((40+2))\n");
      await expect.poll(() => shown.join("")).toContain("answer-42");
    });

    test("carries files above 20 MiB, and archives", async () => {
      const vm = vmOf();
      const content = randomBytes(LARGE_BYTES);
      await vm.writeFile("/workspace/large", content);
      expect(sha256(await vm.readFile("/workspace/large"))).toBe(sha256(content));
      const archive = await vm.exportTar("/workspace");
      await vm.exec("mkdir -p /tmp/copy");
      await vm.importTar(archive, "/tmp/copy");
      expect((await vm.exec("sha256sum < /tmp/copy/large")).stdout).toContain(sha256(content));
      // A fork would copy them.
      await vm.exec("rm -r /tmp/copy /workspace/large");
    });

    test("carries requests into the VM while they run", async () => {
      const response = await vmOf().vmFetch(3000, "/slow", { stream: true });
      const reader = (response.body as ReadableStream<Uint8Array>).getReader();
      const read = async () => Buffer.from((await reader.read()).value ?? []).toString();
      expect(await read()).toBe("first");
      await vmOf().vmFetch(3000, "/go");
      expect(await read()).toBe("second");
    });

    test("carries previews: streams, large bodies and WebSockets, by path and by host name", async () => {
      const { url, pathUrl } = await vmOf().createPreview(3000);
      for (const base of [url, pathUrl].map(here)) {
        const response = await fetch(`${base}slow`);
        const reader = (response.body as ReadableStream<Uint8Array>).getReader();
        expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe("first");
        await fetch(`${base}go`);
        expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe("second");
        // Only a preview with a host name leaves OPTIONS to the app.
        const options = await fetch(`${base}x`, { method: "OPTIONS" });
        expect(options.status).toBe(base === here(url) ? 200 : 204);
        const body = randomBytes(LARGE_BYTES);
        const mirrored = await fetch(`${base}mirror`, { method: "POST", body });
        expect(sha256(new Uint8Array(await mirrored.arrayBuffer()))).toBe(sha256(body));
        const echo = (await (await fetch(`${base}a%20b?x=1`)).json()) as { url: string; headers: string[] };
        expect(echo.url).toBe("/a%20b?x=1");
        expect(echo.headers.join()).not.toMatch(/x-agent-vm|x-rivet/i);
      }
      const sockets = await vmOf().createPreview(3001);
      const socket = wsClient(here(sockets.url).replace("http", "ws"), ["chat"]);
      await once(socket, "open");
      socket.send("ping");
      expect(String((await once(socket, "message"))[0])).toBe("pong x");
      socket.close();
      expect((await fetch(here(url).replace(/.{4}(?=-|\/$)/, "aaaa"))).status).toBe(403);
    });

    test("carries tunnels both ways and WebSockets into the VM", async (context) => {
      const vm = vmOf();
      await using tunnel = await vm.tunnel({ port: 4000 });
      const socket = await connectTo(tunnel);
      const sent = randomBytes(4_000_000);
      socket.write("echo\n");
      socket.end(sent);
      expect(sha256(await readAll(socket))).toBe(sha256(sent));
      const inside = await vm.vmWebSocket(3001, "/chat", ["one"]);
      inside.send("protocol");
      expect(await next(inside)).toBe("one /chat");
      const end = closed(inside);
      inside.close(4000, "done");
      expect(await end).toEqual([4000, "done"]);
      await using _offer = await offerTo(vm, context);
      expect((await vm.exec(ASK_OFFER)).stdout).toBe("from the client");
    });

    test("asks the access policy, which a token made at any server passes", async () => {
      const { token } = await at()
        .client({ token: TOKEN })
        .tokens.create({ vms: [KEY], may: ["exec"] });
      expect((await vmOf(token).exec("echo allowed")).stdout).toBe("allowed\n");
      const asked = owner.client({ token }).vm.getOrCreate(KEY);
      expect((await asked.exec("echo allowed")).stdout).toBe("allowed\n");
      await expect(vmOf(token).readFile("/etc/hostname")).rejects.toMatchObject({ code: "forbidden" });
      await expect(vmOf(token).tunnel({ port: 4000 }).then(connectTo)).rejects.toMatchObject({
        code: "forbidden",
      });
      const out = at().client({ token }).vm.getOrCreate(["team", "foreign"]);
      await expect(out.exists("/")).rejects.toMatchObject({ code: "forbidden" });
      await expect(vmOf("wrong").exists("/")).rejects.toMatchObject({ code: "unauthorized" });
      await expect(vmOf("wrong").exec("true")).rejects.toMatchObject({ code: "unauthorized" });
      const path = `/gateway/${await vmOf().resolve()}/request/bytes/fetch`;
      expect((await fetch(`${at().endpoint}${path}`, { method: "POST" })).status).toBe(401);
      expect((await fetch(`${at().endpoint}/actors?namespace=default&name=vm`)).status).toBe(401);
    });

    test("says whether it is ready, and has a console", async () => {
      // A request without a token may take 15 s. The trial boot and the console's bundle of a busy server take longer.
      const statusOf = (path: string) =>
        fetch(at().endpoint + path).then(
          ({ status }) => status,
          () => undefined,
        );
      for (const path of ["/health/ready", "/console"]) await expect.poll(() => statusOf(path)).toBe(200);
    });

    test("finds and makes VMs by their keys", async () => {
      const client = at().client({ token: TOKEN });
      expect(await client.vm.get(KEY).resolve()).toBe(await vmOf().resolve());
      await expect(client.vm.get("nobody").resolve()).rejects.toMatchObject({ code: "actor_not_found" });
      const key = ["a/b\\c", "\\0", name];
      const made = await client.vm.create(key);
      expect(await made.resolve()).toMatch(/^[0-9a-z]{30}$/);
      await made.writeFile("/workspace/own", "content");
      const [foreign] = Object.values(servers).filter((server) => server !== at());
      const same = foreign?.client({ token: TOKEN }).vm.get(key);
      expect(Buffer.from((await same?.readFile("/workspace/own")) ?? []).toString()).toBe("content");
      await expect(client.vm.create(key)).rejects.toMatchObject({ code: "duplicate_key" });
      await made.destroy();
      const outcome = () => same?.exists("/").catch((error: { code: string }) => error.code);
      await expect.poll(outcome, { interval: 200 }).toBe("actor_not_found");
    });
  });

  test("lists the VMs of all servers, the newest first, and wakes none", async () => {
    const client = servers["a front without VMs"]?.client({ token: TOKEN }) as ReturnType<
      ProgramServer["client"]
    >;
    await client.vm.getOrCreate(KEY).setLabels({ purpose: "test" });
    for (const part of ["two", "three", "four"]) await client.vm.getOrCreate(["team", part]).exists("/");
    await client.vm.getOrCreate(["other"]).exists("/");
    const first = await client.vm.list({ prefix: "team", limit: 3 });
    expect(first.vms.map(({ key }) => key[1])).toEqual(["four", "three", "two"]);
    const rest = await client.vm.list({ prefix: "team", limit: 3, cursor: first.cursor as string });
    expect(rest).toMatchObject({
      vms: [{ key: KEY, state: "awake", labels: { purpose: "test" } }],
      cursor: null,
    });
    expect(rest.vms[0]?.processes).toBeGreaterThan(0);
    expect((await client.vm.list({ labels: { purpose: "test" } })).vms).toHaveLength(1);
  });

  // Each waits for a threshold, so both wait at the same time, with an `expect` of its own. The VMs go on at a third server.
  describe.concurrent("when a server fails", () => {
    beforeAll(async () => {
      servers["a new server"] = await startPeer(engine);
    });

    test("says what is lost when the server of a VM dies, and goes on with the VM elsewhere", async (context) => {
      const { expect } = context;
      const vm = servers["a front without VMs"]?.client({ token: TOKEN }).vm.getOrCreate(KEY) as VmHandle;
      await vm.writeFile("/workspace/acknowledged", "1");
      const outcome = (call: Promise<unknown>) =>
        call.then(
          () => "done",
          (error: { code: string }) => error.code,
        );
      await using _offer = await offerTo(vm, context);
      expect((await vm.exec(ASK_OFFER)).stdout).toBe("from the client");
      const running = outcome(vm.exec("sleep 1000"));
      await vm.exec("true");
      await owner.stop("SIGKILL");
      expect(await running).toBe("call_lost");
      const read = () =>
        vm.readFile("/workspace/acknowledged").then(
          (bytes) => Buffer.from(bytes).toString(),
          (error) => error.code,
        );
      await expect.poll(read, { interval: 500 }).toBe("1");
      expect((await vm.exec("cat /workspace/acknowledged")).stdout).toBe("1");
      // The client offers its service there again.
      const asked = () => vm.exec(ASK_OFFER).then(({ stdout }) => stdout, String);
      await expect.poll(asked, { interval: 500 }).toBe("from the client");
    });

    test("ends the requests under way to a server that gives no sign of life", async ({ expect }) => {
      const front = servers["a front without VMs"] as ProgramServer;
      const vm: VmHandle = front.client({ token: TOKEN }).vm.getOrCreate(OTHER_KEY) as never;
      const response = await vm.vmFetch(3000, "/slow", { stream: true });
      const reader = (response.body as ReadableStream<Uint8Array>).getReader();
      await reader.read();
      servers["another server"]?.process.kill("SIGSTOP");
      await expect(reader.read()).rejects.toThrow("terminated");
    });
  });
});
