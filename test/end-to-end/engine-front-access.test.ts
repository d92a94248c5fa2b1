// @module-tag slow
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ENGINE_PROGRAM, type Engine, PATIENT, runEngine, startPeer } from "../support/engine.ts";
import { connectHttp } from "../support/mcp.ts";
import type { ProgramServer } from "../support/servers.ts";
import { failure, until } from "../support/until.ts";

const TOKEN = "token of the servers";
const ALICE = "user:alice";
const forbidden = { code: "forbidden" };

describe.skipIf(ENGINE_PROGRAM === undefined)("servers with a function that decides about clients", () => {
  let engine: Engine & { end(): Promise<void> };
  let owner: ProgramServer;
  const servers: Record<string, ProgramServer> = {};

  beforeAll(async () => {
    engine = await runEngine(PATIENT);
    const kind = "authorizing";
    owner = await startPeer(engine, { kind });
    for (const key of [
      ["alice", "1"],
      ["bob", "1"],
    ]) {
      const vm = owner.client({ token: TOKEN }).vm.getOrCreate(key);
      // The engine learns of the server a moment after the server has started.
      await until(() => vm.exists("/").catch(() => false));
      await vm.exec(`echo ${key[0]} > /workspace/whose`);
    }
    const [other, front] = await Promise.all([
      startPeer(engine, { kind }),
      startPeer(engine, { kind, vms: false }),
    ]);
    Object.assign(servers, { "another server": other, "a front without VMs": front });
  });
  afterAll(async () => {
    await Promise.all([owner, ...Object.values(servers)].map((server) => server?.stop("SIGKILL")));
    await engine?.end();
  });

  describe.each(["another server", "a front without VMs"])("%s", (name) => {
    const at = () => servers[name] as ProgramServer;

    test("asks the function, whose answer holds for calls, connections, lists and bodies", async () => {
      const { vm } = at().client({ token: ALICE });
      const own = vm.getOrCreate(["alice", "1"]);
      expect((await own.exec("cat /workspace/whose")).stdout).toBe("alice\n");
      const connection = own.connect();
      expect((await connection.exec("echo over a connection")).stdout).toBe("over a connection\n");
      expect(await failure(connection.mkdir("/x"))).toMatchObject({
        ...forbidden,
        metadata: { right: "files" },
      });
      expect(await failure(own.writeFile("/x", new Uint8Array(2_000_000)))).toMatchObject(forbidden);
      expect(await failure(vm.getOrCreate(["bob", "1"]).exec("true"))).toMatchObject(forbidden);
      const bob = await owner.client({ token: TOKEN }).vm.get(["bob", "1"]).resolve();
      expect(await failure(vm.getForId(bob).exec("true"))).toMatchObject({ code: "actor_not_found" });
      const listed = (await vm.list()).vms.map(({ key }) => key);
      expect(listed).toContainEqual(["alice", "1"]);
      expect(listed.flat()).not.toContain("bob");
      const made = vm.getOrCreate(["alice", name]);
      expect((await made.exec("echo made")).stdout).toBe("made\n");
      expect(at().stderr()).toContain('asked alice ["alice","1"]');
    });

    test("refuses whom the function does not know, also with the id of a VM", async () => {
      const alice = await owner.client({ token: TOKEN }).vm.get(["alice", "1"]).resolve();
      for (const token of [undefined, "user:", "wrong"]) {
        const { vm } = at().client(token === undefined ? {} : { token });
        for (const handle of [vm.getOrCreate(["alice", "1"]), vm.getForId(alice)]) {
          expect(await failure(handle.exec("true"))).toMatchObject({ code: "unauthorized" });
          expect(await failure(handle.connect().exec("true"))).toMatchObject({ code: "unauthorized" });
        }
      }
      expect((await fetch(`${at().endpoint}/mcp`, { method: "POST", body: "{}" })).status).toBe(401);
    });

    test("does not ask about the server's token and about scoped tokens", async () => {
      const client = at().client({ token: TOKEN });
      const { token } = await client.tokens.create({ vms: [["bob", "1"]], may: ["exec"] });
      const handle = at().client({ token }).vm.get(["bob", "1"]);
      expect((await handle.exec("cat /workspace/whose")).stdout).toBe("bob\n");
      expect((await client.vm.get(["bob", "1"]).exec("cat /workspace/whose")).stdout).toBe("bob\n");
    });

    test("forks to every key that the client reaches, and to no other", async () => {
      const { token } = await owner.client({ token: TOKEN }).tokens.create({
        vms: { prefix: "alice" },
        may: ["create", "exec"],
      });
      for (const [kind, sender] of Object.entries({ user: ALICE, token })) {
        const { vm } = at().client({ token: sender });
        const { key } = await vm.get(["alice", "1"]).fork(["alice", "fork", kind, name]);
        expect((await vm.get(key).exec("cat /workspace/whose")).stdout).toBe("alice\n");
        expect(await failure(vm.get(["alice", "1"]).fork(["bob", kind, name]))).toMatchObject({
          ...forbidden,
          metadata: { key: ["bob", kind, name] },
        });
      }
    });

    test("serves MCP for one VM and for all, with the rights of each client", async () => {
      const one = await connectHttp(at().endpoint, "?vm=alice&vm=1", ALICE);
      expect(await one.text("exec", { command: "cat /workspace/whose" })).toContain("alice");
      const names = (await one.client.listTools()).tools.map((tool) => tool.name);
      expect(names).toContain("exec");
      expect(names).not.toContain("write_file");
      const foreign = await connectHttp(at().endpoint, "?vm=bob&vm=1", ALICE);
      expect(await foreign.text("exec", { command: "true" })).toMatch(/^error: .*forbidden/is);
      const all = await connectHttp(at().endpoint, "", TOKEN);
      expect(await all.text("list_vms")).toContain("bob");
      const written = { vm: ["bob", "1"], path: "/workspace/by-mcp", content: "written" };
      await all.text("write_file", written);
      const { vm } = owner.client({ token: TOKEN });
      expect(Buffer.from(await vm.get(["bob", "1"]).readFile("/workspace/by-mcp")).toString()).toBe(
        "written",
      );
    });
  });
});
