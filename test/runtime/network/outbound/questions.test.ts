import { expect, test } from "vitest";
import type { NetworkQuestion } from "../../../../src/api/methods/network-requests.ts";
import { listenOutside, readLine, startOutboundVm, startOutside } from "../../../support/outside.ts";
import { failure } from "../../../support/until.ts";

const greet = (socket: { end(text: string): unknown }) => void socket.end("hello\n");
const first = async <Value>(values: Value[], at = 0): Promise<Value> => {
  await expect.poll(() => values.length).toBeGreaterThan(at);
  return values[at] as Value;
};

test("a connection waits for its answer: allow is remembered, once is not, deny holds for a minute", async () => {
  const port = await listenOutside(greet, "127.0.0.2");
  const { vm, asked, denied, resolved } = startOutboundVm(
    { outbound: { allow: [`127.0.0.2:${port}`], ask: ["*.test"] } },
    { "one.test": ["127.0.0.2"], "two.test": ["127.0.0.2"], "three.test": ["127.0.0.2"] },
  );
  const once = vm.exec(readLine("one.test", port));
  const question = await first(asked);
  expect(question).toMatchObject({ host: "one.test", port, id: expect.any(String), pid: expect.any(Number) });
  expect(await vm.listNetworkRequests()).toEqual([question]);
  // Nothing has left the VM, not even a question to a name server.
  expect(resolved).toEqual([]);
  await vm.answerNetworkRequest(question.id, "once");
  expect((await once).stdout).toBe("hello\n");
  expect(await failure(vm.answerNetworkRequest(question.id, "allow"))).toMatchObject({
    code: "network_request_not_found",
  });
  // Connections at the same time are one question.
  const both = Promise.all([vm.exec(readLine("one.test", port)), vm.exec(readLine("one.test", port))]);
  await vm.answerNetworkRequest((await first(asked, 1)).id, "allow");
  expect((await both).map(({ stdout }) => stdout)).toEqual(["hello\n", "hello\n"]);
  expect((await vm.exec(readLine("one.test", port))).stdout).toBe("hello\n");
  expect(asked).toHaveLength(2);
  const refused = vm.exec(`curl -sS http://two.test:${port}/`);
  await vm.answerNetworkRequest((await first(asked, 2)).id, "deny");
  expect((await refused).stdout).toContain("a client denied it");
  expect((await vm.exec(`curl -sS http://two.test:${port}/`)).stdout).toContain(
    "an earlier answer denied it",
  );
  expect(asked).toHaveLength(3);
  expect(denied.map(({ host, code }) => `${host} ${code}`)).toEqual([
    "two.test answered",
    "two.test answered",
  ]);
  const log = await vm.getNetworkLog();
  expect(log[0]).toMatchObject({ host: "one.test", port, allowed: true, code: "answered" });
  expect(log.at(-1)).not.toHaveProperty("allowed");
});

test("the server's handler answers with method and path, its failure and a late answer deny", async () => {
  const { port } = await startOutside();
  const questions: NetworkQuestion[] = [];
  const { vm, curl, asked, denied } = startOutboundVm(
    { outbound: { allow: [`127.0.0.1:${port}`], ask: ["*.test"] }, askTimeoutMs: 500 },
    Object.fromEntries(["api", "wrong", "late"].map((name) => [`${name}.test`, ["127.0.0.1"]])),
    {
      onNetworkRequest(question) {
        questions.push(question);
        if (question.host === "late.test") return new Promise(() => undefined);
        if (question.host === "wrong.test") throw new Error("broken");
        return question.method === "GET" && question.path === "/read" ? "allow" : "deny";
      },
    },
  );
  const url = `http://api.test:${port}`;
  expect(JSON.parse((await curl(`${url}/read?a=1`)).text)).toMatchObject({ url: "/read?a=1" });
  expect((await curl(`${url}/read?a=2`)).exitCode).toBe(0);
  expect((await curl(`-d x ${url}/read`)).text).toContain("the server denied it");
  expect((await curl(`${url}/other`)).text).toContain("the server denied it");
  expect(questions.map(({ method, path }) => `${method} ${path}`)).toEqual([
    "GET /read",
    "POST /read",
    "GET /other",
  ]);
  expect((await curl(`http://wrong.test:${port}/`)).text).toContain("the server's handler failed");
  expect((await curl(`http://late.test:${port}/`)).text).toContain("nobody answered in time");
  expect(denied.map(({ code }) => code)).toEqual(["answered", "answered", "handler_failed", "ask_timeout"]);
  expect(asked).toEqual([]);
  expect(await vm.listNetworkRequests()).toEqual([]);
});

test("deny wins over allow and ask, allow wins over ask, and an address that is out of bounds stays so", async () => {
  const port = await listenOutside(greet, "127.0.0.2");
  const { vm, asked } = startOutboundVm(
    { outbound: { allow: ["open.test"], ask: ["*", `127.0.0.2:${port}`], deny: ["shut.test"] } },
    { "meta.test": ["169.254.169.254"], "shut.test": ["127.0.0.2"] },
  );
  expect((await vm.exec("curl -sS http://shut.test/")).stdout).toContain("the policy denies this name");
  expect((await vm.exec("curl -sS http://open.test/")).stdout).toContain("ENOTFOUND");
  expect((await vm.exec("curl -sS http://169.254.169.254/")).stdout).toContain("need a rule with address");
  expect(asked).toEqual([]);
  const meta = vm.exec("curl -sS http://meta.test/");
  await vm.answerNetworkRequest((await first(asked)).id, "allow");
  expect((await meta).stdout).toContain("need a rule with address");
  const address = vm.exec(readLine("127.0.0.2", port));
  expect(await first(asked, 1)).toMatchObject({ host: "127.0.0.2", port });
  await vm.answerNetworkRequest(asked[1]?.id ?? "", "once");
  expect((await address).stdout).toBe("hello\n");
});

test("a policy that changes while a connection waits decides about it, and forgets earlier answers", async () => {
  const port = await listenOutside((socket) => void socket.write("hello\n"), "127.0.0.2");
  const names = { "one.test": ["127.0.0.2"], "two.test": ["127.0.0.2"] };
  const ask = { allow: [`127.0.0.2:${port}`], ask: ["*.test"] };
  const { vm, asked } = startOutboundVm({ outbound: ask }, names);
  const [one, two] = ["one.test", "two.test"].map((host) => vm.exec(readLine(host, port)));
  await first(asked, 1);
  await vm.setNetworkPolicy({ outbound: { ...ask, allow: [...ask.allow, "one.test"], ask: [] } });
  expect((await one)?.stdout).toBe("hello\n");
  expect((await two)?.stdout).toMatch(/reset/i);
  expect(await vm.listNetworkRequests()).toEqual([]);
  // An open connection that a rule allowed is cut when the rule asks, and a connection that an answer allowed stays.
  const open = vm.exec(
    `bash -c 'exec 3<>/dev/tcp/one.test/${port}; head -1 <&3; touch /tmp/a; cat <&3; echo cut'`,
  );
  await vm.exec("until test -e /tmp/a; do sleep 0.05; done");
  await vm.setNetworkPolicy({ outbound: ask });
  expect((await open).stdout).toBe("hello\ncut\n");
  const kept = vm.exec(
    `bash -c 'exec 3<>/dev/tcp/one.test/${port}; head -1 <&3; touch /tmp/b; cat <&3; echo cut'`,
  );
  await vm.answerNetworkRequest((await first(asked, 2)).id, "allow");
  await vm.exec("until test -e /tmp/b; do sleep 0.05; done");
  await vm.setNetworkPolicy({ outbound: { ...ask, deny: ["two.test"] } });
  const again = vm.exec(readLine("one.test", port));
  await vm.answerNetworkRequest((await first(asked, 3)).id, "deny");
  expect((await again).stdout).toMatch(/reset/i);
  await vm.setNetworkPolicy({ outbound: "none" });
  expect((await kept).stdout).toBe("hello\ncut\n");
});

test("a flood of questions is cut off, and the end of the VM ends those that wait", async () => {
  const { vm, asked } = startOutboundVm({ outbound: { allow: [], ask: ["*.test"] } });
  const flood = `
    let refused = 0;
    const count = () => { refused += 1; if (refused === 168) require("node:fs").writeFileSync("/tmp/refused", ""); };
    for (let at = 0; at < 200; at++) {
      const [host, port] = process.env.HTTP_PROXY.slice(7).split(":");
      const socket = net.connect(port, host, () => socket.write("CONNECT a" + at + ".test:80 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n"));
      socket.on("data", (data) => { if (String(data).includes("MAX_NETWORK_QUESTIONS")) count(); });
    }`;
  await vm.spawn("node", ["-e", flood]);
  await expect.poll(() => vm.exists("/tmp/refused")).toBe(true);
  expect(asked).toHaveLength(32);
  expect(await vm.listNetworkRequests()).toHaveLength(32);
  await vm.restart();
  expect(await vm.listNetworkRequests()).toEqual([]);
  const [{ id = "" } = {}] = asked;
  expect(await failure(vm.answerNetworkRequest(id, "allow"))).toMatchObject({
    code: "network_request_not_found",
  });
});

test("a program that leaves ends its wait, and its question stays for the next one", async () => {
  const port = await listenOutside(greet, "127.0.0.2");
  const { vm, asked } = startOutboundVm(
    { outbound: { allow: [`127.0.0.2:${port}`], ask: ["*.test"] } },
    { "one.test": ["127.0.0.2"] },
  );
  const { pid } = await vm.spawn("curl", ["-sS", `http://one.test:${port}/`]);
  await first(asked);
  await vm.killProcess(pid);
  await vm.waitProcess(pid);
  const next = vm.exec(readLine("one.test", port));
  await first(asked, 1);
  const waiting = await vm.listNetworkRequests();
  // The proxy reads the request of curl. The other connection is its own question.
  expect(waiting.map(({ method }) => method)).toEqual(["GET", undefined]);
  await vm.answerNetworkRequest(asked[0]?.id ?? "", "allow");
  await vm.answerNetworkRequest(asked[1]?.id ?? "", "once");
  expect((await next).stdout).toBe("hello\n");
  // The request reaches the service, which does not speak HTTP.
  expect((await vm.exec(`curl -sS http://one.test:${port}/`)).stdout).toContain("Parse Error");
});
