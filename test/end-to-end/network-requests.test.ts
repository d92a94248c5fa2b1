// @module-tag attack
import { expect, onTestFinished, test } from "vitest";
import { vmActor } from "../../src/actors/vm.ts";
import type { NetworkRequest } from "../../src/api/methods/network-requests.ts";
import { createLogger } from "../../src/http/logger.ts";
import { startTestServer } from "../support/servers.ts";
import { failure } from "../support/until.ts";

const TOKEN = "administrator's token";
const ask = { allow: [], ask: ["*.test"] };
const curl = "curl -sS http://api.test/";

test("a client answers questions with the right admin, and no token of another VM can", async () => {
  const options = { token: TOKEN, logger: createLogger("silent") };
  const server = await startTestServer({ kind: "kernel", vm: { network: { outbound: ask } }, options });
  const admin = server.client({ token: TOKEN });
  const vm = admin.vm.getOrCreate("asked");
  // Nobody listens: the program is refused at once, and may be right to try later.
  expect((await vm.exec(curl)).stdout).toContain("nobody listens");
  const connection = vm.connect();
  onTestFinished(() => connection.dispose());
  const questions: NetworkRequest[] = [];
  connection.on("networkRequest", (question) => questions.push(question));
  await connection.status();
  const running = vm.exec(curl);
  await expect.poll(() => questions.length).toBe(1);
  const [question] = questions as [NetworkRequest];
  expect(question).toMatchObject({ host: "api.test", port: 80, method: "GET", path: "/" });
  // A token of another VM, one without the right, and a made-up id.
  await admin.vm.getOrCreate("other").exists("/");
  const tokenOf = async (vms: string, may: ["admin"] | ["network", "exec", "read"]) =>
    (await admin.tokens.create({ vms, may })).token;
  const other = server.client({ token: await tokenOf("other", ["admin"]) });
  const weak = server.client({ token: await tokenOf("asked", ["network", "exec", "read"]) });
  const answer = (client: typeof admin, key: string, id = question.id) =>
    failure(client.vm.get(key).answerNetworkRequest(id, "allow"));
  expect(await answer(other, "asked")).toMatchObject({ code: "forbidden" });
  expect(await answer(other, "other")).toMatchObject({ code: "network_request_not_found" });
  expect(await answer(weak, "asked")).toMatchObject({ code: "forbidden" });
  expect(await answer(admin, "asked", "0")).toMatchObject({ code: "network_request_not_found" });
  expect(await weak.vm.get("asked").listNetworkRequests()).toEqual([question]);
  await vm.answerNetworkRequest(question.id, "deny");
  expect((await running).stdout).toContain("a client denied it");
  expect(await vm.getNetworkLog()).toMatchObject([{ code: "nobody_listens" }, { code: "answered" }]);
});

test("a token with admin cannot ask about the server's machine, nor turn a question about it into a rule", async () => {
  const options = { token: TOKEN, logger: createLogger("silent") };
  const outbound = { allow: [], ask: ["host.agent-vm:22"] };
  const server = await startTestServer({ kind: "kernel", vm: { network: { outbound } }, options });
  const admin = server.client({ token: TOKEN });
  await admin.vm.getOrCreate("host").exists("/");
  const { token } = await admin.tokens.create({ vms: "host", may: ["admin"] });
  const vm = server.client({ token }).vm.get("host");
  for (const wanted of [
    { allow: [], ask: ["127.0.0.1:22"] },
    { allow: [], ask: ["host.agent-vm:23"] },
    { allow: ["host.agent-vm:22"] },
  ])
    expect(await failure(vm.setNetworkPolicy({ outbound: wanted }))).toMatchObject({ code: "forbidden" });
  await vm.setNetworkPolicy({
    outbound: { allow: ["a.test"], ask: [...outbound.ask, "b.test"] },
  });
});

test("onNetworkRequest of the server gets the VM and the request, and its answer counts", async () => {
  const seen: unknown[] = [];
  const server = await startTestServer({
    kind: "kernel",
    vm: {
      network: { outbound: ask },
      onNetworkRequest({ key }, { host, port, method, path }) {
        seen.push({ key, host, port, method, path });
        return "deny";
      },
    },
  });
  const { stdout } = await server.client().vm.getOrCreate("hooked").exec(`${curl}a?b`);
  expect(stdout).toContain("the server denied it");
  expect(seen).toEqual([{ key: ["hooked"], host: "api.test", port: 80, method: "GET", path: "/a" }]);
  const wrong = { onNetworkRequest: "yes" } as unknown as Parameters<typeof vmActor>[0];
  expect(await failure((async () => vmActor(wrong))())).toMatchObject({ code: "invalid_argument" });
});
