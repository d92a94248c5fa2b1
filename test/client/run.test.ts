import { afterAll, beforeAll, expect, test } from "vitest";
import type { OutputChunk } from "../../src/client/index.ts";
import { startTestServer, type TestServer } from "../support/servers.ts";
import { tcpProxy } from "../support/tcp-proxy.ts";
import { failure } from "../support/until.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ kind: "kernel", vm: { limits: { captureBytes: 4_000_000 } } });
});
afterAll(() => server.stop());

const agent = (key: string) => server.client().vm.getOrCreate(key);
type Agent = ReturnType<typeof agent>;

const sleeps = async (vm: Agent) =>
  (await vm.allProcesses()).filter(({ command, state }) => command === "sleep" && state !== "Z").length;

/** A tree with a daemon. */
const TREE = "sleep 1001 & setsid -f sleep 1002; echo ready; wait";

/** Collects what the listeners get, in order. */
function recorder() {
  const heard: [stream: string, text: string][] = [];
  const texts = (stream: string) => heard.flatMap(([from, text]) => (from === stream ? [text] : [])).join("");
  return {
    heard,
    texts,
    onStdout: (text: string) => void heard.push(["out", text]),
    onStderr: (text: string) => void heard.push(["err", text]),
  };
}

test("run streams both outputs while the command runs, and resolves with the result of exec", async () => {
  const vm = agent("streams");
  const { onStderr, onStdout, heard } = recorder();
  // The command waits for its first output to be heard.
  const wait = "until [ -e /tmp/heard ]; do sleep 0.05; done";
  const result = await vm.run(
    `echo one; ${wait}; read line; echo $line >&2; printf '\\303'; sleep 0.1; printf '\\251'; exit 3`,
    {
      stdin: "two\n",
      onStdout: (text) => {
        onStdout(text);
        void vm.writeFile("/tmp/heard", "");
      },
      onStderr,
    },
  );
  expect(result).toMatchObject({
    running: false,
    exitCode: 3,
    stdout: "one\né",
    stderr: "two\n",
    signal: null,
    timedOut: false,
    reason: "exit",
    truncated: false,
    oomKills: 0,
  });
  expect(heard.map(([, text]) => text).join("")).toBe(result.output);
  expect(heard[0]).toEqual(["out", "one\n"]);
  expect(result.cpuMs).toBeGreaterThan(0);
});

test("run hands over bytes, tells the pid and leaves stdin open on request", async () => {
  const vm = agent("bytes");
  const pieces: Uint8Array[] = [];
  const { promise: started, resolve: onStart } = Promise.withResolvers<number>();
  const running = vm.run("echo ready >&2; exec cat", {
    openStdin: true,
    onStart,
    onOutput: ({ stream, data }) => stream === "stdout" && pieces.push(data),
  });
  const pid = await started;
  await vm.writeProcessStdin(pid, Uint8Array.of(0, 255, 10));
  await vm.closeProcessStdin(pid);
  expect(await running).toMatchObject({ exitCode: 0, pid, stderr: "ready\n" });
  expect(Buffer.concat(pieces)).toEqual(Buffer.of(0, 255, 10));
  expect(await failure(vm.run("true", { onOutput: 1 } as never))).toMatchObject({ code: "invalid_argument" });
});

test("a listener hears a line before the command goes on", async () => {
  const vm = agent("listens");
  await vm.run("echo ask; until [ -e answer ]; do sleep 0.02; done", {
    cwd: "/workspace",
    onStdout: () => vm.writeFile("/workspace/answer", ""),
  });
});

test("runArgv passes arguments on without a shell", async () => {
  const { stdout } = await agent("argv").runArgv("printf", ["%s|", "$HOME", "a  b"], { env: { A: "1" } });
  expect(stdout).toBe("$HOME|a  b|");
});

test("run is exec in its errors, its stdin and its unknown options", async () => {
  const vm = agent("errors");
  expect(await vm.run("cat; no-such-program")).toMatchObject({ exitCode: 127, stdout: "" });
  expect(await failure(vm.run("true", { cwd: "/nowhere" }))).toMatchObject({ code: "ENOENT" });
  expect(await failure(vm.run("true", { color: true } as never))).toMatchObject({ code: "invalid_argument" });
  expect(await failure(vm.run("true", { yieldAfterMs: -1 }))).toMatchObject({ code: "invalid_argument" });
  expect(await vm.run("echo x", { captureStdio: false })).toMatchObject({ stdout: "", output: "" });
});

test("an abort kills the whole tree before run rejects", async () => {
  const vm = agent("abort");
  const controller = new AbortController();
  const running = vm.run(TREE, {
    signal: controller.signal,
    onStdout: () => controller.abort(new Error("enough")),
  });
  await expect(running).rejects.toThrow("enough");
  expect(await sleeps(vm)).toBe(0);
});

test("a listener that throws kills the tree", async () => {
  const vm = agent("throws");
  const onStdout = () => {
    throw new Error("no more");
  };
  await expect(vm.run(TREE, { onStdout })).rejects.toThrow("no more");
  expect(await sleeps(vm)).toBe(0);
});

test("a timeout kills the whole tree, and its output is there", async () => {
  const vm = agent("timeout");
  expect(await vm.run(TREE, { timeout: 1000 })).toMatchObject({
    stdout: "ready\n",
    exitCode: 137,
    timedOut: true,
    reason: "timeout",
  });
  expect(await sleeps(vm)).toBe(0);
});

test("output past the capture limit is heard and not kept, or ends the command", async () => {
  const vm = agent("limit");
  const { onStdout, texts } = recorder();
  const result = await vm.run("head -c 6000000 /dev/zero | tr '\\0' x", { onStdout });
  expect([result.stdout.length, result.truncated, texts("out").length]).toEqual([4_000_000, true, 6_000_000]);
  expect(await vm.run("yes", { outputLimit: "kill" })).toMatchObject({
    reason: "outputLimit",
    truncated: true,
  });
});

test("run answers after yieldAfterMs, and attach continues behind its last chunk", async () => {
  const vm = agent("yields");
  const line = "echo one; until [ -e go ]; do sleep 0.02; done; echo two";
  let step = await vm.run(line, { cwd: "/workspace", yieldAfterMs: 200 });
  while (step.running && step.after < 0) step = await vm.attach(step.pid, { yieldAfterMs: 200 });
  expect(step).toMatchObject({ running: true, stdout: "one\n", output: "one\n", truncated: false, after: 0 });
  const { pid } = step;
  const after = 0;
  expect(await vm.attach(pid, { after, yieldAfterMs: 0 })).toMatchObject({
    running: true,
    stdout: "",
    after,
  });
  await vm.writeFile("/workspace/go", "");
  const { onStdout, texts } = recorder();
  expect(await vm.attach(pid, { after, onStdout })).toMatchObject({
    running: false,
    exitCode: 0,
    stdout: "two\n",
    pid,
  });
  expect(texts("out")).toBe("two\n");
  expect(await vm.attach(pid)).toMatchObject({ stdout: "one\ntwo\n" });
});

test("attach follows a process of spawn, and an abort leaves the process alone", async () => {
  const vm = agent("attach");
  const { pid } = await vm.spawn("bash", ["-c", "echo up; exec cat"]);
  const controller = new AbortController();
  const stopped = vm.attach(pid, { signal: controller.signal, onStdout: () => controller.abort() });
  await expect(stopped).rejects.toThrow("abort");
  expect((await vm.getProcess(pid)).running).toBe(true);
  const attached = vm.attach(pid, { after: 0 });
  await vm.writeProcessStdin(pid, "down\n");
  await vm.closeProcessStdin(pid);
  expect(await attached).toMatchObject({ stdout: "down\n", reason: "exit" });
  expect(await failure(vm.attach(99_999))).toMatchObject({ code: "process_not_found" });
});

test("a command that nobody reads goes on after yieldAfterMs, and attach says that output is lost", async () => {
  const vm = agent("unread");
  const step = await vm.run(
    "until [ -e go ]; do sleep 0.02; done; head -c 3M /dev/zero | tr '\\0' x; echo end",
    {
      cwd: "/workspace",
      yieldAfterMs: 0,
    },
  );
  expect(step.running).toBe(true);
  await vm.writeFile("/workspace/go", "");
  expect(await vm.waitProcess(step.pid)).toBe(0);
  const rest = await vm.attach(step.pid);
  expect(rest).toMatchObject({ truncated: true, exitCode: 0 });
});

test("a slow listener gets everything, because the command waits for it", async () => {
  const vm = agent("slow");
  const gate = Promise.withResolvers<void>();
  let bytes = 0;
  let written = 0;
  const running = vm.run("head -c 3000000 /dev/zero | tr '\\0' x | tee copy", {
    cwd: "/workspace",
    async onStdout(text) {
      bytes += text.length;
      await gate.promise;
    },
  });
  await expect
    .poll(
      async () => {
        const { size } = await vm.stat("/workspace/copy").catch(() => ({ size: 0 }));
        const rests = size > 0 && size === written;
        written = size;
        return rests;
      },
      { interval: 300 },
    )
    .toBe(true);
  expect(written).toBeLessThan(2_000_000);
  gate.resolve();
  expect(await running).toMatchObject({ exitCode: 0, truncated: false });
  expect(bytes).toBe(3_000_000);
});

test("a connection that breaks again and again loses nothing and repeats nothing", async () => {
  const proxy = await tcpProxy(server.port);
  const vm = server.client({ endpoint: proxy.endpoint }).vm.getOrCreate("broken");
  let heard = "";
  let cuts = 0;
  const result = await vm.run("for i in {1..3000}; do echo line $i; ((i % 300)) || sleep 0.2; done", {
    onStdout(text) {
      heard += text;
      if (heard.length < cuts * 6000) return;
      cuts++;
      proxy.cut();
    },
  });
  expect(cuts).toBeGreaterThan(2);
  expect(heard).toBe(Array.from({ length: 3000 }, (_, index) => `line ${index + 1}\n`).join(""));
  expect(result).toMatchObject({ stdout: heard, exitCode: 0, truncated: false });
  await proxy.close();
});

test("run works on a connection", async () => {
  await using connection = agent("connection").connect();
  expect(await connection.run("echo over a connection")).toMatchObject({ stdout: "over a connection\n" });
});

test("run and attach pass the output as bytes too, numbered without a gap", async () => {
  const vm = agent("streams");
  const chunks: OutputChunk[] = [];
  const onOutput = (chunk: OutputChunk) => void chunks.push(chunk);
  const started = await vm.run("printf '\\377'; sleep 0.1; printf '\\376' >&2", {
    onOutput,
    yieldAfterMs: 0,
  });
  if (started.running) await vm.attach(started.pid, { after: started.after, onOutput });
  expect(chunks.map(({ stream, data }) => [stream, ...data])).toEqual([
    ["stdout", 0xff],
    ["stderr", 0xfe],
  ]);
  expect(chunks.map(({ seq }) => seq)).toEqual([0, 1]);
});
