import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bashToolSandbox, sandboxSession } from "../../../src/adapters/ai-sdk/index.ts";
import { computeProvider } from "../../../src/adapters/computesdk/index.ts";
import { startTestServer, type TestServer } from "../../support/servers.ts";
import { failure } from "../../support/until.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ kind: "kernel", vm: { perVm: { limits: { captureBytes: 1024 } } } });
});
afterAll(() => server.stop());

/** Returns the VM of this file as a session in a directory of its own. */
function session(name: string) {
  const vm = server.client().vm.getOrCreate("one");
  return { vm, sandbox: sandboxSession(vm, { workingDirectory: `/work/${name}` }) };
}

const text = (stream: ReadableStream<Uint8Array>) => new Response(stream).text();

const bytesOf = async (stream: ReadableStream<Uint8Array>) =>
  new Uint8Array(await new Response(stream).arrayBuffer());

const bytes = (value: string) => new TextEncoder().encode(value);

function streamOf(...pieces: string[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(bytes(piece));
      controller.close();
    },
  });
}

describe("run", () => {
  test("returns the exit code and both outputs, with variables and a working directory", async () => {
    const { sandbox } = session("run");
    await sandbox.writeTextFile({ path: "sub/x", content: "" });
    const command = 'pwd; echo "$GREETING" >&2; exit 3';
    expect(await sandbox.run({ command, workingDirectory: "sub", env: { GREETING: "hello" } })).toEqual({
      exitCode: 3,
      stdout: "/work/run/sub\n",
      stderr: "hello\n",
    });
    expect((await sandbox.run({ command: "cd /; pwd" })).stdout).toBe("/\n");
    expect((await sandbox.run({ command: "pwd" })).stdout).toBe("/work/run\n");
  });

  test("rejects with the reason of an abort and kills everything that the command has started", async () => {
    const { sandbox, vm } = session("run-abort");
    const abort = new AbortController();
    const reason = new Error("enough");
    const running = sandbox.run({ command: "sleep 4321 & echo > ready; wait", abortSignal: abort.signal });
    while ((await sandbox.stat({ path: "ready" })) === null) await sandbox.run({ command: "sleep 0.05" });
    abort.abort(reason);
    expect(await failure(running)).toBe(reason);
    const left = (await vm.allProcesses()).filter(
      ({ args, state }) => args.includes("4321") && state !== "Z",
    );
    expect(left).toEqual([]);
  });
});

describe("spawn", () => {
  test("streams bytes of both outputs, and wait resolves with the exit code", async () => {
    const { sandbox } = session("spawn");
    const process = await sandbox.spawn({ command: "printf '\\377\\000out'; printf err >&2; exit 5" });
    expect(process.pid).toBeGreaterThan(0);
    expect("stdin" in process).toBe(false);
    const [out, err] = await Promise.all([bytesOf(process.stdout), text(process.stderr)]);
    expect([...out]).toEqual([0xff, 0, ...bytes("out")]);
    expect(err).toBe("err");
    expect(await process.wait()).toEqual({ exitCode: 5 });
  });

  test("loses no output of a fast command, with and without stdin", async () => {
    const { sandbox } = session("spawn-much");
    for (const stdin of [true, false]) {
      const process = await sandbox.spawn({ command: "head -c 6000000 /dev/zero", stdin });
      expect((await bytesOf(process.stdout)).byteLength).toBe(6_000_000);
      expect(await process.wait()).toEqual({ exitCode: 0 });
    }
  });

  test("without stdin the command reads an empty input", async () => {
    const { sandbox } = session("spawn-empty");
    const process = await sandbox.spawn({ command: "wc -c" });
    expect((await text(process.stdout)).trim()).toBe("0");
  });

  test("with stdin the command reads what is written, to the end of the stream", async () => {
    const { sandbox } = session("spawn-stdin");
    const process = await sandbox.spawn({ command: "tr a-z A-Z", stdin: true });
    await streamOf("one ", "two").pipeTo(process.stdin);
    expect(await text(process.stdout)).toBe("ONE TWO");
    expect(await process.wait()).toEqual({ exitCode: 0 });
  });

  test("a write to stdin waits for a command that reads slowly", async () => {
    const { sandbox } = session("slow-stdin");
    const command = "until [ -e go ]; do sleep 0.05; done; wc -c";
    const process = await sandbox.spawn({ command, stdin: true });
    const size = 34 * 1024 * 1024;
    const writer = process.stdin.getWriter();
    const writing = writer.write(new Uint8Array(size));
    await sandbox.writeTextFile({ path: "go", content: "" });
    await writing;
    await writer.close();
    expect(await text(process.stdout)).toBe(`${size}\n`);
  });

  test("kill ends the command and may be called twice", async () => {
    const { sandbox } = session("spawn-kill");
    const process = await sandbox.spawn({ command: "echo up; sleep 1000" });
    const reader = process.stdout.getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe("up\n");
    await process.kill();
    await process.kill();
    expect(await process.wait()).toEqual({ exitCode: 137 });
    expect((await reader.read()).done).toBe(true);
  });

  test("an abort kills the command, fails its streams and rejects wait with the reason", async () => {
    const { sandbox, vm } = session("spawn-abort");
    const abort = new AbortController();
    const process = await sandbox.spawn({ command: "sleep 1000", abortSignal: abort.signal });
    const ends = Promise.all([failure(text(process.stdout)), failure(process.wait())]);
    const reason = new Error("enough");
    abort.abort(reason);
    expect(await ends).toEqual([reason, reason]);
    await expect.poll(async () => (await vm.getProcess(process.pid ?? 0)).running).toBe(false);
    expect(await failure(sandbox.spawn({ command: "true", abortSignal: abort.signal }))).toBe(reason);
  });
});

test("a result says that output above the limit was dropped", async () => {
  const vms = server.client().vm;
  const vm = vms.getOrCreate("short", { createWithInput: { limits: { captureBytes: 4 } } });
  const results = [
    await bashToolSandbox(vm).executeCommand("echo 123456"),
    await computeProvider(vms).methods.sandbox.runCommand(vm, "echo 123456"),
  ];
  for (const { stdout, stderr } of results) {
    expect(stdout).toBe("1234");
    expect(stderr).toContain("further output was dropped");
  }
});

describe("files", () => {
  test("a missing file is null, and a missing directory too", async () => {
    const { sandbox } = session("missing");
    const path = "no/such";
    await sandbox.run({ command: "ln -s nowhere dangling" });
    expect(await sandbox.readFile({ path })).toBeNull();
    expect(await sandbox.readBinaryFile({ path })).toBeNull();
    expect(await sandbox.readTextFile({ path })).toBeNull();
    expect(await sandbox.stat({ path })).toBeNull();
    expect(await sandbox.stat({ path: "dangling" })).toBeNull();
    expect(await sandbox.listDirectory({ path })).toBeNull();
    expect(await sandbox.deleteFile({ path })).toBe(false);
  });

  test("each kind of content comes back as it was written, with parents made", async () => {
    const { sandbox } = session("content");
    await sandbox.writeFile({ path: "a/stream", content: streamOf("one\n", "two\n") });
    await sandbox.writeBinaryFile({ path: "a/bytes", content: new Uint8Array([0, 255]) });
    await sandbox.writeTextFile({ path: "a/text", content: "é", encoding: "latin1" });
    const stream = await sandbox.readFile({ path: "a/stream" });
    expect(stream && (await text(stream))).toBe("one\ntwo\n");
    expect(await sandbox.readBinaryFile({ path: "/work/content/a/bytes" })).toEqual(new Uint8Array([0, 255]));
    expect(await sandbox.readBinaryFile({ path: "a/text" })).toEqual(new Uint8Array([0xe9]));
    expect(await sandbox.readTextFile({ path: "a/text", encoding: "latin1" })).toBe("é");
  });

  test.each<[number | undefined, number | undefined, string]>([
    [undefined, undefined, "1\n2\n3\n"],
    [2, undefined, "2\n3\n"],
    [2, 2, "2"],
    [undefined, 1, "1"],
    [2, 99, "2\n3\n"],
    [99, undefined, ""],
  ])("lines %s to %s", async (startLine, endLine, expected) => {
    const { sandbox } = session("lines");
    await sandbox.writeTextFile({ path: "lines", content: "1\n2\n3\n" });
    expect(await sandbox.readTextFile({ path: "lines", startLine, endLine })).toBe(expected);
  });

  test("writing to a directory, listing a file and deleting a directory reject", async () => {
    const { sandbox } = session("wrong");
    await sandbox.writeTextFile({ path: "dir/file", content: "" });
    expect(await failure(sandbox.writeTextFile({ path: "dir", content: "" }))).toMatchObject({
      code: "EISDIR",
    });
    expect(await failure(sandbox.listDirectory({ path: "dir/file" }))).toMatchObject({ code: "ENOTDIR" });
    expect(await failure(sandbox.deleteFile({ path: "dir" }))).toMatchObject({ code: "EISDIR" });
    expect(await failure(sandbox.readFile({ path: "dir" }))).toMatchObject({ code: "EISDIR" });
  });

  test("types of entries are told apart, and stat follows links", async () => {
    const { sandbox } = session("types");
    const command =
      "mkdir d && cd d && mkdir sub && printf 123 > file && : > empty && ln -s file link && mkfifo pipe";
    await sandbox.run({ command });
    const entries = (await sandbox.listDirectory({ path: "d" })) ?? [];
    expect(Object.fromEntries(entries.map(({ name, type }) => [name, type]))).toEqual({
      sub: "directory",
      file: "file",
      empty: "file",
      link: "symlink",
      pipe: "other",
    });
    expect(await sandbox.stat({ path: "d/link" })).toEqual({ type: "file", size: 3 });
    expect(await sandbox.stat({ path: "d/pipe" })).toMatchObject({ type: "other" });
    expect(await sandbox.stat({ path: "d" })).toMatchObject({ type: "directory" });
    expect(await sandbox.deleteFile({ path: "d/link" })).toBe(true);
    expect(await sandbox.stat({ path: "d/file" })).toEqual({ type: "file", size: 3 });
  });

  test("an aborted write leaves the file as it was", async () => {
    const { sandbox } = session("aborted-write");
    await sandbox.writeTextFile({ path: "kept", content: "old" });
    const abort = new AbortController();
    const endless = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(bytes("new")),
    });
    const writing = sandbox.writeFile({ path: "kept", content: endless, abortSignal: abort.signal });
    const reason = new Error("enough");
    setImmediate(() => abort.abort(reason));
    expect(await failure(writing)).toBe(reason);
    expect(await sandbox.readTextFile({ path: "kept" })).toBe("old");
  });
});
