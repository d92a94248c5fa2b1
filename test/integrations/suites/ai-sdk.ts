import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { HarnessV1SandboxProvider } from "@ai-sdk/harness";
import type { Experimental_SandboxSession } from "@ai-sdk/provider-utils";
import { generateText, stepCountIs, streamText, type ToolSet } from "ai";
import { createBashTool } from "bash-tool";
import {
  bashToolSandbox,
  harnessSandbox,
  sandboxSession,
  tools,
} from "../../../src/adapters/ai-sdk/index.ts";
import { turnsOf } from "../scripted-model.ts";
import { client } from "../server.ts";
import { scripted } from "./lib/ai-model.ts";

const vm = client.vm.getOrCreate("ai-sdk");
after(() => client.dispose());

test("generateText works through files and commands with the tools", async () => {
  const set = tools(vm, { workingDirectory: "/work/generate" });
  const model = scripted(
    turnsOf(
      ["write_file", { path: "add.sh", content: "echo $(($1 + $2))\n" }],
      ["exec", { command: "bash add.sh 2 40" }],
      ["read_file", { path: "missing" }],
    ),
  );
  const { text, steps } = await generateText({
    model,
    tools: set,
    stopWhen: stepCountIs(10),
    prompt: "Add.",
  });
  assert.equal(text, "done");
  const [, ran, failed] = steps.flatMap(({ content }) =>
    content.filter(({ type }) => /^tool-(result|error)$/.test(type)),
  );
  assert.ok(ran?.type === "tool-result");
  assert.partialDeepStrictEqual(ran.output, { exitCode: 0, output: "42\n", running: false });
  assert.ok(failed?.type === "tool-error");
  assert.match(String(failed.error), /ENOENT/);
  // The model gets the text of an answer only.
  assert.match(
    JSON.stringify(model.doGenerateCalls[2]?.prompt),
    /42\\\\n\\\\n\[exit code 0\]|42\\n\\n\[exit code 0\]/,
  );
});

test("streamText streams the output of a command before its end", async () => {
  const set = tools(vm, { only: ["exec"], workingDirectory: "/work/stream" });
  const command = "echo first; while [ ! -e go ]; do sleep 0.05; done; echo second";
  const result = streamText({
    model: scripted(turnsOf(["exec", { command }])),
    tools: set,
    stopWhen: stepCountIs(3),
    prompt: "Run.",
  });
  const outputs: [boolean, unknown][] = [];
  for await (const part of result.stream) {
    if (part.type !== "tool-result") continue;
    outputs.push([part.preliminary ?? false, (part.output as { output: string }).output]);
    if (part.preliminary) await vm.writeFile("/work/stream/go", "");
  }
  assert.deepEqual(outputs[0], [true, "first\n"]);
  assert.deepEqual(outputs.at(-1), [false, "first\nsecond\n"]);
});

test("a call that needs approval waits for it", async () => {
  const set = tools(vm, { approve: "commands", workingDirectory: "/work/approval" });
  const { content } = await generateText({
    model: scripted(turnsOf(["exec", { command: "touch ran" }])),
    tools: set,
    stopWhen: stepCountIs(3),
    prompt: "Run.",
  });
  assert.ok(content.some(({ type }) => type === "tool-approval-request"));
  assert.equal(await vm.exists("/work/approval/ran"), false);
});

test("an abort of generateText kills the command", async () => {
  const abort = new AbortController();
  const set = tools(vm, { workingDirectory: "/work/abort" });
  const running = generateText({
    model: scripted(turnsOf(["exec", { command: "echo > up; sleep 9321" }])),
    tools: set,
    stopWhen: stepCountIs(3),
    prompt: "Run.",
    abortSignal: abort.signal,
  });
  running.then(undefined, () => undefined);
  while (!(await vm.exists("/work/abort/up"))) await new Promise(setImmediate);
  abort.abort();
  await assert.rejects(async () => await running);
  const sleeps = (await vm.allProcesses()).filter(
    ({ args, state }) => args.includes("9321") && state !== "Z",
  );
  assert.deepEqual(sleeps, []);
});

test("a session is given to tools as the AI SDK's sandbox", async () => {
  const session: Experimental_SandboxSession = sandboxSession(vm, { workingDirectory: "/work/session" });
  const set: ToolSet = tools(vm, { only: ["exec"] });
  await generateText({
    model: scripted([{ text: "done" }]),
    tools: set,
    experimental_sandbox: session,
    prompt: "Hi",
  });
  const process = await session.spawn({ command: "cat", stdin: true });
  await new Blob(["through"]).stream().pipeTo(process.stdin);
  assert.equal(await new Response(process.stdout).text(), "through");
});

test("bash-tool's tools work on a VM", async () => {
  const sandbox = bashToolSandbox(vm, { workingDirectory: "/work/bash" });
  const { tools: set } = await createBashTool({
    sandbox,
    destination: "/work/bash",
    files: { "a.txt": "from a file" },
  });
  const { steps } = await generateText({
    model: scripted(turnsOf(["bash", { command: "cat a.txt" }], ["readFile", { path: "a.txt" }])),
    tools: set as unknown as ToolSet,
    stopWhen: stepCountIs(5),
    prompt: "Read.",
  });
  const outputs = JSON.stringify(steps.map(({ toolResults }) => toolResults.map(({ output }) => output)));
  assert.equal(outputs.split("from a file").length - 1, 2, outputs);
});

test("a harness prepares an identity once, forks it for each session, and resumes a session", async () => {
  const provider: HarnessV1SandboxProvider = harnessSandbox(client.vm, {
    keyPrefix: ["harness"],
    ports: [4123],
  });
  let prepared = 0;
  const onFirstCreate = async (session: Pick<Experimental_SandboxSession, "writeTextFile">) => {
    prepared += 1;
    await session.writeTextFile({ path: "tool", content: "installed" });
  };
  const options = { identity: "recipe", onFirstCreate };
  const [one, two] = await Promise.all([
    provider.createSession({ ...options, sessionId: "one" }),
    provider.createSession({ ...options, sessionId: "two" }),
  ]);
  assert.equal(prepared, 1);
  assert.equal(await two.readTextFile({ path: "tool" }), "installed");
  await one.writeTextFile({ path: "own", content: "one" });
  assert.equal(await two.readTextFile({ path: "own" }), null);
  assert.equal(one.defaultWorkingDirectory, (await one.run({ command: "pwd" })).stdout.trim());

  await one.setNetworkPolicy?.({
    mode: "custom",
    allowedHosts: ["*.example.com"],
    deniedCIDRs: ["10.0.0.0/8"],
  });
  const policy = await client.vm.get(["harness", "session", "one"]).getNetworkPolicy();
  assert.deepEqual(policy.outbound, { allow: ["*.example.com"], deny: ["10.0.0.0/8"] });

  const rule = (host: string, path: string) => ({
    match: { host, method: ["post"], path: { startsWith: path } },
    transform: { headers: { authorization: "Bearer one", "x-team": "two" } },
  });
  await one.setRequestTransformations?.([rule("api.example.com", "/v1/")]);
  await one.addRequestTransformations?.([rule("other.example.com", "/")]);
  const secrets = await client.vm.get(["harness", "session", "one"]).listSecrets();
  assert.deepEqual(
    secrets.map(({ hosts, paths, methods, carriedBy }) =>
      [hosts, paths, methods, carriedBy].flat(2).join(" "),
    ),
    [
      "api.example.com /v1/* POST header authorization",
      "api.example.com /v1/* POST header x-team",
      "other.example.com /* POST header authorization",
      "other.example.com /* POST header x-team",
    ],
  );
  await assert.rejects(async () => {
    const match = { host: "a.example.com", headers: [{ key: { exact: "x" } }] };
    await one.setRequestTransformations?.([{ match, transform: { headers: { a: "b" } } }]);
  });
  await assert.rejects(
    async () =>
      await one.addRequestTransformations?.([
        { ...rule("a.example.com", "/"), match: { host: "a.example.com", path: { exact: "/v1/*" } } },
      ]),
    { code: "not_supported" },
  );
  await one.setRequestTransformations?.([]);
  await Promise.all(
    ["a", "b", "c"].map(
      async (name) => await one.addRequestTransformations?.([rule(`${name}.example.com`, "/")]),
    ),
  );
  assert.equal((await client.vm.get(["harness", "session", "one"]).listSecrets()).length, 6);
  await one.setRequestTransformations?.([]);
  assert.deepEqual(await client.vm.get(["harness", "session", "one"]).listSecrets(), []);

  const page = await one.spawn({ command: "exec python3 -m http.server 4123" });
  await client.vm.get(["harness", "session", "one"]).waitForPort(4123);
  const { url } = await one.getPortEndpoint({ port: 4123, protocol: "http" });
  assert.match(await (await fetch(url)).text(), /own/);
  assert.match((await one.getPortEndpoint({ port: 4123, protocol: "ws" })).url, /^ws:/);
  await assert.rejects(async () => await one.getPortEndpoint({ port: 1 }));
  await page.kill();

  await one.stop();
  await one.stop();
  const again = await provider.resumeSession?.({ sessionId: one.id });
  assert.equal(await again?.readTextFile({ path: "own" }), "one");
  await Promise.all([one.destroy(), two.destroy()]);
  await one.destroy();
  await assert.rejects(async () => await provider.resumeSession?.({ sessionId: "one" }));
  assert.equal("stop" in one.restricted(), false);
});
