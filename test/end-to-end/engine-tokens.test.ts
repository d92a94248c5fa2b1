// @module-tag slow
import { expect, onTestFinished, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { VmClient } from "../../src/client/types.ts";
import type { registry } from "../../src/server.ts";
import { startEngine, startEngineServer, startPeer } from "../support/engine.ts";
import { failure } from "../support/until.ts";

const TOKEN = "token of the servers";
const SECRET = "a secret that signs the tokens of the servers";
const ADMIN = "admin-token-of-the-engine";
const within = { interval: 250 };
const refused = { code: "unauthorized" };

function clientOf(endpoint: string, token?: string): VmClient<typeof registry> {
  const client = createClient<typeof registry>({ endpoint, ...(token !== undefined && { token }) });
  onTestFinished(() => client.dispose());
  return client;
}

test("the server's token and scoped tokens work through the gateway of an engine, also after a move", async (context) => {
  const engine = await startEngine(context);
  const env = { AGENT_VM_TOKEN: TOKEN, AGENT_VM_SECRET: SECRET };
  const first = await startEngineServer(engine, env);
  const owner = clientOf(engine.endpoint, TOKEN);
  const vm = owner.vm.getOrCreate("one");
  await expect.poll(() => vm.exists("/").catch(() => false), within).toBe(true);
  expect((await vm.exec("echo 1 > /workspace/x; echo done")).stdout).toBe("done\n");
  const connection = vm.connect();
  expect(await connection.exists("/workspace/x")).toBe(true);
  const fork = await vm.fork("fork", { secrets: true });
  expect(Buffer.from(await owner.vm.getForId(fork.actorId).readFile("/workspace/x")).toString()).toBe("1\n");
  await expect.poll(first.stderr, within).toContain("The API of the Rivet Engine is open");

  for (const client of [clientOf(engine.endpoint), clientOf(engine.endpoint, "wrong")]) {
    const stranger = client.vm.getOrCreate("one");
    expect(await failure(stranger.exists("/"))).toMatchObject(refused);
    expect(await failure(stranger.exec("id"))).toMatchObject(refused);
    expect(await failure(stranger.connect().exists("/"))).toMatchObject(refused);
  }

  const made = await clientOf(first.endpoint, TOKEN).tokens.create({ vms: "one", may: ["read", "files"] });
  const { tokens } = await clientOf(first.endpoint, TOKEN).tokens.list();
  expect(tokens).toMatchObject([{ id: made.id, vms: [["one"]] }]);
  const limited = clientOf(engine.endpoint, made.token);
  const files = limited.vm.getOrCreate("one").connect();
  const check = async () => {
    expect(Buffer.from(await files.readFile("/workspace/x")).toString()).toBe("1\n");
    expect(await failure(files.exec("id"))).toMatchObject({ code: "forbidden" });
    expect(await failure(limited.vm.getOrCreate("fork").exists("/"))).toMatchObject({ code: "forbidden" });
  };
  await check();
  const second = await startEngineServer(engine, env);
  expect(await first.stop("SIGTERM")).toBe(0);
  await check();
  expect((await connection.exec("cat /workspace/x")).stdout).toBe("1\n");
  await clientOf(second.endpoint, TOKEN).tokens.revoke(made.id);
  await expect
    .poll(() => failure(limited.vm.getOrCreate("one").exists("/")), within)
    .toMatchObject({ ...refused, metadata: { reason: "revoked" } });
});

test("an engine with an admin token answers no client, whose servers answer it without that token", async (context) => {
  const engine = await startEngine(context, { RIVET__AUTH__ADMIN_TOKEN: ADMIN });
  const servers = { env: { RIVET_TOKEN: ADMIN, AGENT_VM_TOKEN: TOKEN, AGENT_VM_SECRET: SECRET } };
  const [first, second] = [await startPeer(engine, servers), await startPeer(engine, servers)];
  const owner = clientOf(first.endpoint, TOKEN);
  const vm = owner.vm.getOrCreate("one");
  await expect.poll(() => vm.exec("true").then(() => true, String), within).toBe(true);
  await vm.fork("fork");
  const { token } = await owner.tokens.create({ vms: "one", may: ["exec"] });
  for (const { endpoint } of [first, second]) {
    expect((await clientOf(endpoint, token).vm.get("one").exec("echo in")).stdout).toBe("in\n");
    expect((await clientOf(endpoint, TOKEN).vm.get("fork").exec("echo in")).stdout).toBe("in\n");
    const shown = await Promise.all(
      ["/", "/metadata", "/health", "/health/ready", "/vms?name=vm", "/actors?name=vm", "/metrics"].map(
        async (path) => {
          const response = await fetch(endpoint + path, { headers: { "x-rivet-token": TOKEN } });
          return JSON.stringify([...response.headers]) + (await response.text());
        },
      ),
    );
    expect(shown.join()).not.toContain(ADMIN);
    expect(await vm.getGatewayUrl()).not.toContain(ADMIN);
  }
  for (const each of [TOKEN, token, undefined]) {
    const headers: Record<string, string> = each === undefined ? {} : { "x-rivet-token": each };
    const response = await fetch(`${engine.endpoint}/actors?namespace=default&name=vm`, { headers });
    expect(response.status).toBe(403);
  }
  expect(first.stderr()).not.toContain("API of the Rivet Engine is open");
});
