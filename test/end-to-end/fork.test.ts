import { afterAll, expect, test } from "vitest";
import type { VmInput } from "../../src/api/vm-input.ts";
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { type ServerProcess, sharedServer, startTestServer } from "../support/servers.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { failure } from "../support/until.ts";

const readyMade = sharedServer();
const dataDir = temporaryFolder();
const servers: ServerProcess[] = [];
afterAll(() => Promise.all(servers.map((server) => server.stop())));

async function start(env: Record<string, string> = {}, token?: string) {
  const server = await startTestServer({ kind: "kernel", process: true, dataDir, env: { ...env } });
  servers.push(server);
  const client = createClient<typeof registry>({ endpoint: server.endpoint, ...(token && { token }) });
  return { server, client, vms: client.vm };
}

const LIST =
  "find . -type l -printf '%p %l\\n' -o -printf '%p %y %m %n %s %Ts\\n' | sort; find . -type f | sort | xargs sha256sum";

test("a fork has the VM's files of its moment, and changes apart from the VM", async () => {
  const vms = readyMade().client().vm;
  const vm = vms.getOrCreate("original");
  await vm.exec(
    "echo one > note; ln note second; ln -s note link; mkdir -m 750 deep; seq 1000 > deep/numbers; head -c 9000000 /dev/urandom > large",
    { cwd: "/workspace" },
  );
  const before = await vm.exec(LIST, { cwd: "/workspace" });
  await vm.createSnapshot("of the original");
  const forked = await vm.fork("copy");

  const copy = vms.get("copy");
  expect(forked).toEqual({ key: ["copy"], actorId: await copy.resolve() });
  expect((await copy.exec(LIST, { cwd: "/workspace" })).stdout).toBe(before.stdout);
  expect(await copy.listSnapshots()).toEqual([]);
  await copy.writeFile("/workspace/note", "two");
  expect(new TextDecoder().decode(await vm.readFile("/workspace/note"))).toBe("one\n");
  // A fork of a fork, under a key of two parts.
  expect((await copy.fork(["team", "copy 2"])).key).toEqual(["team", "copy 2"]);
  const second = vms.get(["team", "copy 2"]);
  expect(new TextDecoder().decode(await second.readFile("/workspace/note"))).toBe("two");
});

test("a fork survives a kill of the server", { tags: ["slow"] }, async () => {
  const first = await start();
  const vm = first.vms.getOrCreate("killed");
  await vm.exec("echo one > note; head -c 9000000 /dev/urandom > large", { cwd: "/workspace" });
  const before = await vm.exec(LIST, { cwd: "/workspace" });
  const forked = await vm.fork("fork of the killed");
  first.server.process.kill("SIGKILL");
  await first.server.exited;
  await first.client.dispose();

  const { client, server, vms } = await start();
  const copy = vms.getForId(forked.actorId);
  expect((await copy.exec(LIST, { cwd: "/workspace" })).stdout).toBe(before.stdout);
  await copy.writeFile("/workspace/note", "two");
  expect(new TextDecoder().decode(await vms.get("killed").readFile("/workspace/note"))).toBe("one\n");
  await client.dispose();
  await server.stop("SIGTERM");
});

test("a fork of a snapshot has the files of the snapshot, and an unknown snapshot makes no VM", async () => {
  const client = readyMade().client();
  const vms = client.vm;
  const vm = vms.getOrCreate("with a snapshot");
  await vm.exec("echo before > note; head -c 500000 /dev/urandom > large; sha256sum large > sum", {
    cwd: "/workspace",
  });
  const { id } = await vm.createSnapshot();
  await vm.exec("echo after > note; rm large; touch later", { cwd: "/workspace" });
  const { key } = await vm.fork("then", { snapshot: id });
  const { stdout } = await vms.get(key).exec("cat note; sha256sum -c sum; ls", { cwd: "/workspace" });
  expect(stdout).toBe("before\nlarge: OK\nlarge\nnote\nsum\n");
  expect(new TextDecoder().decode(await vm.readFile("/workspace/note"))).toBe("after\n");
  expect(await failure(vm.fork("never", { snapshot: "snap-0" }))).toMatchObject({
    code: "snapshot_not_found",
  });
  expect((await client.vm.list({ prefix: "never" })).vms).toEqual([]);
});

test("refuses a key that is taken and changes nothing, whether its VM is awake or asleep", {
  tags: ["slow"],
}, async () => {
  const first = await start();
  await first.vms.getOrCreate("taken").writeFile("/workspace/mine", "mine");
  await first.vms.getOrCreate("source").writeFile("/workspace/other", "other");
  const refusal = { code: "duplicate_key", message: 'A VM with the key ["taken"] exists already' };
  expect(await failure(first.vms.get("source").fork("taken"))).toMatchObject(refusal);
  expect(await failure(first.vms.get("source").fork("source"))).toMatchObject({ code: "duplicate_key" });
  await first.server.stop("SIGTERM");
  await first.client.dispose();

  const { client, server, vms } = await start();
  expect(await failure(vms.get("source").fork("taken"))).toMatchObject(refusal);
  expect(await vms.get("taken").readdir("/workspace")).toEqual(["mine"]);
  expect(await failure(vms.create("taken"))).toMatchObject({ code: "duplicate_key" });
  const both = await Promise.allSettled([vms.get("source").fork("race"), vms.get("taken").fork("race")]);
  expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  const winner = both[0]?.status === "fulfilled" ? "other" : "mine";
  expect(await vms.get("race").readdir("/workspace")).toEqual([winner]);
  await client.dispose();
  await server.stop("SIGTERM");
});

test("refuses the server's own fork actions and made-up tickets from clients", async () => {
  const { client, server, vms } = await start({ AGENT_VM_TOKEN: "t0ken" }, "t0ken");
  const source = vms.getOrCreate("secret");
  await source.writeFile("/workspace/secret", "s");
  const ticket = "0".repeat(64);
  for (const target of [source, source.connect()]) {
    for (const [name, args] of [
      ["readFork", [ticket, 0]],
      ["readFork", [null, "x"]],
      ["takeFork", []],
      ["checkFork", []],
    ] as const) {
      expect(await failure(target.action({ name, args: [...args] }))).toMatchObject({
        code: "action_not_found",
        message: `Action not found: ${name}`,
      });
    }
  }
  for (const actorId of [await source.resolve(), "../../etc"]) {
    const input = { fork: { actorId, ticket } } as VmInput;
    expect(await failure(vms.create("made up", { input }))).toMatchObject({ code: "invalid_argument" });
  }
  // Forks also work on a server with a token.
  expect((await source.fork("copy of the secret")).key).toEqual(["copy of the secret"]);
  expect(await vms.get("copy of the secret").readdir("/workspace")).toEqual(["secret"]);
  await client.dispose();
  await server.stop("SIGTERM");
});

test("refuses a malformed key", { tags: ["slow"] }, async () => {
  const { client, vms } = await start();
  const vm = vms.getOrCreate("original");
  for (const key of [undefined, 7, "", [], ["a", ""], "x".repeat(1025), Array(17).fill("a")]) {
    expect(await failure(vm.fork(key as string))).toMatchObject({
      code: "invalid_argument",
      metadata: { argument: "newKey" },
    });
  }
  await client.dispose();
});
